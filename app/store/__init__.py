"""All SQL: the stored data and what is due, in SQLite (one writer) or in PostgreSQL.

Every change of a booking's status goes through `claim`, one conditional UPDATE that reports whether it won, and every
change of a move's state through `claim_move`; what the change owes the outside world (mail, refund, payment attempt)
is written in the same transaction. No method here calls a provider.
"""

from __future__ import annotations

from app.store.bookings import BookingRows
from app.store.customers import CustomerRows
from app.store.desk import DeskRows
from app.store.erasure import ForgetRows
from app.store.find_bookings import FindRows
from app.store.follow import FollowRows
from app.store.happenings import HappeningRows
from app.store.health import HealthRows
from app.store.hours import HoursRows
from app.store.idempotency import IdempotencyRows
from app.store.inbox import InboxRows
from app.store.moves import MoveRows
from app.store.occupancy import OccupancyRows
from app.store.offers import OfferRows
from app.store.outbox import OutboxRows
from app.store.outgoing_webhooks import OutgoingWebhookRows
from app.store.overdue import OverdueRows
from app.store.payments import PaymentRows
from app.store.pruning import PruneRows
from app.store.queues import QueueRows
from app.store.readings import ReadingRows
from app.store.refunds import RefundRows
from app.store.reservations import ReservationRows
from app.store.scheduler_tokens import SchedulerTokenRows
from app.store.service_versions import ServiceVersionRows
from app.store.sign_ins import SignInRows
from app.store.strays import StrayRows


class Store(
    BookingRows,
    FindRows,
    ReservationRows,
    OccupancyRows,
    FollowRows,
    MoveRows,
    OfferRows,
    PaymentRows,
    RefundRows,
    QueueRows,
    OutboxRows,
    OverdueRows,
    InboxRows,
    IdempotencyRows,
    HealthRows,
    ForgetRows,
    DeskRows,
    CustomerRows,
    SignInRows,
    SchedulerTokenRows,
    ServiceVersionRows,
    StrayRows,
    HappeningRows,
    OutgoingWebhookRows,
    ReadingRows,
    HoursRows,
    PruneRows,
):
    """Every read and every write of the database, in one object; each table's methods are in a file of their own."""
