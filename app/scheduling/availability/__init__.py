"""Which times to show: the scheduler's bookable slots, read once for all visitors, within a budget of calls.

Caching is for showing: the lock decides. On top of what the scheduler said a moment ago lie our own bookings since.
`availability` asks the widget's scheduler. Of the rest read `times` first; `month` says what is shown, `cached` when
the scheduler is asked, `budget` how often.
"""

from app.scheduling.availability.availability import Availability
from app.scheduling.availability.budget import CallBudget
from app.scheduling.availability.catalogue import Catalogue, LeftOut
from app.scheduling.availability.shared import SharedReads
from app.scheduling.availability.times import SchedulerAvailability, Times

__all__ = ["Availability", "CallBudget", "Catalogue", "LeftOut", "SchedulerAvailability", "SharedReads", "Times"]
