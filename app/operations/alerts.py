"""Problems, shown to staff: whatever waits for them, or prevents something due from being done. Without any, "all is
well". The same facts are alarms in the metrics of `app.operations.health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.booking.overdue import CONFIRM_WITHIN, END_WITHIN, MOVE_WITHIN, RELEASE_WITHIN
from app.domain.booking import Booking, Status
from app.domain.money import Money
from app.mail import Mailer
from app.operations.calendly_connections import CalendlyConnections
from app.operations.health import Health
from app.store import Store

#: A mail that is due for so long is not just on its way.
MAIL_WITHIN: Final = timedelta(minutes=15)
#: An event without its effect after so long is not just being tried again.
EVENT_WITHIN: Final = timedelta(minutes=10)
#: A mail that was given up before that is of no use to anyone any more; *Technical* still lists it.
GIVEN_UP_SINCE: Final = timedelta(days=14)
#: An owner's program may be restarted without anyone's being told.
PROGRAM_WITHIN: Final = timedelta(hours=1)


class AlertKind(StrEnum):
    """The kind of problem; the words are in `app.web.staff.well_words`, in this order."""

    WORKER_LATE = "worker_late"
    PROVIDER_DOWN = "provider_down"
    NOT_CONFIRMED = "not_confirmed"
    #: Money that is kept, or held on a card, although nothing stands for it.
    MONEY_WITHOUT_BOOKING = "money_without_booking"
    #: Money of a booking that this database does not know.
    MONEY_UNKNOWN = "money_unknown"
    REFUND_STUCK = "refund_stuck"
    DISPUTED = "disputed"
    NOT_MOVED = "not_moved"
    NOT_ENDED = "not_ended"
    NOT_RELEASED = "not_released"
    #: A booking stands, and the scheduler may have a second entry for it.
    SECOND_ENTRY = "second_entry"
    MAIL_OFF = "mail_off"
    MAILS_LATE = "mails_late"
    MAILS_GIVEN_UP = "mails_given_up"
    EVENTS_FAILING = "events_failing"
    WEBHOOKS_SILENT = "webhooks_silent"
    PROGRAM_OFF = "program_off"
    PROGRAM_FAILING = "program_failing"
    CALENDLY_BROKEN = "calendly_broken"


@dataclass(frozen=True, slots=True)
class Alert:
    """One problem. `many` counts what it is about, `bookings` are ids to look at, `name` is a provider's, a program's
    or an owner's, `why` is what the other side said, `since` when it began."""

    kind: AlertKind
    many: int = 1
    bookings: tuple[str, ...] = ()
    amount: Money | None = None
    name: str = ""
    why: str = ""
    since: datetime | None = None


class Alerts:
    """Reads; changes nothing. `now` gives aware datetimes."""

    def __init__(
        self,
        *,
        store: Store,
        health: Health,
        mailer: Mailer,
        calendly: CalendlyConnections,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._health = health
        self._mailer = mailer
        self._calendly = calendly
        self._now = now

    async def all(self) -> list[Alert]:
        """Everything that is not well, what costs money or customers first. All of it is asked of indexes, and the
        money of what has happened since the last look."""
        found = [
            *await self._machinery(),
            *await self._of_money(),
            *await self._disputes(),
            *await self._overdue(),
            *await self._mails(),
            *await self._events(),
            *await self._programs(),
            *await self._accounts(),
        ]
        order = list(AlertKind)
        return sorted(found, key=lambda alert: order.index(alert.kind))

    async def _machinery(self) -> list[Alert]:
        late = [Alert(AlertKind.WORKER_LATE)] if await self._health.worker_is_late() else []
        return [*late, *(Alert(AlertKind.PROVIDER_DOWN, name=name) for name in self._health.down())]

    async def _overdue(self) -> list[Alert]:
        unreleased = await self._store.unreleased_since(RELEASE_WITHIN)
        standing = [booking for booking in unreleased if booking.status is Status.CONFIRMED]
        waiting: Mapping[AlertKind, Sequence[Booking]] = {
            AlertKind.NOT_CONFIRMED: await self._store.unconfirmed_since(CONFIRM_WITHIN),
            AlertKind.NOT_MOVED: await self._store.unmoved_since(MOVE_WITHIN),
            AlertKind.NOT_ENDED: await self._store.unended_since(END_WITHIN),
            AlertKind.NOT_RELEASED: [booking for booking in unreleased if booking not in standing],
        }
        return [
            *(
                Alert(kind, many=len(found), bookings=tuple(booking.id for booking in found))
                for kind, found in waiting.items()
                if found
            ),
            *(Alert(AlertKind.SECOND_ENTRY, bookings=(booking.id,)) for booking in standing),
        ]

    async def _of_money(self) -> list[Alert]:
        kinds = {"not_refunded": AlertKind.REFUND_STUCK, "unknown_booking": AlertKind.MONEY_UNKNOWN}
        return [
            Alert(
                kinds.get(one.why, AlertKind.MONEY_WITHOUT_BOOKING),
                bookings=(one.booking_id,),
                amount=Money(one.amount, one.currency),
                why=one.why,
            )
            # What waits to be confirmed is told as that.
            for one in await self._health.money_without_booking()
            if one.why != "not_confirmed"
        ]

    async def _disputes(self) -> list[Alert]:
        found = await self._store.disputes_to_answer()
        return [Alert(AlertKind.DISPUTED, bookings=(payment.booking_id,), amount=payment.price) for payment in found]

    async def _mails(self) -> list[Alert]:
        now = self._now()
        late, why = await self._store.mails_late(now - MAIL_WITHIN)
        given_up = await self._store.mails_given_up(now - GIVEN_UP_SINCE)
        kind = AlertKind.MAILS_LATE if self._mailer.enabled else AlertKind.MAIL_OFF
        return [
            *([Alert(kind, many=late, why=why)] if late else []),
            *([Alert(AlertKind.MAILS_GIVEN_UP, many=len(given_up), bookings=tuple(given_up))] if given_up else []),
        ]

    async def _events(self) -> list[Alert]:
        failing = await self._store.events_without_effect(self._now() - EVENT_WITHIN)
        silent_since = await self._store.stripe_silent_since()
        return [
            *([Alert(AlertKind.EVENTS_FAILING, many=failing)] if failing else []),
            *([Alert(AlertKind.WEBHOOKS_SILENT, since=silent_since)] if silent_since else []),
        ]

    async def _programs(self) -> list[Alert]:
        found = []
        for endpoint in await self._store.endpoints():
            if endpoint.disabled_at:
                found.append(Alert(AlertKind.PROGRAM_OFF, name=endpoint.id, why=endpoint.last_error))
            elif endpoint.failing_since and self._now() - endpoint.failing_since >= PROGRAM_WITHIN:
                since = endpoint.failing_since
                found.append(Alert(AlertKind.PROGRAM_FAILING, name=endpoint.id, why=endpoint.last_error, since=since))
        return found

    async def _accounts(self) -> list[Alert]:
        if not self._calendly.enabled:
            return []
        return [
            Alert(AlertKind.CALENDLY_BROKEN, name=one.owner)
            for one in await self._calendly.all()
            if one.broken or one.unreadable
        ]
