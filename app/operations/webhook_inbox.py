"""Webhooks of Stripe and the schedulers: checked, stored once, then acted on. What fails is tried again with growing
pauses, and Stripe's events that never arrived are fetched.

A webhook is a hint where to look. Its effect is an act of `app.booking` that reads the provider and is safe to
repeat, so an event may be taken twice, late, out of order or by hand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import anyio
import structlog

from app.booking.acts import Acts
from app.booking.as_there import agrees
from app.booking.tools import Tools
from app.domain.booking import Booking
from app.domain.event import Event, StoredEvent
from app.domain.scheduler_names import provider_of
from app.errors import BookingConflict, HoldfastError, NotFound, SchedulerDown, SchedulerError, StripeDown, StripeError
from app.payments.facts import Listed
from app.payments.stripe_client import RECENT
from app.scheduling.port import SchedulerNotice, SchedulerWebhooks

log = structlog.get_logger()

#: Checkout waits up to 10 s for our answer before it sends the customer back (Stripe docs, "Fulfill orders").
EVENT_SECONDS = 4
#: The first attempts follow each other from half a second on, and after these the worker goes on alone:
#: docs/dev/decisions/0027.
QUICK_TRIES = 5
QUICK_PAUSE = timedelta(milliseconds=500)
#: The worker's pauses grow from this to the longest. It never gives up: the event stays listed until it had its effect.
WORKER_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)
#: `Event.object_type` of a hint from the scheduler; `object_id` is the booking's id there. Stored under the name of the
#: first scheduler.
_SCHEDULER_BOOKING = "scheduler_booking"
#: Up to when Stripe's list of events was read, in seconds since 1970.
_FETCHED = "stripe:events_read"
#: Events are listed in the order in which they were made, and may appear late.
_OVERLAP = timedelta(minutes=10)
#: How far back the very first look goes, and how far the list reaches (Stripe docs, "List all events").
_FIRST_LOOK_BACK = timedelta(days=1)
_STRIPE_KEEPS = timedelta(days=30)


class Inbox:
    """Receives providers' webhooks. `scheduler_webhooks` has those schedulers, by name, whose webhooks are received.
    `sleep` waits seconds."""

    def __init__(
        self,
        tools: Tools,
        acts: Acts,
        scheduler_webhooks: Mapping[str, SchedulerWebhooks],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = tools.store
        self._acts = acts
        self._availability = tools.availability
        self._payments = tools.payments
        self._cursors = tools.cursors
        self._scheduler_webhooks = scheduler_webhooks
        self._now = tools.now
        self._random = tools.random
        self._sleep = sleep

    # -- the doors -------------------------------------------------------------------------------------------

    async def receive_stripe(self, raw: bytes, signature: str | None) -> None:
        """A webhook of Stripe: checked, stored once, then acted on within a bound; what takes longer, or fails, is
        the worker's. Raises WebhookRefused, and NotFound without a Stripe key."""
        if self._payments is None:
            raise NotFound("no Stripe key is configured")
        await self._take_in(self._payments.read_event(raw, signature))

    async def receive_scheduler(self, scheduler: str, raw: bytes, headers: Mapping[str, str]) -> None:
        """A webhook of a scheduler: a hint that a booking of ours, or someone else's, has changed there. All accounts
        that owners have connected share its address and its secret. Raises WebhookRefused, and NotFound without a
        secret to check it with."""
        names = [name for name in self._scheduler_webhooks if provider_of(name) == scheduler]
        webhooks = self._scheduler_webhooks[names[0]] if names else None
        if webhooks is None:
            raise NotFound("no secret for the scheduler's webhooks is configured")
        notice = webhooks.read(raw, headers)
        ours = await self._store.ours_among(notice.ids)
        for name in names if not ours else ():
            self._availability.hinted(name, notice.moments)
        for booking in ours:
            if _tells_nothing(notice, booking):
                continue
            await self._take_in(self._hint(notice, booking.id, booking.reservation.reference or ""))

    def _hint(self, notice: SchedulerNotice, booking_id: str, reference: str) -> Event:
        return Event(
            id=f"{notice.id}.{booking_id}",
            type=notice.type,
            object_id=reference,
            object_type=_SCHEDULER_BOOKING,
            livemode=True,
            created=self._now(),
            booking_id=booking_id,
            payment_intent_id=None,
        )

    async def _take_in(self, event: Event) -> None:
        new = await self._store.add_event(event, again_at=self._now() + WORKER_PAUSE)
        log.info("webhook", event_id=event.id, type=event.type, new=new)
        if not new:
            return
        stored = StoredEvent(event, 0, self._now(), None, None, "")
        with anyio.move_on_after(EVENT_SECONDS):
            while stored.tries < QUICK_TRIES:
                error = await self.attempt(stored)
                # A provider that is known to be down is not asked again before the pause is over.
                if error is None or isinstance(error, SchedulerDown | StripeDown):
                    return
                stored = replace(stored, tries=stored.tries + 1)
                await self._sleep(self._jitter(QUICK_PAUSE * 2 ** (stored.tries - 1)).total_seconds())

    # -- the effect ------------------------------------------------------------------------------------------

    async def attempt(self, stored: StoredEvent) -> HoldfastError | None:
        """Let a stored event have its effect, and write down what came of it. Returns what it failed of."""
        try:
            await self._act(stored.event)
        except (SchedulerError, StripeError, BookingConflict) as error:
            log.warning("event put off", event_id=stored.event.id, error=type(error).__name__)
            await self.put_off(stored, error)
            return error
        await self._store.record_event(stored.event.id)
        return None

    async def put_off(self, stored: StoredEvent, error: Exception) -> None:
        """An attempt has failed: the next one is the worker's."""
        doublings = max(0, stored.tries + 1 - QUICK_TRIES)
        pause = min(WORKER_PAUSE * 2 ** min(doublings, 12), LONGEST_PAUSE)
        again_at = self._now() + self._jitter(pause)
        await self._store.record_event(stored.event.id, error=type(error).__name__, again_at=again_at)

    async def _act(self, event: Event) -> None:
        if event.object_type == _SCHEDULER_BOOKING:
            await self._acts.follow.booking(event.booking_id or "")
        else:
            await self._acts.stripe_events.take_event(event)

    # -- by hand ---------------------------------------------------------------------------------------------

    async def events(
        self, *, waiting: bool = False, booking_id: str = "", skip: int = 0, most: int = 100
    ) -> list[StoredEvent]:
        """Stored events, newest first; with `waiting` only those that still await their effect."""
        return await self._store.events(waiting=waiting, booking_id=booking_id, skip=skip, most=most)

    async def replay(self, event_id: str, *, tries: int | None = None) -> StoredEvent:
        """Let a stored event have its effect once more, now. The answer tells how it stands. Raises NotFound; with
        `tries`, as someone saw it, BookingConflict where it has been tried since."""
        stored = await self._store.event(event_id)
        if stored is None:
            raise NotFound(event_id)
        if tries is not None and not await self._store.claim_event(event_id, tries=tries):
            raise BookingConflict("tried meanwhile")
        await self.attempt(stored)
        return await self._store.event(event_id) or stored

    # -- what never arrived ----------------------------------------------------------------------------------

    async def fetch_missed(self, *, most: int = RECENT) -> int:
        """Store the events that Stripe has made since the last look and that never arrived here: we were down, or the
        endpoint was wrong. The worker's next step takes them. Of more than about `most`, the older ones are read by the
        next looks. Returns how many were stored. Raises StripeError."""
        if self._payments is None:
            return 0
        payments = self._payments

        async def read(after: datetime, *, created_before: datetime | None, most: int) -> Listed[Event]:
            return await payments.events(created_after=after, created_before=created_before, most=most)

        missed, _ = await self._cursors.take(
            _FETCHED,
            read,
            self._take_missed,
            overlap=_OVERLAP,
            first=_FIRST_LOOK_BACK,
            keeps=_STRIPE_KEEPS,
            most=most,
        )
        if missed:
            log.warning("events had not arrived", many=missed)
            await self._store.events_were_missed()
        return missed

    async def _take_missed(self, listed: Sequence[Event]) -> int:
        missed = await self._store.unknown_events(listed)
        await self._store.add_events(missed, again_at=self._now())
        return len(missed)

    def _jitter(self, pause: timedelta) -> timedelta:
        return pause * self._random.uniform(1.0, 1.5)


def _tells_nothing(notice: SchedulerNotice, booking: Booking) -> bool:
    """Whether a notice says of a booking what we know: each change of our own is told to us as well, and reading it
    back would cost a call. A deletion may come with the booking as it was."""
    there = notice.bookings.get((booking.reservation.reference or "").lower())
    return there is not None and not notice.deletes and agrees(booking, there)
