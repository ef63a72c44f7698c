"""Calendly behind the port: nothing holds a time there before it is booked, and a move is a new event.

Facts about Calendly are cited as in `translation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from app.domain.catalogue import Location, Resource, Slot
from app.errors import SchedulerError, SchedulerNotFound, SchedulerRefused
from app.scheduling.arrangement import Arrangement, FoundPerson, FoundPlace, FoundService, Plan, Step
from app.scheduling.calendly.client import PAGE_SIZE, CalendlyClient
from app.scheduling.calendly.translation import EventType, Invitee, timestamp, with_invitee
from app.scheduling.calendly.webhook import EVENTS
from app.scheduling.named import named
from app.scheduling.port import (
    LockKind,
    Pulse,
    SchedulerBooking,
    SchedulerLock,
    SchedulerService,
    Traits,
    Visit,
    Wanted,
)
from app.scheduling.successors import latest

log = structlog.get_logger()

#: The prefix of the tag in the reference of a time that only we hold.
_NOT_HELD: Final = "none:"
#: The longest stretch of available times in one call: 31 days, and before 9 July 2026 a week (Calendly API v2, release
#: notes). The shorter one is tried when the longer one is refused.
_WINDOW, _SHORT_WINDOW = timedelta(days=31), timedelta(days=7)
#: A month as `Availability` reads it: 31 days, and the last visit's length.
_MONTH = timedelta(days=32)
_MINUTE = timedelta(minutes=1)
#: How old what is known of an event type's length may be: nothing else tells it, since available times have no end and
#: a create takes none.
_LENGTH_KNOWN = timedelta(minutes=1)
#: An event is listed by its start; none is longer.
_LONGEST_EVENT = timedelta(days=1)
#: How often a booking is tried in one call: each try may count against the day's creates.
_CREATES = 2
#: How much of a value of `tracking` is sent; the true limit is not documented.
_LONGEST_TRACKING = 255
#: The reason of a cancellation. Calendly shows it to the customer, and the same call also ends the old time of a moved
#: booking.
_REASON = "This appointment was cancelled or moved where it was booked."
#: All six must be there, or none (Calendly API v2, "Create Event Invitee").
_TRACKING = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")


@named("calendly")
class CalendlyScheduler:
    """A `Scheduler` over Calendly's client. The port describes every method.

    A token has one user, who is the only place and the only person.
    """

    traits = Traits(
        lock=LockKind.NONE,
        keeps_metadata=False,
        mails_customer=True,
        prices=False,
        arranges=frozenset(),
        subscribes=True,
        own_pages="https://calendly.com/",
        any_time=False,
    )

    def __init__(self, client: CalendlyClient, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._window = _WINDOW
        #: Event types as last read, and when, of which a create and the times need what seldom changes.
        self._types: dict[str, tuple[EventType, datetime]] = {}
        self._left_out: dict[str, str] = {}

    @property
    def pulse(self) -> Pulse:
        return self._client.connection

    def calls_to_list(self, things: int) -> int:
        """As many as it takes to read a month of times, or the pages of events."""
        return max(-(-_MONTH // self._window), -(-things // PAGE_SIZE))

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- what there is ---------------------------------------------------------------------------------------

    async def locations(self) -> list[Location]:
        """The user counts as the place, which has no name: each event type says where it takes place."""
        account = await self._client.read_account()
        return [Location(account.id, "", account.time_zone)]

    async def services(self) -> list[SchedulerService]:
        """The event types that can be sold; those left out are logged."""
        types = sorted(await self._client.event_types(), key=lambda one: one.created_at)
        self._types.update({one.id: (one, self._now()) for one in types})
        left_out = {one.id: one.unsold for one in types if one.unsold}
        for id_, why in left_out.items():
            if self._left_out.get(id_) != why:
                log.warning("event type left out", service=id_, reason=why)
        self._left_out = left_out
        return [
            SchedulerService(
                id=one.id,
                name=one.name,
                duration=one.duration,
                buffer_before=one.buffer_before,
                buffer_after=one.buffer_after,
                page=one.page or None,
            )
            for one in types
            if not one.unsold
        ]

    async def resources(self) -> list[Resource]:
        account = await self._client.read_account()
        return [Resource(account.id, account.name, 1)]

    async def service_resource_ids(self, service_id: str) -> list[str]:
        return [(await self._client.account()).id]

    async def bookable_slots(
        self, service_id: str, *, location_id: str, starts_from: datetime, ends_to: datetime
    ) -> list[Slot]:
        event_type = await self._type(service_id, at_most=_LENGTH_KNOWN)
        user = (await self._client.account()).id
        starts = await self._starts(event_type, starts_from, ends_to)
        return [
            Slot(
                start,
                start + event_type.duration,
                start - event_type.buffer_before,
                start + event_type.duration + event_type.buffer_after,
                (user,),
            )
            for start in starts
        ]

    async def _type(self, service_id: str, *, at_most: timedelta = timedelta.max) -> EventType:
        """An event type as it was last read, read again where that is longer ago than `at_most`."""
        known, asked_at = self._types.get(service_id, (None, self._now()))
        if known is None or abs(self._now() - asked_at) > at_most:
            asked_at = self._now()
            known = await self._client.event_type(service_id)
            self._types[service_id] = known, asked_at
        return known

    async def _starts(self, event_type: EventType, starts_from: datetime, ends_to: datetime) -> list[datetime]:
        """The available starts of an interval, as many calls as it takes."""
        found: set[datetime] = set()
        begin = max(starts_from, _soonest(self._now()))
        while begin < ends_to:
            end = min(begin + self._window, ends_to)
            try:
                found.update(await self._client.available_times(event_type, begin, end))
            except SchedulerError as error:
                if error.http_status != 400 or end - begin <= _SHORT_WINDOW:
                    raise
                end = begin + _SHORT_WINDOW
                found.update(await self._client.available_times(event_type, begin, end))
                self._window = _SHORT_WINDOW  # only now is it known that the length was what was refused
            begin = end
        return sorted(found)

    # -- setting it up ---------------------------------------------------------------------------------------

    async def describe(self) -> Arrangement:
        """The event types, without hours: the owner sees and sets those in Calendly."""
        account = await self._client.read_account()
        types = sorted(await self._client.event_types(), key=lambda one: one.created_at)
        services = tuple(
            FoundService(one.id, one.name, one.duration, sellable=not one.unsold, enabled=not one.unsold)
            for one in types
        )
        person = FoundPerson(account.id, account.name, 1, frozenset(one.id for one in services))
        return Arrangement((FoundPlace(account.id, account.name, account.time_zone),), services, (person,))

    async def apply(self, plan: Plan, done: Callable[[Step], None]) -> None:
        """We cannot set up anything at Calendly."""
        if plan.steps:
            raise SchedulerError("Calendly is set up in Calendly")

    async def subscribe(self, url: str, secret: str) -> None:
        """What is there may be disabled, or signed with another key, and neither can be changed (Calendly API v2,
        webhooks): a new one takes its place."""
        for one in await self._client.subscriptions():
            if one.url == url:
                await self._client.unsubscribe(one.id)
        await self._client.subscribe(url, EVENTS, signing_key=secret)

    # -- locking, confirming and releasing a time --------------------------------------------------------------

    async def lock(self, wanted: Wanted, *, until: datetime) -> SchedulerLock:
        """Nothing is locked: before booking, all that can be done is to check whether the time is free, and whether it
        would be as long as is asked for."""
        event_type = await self._type(wanted.service_id, at_most=_LENGTH_KNOWN)
        if wanted.ends_at - wanted.starts_at != event_type.duration:
            named = {"service_id": ["has another length"]}
            raise SchedulerRefused("the event type has another length", errors=named)
        if not await self._is_free(wanted):
            raise SchedulerRefused("the start is not among the available times")
        return SchedulerLock(f"{_NOT_HELD}{wanted.tag}")

    async def confirm(self, reference: str | None, wanted: Wanted, visit: Visit) -> SchedulerBooking:
        if reference is None or reference.startswith(_NOT_HELD):
            return await self._create(wanted, visit)
        # An event from the start, where the visitor booked on Calendly's page, or by an earlier attempt whose process
        # died before recording it.
        made = await latest(self.read, await self.read(reference))  # the visitor may have moved it there since
        if made.is_canceled:
            raise SchedulerNotFound("the event was canceled")
        return made

    async def move(self, reference: str, wanted: Wanted, visit: Visit, *, lock: str | None) -> SchedulerBooking:
        """A new event; the old one keeps its time until it is released. Calendly has no call that moves (Calendly API
        v2, FAQ), and refuses a time that meets the old one."""
        old = await self._client.event(reference)
        if not old.is_canceled:
            return await self._create(wanted, visit)
        # Cancelled by someone's hand: an earlier attempt at this move, whose process died before recording it,
        # may have made the new one.
        made = await self._made(wanted)
        if made is None:
            raise SchedulerNotFound("the event was canceled")
        return made

    async def release(self, reference: str) -> None:
        if reference.startswith(_NOT_HELD):
            return
        with suppress(SchedulerNotFound, SchedulerRefused):  # what has begun takes up nothing that is to come
            await self.cancel(reference)

    async def cancel(self, reference: str) -> None:
        """An event that was moved there is cancelled where it is now. Without a reason where one is refused, which
        third parties have seen. What a refusal means, the event tells: a second cancellation is refused like one that
        is not allowed."""
        for reason in (_REASON, ""):
            try:
                await self._client.cancel(reference, reason=reason)
            except SchedulerError as error:
                if error.http_status == 400 and reason:
                    continue
                if error.http_status not in {400, 403}:
                    raise
                # Not what we have booked anew since: that is another booking's to cancel.
                event = await latest(self._event, await self._event(reference))
                if event.is_canceled:
                    return
                if event.id == reference:
                    if event.starts_at <= self._now():
                        raise SchedulerRefused(str(error), body=error.body) from error
                    raise
                await self.cancel(event.id)
            return

    async def restore(self, reference: str) -> SchedulerBooking:
        """No call can undo a cancellation (Calendly API v2)."""
        raise SchedulerNotFound("Calendly takes no cancellation back")

    async def forget(self, reference: str, metadata: Mapping[str, str]) -> None:
        """Never called: an invitee cannot be changed (Calendly API v2)."""
        raise SchedulerError("Calendly changes no invitee: a customer is removed there by hand")

    async def _create(self, wanted: Wanted, visit: Visit) -> SchedulerBooking:
        """Book, once for each tag, even if an answer is lost on the way.

        After anything but a clear answer the event is looked for by our tag: what refuses a second try may be what the
        first one has made, in this call or in an earlier one whose process died before recording it.
        """
        order = await self._order(wanted, visit)
        unknown: SchedulerError | None = None
        for attempt in range(1, _CREATES + 1):
            try:
                made = _booked(wanted, await self._client.create_invitee(order))
                return replace(made, asked_twice=attempt > 1)
            except SchedulerError as error:
                said = error
            unknown = said if said.outcome_unknown else unknown
            try:
                found = await self._made(wanted)
            except SchedulerError as error:
                # If the search fails, we do not know who has the time.
                lost = isinstance(said, SchedulerRefused | SchedulerNotFound)
                raise (unknown or (error if lost else said)) from None
            if found is not None:
                return replace(found, asked_twice=attempt > 1)
            if not said.outcome_unknown:
                meant = unknown or await self._meaning(said, wanted)
                raise meant from (None if meant is said else said)
            if attempt < _CREATES:
                await self._client.connection.pause(attempt)
        assert unknown is not None  # noqa: S101 - the loop ends here only after unknown outcomes
        raise unknown

    async def _meaning(self, said: SchedulerError, wanted: Wanted) -> SchedulerError:
        """What a refused create means. What is said when a time is taken is not documented, so an unclear refusal is
        held against the available times: if the start is still there, something else is wrong, and is told in
        Calendly's words."""
        if isinstance(said, SchedulerNotFound):
            return SchedulerRefused(f"the event type is gone: {said}", body=said.body)
        if isinstance(said, SchedulerRefused) or said.http_status not in {400, 409}:
            return said
        # What is kept of the type may be old.
        self._types.pop(wanted.service_id, None)
        with suppress(SchedulerError):
            if not await self._is_free(wanted):
                return SchedulerRefused(str(said), body=said.body)
        return said

    async def _is_free(self, wanted: Wanted) -> bool:
        around = wanted.starts_at - _MINUTE, wanted.starts_at + _MINUTE
        return wanted.starts_at in await self._starts(await self._type(wanted.service_id), *around)

    async def _order(self, wanted: Wanted, visit: Visit) -> dict[str, Any]:
        """The body of a create. The kind of place goes with it always: some accounts need it although there is but one
        (third parties)."""
        if visit.customer is None:
            raise SchedulerError("Calendly books nobody without a name and an email")
        try:
            event_type = await self._type(wanted.service_id)
        except SchedulerNotFound as error:
            raise SchedulerRefused(f"the event type is gone: {error}", body=error.body) from error
        told = {key: (visit.metadata.get(key) or "")[:_LONGEST_TRACKING] or None for key in _TRACKING}
        return {
            "event_type": event_type.uri,
            "start_time": timestamp(wanted.starts_at),
            "invitee": {
                "email": visit.customer.email,
                **_names(visit.customer.name),
                "timezone": _zone(visit.time_zone) or (await self._client.account()).time_zone,
            },
            **({"location": {"kind": event_type.place}} if event_type.place else {}),
            "tracking": {**told, "utm_content": wanted.tag, "salesforce_uuid": None},
        }

    async def _made(self, wanted: Wanted) -> SchedulerBooking | None:
        """The event of this tag, start and type that takes place, if there is one."""
        return next((one for one in await self._tagged(wanted) if not one.is_canceled), None)

    # -- looking ---------------------------------------------------------------------------------------------

    async def read(self, reference: str) -> SchedulerBooking:
        return await self._with_successor(await self._event(reference))

    async def _event(self, reference: str) -> SchedulerBooking:
        event = await self._client.event(reference)
        invitees = await self._client.invitees(reference)
        return with_invitee(event, invitees[0]) if invitees else event  # one-on-one types have one invitee

    async def _with_successor(self, there: SchedulerBooking) -> SchedulerBooking:
        """A move of ours books anew and then cancels, and Calendly does not know the one of the other. Whoever asks for
        what is cancelled may have a database from before that move. Two calls more, and the address goes as Calendly
        has it, since letter case decides whether it is found."""
        tag = there.metadata.get("holdfast_id")
        if not (there.is_canceled and tag and there.email) or there.successor:
            return there
        standing = await self.standing(tag, there.email)
        return replace(there, successor=standing.id) if standing else there

    async def find(self, wanted: Wanted, visit: Visit) -> list[SchedulerBooking]:
        """By the start, and not by the customer: letter case decides whether an address is found (seen by third
        parties), and few events share a user and a start."""
        return await self._tagged(wanted)

    async def standing(self, tag: str, email: str) -> SchedulerBooking | None:
        for event in await self._client.events(after=self._now(), email=email):
            for invitee in [] if event.is_canceled else await self._client.invitees(event.id):
                if invitee.tag == tag:
                    return with_invitee(event, invitee)
        return None

    async def _tagged(self, wanted: Wanted) -> list[SchedulerBooking]:
        events = await self._client.events(after=wanted.starts_at - _MINUTE, before=wanted.starts_at + _MINUTE)
        return [
            with_invitee(event, invitee)
            for event in events
            if event.starts_at == wanted.starts_at and event.service_id == wanted.service_id
            for invitee in await self._client.invitees(event.id)
            if invitee.tag == wanted.tag
        ]

    async def overlapping(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        """Not asked, since nothing is locked."""
        return []

    async def locks(self, *, created_before: datetime) -> list[SchedulerBooking]:
        return []

    async def changed(self, since: datetime) -> list[SchedulerBooking]:
        """All events to come: they cannot be listed by their last change (Calendly API v2)."""
        return await self.coming(self._now())

    async def coming(self, ends_after: datetime) -> list[SchedulerBooking]:
        """Without tags, which would take a call for each event."""
        events = await self._client.events(after=ends_after - _LONGEST_EVENT)
        return [event for event in events if event.ends_at > ends_after]


def _soonest(now: datetime) -> datetime:
    """The earliest moment to ask from: the past is refused (third parties), and the request takes its time."""
    later = now + _MINUTE
    whole = later.replace(second=0, microsecond=0)
    return whole if whole == later else whole + _MINUTE


def _names(name: str) -> dict[str, str]:
    """A name in both forms: which of them a type's form asks for, the API does not tell."""
    first, _, last = name.partition(" ")
    return {"name": name, "first_name": first, **({"last_name": last} if last.strip() else {})}


def _zone(name: str) -> str | None:
    """A visitor's zone, if it is one."""
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):  # what ZoneInfo raises for made-up names
        return None


def _booked(wanted: Wanted, invitee: Invitee) -> SchedulerBooking:
    """What a create has made: Calendly books what is asked for, or nothing, so the event need not be read. Its end is
    the type's to say, which was asked at the lock."""
    return SchedulerBooking(
        id=invitee.event_id,
        service_id=wanted.service_id,
        resource_id=wanted.resource_id,
        location_id=wanted.location_id,
        starts_at=wanted.starts_at,
        ends_at=wanted.ends_at,
        buffer_starts_at=wanted.buffer_starts_at,
        buffer_ends_at=wanted.buffer_ends_at,
        price=None,
        is_temporary=False,
        is_canceled=invitee.is_canceled,
        created_at=invitee.created_at,
        metadata={"holdfast_id": wanted.tag},
        name=invitee.name,
        email=invitee.email,
    )
