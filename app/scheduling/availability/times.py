"""Free times: read from the scheduler as rarely as possible, and shown as correctly as possible.

One file, because each look, each change of ours and each hint bears on the same months and their order."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.domain.catalogue import Service, Slot
from app.domain.local_days import next_month, start_of_day
from app.domain.reservation import Occupied
from app.domain.set_back import is_ahead
from app.errors import NotFound, RateLimited, SchedulerError, SchedulerNotFound, StorageError, TimesNotRead
from app.protection.rate_limits import READ, RateLimits
from app.scheduling.availability.budget import CallBudget
from app.scheduling.availability.cached import NEVER, Cached
from app.scheduling.availability.catalogue import Catalogue, Catalogues
from app.scheduling.availability.month import Month
from app.scheduling.availability.own import AGAIN, Occupancy, OwnBookings
from app.scheduling.availability.shared import Readings, SharedReads, unpack
from app.scheduling.port import Scheduler
from app.widgets import Widget

#: How long past its refresh a month may be shown before it is called stale.
_LATE = 60
#: From this age on, the age is shown, whatever the reason for it.
_OLD = timedelta(minutes=5)
#: How far an open-ended booking window is looked into, beyond today or our last booking, whichever is later: three
#: months. Each month of each service costs up to seven calls to read, a plan has 2,500 for everything, and a bucket
#: that all months draw on is emptied by those that nobody means to book. A house that is booked further ahead is looked
#: into further ahead, and the scheduler's `booking_window_end`, where the owner sets it, is followed however long it
#: is.
_HORIZON = timedelta(days=92)
#: A month whose refresh is overdue is looked after once in so long, where many look at it.
_PAUSE = timedelta(seconds=1)
_NOTHING, _MINUTE = timedelta(0), timedelta(minutes=1)
#: Before anything was read or doubted.
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
#: How far the clocks of two hosts may differ.
_SKEW = timedelta(seconds=2)
#: How far around a lost time the nearest free ones are looked for.
_NEAR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Times:
    """Free times as they can be shown.

    `as_of` is when the scheduler was asked. `stale` says that the age should be told: the scheduler cannot be reached,
    a refresh is overdue, or the budget has made reads rare. `version` names the content: equal versions show equal
    times, and equal ages where stale. `read` False is a page's word for TimesNotRead: nobody knows which times are
    free.
    """

    slots: tuple[Slot, ...]
    as_of: datetime
    stale: bool
    version: str
    read: bool = True


@dataclass(slots=True)
class Looks:
    """How looks at times were answered: from the cache, after a read, or with times old enough that their age is told;
    `age` is the last one's, in seconds."""

    cached: int = 0
    read: int = 0
    stale: int = 0
    age: float = 0.0


class SchedulerAvailability:
    """The times of one scheduler. Safe to ask at any rate: what is warm costs no input or output.

    `name` is the scheduler's. `occupancy` tells of our live bookings that occupy time. `ttl` and `max_age` are seconds:
    how long a read is fresh while the budget is on plan, and how old it may be and still be shown where the budget asks
    for no more.
    """

    # Ten parameters: what it reads, what bounds that, and what tests put in the place of time.
    def __init__(
        self,
        *,
        name: str,
        scheduler: Scheduler,
        occupancy: Occupancy,
        budget: CallBudget,
        now: Callable[[], datetime],
        ttl: int,
        max_age: int,
        rate_limits: RateLimits | None = None,
        shared: SharedReads | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._scheduler = scheduler
        self._budget = budget
        self._rate_limits = rate_limits or RateLimits(now)
        #: What the reads under way will cost, as far as it is known.
        self._underway = 0
        self._now = now
        self._ttl = ttl
        self._max_age = max_age
        self._shared = shared
        self._changed = changed
        self._ticks = itertools.count(1)
        #: What happened here lately, by the clock and in its order, so that another process's reading finds its place.
        self._lately: deque[tuple[datetime, int]] = deque(maxlen=1000)
        #: Reservations that other processes have ended, until the scheduler has let go of them, too, or their time is
        #: over; by id, with its end.
        self._ended: dict[str, datetime] = {}
        #: From when on it is not known what other processes have read and doubted.
        self._marked_at = _EVER
        self._own = OwnBookings(occupancy, self._ticks, now)
        self._tasks: set[asyncio.Task[None]] = set()
        self._catalogues = Catalogues(scheduler, budget, now, self._tasks)
        self._months: dict[tuple[str, str, date], Month] = {}
        #: When each service was last changed by its owner.
        self._edited: dict[str, datetime] = {}
        self._epoch = 0
        self.looks = Looks()
        self._epoch_ends = NEVER

    async def aclose(self) -> None:
        """Cancel the reads that are running."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def epoch(self) -> int:
        """While this number stays the same, another look need not be taken: it would show what it showed before.

        It changes whenever a time is taken, freed or refused, when a month has been read or ought to be looked after,
        and with every minute, since days begin, times pass and providers go down.
        """
        now = self._now()
        if not _NOTHING < self._epoch_ends - now <= _MINUTE:  # it is over, or the clock was set back
            self._epoch += 1
            self._epoch_ends = now.replace(second=0, microsecond=0) + _MINUTE
        return self._epoch

    async def catalogue(self, widget: Widget) -> Catalogue:
        """The widget's location and services. Kept for as long as the scheduler cannot be read.

        Left out are services that the scheduler does not list as in use, those without a length of their own, and those
        whose price is no amount of the widget's currency. NotFound if the location is missing or disabled; the
        scheduler's errors before the first successful read.
        """
        return await self._catalogues.of(widget)

    async def contradicted(self) -> None:
        """The scheduler has refused a service or a person that is on offer, does not know it, or has another price or
        length for it: what is on offer is read again, at most once a minute."""
        await self._contradicted()

    async def _contradicted(self, just_read: Month | None = None) -> None:
        """The same. Times whose length is not their service's any more are read again, but for those just read."""
        if await self._catalogues.reread():
            tick, now = next(self._ticks), self._now()
            for held in self._months.values():
                if held is not just_read and self._other_length(held, held.cached.value or ()):
                    held.outdate(tick, now)
        self._epoch += 1

    def _other_length(self, held: Month, slots: Sequence[Slot]) -> bool:
        """Whether these times of the month last longer or shorter than their service does, as far as it is known."""
        length = self._catalogues.length(held.service_id)
        return length is not None and any(slot.ends_at - slot.starts_at != length for slot in slots[:1])

    async def edited(self, service_id: str, since: datetime) -> None:
        """The owner has changed the service at the scheduler at that moment, here or in another process: what is on
        offer is read again, and of its times nothing that was read before is shown."""
        await self._catalogues.reread(surely=True)
        self._edited[service_id] = since
        self._months = {key: held for key, held in self._months.items() if key[0] != service_id}
        self._epoch += 1

    async def service(self, widget: Widget, service_id: str) -> Service:
        """One service of the widget, also one that is switched off (`on_offer`), else NotFound."""
        service = (await self._catalogues.of(widget)).find(service_id)
        if service:
            return service
        raise NotFound(f"widget {widget.name!r} offers no such service")

    async def times(
        self,
        widget: Widget,
        service: Service,
        *,
        month: date,
        resource_id: str | None = None,
        reader: str = "",
        needed: bool = False,
    ) -> Times:
        """Every free time that falls into the calendar month of `month` in any time zone, in order.

        With `resource_id`, only that resource's, and only that resource in them. `reader` is the address that looks, so
        that the reads it causes are counted; empty counts for nobody. `needed` is for holds and moves: what has never
        been read is read for them whatever the budget says.

        Raises NotFound where the scheduler no longer has the service, TimesNotRead where there is nothing to show and
        the budget is used up, RateLimited where it is the reader's share of it, and the scheduler's errors when there
        is nothing young enough to show.
        """
        held, stale = await self._look(widget, service, month, reader, needed=needed)
        now = self._now()
        if held is None:
            return Times((), now, False, "none")
        view = held.view(service, resource_id, self._own, now)
        as_of = held.cached.asked_at
        return Times(view.slots, as_of, stale, f"{view.digest}-{as_of:%Y%m%dT%H%M%S}" if stale else view.digest)

    async def _look(
        self, widget: Widget, service: Service, month: date, reader: str, *, needed: bool
    ) -> tuple[Month | None, bool]:
        """The month, read again if it is time, and whether what it shows is out of date; None where nothing can be
        booked in it any more, or yet."""
        location_id = (await self._catalogues.of(widget)).location.id
        now = self._now()
        key = (service.id, location_id, month.replace(day=1))
        held = self._months.get(key)
        late = False
        asked_at = held.cached.asked_at if held else NEVER
        if held is None or held.is_due(now):
            held = self._open(key, service)
            if held is None:
                return None, False
            try:
                late = await self._freshen(held, reader, needed=needed)
            except SchedulerNotFound:
                await self.service(widget, service.id)
                raise
            now = self._now()
        waited = held.cached.asked_at != asked_at
        self._epoch_ends = min(self._epoch_ends, max(held.look_at, now + _PAUSE))
        as_of = held.cached.asked_at
        self.looks.age = (now - as_of).total_seconds()
        stale = late or self._scheduler.pulse.down or now - as_of > _OLD
        self.looks.stale += stale
        self.looks.read += waited and not stale
        self.looks.cached += not waited and not stale
        return held, stale

    async def find_slot(self, widget: Widget, service: Service, starts_at: datetime) -> Slot | None:
        """The slot that starts then, if it is free; for holds and moves, as `times` with `needed`."""
        if not self._imaginable(starts_at):
            return None
        held, _ = await self._look(widget, service, starts_at.astimezone(UTC).date(), "", needed=True)
        return held.find(service, starts_at, self._own, self._now()) if held else None

    async def nearest(
        self,
        widget: Widget,
        service: Service,
        starts_at: datetime,
        *,
        resource_id: str | None = None,
        count: int = 3,
    ) -> list[Slot]:
        """The free times closest to one that was lost, at most a week away, in order of time.

        A courtesy: it reads at most the month of `starts_at`, and offers nothing if the scheduler cannot be read.
        """
        if not self._imaginable(starts_at):
            return []
        month = starts_at.astimezone(UTC).date().replace(day=1)
        try:
            times = await self.times(widget, service, month=month, resource_id=resource_id)
            location_id = (await self._catalogues.of(widget)).location.id
        except SchedulerError:
            return []
        near = {slot.starts_at: slot for slot in times.slots}
        now = self._now()
        for neighbor in {(starts_at + way).astimezone(UTC).date().replace(day=1) for way in (-_NEAR, _NEAR)}:
            held = self._months.get((service.id, location_id, neighbor))
            if held and neighbor != month and held.age(now) < self._max_age:
                view = held.view(service, resource_id, self._own, now)
                near |= {slot.starts_at: slot for slot in view.slots}
        near.pop(starts_at, None)
        within = [slot for slot in near.values() if abs(slot.starts_at - starts_at) <= _NEAR]
        closest = sorted(within, key=lambda slot: (abs(slot.starts_at - starts_at), slot.starts_at))
        return sorted(closest[:count], key=lambda slot: slot.starts_at)

    async def next_free(
        self,
        widget: Widget,
        service: Service,
        *,
        after: date,
        resource_id: str | None = None,
        months: int = 3,
        reader: str = "",
        zone: str = "",
    ) -> Slot | None:
        """The first free time on or after a day, within `months` months from that day's. `zone` is whose calendar has
        the day, the location's if it is empty. `reader` as in `times`, whose errors this raises."""
        if not self._imaginable(after):
            return None
        there = ZoneInfo(zone or (await self._catalogues.of(widget)).location.time_zone)
        day = max(after, self._now().astimezone(there).date())
        opens = start_of_day(day, there)
        month = day.replace(day=1)
        for _ in range(months):
            times = await self.times(widget, service, month=month, resource_id=resource_id, reader=reader)
            for slot in times.slots:
                if slot.starts_at >= opens:
                    return slot
            month = next_month(month)
        return None

    def took(self, occupied: Occupied) -> None:
        """Our own new booking: its time is no longer shown. Call it once the row is written."""
        self._own.put(occupied)
        self._redraw(occupied)
        self._changed()

    def freed(self, occupied: Occupied, slot: Slot, service_id: str) -> None:
        """Our own release: the time is shown again. Call it once the scheduler has released it, because a read that
        begins later is trusted."""
        self._give_back(occupied, slot, service_id)
        self._changed()

    def _give_back(self, occupied: Occupied, slot: Slot, service_id: str) -> None:
        tick = self._own.drop(occupied.reservation_id)
        self._lately.append((self._now(), tick))
        self._redraw(occupied)
        back = replace(slot, resource_ids=(occupied.resource_id,))
        for held in self._around(service_id, slot.starts_at):
            held.give_back(back, tick)

    def distrust(self, service: Service, starts_at: datetime) -> None:
        """The scheduler refused what we showed: the next look asks it first, and until then that time is not shown."""
        tick, now = next(self._ticks), self._now()
        self._lately.append((now, tick))
        self._epoch += 1
        for held in self._around(service.id, starts_at):
            held.refuse(starts_at, tick, now)

    def hinted(self, moments: Collection[datetime] = ()) -> None:
        """Someone else has changed something in the scheduler at these moments, or who knows when: what is shown of
        then is read again behind the next look, as far as the budget allows."""
        tick, now = next(self._ticks), self._now()
        self._lately.append((now, tick))
        self._epoch += 1
        for held in self._months.values():
            if not moments or any(held.starts_from <= moment < held.ends_to for moment in moments):
                held.suspect(tick, now)
        if self._shared:
            task = asyncio.create_task(self._doubt(self._shared, moments))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def reread(self, starts_from: datetime, ends_to: datetime) -> None:
        """We have changed hours at the scheduler: what is shown of this interval is read again before the next look, in
        every process, unless no calls are left at all."""
        tick, now = next(self._ticks), self._now()
        self._lately.append((now, tick))
        self._epoch += 1
        for held in self._months.values():
            if held.starts_from < ends_to and held.ends_to > starts_from:
                held.outdate(tick, now)
        await self._reload_own()
        if self._shared:
            with suppress(StorageError):  # the others see it when their times are old enough
                await self._shared.readings.outdate_readings(self._name, starts_from, ends_to)
        self._changed()

    async def _doubt(self, shared: SharedReads, moments: Collection[datetime]) -> None:
        with suppress(StorageError):  # the others see it when their times are old enough
            await shared.readings.doubt_readings(self._name, moments)
        self._changed()

    async def catch_up(self) -> None:
        """Take in what other processes have taken, freed, read and doubted. Raises StorageError."""
        if self._shared is None:
            return
        readings = self._shared.readings
        now = self._now()
        self._ended = {id_: ends_at for id_, ends_at in self._ended.items() if ends_at > now}
        let_go = await self._reload_own()
        released = self._ended.keys() & (self._ended if let_go is None else let_go)
        for one in await readings.released(released) if released else ():
            self._ended.pop(one.id, None)
            self._give_back(one.interval, one.slot, one.service_id)
        months = {_key(self._name, key): held for key, held in self._months.items()}
        if months:
            await self._take_in_readings(readings, months, now)

    async def _take_in_readings(self, readings: Readings, months: Mapping[str, Month], now: datetime) -> None:
        for mark in await readings.reading_marks(self._name, since=min(self._marked_at, now) - AGAIN):
            held = months.get(mark.key)
            if held is None:
                continue
            asked_at, doubted_at = _known(mark.asked_at, now), _known(mark.doubted_at, now)
            if doubted_at > max(_known(held.doubted_at, now), _known(held.cached.asked_at, now)):
                doubt = held.outdate if mark.asked_at is None else held.suspect
                doubt(next(self._ticks), doubted_at)
                self._epoch += 1
            if asked_at > max(_known(held.cached.asked_at, now), _known(held.doubted_at, now)):
                known = await readings.reading(mark.key)
                if known and known.asked_at:
                    slots = unpack(known.body)
                    held.cached.adopt(slots, known.asked_at)
                    held.asked(self._tick_at(known.asked_at), cost=known.cost)
                    self._epoch += 1
                    await self._compare(held, slots)
        self._marked_at = now  # not before: what fails on the way is looked at again

    async def _reload_own(self) -> Collection[str] | None:
        """Take in what our bookings take up by now. Returns of which the scheduler is known to have let go; None where
        that has to be asked."""
        reloaded = await self._own.reload()
        now = self._now()
        for occupied in reloaded.rows:
            self._redraw(occupied)
            gone = occupied.reservation_id not in self._own.rows
            if self._shared and gone and not occupied.closed and occupied.ends_at > now:
                self._ended[occupied.reservation_id] = occupied.ends_at
        return reloaded.released

    def _tick_at(self, moment: datetime) -> int:
        """What had surely happened here by then: clocks of two hosts differ, and may be set back."""
        now = self._now()
        return max((tick for at, tick in self._lately if _known(at, now) <= moment - _SKEW), default=0)

    def occupied(self) -> tuple[Occupied, ...]:
        """The times that our own reservations take up, as far as this process knows."""
        return tuple(self._own.rows.values())

    def rest(self, calls: int) -> timedelta:
        """How far apart background reads of so many calls should be."""
        return self._budget.rest(calls)

    def _open(self, key: tuple[str, str, date], service: Service) -> Month | None:
        """The month's place in the cache; None where no time can be bookable, so that no call is made."""
        now = self._now()
        if not self._imaginable(key[2]):
            return None
        # A day more on either side, so that one read serves every time zone.
        starts_from = datetime.combine(key[2], time.min, UTC) - timedelta(days=1)
        ends_to = datetime.combine(next_month(key[2]), time.min, UTC) + timedelta(days=1)
        if ends_to <= now or starts_from > self._reach(service, now):
            self._months.pop(key, None)
            return None
        if key not in self._months:
            self._months = {known: held for known, held in self._months.items() if held.ends_to > now}
            cached = Cached(lambda: self._read(held, key, service), self._now, self._tasks)
            self._months[key] = held = Month(service.id, key[2], starts_from, ends_to, cached)
            self._marked_at = _EVER
            held.doubted_at = self._edited.get(service.id, NEVER)
        return self._months[key]

    def _reach(self, service: Service, now: datetime) -> datetime:
        """How far ahead times of this service are looked for."""
        if service.booking_window_end is not None:
            return now + service.booking_window_end
        booked = (row.ends_at for row in self._own.rows.values() if not row.closed)
        return max([now, *booked]) + _HORIZON

    async def _freshen(self, held: Month, reader: str, *, needed: bool) -> bool:
        """Make sure the month may be shown, reading if it must be and may be; whether its refresh is overdue."""
        age = held.age(self._now())
        period = self._budget.ttl(self._ttl, held.cost)
        # Where the budget makes reads rarer than `max_age`, times are shown older, with their age: a month of
        # calls spent on looking would leave none for the locks.
        if held.cached.value is None:
            if not needed and not await self._may_read(held, reader, must=True):
                raise TimesNotRead("no calls left for looking").at(self._name)
            await held.cached.read()
        elif age >= max(self._max_age, period):
            if await self._may_read(held, reader):
                await held.cached.read()
        elif held.outdated:
            if await self._may_read(held, reader):
                with suppress(SchedulerError):
                    await held.cached.read()
        elif held.refused and age >= period - self._ttl and self._minute_allows():
            # What the scheduler refused shows that the month has changed: only the budget may put off a look.
            if await self._may_read(held, reader):
                with suppress(SchedulerError):
                    await held.cached.read()
        elif (
            (age >= period or (held.suspected and age >= period - self._ttl))
            and self._minute_allows()
            and await self._may_read(held, reader)
        ):
            held.cached.refresh()

        age = held.age(self._now())
        period = self._budget.ttl(self._ttl, held.cost)
        if not held.refused and not held.outdated:
            held.look_at = held.cached.asked_at + timedelta(seconds=min(period, age + self._ttl))
        return age > period + _LATE

    async def _may_read(self, held: Month, reader: str, *, must: bool = False) -> bool:
        """Whether this look may ask the scheduler; if so, it counts for its reader. A read that costs nothing, because
        it is under way or has just failed, may always be waited for. `must` says that there is nothing to show without
        it: then a reader who has had their share is refused with RateLimited."""
        if not held.cached.asks:
            return True
        cost = max([held.cost, *(other.cost for other in self._months.values() if other.service_id == held.service_id)])
        if not self._budget.may_read(cost + self._underway, distance=held.distance(self._now())):
            return False
        wait = await self._rate_limits.wait(READ, reader) if reader else 0
        if wait and must:
            raise RateLimited(wait)
        if not wait:
            await self._rate_limits.check(READ, reader)
        return not wait

    async def _read(self, held: Month, key: tuple[str, str, date], service: Service) -> tuple[Slot, ...]:
        if self._shared is None:
            slots, _cost = await self._ask(held, key, service)
            await self._compare(held, slots)
            return slots
        period = timedelta(seconds=self._budget.ttl(self._ttl, held.cost))
        now = self._now()
        since = max(now - period, _known(held.cached.asked_at, now), _known(held.doubted_at, now))
        month = await self._shared.read(
            _key(self._name, key),
            span=(held.starts_from, held.ends_to),
            since=since,
            ask=lambda: self._ask(held, key, service),
        )
        if not month.asked:
            await self._reload_own()
            held.cached.told_at(month.asked_at)
            held.asked(self._tick_at(month.asked_at), cost=month.cost)
            self._epoch += 1
        await self._compare(held, month.slots)
        return month.slots

    async def _compare(self, held: Month, slots: Sequence[Slot]) -> None:
        """Times that were just read have their service's length as it is now: where that is another than the one on
        offer, the offer is old."""
        if self._other_length(held, slots):
            await self._contradicted(held)

    async def _ask(self, held: Month, key: tuple[str, str, date], service: Service) -> tuple[tuple[Slot, ...], int]:
        """Ask the scheduler; returns the answer and how many calls it took."""
        began = next(self._ticks)
        starts_from = max(held.starts_from, self._now().replace(second=0, microsecond=0))
        # Whether the scheduler wants a slot's start or its end inside the window is not documented: ask for both.
        longest = service.duration + service.buffer_after
        underway = held.cost
        self._underway += underway
        try:
            slots = await self._scheduler.bookable_slots(
                service.id, location_id=key[1], starts_from=starts_from, ends_to=held.ends_to + longest
            )
        except SchedulerNotFound:
            await self.contradicted()
            raise
        finally:
            self._underway -= underway
        await self._reload_own()
        held.asked(began, cost=self._scheduler.calls_to_list(len(slots)))
        self._epoch += 1
        return tuple(slot for slot in slots if slot.starts_at < held.ends_to), held.cost

    def _imaginable(self, day: date) -> bool:
        """Whether one may reckon with a day that a visitor may have made up, and with those around it."""
        return abs(day.year - self._now().year) <= 150

    def _minute_allows(self) -> bool:
        """Whether the scheduler's limit per minute leaves room for more than locks and confirmations."""
        remaining, limit = self._scheduler.pulse.remaining, self._scheduler.pulse.limit
        return remaining is None or limit is None or remaining * 10 >= limit

    def _redraw(self, occupied: Occupied) -> None:
        self._epoch += 1
        for held in self._months.values():
            if occupied.starts_at < held.ends_to and occupied.ends_at > held.starts_from:
                held.changed()

    def _around(self, service_id: str, starts_at: datetime) -> list[Month]:
        return [
            held
            for key, held in self._months.items()
            if key[0] == service_id and held.starts_from <= starts_at < held.ends_to
        ]


def _known(moment: datetime | None, now: datetime) -> datetime:
    """When something has happened last, as far as that is known: not where the clock was set back since."""
    return NEVER if moment is None or is_ahead(moment, now) else moment


def _key(scheduler: str, key: tuple[str, str, date]) -> str:
    """A month's name for all processes."""
    return f"{scheduler} {key[0]} {key[1]} {key[2]:%Y-%m}"
