"""People's hours: a week, time off, extra hours. Each change is a row first, with who made it; then the scheduler is
told, at once, and again until it knows.

From the row on nobody books what is off, whatever the scheduler still offers. What people's hours are is the
scheduler's to say: it is asked once, and what we tell it since is added to its answer, because asking costs about three
calls a person.

One file, because a change, its telling and its end are read as one story.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import structlog
from pydantic import TypeAdapter, ValidationError

from app.booking.keyed_lock import KeyedLock
from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.domain.hours_change import LONGEST, ChangeKind, HoursChange, changed_day, in_one_piece
from app.domain.studio import Hours, Week, tidy
from app.errors import (
    BookingConflict,
    HoursRefused,
    MailError,
    NotFound,
    RateLimited,
    SchedulerError,
)
from app.mail import Mailer
from app.scheduling.arrangement import Arrangement, FoundHours, Part, Plan, SetDays, SetWeek, Step
from app.text.catalogues import translator

log = structlog.get_logger()

#: The scheduler's own answer is asked for again after so long. With eight people that is some 35 calls.
_FRESH: Final = timedelta(days=7)
#: How long one process has the telling of a scheduler for itself, and how long another one waits for it.
_TURN: Final = timedelta(seconds=60)
_PATIENCE: Final = timedelta(seconds=10)
_LOOK: Final = 0.1
#: The worker leaves a change to the act that made it for so long.
_LEAVE: Final = timedelta(minutes=1)
#: The first pause before the scheduler is told again; it doubles up to an hour.
_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(hours=1)
#: After so many attempts, which take three quarters of an hour, the person who made the change gets a mail.
_TRIES_BEFORE_MAIL: Final = 9
#: Changes of so long ago say nothing to anyone.
_KEPT: Final = timedelta(days=400)
_LONGEST_NOTE: Final = 200
#: How far ahead a new week changes what is shown: no widget shows more.
_AHEAD: Final = timedelta(days=730)

_ARRANGEMENT: Final = TypeAdapter(Arrangement)


class Unfit(StrEnum):
    """Why hours cannot be changed so: the `reason` of HoursRefused."""

    ENDS_FIRST = "ends_first"
    TOO_LONG = "too_long"
    PAST = "past"
    #: The scheduler has no way to be told, or its weeks are not ours to change: it is done in its own pages.
    BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Member:
    """A person or a room, at one place. `widgets` are the names of those that offer them; `settable` says that the
    scheduler can be told of their hours, `own_pages` where they are set there. `hours` is None while nobody has
    read them."""

    scheduler: str
    resource_id: str
    name: str
    capacity: int | None
    location_id: str
    location_name: str
    time_zone: str
    widgets: tuple[str, ...]
    settable: bool
    own_pages: str = ""
    hours: FoundHours | None = None
    asked_at: datetime | None = None

    def hours_on(self, day: date) -> Hours | None:
        """The hours of a day, as far as they are known."""
        if self.hours is None:
            return None
        return self.hours.days.get(day, self.hours.week.get(day.weekday(), ()))


def week_mark(week: Week) -> str:
    """Names a week's content, so that a form can say which one it showed."""
    told = json.dumps({day: [[one.opens, one.closes] for one in hours] for day, hours in tidy(week).items()})
    return hashlib.sha256(told.encode()).hexdigest()[:16]


class WorkingHours:
    """Reads and changes hours. `by` is who does it: a mail address, or a program's name."""

    def __init__(self, tools: Tools, mailer: Mailer, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._availability = tools.availability
        self._widgets = tools.widgets
        self._mailer = mailer
        self._public_url = tools.public_url
        self._now = tools.now
        self._sleep = sleep
        self._random = tools.random
        self._locks = KeyedLock()

    # -- reading ---------------------------------------------------------------------------------------------

    async def people(self) -> list[Member]:
        """Everyone whom a widget offers, in the widgets' order, at each place; where a scheduler does not answer, as
        far as they are known."""
        found: dict[tuple[str, str], Member] = {}
        for name, widget in self._widgets.items():
            try:
                catalogue = await self._availability.catalogue(widget)
            except (SchedulerError, NotFound) as error:
                log.warning("people not read", widget=name, error=type(error).__name__)
                continue
            place = catalogue.location
            traits = self._schedulers.of(widget.scheduler).traits
            for resource in dict.fromkeys(one for service in catalogue.services for one in service.resources):
                known = found.get((resource.id, place.id))
                found[resource.id, place.id] = Member(
                    scheduler=widget.scheduler,
                    resource_id=resource.id,
                    name=resource.name,
                    capacity=resource.capacity,
                    location_id=place.id,
                    location_name=place.name,
                    time_zone=place.time_zone,
                    widgets=(*known.widgets, name) if known else (name,),
                    settable=Part.HOURS in traits.arranges,
                    own_pages=traits.own_pages,
                )
        told = {name: await self._known(name) for name in {one.scheduler for one in found.values() if one.settable}}
        return [_with_hours(one, told.get(one.scheduler)) for one in found.values()]

    async def person(self, resource_id: str, location_id: str = "") -> Member:
        """One of them; the first of their places if none is named. Raises NotFound."""
        for one in await self.people():
            if one.resource_id == resource_id and location_id in {"", one.location_id}:
                return one
        raise NotFound(resource_id)

    async def read_again(self, scheduler: str) -> None:
        """Ask the scheduler again, for what was changed in its own pages. Raises SchedulerError."""
        await self._ask(scheduler)
        await self._availability.reread(scheduler, self._now(), self._now() + _AHEAD)

    async def changes(
        self, resource_id: str = "", *, ends_after: datetime, starts_before: datetime | None = None
    ) -> list[HoursChange]:
        """Time off and extra hours that stand and overlap an interval; of everyone if no person is named."""
        return await self._store.hours_changes_of(resource_id, ends_after=ends_after, starts_before=starts_before)

    async def change(self, change_id: str) -> HoursChange:
        """One change. Raises NotFound."""
        change = await self._store.hours_change(change_id)
        if change is None:
            raise NotFound(change_id)
        return change

    async def untold(self) -> list[HoursChange]:
        """Changes that their scheduler does not know yet."""
        return await self._store.untold_hours()

    async def bookings_within(self, change: HoursChange) -> list[Booking]:
        """What is booked with this person in the time of a change, or being paid for; past visits are not among it."""
        found = await self._store.on_the_desk(change.starts_at, change.ends_at, resource_id=change.resource_id)
        return [one for one in found if one.status is not Status.HELD and one.ends_at > self._now()]

    # -- changing --------------------------------------------------------------------------------------------

    async def set_week(self, member: Member, week: Week, *, shown: str, by: str) -> HoursChange | None:
        """Give a person these hours every week, from now on. `shown` is the `week_mark` of the week that was changed.
        None: they have these hours already, as after the first of two clicks.

        Raises BookingConflict where it is another by now, HoursRefused(BY_HAND).
        """
        _must_be_settable(member)
        if member.hours and member.hours.fixed:
            raise HoursRefused(Unfit.BY_HAND)
        async with self._locks(("week", member.resource_id, member.location_id)):
            now = (await self.person(member.resource_id, member.location_id)).hours or FoundHours()
            wanted = await self._wanted_week(member)
            current = week_mark(now.week if wanted is None else wanted)
            if current == week_mark(week):
                return None
            if current != shown:
                raise BookingConflict("the week is another by now")
            made_at = self._now()
            change = replace(self._new(ChangeKind.WEEK, member, made_at, made_at, by), week=tidy(week))
            return await self._make(change)

    async def take_off(
        self, member: Member, starts_at: datetime, ends_at: datetime, *, by: str, note: str = ""
    ) -> HoursChange:
        """Nobody books this person in that time from now on: some minutes, or days on end. What is booked stays. A
        second click gives what the first one made.

        Raises HoursRefused.
        """
        return await self._change_days(ChangeKind.OFF, member, starts_at, ends_at, by, note)

    async def open_extra(
        self, member: Member, starts_at: datetime, ends_at: datetime, *, by: str, note: str = ""
    ) -> HoursChange:
        """This person can be booked in that time as well. Raises HoursRefused."""
        return await self._change_days(ChangeKind.EXTRA, member, starts_at, ends_at, by, note)

    async def take_back(self, change_id: str, *, by: str) -> HoursChange:
        """Time off, or extra hours, no longer stand. Raises NotFound, BookingConflict if they did not before."""
        ended = await self._store.end_hours_change(change_id, by=by, try_at=self._now() + _LEAVE)
        if ended is None:
            await self.change(change_id)
            raise BookingConflict("taken back before")
        log.info("hours change taken back", change=ended.id, kind=str(ended.kind), by=by)
        await self._shown(ended)
        return await self._told(ended)

    async def try_again(self, change_id: str) -> HoursChange:
        """Tell the scheduler now what it does not know yet. Raises NotFound."""
        return await self._told(await self.change(change_id))

    # -- the worker's ----------------------------------------------------------------------------------------

    async def due(self, change: HoursChange) -> None:
        """Tell the scheduler what it does not know of this person's hours."""
        await self._tell(change.scheduler, change.resource_id)

    async def put_off(self, change: HoursChange, error: Exception) -> None:
        """Something else than the scheduler was in the way."""
        await self._put_off([change], error)

    # -- how -------------------------------------------------------------------------------------------------

    # As many as a change of hours has: whose, what, when, by whom and why.
    async def _change_days(
        self, kind: ChangeKind, member: Member, starts_at: datetime, ends_at: datetime, by: str, note: str
    ) -> HoursChange:
        _must_be_settable(member)
        # In UTC: two moments of one zone are compared by what its clock shows, which may be an hour less than they are
        # apart, and a moment that a clock shows twice equals none of another zone.
        starts_at, ends_at = starts_at.astimezone(UTC), ends_at.astimezone(UTC)
        if ends_at <= starts_at:
            raise HoursRefused(Unfit.ENDS_FIRST)
        if ends_at - starts_at > LONGEST or starts_at > self._now() + _AHEAD:
            raise HoursRefused(Unfit.TOO_LONG)
        if ends_at <= self._now():
            raise HoursRefused(Unfit.PAST)
        async with self._locks(("days", member.resource_id, member.location_id)):
            there = await self._store.hours_changes_of(member.resource_id, ends_after=starts_at)
            for one in there:
                if (one.kind, one.starts_at, one.ends_at) == (kind, starts_at, ends_at):
                    return one
            change = self._new(kind, member, starts_at, ends_at, by, " ".join(note.split())[:_LONGEST_NOTE])
            return await self._make(replace(change, before=await self._before(change, member)))

    # As many as a change of hours has.
    def _new(
        self, kind: ChangeKind, member: Member, starts_at: datetime, ends_at: datetime, by: str, note: str = ""
    ) -> HoursChange:
        return HoursChange(
            id=f"hc_{self._random.getrandbits(80):020x}",
            kind=kind,
            scheduler=member.scheduler,
            resource_id=member.resource_id,
            resource_name=member.name,
            location_id=member.location_id,
            time_zone=member.time_zone,
            starts_at=starts_at,
            ends_at=ends_at,
            made_by=by,
            made_at=self._now(),
            note=note,
            next_try_at=self._now() + _LEAVE,
        )

    async def _make(self, change: HoursChange) -> HoursChange:
        await self._store.add_hours_change(change, forget_before=self._now() - _KEPT)
        log.info("hours changed", change=change.id, kind=str(change.kind), by=change.made_by)
        await self._shown(change)
        return await self._told(change)

    async def _shown(self, change: HoursChange) -> None:
        """Nobody sees in any process what was true before."""
        weekly = change.kind is ChangeKind.WEEK
        ends_at = self._now() + _AHEAD if weekly else change.ends_at
        await self._availability.reread(change.scheduler, change.starts_at, ends_at)

    async def _told(self, change: HoursChange) -> HoursChange:
        await self._tell(change.scheduler, change.resource_id)
        return await self.change(change.id)

    async def _before(self, change: HoursChange, member: Member) -> dict[date, Hours | None]:
        """What the scheduler has of the days without any change of ours."""
        known = (member.hours or FoundHours()).days
        closed = {day for day, hours in known.items() if not hours}
        before: dict[date, Hours | None] = {day: known.get(day) for day in in_one_piece(*change.days, closed)}
        for one in await self._of(member.scheduler, member.resource_id, member.location_id):
            before |= {day: hours for day, hours in one.before.items() if day in before and one.spans_on(day)}
        return before

    async def _of(self, scheduler: str, resource_id: str, location_id: str) -> list[HoursChange]:
        """Changes of days that stand, or that the scheduler has still to be told are taken back."""
        standing = await self._store.hours_changes_of(resource_id, ends_after=self._now() - timedelta(days=2))
        untold = await self._store.untold_hours(scheduler, resource_id)
        each = {one.id: one for one in (*standing, *untold)}.values()
        return [one for one in each if one.location_id == location_id and one.kind is not ChangeKind.WEEK]

    async def _wanted_week(self, member: Member) -> Week | None:
        """The week that the scheduler is still to be told."""
        untold = await self._store.untold_hours(member.scheduler, member.resource_id)
        weeks = [one for one in untold if one.week is not None and one.stands and one.location_id == member.location_id]
        return max(weeks, key=lambda one: one.made_at).week if weeks else None

    async def _tell(self, scheduler: str, resource_id: str) -> None:
        """One at a time for each scheduler, in all processes: two that each told what they knew would undo each other.
        Who does not get the turn leaves it to the worker."""
        turn = f"hours {scheduler}"
        async with self._locks(("tell", scheduler)):
            gives_up = self._now() + _PATIENCE
            while not await self._store.take_turn(turn, until=self._now() + _TURN):
                if self._now() >= gives_up:
                    return
                await self._sleep(_LOOK)
            try:
                due = await self._store.untold_hours(scheduler, resource_id)
                for place in dict.fromkeys(one.location_id for one in due):
                    await self._tell_place(scheduler, [one for one in due if one.location_id == place])
            finally:
                await self._store.keep_turn(turn, until=self._now())

    async def _tell_place(self, scheduler: str, due: Sequence[HoursChange]) -> None:
        one = due[0]
        try:
            told = await self._known(scheduler) or await self._ask(scheduler)
            plan, hours = await self._plan(told[1], due)
            await self._schedulers.of(scheduler).apply(plan, _ignore)
        except (SchedulerError, RateLimited, NotFound) as error:
            await self._put_off(due, error)
            return
        await self._store.record_hours_told(due)
        await self._store.keep_hours(scheduler, _packed(_with(told[1], one.resource_id, one.location_id, hours)))
        log.info("scheduler told of hours", scheduler=scheduler, steps=[str(step) for step in plan.steps])
        for change in due:
            await self._shown(change)

    async def _plan(self, have: Arrangement, due: Sequence[HoursChange]) -> tuple[Plan, FoundHours]:
        """What to tell, and the hours after it. It names one person and one place alone: steps go by names, and two
        people may have the same."""
        one = due[0]
        person = next((each for each in have.people if each.id == one.resource_id), None)
        place = next((each for each in have.places if each.id == one.location_id), None)
        if person is None or place is None:
            raise NotFound(f"the scheduler has nobody of the id {one.resource_id} there")
        known = person.hours.get(place.id) or FoundHours()
        weeks = [each for each in due if each.week is not None and each.stands]
        newest = max(weeks, key=lambda each: each.made_at).week if weeks else None
        week = known.week if newest is None else newest
        changes = await self._of(one.scheduler, one.resource_id, one.location_id)
        today = self._now().astimezone(one.zone).date()
        before = {day: hours for each in changes for day, hours in each.before.items() if each.spans_on(day)}
        days = {day for each in (due if newest is None else changes) for day in before if each.spans_on(day)}
        wanted = {day: changed_day(day, before[day], week, changes) for day in sorted(days) if day >= today}
        wanted |= {day: hours for day, hours in _around(due, known).items() if day not in before and day >= today}
        steps: list[Step] = []
        if newest is not None:
            steps.append(SetWeek(person.name, week, one.time_zone))
        if wanted:
            steps.append(SetDays(person.name, wanted, one.time_zone))
        differing = {**known.days, **wanted}
        kept = {day: hours for day, hours in differing.items() if hours is not None and day >= today}
        after = replace(known, week=week, days=kept)
        return Plan(Arrangement((place,), have.services, (person,)), place.name, tuple(steps)), after

    async def _put_off(self, due: Sequence[HoursChange], error: Exception) -> None:
        tries = max(one.tries for one in due)
        until = self._now() + min(_PAUSE * 2 ** min(tries, 12), _LONGEST_PAUSE)
        problem = f"{type(error).__name__}: {error}"[:300]
        log.warning("scheduler not told of hours", changes=[one.id for one in due], problem=problem, tries=tries)
        await self._store.put_off_hours(due, until=until, problem=problem)
        if tries == _TRIES_BEFORE_MAIL and self._mailer.enabled:
            for address in {one.ended_by or one.made_by for one in due}:
                await self._mail(address, due[0], problem)

    async def _mail(self, address: str, change: HoursChange, problem: str) -> None:
        _ = translator("en").gettext
        lines = (
            _("The calendar of %(name)s could not be changed as you asked, although we have tried for a while.")
            % {"name": change.resource_name},
            _("Customers cannot book here what you took off. They may still be able to book it elsewhere."),
            _("We keep trying. The reason it gave: %(why)s") % {"why": problem},
            f"{self._public_url}/staff",
        )
        try:
            text = "\n\n".join(lines) + "\n"
            await self._mailer.send_text(to=address, subject=_("Hours could not be changed"), text=text)
        except MailError as error:  # the desk says it on every page
            log.warning("not told that hours are not changed", reason=error.reason)

    # -- what is known ---------------------------------------------------------------------------------------

    async def _known(self, scheduler: str) -> tuple[datetime, Arrangement] | None:
        """What the scheduler has told, asked again if that is too old; None while it cannot be asked."""
        known = await self._store.known_hours(scheduler)
        read = _unpacked(known[1]) if known else None
        if known and read and self._now() - known[0] < _FRESH:
            return known[0], read
        try:
            return await self._ask(scheduler)
        except SchedulerError as error:
            log.warning("hours not read", scheduler=scheduler, error=type(error).__name__)
            return (known[0], read) if known and read else None

    async def _ask(self, scheduler: str) -> tuple[datetime, Arrangement]:
        async with self._locks(("ask", scheduler)):
            asked_at = self._now()
            have = await self._schedulers.of(scheduler).describe()
            await self._store.keep_hours(scheduler, _packed(have), asked_at=asked_at)
            return asked_at, have


def _around(due: Sequence[HoursChange], known: FoundHours) -> dict[date, Hours | None]:
    """The days next to those that change which a scheduler may keep in one piece with them, to be made again. A change
    that is told for the first time has noted them: should the process die between the taking apart and the making, the
    next attempt makes them."""
    closed = {day for day, hours in known.days.items() if not hours}
    around: dict[date, Hours | None] = {}
    for one in due:
        if one.kind is ChangeKind.WEEK:
            continue
        around |= {day: () for day in in_one_piece(*one.days, closed) if day in closed}
        if one.version == 0:
            around |= {day: hours for day, hours in one.before.items() if not one.spans_on(day)}
    return around


def _must_be_settable(member: Member) -> None:
    if not member.settable:
        raise HoursRefused(Unfit.BY_HAND)


def _with_hours(member: Member, told: tuple[datetime, Arrangement] | None) -> Member:
    if told is None:
        return member
    person = next((one for one in told[1].people if one.id == member.resource_id), None)
    hours = (person.hours.get(member.location_id) if person else None) or FoundHours()
    return replace(member, hours=hours, asked_at=told[0])


def _with(have: Arrangement, resource_id: str, location_id: str, hours: FoundHours) -> Arrangement:
    people = (
        replace(one, hours={**one.hours, location_id: hours}) if one.id == resource_id else one for one in have.people
    )
    return replace(have, people=tuple(people))


def _packed(have: Arrangement) -> Any:
    return _ARRANGEMENT.dump_python(have, mode="json")


def _unpacked(body: Mapping[str, Any]) -> Arrangement | None:
    """None for what another version has kept."""
    try:
        return _ARRANGEMENT.validate_python(body)
    except ValidationError:
        return None


def _ignore(_step: Step) -> None:
    """Each step is in the log with the plan."""
