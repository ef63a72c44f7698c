"""Which times to show: Hapio's bookable slots, read once for all visitors, within a budget of calls.

Caching is for showing: the lock decides. On top of what Hapio said a moment ago lie our own bookings since.
Read `times` first; `month` says what is shown, `cached` when Hapio is asked, `budget` how often.
"""

from app.scheduling.availability.budget import CallBudget
from app.scheduling.availability.catalogue import Catalogue
from app.scheduling.availability.times import Availability, Times

__all__ = ["Availability", "CallBudget", "Catalogue", "Times"]
