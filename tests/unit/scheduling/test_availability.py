"""Which times are shown, how true they are, and how few calls to Hapio it takes."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from app.domain.catalogue import Service, Slot
from app.domain.money import Money
from app.domain.reservation import Occupied, OccupiedSince
from app.errors import NotFound, SchedulerError, SchedulerFailed, StorageError
from app.scheduling.availability import CallBudget, SchedulerAvailability, Times
from app.scheduling.hapio.scheduler import HapioScheduler
from app.scheduling.port import SchedulerCall
from app.widgets import ServiceSetting, Widget
from sandbox.clock import Clock
from sandbox.hapio import Fault
from tests.support.hapio_studio import MONDAY, HapioStudio, open_studio

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STOCKHOLM = ZoneInfo("Europe/Stockholm")
DECEMBER = date(2026, 12, 1)
#: Wednesday 10:00 in Stockholm: Astrid and Jonas are both there.
TEN = datetime(2026, 12, 2, 9, 0, tzinfo=UTC)


class Books:
    """What a store says of `rows`; it answers while it is `open`, and fails while it is `broken`."""

    def __init__(self) -> None:
        self.rows: list[Occupied] = []
        self.open = asyncio.Event()
        self.open.set()
        self.broken = False
        self._told: set[str] = set()

    async def occupied(self) -> Sequence[Occupied]:
        if self.broken:
            raise StorageError("the file is gone")
        read = list(self.rows)
        self._told |= {row.reservation_id for row in read}
        await self.open.wait()
        return read

    async def occupied_since(self, _: datetime) -> OccupiedSince:
        gone = self._told - {row.reservation_id for row in self.rows}
        return OccupiedSince(await self.occupied(), gone)


@dataclass
class Shop:
    """The studio with one process of the product that shows its times."""

    studio: HapioStudio
    availability: SchedulerAvailability
    budget: CallBudget
    widget: Widget
    books: Books

    async def service(self, id_: str | None = None) -> Service:
        return await self.availability.service(self.widget, id_ or self.studio.portrait)

    async def look(
        self, month: date = DECEMBER, *, service_id: str | None = None, resource_id: str | None = None
    ) -> Times:
        service = await self.service(service_id)
        return await self.availability.times(self.widget, service, month=month, resource_id=resource_id)

    async def who(self, starts_at: datetime, *, service_id: str | None = None) -> set[str]:
        """Who is shown to be free then."""
        times = await self.look(starts_at.date(), service_id=service_id)
        return {who for slot in times.slots if slot.starts_at == starts_at for who in slot.resource_ids}

    async def slot(self, starts_at: datetime = TEN) -> Slot:
        slot = await self.availability.find_slot(self.widget, await self.service(), starts_at)
        assert slot
        return slot

    def take(self, booking_id: str, slot: Slot, resource_id: str) -> Occupied:
        """Our own hold, as bookings makes one: the row first."""
        taken = Occupied(booking_id, resource_id, slot.buffer_starts_at, slot.buffer_ends_at)
        self.books.rows.append(taken)
        self.availability.took(taken)
        return taken

    def free(self, taken: Occupied, slot: Slot) -> None:
        self.books.rows.remove(taken)
        self.availability.freed(taken, slot, self.studio.portrait)

    async def refreshed(self, month: date = DECEMBER) -> Times:
        """What is shown once the freshness period is over and the refresh has come in."""
        self.studio.clock.advance(46 * SECOND)
        await self.look(month)
        await self.studio.quiet()
        return await self.look(month)


@asynccontextmanager
async def open_shop(studio: HapioStudio, *, max_age: int = 3600, calls_per_month: int = 2500) -> AsyncIterator[Shop]:
    services = tuple(ServiceSetting(id=id_) for id_ in (studio.portrait, studio.headshot, studio.planning))
    widget = Widget(name="studio", currency="sek", services=services)
    budget = CallBudget(calls_per_month=calls_per_month, counter="hapio_calls", now=studio.clock)
    client = studio.make_client(studio.sandbox.token, on_call=budget.record)

    books = Books()
    availability = SchedulerAvailability(
        name="hapio",
        scheduler=HapioScheduler(client),
        occupancy=books,
        budget=budget,
        now=studio.clock,
        ttl=45,
        max_age=max_age,
    )
    yield Shop(studio, availability, budget, widget, books)
    await availability.aclose()
    await client.aclose()


@pytest.fixture
async def studio() -> AsyncIterator[HapioStudio]:
    async with open_studio() as studio:
        yield studio


@pytest.fixture
async def shop(studio: HapioStudio) -> AsyncIterator[Shop]:
    async with open_shop(studio) as shop:
        yield shop


# Few calls


async def test_ten_thousand_looks_at_a_month_cost_one_read(shop: Shop) -> None:
    service = await shop.service(shop.studio.planning)
    versions = set()
    for number in range(10_000):
        who = (None, shop.studio.astrid)[number % 2]
        times = await shop.availability.times(shop.widget, service, month=DECEMBER, resource_id=who)
        versions.add(times.version)
        shop.studio.clock.advance(timedelta(milliseconds=4))
    everyone = await shop.look(service_id=shop.studio.planning)
    assert len(everyone.slots) > 300
    assert len(versions) == 2
    read = shop.studio.slot_reads()
    assert read == -(-len(everyone.slots) // 100)
    # Places, services and people took one page each, and every service one for who offers it.
    assert len(shop.studio.sandbox.calls) == shop.budget.spent == read + 3 + 3


async def test_a_crowd_that_comes_at_once_shares_one_read(shop: Shop) -> None:
    service = await shop.service()
    shop.studio.wire.hold()
    crowd = [asyncio.create_task(shop.availability.times(shop.widget, service, month=DECEMBER)) for _ in range(50)]
    await shop.studio.quiet()
    assert not any(task.done() for task in crowd)
    shop.studio.wire.let_go()
    seen = await asyncio.gather(*crowd)
    assert len({times.version for times in seen}) == 1
    assert shop.studio.slot_reads() == -(-len(seen[0].slots) // 100)


async def test_old_times_are_shown_at_once_while_one_refresh_runs(shop: Shop) -> None:
    before = await shop.look()
    pages = shop.studio.slot_reads()
    await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    shop.studio.clock.advance(46 * SECOND)
    shop.studio.wire.hold()
    crowd = await asyncio.wait_for(asyncio.gather(*(shop.look() for _ in range(50))), timeout=5)
    assert {(times.version, times.stale) for times in crowd} == {(before.version, False)}
    await shop.studio.quiet()
    assert shop.studio.slot_reads() == pages + 1
    shop.studio.wire.let_go()
    await shop.studio.quiet()
    assert await shop.who(TEN) == {shop.studio.jonas}
    assert shop.studio.slot_reads() == 2 * pages


async def test_times_that_are_too_old_are_read_before_they_are_shown(shop: Shop) -> None:
    await shop.look()
    await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    shop.studio.clock.advance(HOUR)
    assert await shop.who(TEN) == {shop.studio.jonas}


async def test_a_visitor_who_leaves_does_not_take_the_read_from_the_others(shop: Shop) -> None:
    service = await shop.service()
    shop.studio.wire.hold()
    leaving = asyncio.create_task(shop.availability.times(shop.widget, service, month=DECEMBER))
    await shop.studio.quiet()
    staying = asyncio.create_task(shop.availability.times(shop.widget, service, month=DECEMBER))
    await shop.studio.quiet()
    leaving.cancel()
    await shop.studio.quiet()
    shop.studio.wire.let_go()
    times = await staying
    assert leaving.cancelled()
    assert shop.studio.slot_reads() == -(-len(times.slots) // 100)


@pytest.mark.parametrize("month", [date(2026, 10, 1), date(2027, 2, 1), date(2999, 1, 1), date.max, date.min])
async def test_months_in_which_nothing_can_be_booked_cost_no_call(shop: Shop, month: date) -> None:
    await shop.service()
    calls = len(shop.studio.sandbox.calls)
    assert (await shop.look(month)).slots == ()
    midnight = datetime(month.year, month.month, month.day, tzinfo=UTC)
    service = await shop.service()
    assert await shop.availability.find_slot(shop.widget, service, midnight) is None
    assert await shop.availability.nearest(shop.widget, service, midnight) == []
    assert len(shop.studio.sandbox.calls) == calls


async def test_a_window_without_end_is_not_followed_into_made_up_years(shop: Shop) -> None:
    planning = await shop.service(shop.studio.planning)
    assert planning.booking_window_end is None
    for month in (date(2028, 6, 1), date(9999, 12, 1)):
        assert (await shop.look(month, service_id=planning.id)).slots == ()
        assert await shop.availability.next_free(shop.widget, planning, after=month) is None
    assert shop.studio.slot_reads() == 0
    assert (await shop.look(date(2027, 2, 1), service_id=planning.id)).slots
    assert (await shop.look(date(2027, 3, 1), service_id=planning.id)).slots == ()


# True times


async def test_a_time_taken_through_us_disappears_at_once_and_without_a_call(shop: Shop) -> None:
    slot = await shop.slot()
    before = await shop.look()
    calls = len(shop.studio.sandbox.calls)
    shop.take("bk_1", slot, shop.studio.astrid)
    after = await shop.look()
    assert await shop.who(TEN) == {shop.studio.jonas}
    assert after.version != before.version
    assert TEN not in {slot.starts_at for slot in (await shop.look(resource_id=shop.studio.astrid)).slots}
    assert len(shop.studio.sandbox.calls) == calls
    # Our reckoning with buffers and half-hour steps is Hapio's own.
    await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    async with open_shop(shop.studio) as fresh:
        assert (await fresh.look()).slots == after.slots


async def test_a_hold_of_one_service_hides_the_persons_time_for_the_others(shop: Shop) -> None:
    assert shop.studio.astrid in await shop.who(TEN + HOUR, service_id=shop.studio.headshot)
    shop.take("bk_1", await shop.slot(), shop.studio.astrid)
    # The portrait ends at eleven, and clearing up after it at a quarter past.
    assert shop.studio.astrid not in await shop.who(TEN + HOUR, service_id=shop.studio.headshot)
    assert shop.studio.astrid in await shop.who(TEN + 90 * MINUTE, service_id=shop.studio.headshot)


async def test_a_released_time_is_shown_at_once_and_without_a_call(shop: Shop) -> None:
    slot = await shop.slot()
    before = await shop.look()
    held = shop.take("bk_1", slot, shop.studio.astrid)
    in_hapio = await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN, is_temporary=True)
    await shop.refreshed()
    assert await shop.who(TEN) == {shop.studio.jonas}
    await shop.studio.api("DELETE", f"/bookings/{in_hapio}")
    calls = len(shop.studio.sandbox.calls)
    shop.free(held, slot)
    assert await shop.who(TEN) == {shop.studio.astrid, shop.studio.jonas}
    assert len(shop.studio.sandbox.calls) == calls
    assert (await shop.refreshed()).slots == before.slots


async def test_a_time_that_nobody_else_had_comes_back_into_its_place(shop: Shop) -> None:
    slot = await shop.slot()
    held = shop.take("bk_1", slot, shop.studio.astrid)
    in_hapio = await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.jonas, TEN)
    await shop.refreshed()
    assert await shop.who(TEN) == set()
    await shop.studio.api("DELETE", f"/bookings/{in_hapio}")
    shop.free(held, slot)
    starts = [slot.starts_at for slot in (await shop.look()).slots]
    assert TEN in starts
    assert starts == sorted(starts)
    assert await shop.who(TEN) == {shop.studio.astrid}


async def test_a_hold_finds_each_time_exactly_as_it_is_shown(shop: Shop) -> None:
    service = await shop.service()
    slot, later = await shop.slot(), await shop.slot(TEN + DAY)
    held = shop.take("bk_1", slot, shop.studio.astrid)
    in_hapio = await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    for resource_id in (shop.studio.astrid, shop.studio.jonas):
        shop.take(f"bk_{resource_id}", later, resource_id)
    every = [known.starts_at for known in (await shop.refreshed()).slots] + [TEN + DAY]

    async def expect_the_same() -> None:
        found = [await shop.availability.find_slot(shop.widget, service, starts_at) for starts_at in every]
        shown = {known.starts_at: known for known in (await shop.look()).slots}
        assert found == [shown.get(starts_at) for starts_at in every]

    await expect_the_same()
    await shop.studio.api("DELETE", f"/bookings/{in_hapio}")
    shop.free(held, slot)
    await expect_the_same()
    shop.availability.distrust(service, every[0])
    await expect_the_same()
    shop.studio.clock.set(every[5])
    await expect_the_same()


async def test_a_release_is_believed_only_until_hapio_is_asked_again(shop: Shop) -> None:
    slot = await shop.slot()
    held = shop.take("bk_1", slot, shop.studio.astrid)
    shop.free(held, slot)
    await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    assert shop.studio.astrid in await shop.who(TEN)
    await shop.refreshed()
    assert await shop.who(TEN) == {shop.studio.jonas}


async def test_a_release_during_a_read_is_not_lost(shop: Shop) -> None:
    slot = await shop.slot()
    held = shop.take("bk_1", slot, shop.studio.astrid)
    in_hapio = await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    shop.studio.clock.advance(46 * SECOND)
    shop.studio.wire.hold()
    await shop.look()
    await shop.studio.quiet()
    # Hapio has answered by now, and the answer, still on its way, says that Astrid is taken.
    await shop.studio.api("DELETE", f"/bookings/{in_hapio}")
    shop.free(held, slot)
    shop.studio.wire.let_go()
    await shop.studio.quiet()
    assert await shop.who(TEN) == {shop.studio.astrid, shop.studio.jonas}


async def test_a_hold_during_a_read_is_not_lost(shop: Shop) -> None:
    slot = await shop.slot()
    shop.studio.clock.advance(46 * SECOND)
    shop.studio.wire.hold()
    await shop.look()
    await shop.studio.quiet()
    shop.take("bk_1", slot, shop.studio.astrid)
    shop.studio.wire.let_go()
    await shop.studio.quiet()
    assert await shop.who(TEN) == {shop.studio.jonas}


async def test_what_happens_while_the_store_is_being_read_is_not_lost(shop: Shop) -> None:
    slot, later = await shop.slot(), await shop.slot(TEN + 6 * HOUR)
    held = shop.take("bk_1", later, shop.studio.jonas)
    shop.studio.clock.advance(46 * SECOND)
    shop.books.open.clear()
    await shop.look()
    await shop.studio.quiet()
    # The store's answer, still on its way, knows of the first and not of the second.
    shop.free(held, later)
    shop.take("bk_2", slot, shop.studio.astrid)
    shop.books.open.set()
    await shop.studio.quiet()
    assert await shop.who(TEN) == {shop.studio.jonas}
    assert shop.studio.jonas in await shop.who(TEN + 6 * HOUR)


async def test_holds_of_another_process_are_learned_at_the_next_read(shop: Shop) -> None:
    slot = await shop.slot()
    shop.books.rows.append(Occupied("bk_9", shop.studio.astrid, slot.buffer_starts_at, slot.buffer_ends_at))
    assert shop.studio.astrid in await shop.who(TEN)
    await shop.refreshed()
    assert await shop.who(TEN) == {shop.studio.jonas}
    shop.books.rows.clear()
    await shop.refreshed()
    assert await shop.who(TEN) == {shop.studio.astrid, shop.studio.jonas}


async def test_a_room_for_two_is_full_only_when_two_overlap(shop: Shop) -> None:
    await shop.studio.api("PATCH", f"/resources/{shop.studio.astrid}", {"max_simultaneous_bookings": 2})
    slot = await shop.slot()
    begin = slot.buffer_starts_at
    one = [
        Occupied(f"bk_{n}", shop.studio.astrid, begin + n * 20 * MINUTE, begin + (n + 1) * 20 * MINUTE) for n in (0, 1)
    ]
    for row in one:
        shop.books.rows.append(row)
        shop.availability.took(row)
    assert shop.studio.astrid in await shop.who(TEN)
    shop.take("bk_2", slot, shop.studio.astrid)
    assert await shop.who(TEN) == {shop.studio.jonas}


async def test_a_resource_without_a_limit_is_never_full(shop: Shop) -> None:
    await shop.studio.api("PATCH", f"/resources/{shop.studio.astrid}", {"max_simultaneous_bookings": None})
    slot = await shop.slot()
    for number in range(3):
        shop.take(f"bk_{number}", slot, shop.studio.astrid)
    assert shop.studio.astrid in await shop.who(TEN)


async def test_times_that_have_begun_are_not_shown_although_nothing_was_read(shop: Shop) -> None:
    studio = shop.studio
    opening = datetime(2026, 12, 2, 8, 0, tzinfo=UTC)
    studio.clock.set(opening - 30 * MINUTE)
    before = await shop.look(service_id=studio.planning)
    studio.sandbox.faults.append(Fault("drop_before", times=10_000))
    studio.clock.set(opening - SECOND)
    assert (await shop.look(service_id=studio.planning)).slots == before.slots
    assert before.slots[0].starts_at == opening
    studio.clock.set(opening)
    after = await shop.look(service_id=studio.planning)
    assert after.slots == before.slots[1:]
    assert after.version.partition("-")[0] != before.version


async def test_equal_times_have_equal_versions_and_others_have_not(shop: Shop) -> None:
    first = await shop.look()
    again = await shop.refreshed()
    assert again.as_of > first.as_of
    async with open_shop(shop.studio) as other:
        assert (await other.look()).version == again.version == first.version
    await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    assert (await shop.refreshed()).version != first.version
    assert (await shop.look(resource_id=shop.studio.jonas)).version != (await shop.look()).version


async def test_choosing_a_person_shows_only_that_persons_times(shop: Shop) -> None:
    everyone, jonas = await shop.look(), await shop.look(resource_id=shop.studio.jonas)
    assert jonas.slots
    assert {slot.resource_ids for slot in jonas.slots} == {(shop.studio.jonas,)}
    assert len(jonas.slots) == sum(shop.studio.jonas in slot.resource_ids for slot in everyone.slots)
    assert (await shop.look(resource_id="somebody made up")).slots == ()


@pytest.mark.parametrize(
    ("at", "month", "change"),
    [
        (datetime(2026, 3, 2, 6, 0, tzinfo=UTC), date(2026, 3, 1), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (datetime(2026, 10, 1, 5, 0, tzinfo=UTC), date(2026, 10, 1), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)),
    ],
    ids=["March", "October"],
)
async def test_the_studio_opens_at_nine_before_and_after_a_clock_change(
    at: datetime, month: date, change: datetime
) -> None:
    async with open_studio(at) as studio, open_shop(studio) as shop:
        times = await shop.look(month, resource_id=studio.astrid)
        first: dict[date, datetime] = {}
        for slot in times.slots:
            first.setdefault(slot.starts_at.astimezone(STOCKHOLM).date(), slot.starts_at)
            assert slot.ends_at - slot.starts_at == HOUR
        assert {start.astimezone(STOCKHOLM).hour for start in first.values()} == {9}
        assert len({start.hour for start in first.values()}) == 2
        assert min(first.values()) < change < max(first.values())
        assert len({slot.starts_at for slot in times.slots}) == len(times.slots)


async def test_one_read_serves_the_first_and_last_day_of_the_month_in_every_time_zone(shop: Shop) -> None:
    times = await shop.look(DECEMBER)
    reads = shop.studio.slot_reads()
    truth = {
        slot.starts_at for month in (11, 12, 1) for slot in (await shop.look(date(2026 + (month == 1), month, 1))).slots
    }
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "Europe/Stockholm"):
        here = ZoneInfo(zone)
        month = {start for start in truth if start.astimezone(here).date().replace(day=1) == DECEMBER}
        assert month <= {slot.starts_at for slot in times.slots}
    assert reads == -(-len(times.slots) // 100)


# Trouble


async def test_when_hapio_is_down_what_we_have_is_shown_with_its_age_and_then_no_longer(shop: Shop) -> None:
    before = await shop.look()
    shop.studio.sandbox.faults.append(Fault("drop_before", times=10_000))
    for minutes in (1, 20, 58):
        shop.studio.clock.set(before.as_of + minutes * MINUTE)
        for _ in range(2):
            await shop.look()
            await shop.studio.quiet()
        late = await shop.look()
        assert (late.slots, late.as_of, late.stale) == (before.slots, before.as_of, minutes > 1)
    assert late.version != before.version
    shop.studio.clock.set(before.as_of + 61 * MINUTE)
    with pytest.raises(SchedulerError):
        await shop.look()
    shop.studio.sandbox.faults.clear()
    shop.studio.clock.advance(MINUTE)
    again = await shop.look()
    assert (again.slots, again.stale, again.version) == (before.slots, False, before.version)


async def test_an_outage_that_the_client_has_noticed_is_told_at_once(shop: Shop) -> None:
    await shop.look()
    shop.studio.sandbox.faults.append(Fault("drop_before", times=10_000))
    for month in (date(2026, 11, 1), date(2027, 1, 1)):
        with pytest.raises(SchedulerError):
            await shop.look(month)
    assert (await shop.look()).stale


async def test_a_failing_refresh_is_not_tried_again_at_every_look(shop: Shop) -> None:
    await shop.look()
    shop.studio.clock.advance(46 * SECOND)
    shop.studio.sandbox.faults.append(Fault("error_before", times=10_000))
    sent = len(shop.studio.sandbox.calls)
    for _ in range(40):
        await shop.look()
        await shop.studio.quiet()
        shop.studio.clock.advance(timedelta(milliseconds=100))
    assert len(shop.studio.sandbox.calls) == sent + 3
    shop.studio.clock.advance(2 * SECOND)
    await shop.look()
    await shop.studio.quiet()
    assert sent + 3 < len(shop.studio.sandbox.calls) <= sent + 6


async def test_a_crowd_before_an_empty_cache_does_not_storm_a_failing_hapio(shop: Shop) -> None:
    await shop.service()
    sent = len(shop.studio.sandbox.calls)
    shop.studio.sandbox.faults.append(Fault("error_before", times=10_000))
    for _ in range(20):
        with pytest.raises(SchedulerFailed):
            await shop.look()
    assert len(shop.studio.sandbox.calls) == sent + 3


async def test_a_rate_limit_is_left_in_peace_for_as_long_as_hapio_says(shop: Shop) -> None:
    await shop.service()
    sent = len(shop.studio.sandbox.calls)
    shop.studio.sandbox.faults.append(Fault("rate_limited", retry_after=40))
    for _ in range(2):
        with pytest.raises(SchedulerError):
            await shop.look()
        shop.studio.clock.advance(39 * SECOND)
    assert len(shop.studio.sandbox.calls) == sent + 1
    shop.studio.clock.advance(SECOND)
    assert (await shop.look()).slots


async def test_a_time_that_hapio_refused_is_asked_about_at_the_next_look(shop: Shop) -> None:
    await shop.look()
    reads = shop.studio.slot_reads()
    await shop.studio.book_elsewhere(shop.studio.portrait, shop.studio.astrid, TEN)
    shop.availability.distrust(await shop.service(), TEN)
    assert await shop.who(TEN) == {shop.studio.jonas}
    assert shop.studio.slot_reads() == 2 * reads
    await shop.look()
    assert shop.studio.slot_reads() == 2 * reads


async def test_a_refused_time_is_not_shown_again_while_hapio_cannot_be_asked(shop: Shop) -> None:
    times = await shop.look()
    shop.studio.sandbox.faults.append(Fault("error_before", times=10_000))
    shop.availability.distrust(await shop.service(), TEN)
    shown = await shop.look()
    assert [slot.starts_at for slot in shown.slots] == [s.starts_at for s in times.slots if s.starts_at != TEN]
    sent = len(shop.studio.sandbox.calls)
    await shop.look()
    assert len(shop.studio.sandbox.calls) == sent
    shop.studio.sandbox.faults.clear()
    shop.studio.clock.advance(MINUTE)
    assert (await shop.look()).slots == times.slots


async def test_closing_ends_a_refresh_under_way(shop: Shop) -> None:
    await shop.look()
    shop.studio.clock.advance(46 * SECOND)
    shop.studio.wire.hold()
    await shop.look()
    await shop.studio.quiet()
    await asyncio.wait_for(shop.availability.aclose(), timeout=5)
    assert {task for task in asyncio.all_tasks() if "Cached" in repr(task.get_coro())} == set()


# The budget


def spend(budget: CallBudget, calls: int, at: datetime = MONDAY) -> None:
    for _ in range(calls):
        budget.record(SchedulerCall(at, "getBookings", 200, 0.1))


def test_on_plan_a_read_is_fresh_for_its_usual_time() -> None:
    clock = Clock(datetime(2026, 11, 16, 0, 0, tzinfo=UTC))
    budget = CallBudget(calls_per_month=2500, counter="hapio_calls", now=clock)
    spend(budget, 1000)
    assert budget.ttl(45, 4) == 45


def test_ahead_of_plan_the_period_grows_step_by_step_and_never_beyond_the_oldest_allowed() -> None:
    clock = Clock(datetime(2026, 11, 16, 0, 0, tzinfo=UTC))
    budget = CallBudget(calls_per_month=2500, counter="hapio_calls", now=clock)
    periods = []
    for _ in range(100):
        spend(budget, 25)
        periods.append(min(20_000, budget.ttl(45, 1)))
    assert periods == sorted(periods)
    assert (periods[0], periods[-1]) == (45, 20_000)
    steps = [after - before for before, after in itertools.pairwise(periods) if after > before]
    assert len(steps) > 10
    assert steps[0] < 500
    assert all(later < 3 * earlier for earlier, later in itertools.pairwise(steps[:-1]))


class Counters:
    """What every process adds to, by name."""

    def __init__(self, **values: int) -> None:
        self.values = {name.replace("_2026_", ":2026-"): value for name, value in values.items()}

    async def add(self, name: str, more: int) -> int:
        self.values[name] = self.values.get(name, 0) + more
        return self.values[name]


async def test_two_processes_count_their_calls_together() -> None:
    clock, shared = Clock(MONDAY), Counters()
    one, two = (CallBudget(calls_per_month=2500, counter="hapio_calls", now=clock) for _ in range(2))
    spend(one, 30)
    spend(two, 12)
    for budget in (one, two, one):
        await budget.save(shared.add)
        spend(budget, 1)
    await two.save(shared.add)
    await one.save(shared.add)
    assert (one.spent, two.spent) == (45, 44)
    assert shared.values == {"hapio_calls:2026-11": 45}


async def test_a_new_month_begins_with_nothing_spent() -> None:
    clock = Clock(datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    budget = CallBudget(calls_per_month=2500, counter="hapio_calls", now=clock)
    shared = Counters(hapio_calls_2026_11=2400)
    await budget.save(shared.add)
    assert (budget.spent, budget.ttl(45, 4)) == (2400, 86_400)
    clock.advance(MINUTE)
    assert (budget.spent, budget.ttl(45, 4)) == (0, 45)
    await budget.save(shared.add)
    assert budget.spent == 0


@pytest.mark.parametrize(("windows", "cost"), [(1, 1), (1, 6), (6, 2)])
def test_a_month_of_uninterrupted_looking_leaves_the_locks_their_share(windows: int, cost: int) -> None:
    clock = Clock(datetime(2026, 11, 1, tzinfo=UTC))
    budget = CallBudget(calls_per_month=2500, counter="hapio_calls", now=clock)
    read_at = [datetime(2026, 10, 31, tzinfo=UTC)] * windows
    spent = []
    while clock().month == 11:
        for window in range(windows):
            if (clock() - read_at[window]).total_seconds() >= budget.ttl(45, cost):
                read_at[window] = clock()
                spend(budget, cost, clock())
        spent.append(budget.spent)
        clock.advance(MINUTE)
    assert spent[-1] <= 2050
    assert spent[len(spent) // 2] <= 1500
    assert min(read_at) >= datetime(2026, 11, 28, tzinfo=UTC)


async def test_a_spent_month_makes_reads_rare_tells_the_age_and_refuses_no_lock(studio: HapioStudio) -> None:
    async with open_shop(studio, calls_per_month=100) as shop:
        before = await shop.look()
        await shop.budget.save(Counters(hapio_calls_2026_11=95).add)
        reads = studio.slot_reads()
        for _ in range(23):
            studio.clock.advance(HOUR)
            shown = await shop.look()
            assert {slot.starts_at for slot in shown.slots} == {
                slot.starts_at for slot in before.slots if slot.starts_at > studio.clock()
            }
            assert shown.stale
            await studio.quiet()
        assert studio.slot_reads() == reads
        locked = await studio.client.create_booking(
            holdfast_id="bk_1",
            service_id=studio.portrait,
            location_id=studio.ids.location,
            resource_id=studio.astrid,
            starts_at=TEN,
            ends_at=TEN + HOUR,
            is_temporary=True,
        )
        assert locked.is_temporary
        studio.clock.set(datetime(2026, 12, 1, 0, 1, tzinfo=UTC))
        assert await shop.who(TEN) == {studio.jonas}, "a new month has calls again"


async def test_a_spent_month_puts_off_the_look_after_a_refusal_too(studio: HapioStudio) -> None:
    async with open_shop(studio, calls_per_month=100) as shop:
        await shop.look()
        await shop.budget.save(Counters(hapio_calls_2026_11=95).add)
        reads = studio.slot_reads()
        shop.availability.distrust(await shop.service(), TEN)
        assert await shop.who(TEN) == set()
        assert studio.slot_reads() == reads


async def test_the_last_calls_of_a_minute_are_left_to_locks(shop: Shop) -> None:
    times = await shop.look()
    reads = shop.studio.slot_reads()
    shop.studio.clock.advance(46 * SECOND)
    shop.studio.sandbox.switches.rate_limit_per_minute = 30
    shop.studio.sandbox.state.window_used = 27
    assert (await shop.look(date(2027, 1, 1))).slots
    reads = shop.studio.slot_reads()
    await shop.look()
    await shop.studio.quiet()
    assert shop.studio.slot_reads() == reads
    shop.studio.clock.advance(MINUTE)
    assert (await shop.look()).slots == times.slots
    await shop.studio.quiet()
    assert shop.studio.slot_reads() > reads


# What is offered at all


async def test_the_catalogue_tells_what_the_file_and_hapio_know_in_the_files_order(studio: HapioStudio) -> None:
    settings = (
        ServiceSetting(id=studio.planning, description="By phone.", price=Decimal(50)),
        ServiceSetting(id=studio.portrait, image="/p.jpg", price=Decimal(1)),
    )
    widget = Widget(name="other", currency="sek", location=studio.ids.location, services=settings)
    async with open_shop(studio) as shop:
        catalogue = await shop.availability.catalogue(widget)
        planning, portrait = catalogue.services
        assert catalogue.location.time_zone == "Europe/Stockholm"
        assert (planning.id, planning.description_in("en"), planning.price) == (
            studio.planning,
            "By phone.",
            Money(5000, "sek"),
        )
        assert (portrait.id, portrait.image, portrait.price) == (studio.portrait, "/p.jpg", Money(120_000, "sek"))
        assert (portrait.duration, portrait.buffer_after) == (HOUR, 15 * MINUTE)
        assert {resource.name for resource in portrait.resources} == {"Astrid Lindqvist", "Jonas Berg"}
        assert [call.path for call in studio.sandbox.calls] == [
            "/v1/locations",
            "/v1/services",
            "/v1/resources",
            f"/v1/services/{studio.planning}/resources",
            f"/v1/services/{studio.portrait}/resources",
        ]
        # Another widget asks only for what it alone offers.
        assert len((await shop.availability.catalogue(shop.widget)).services) == 3
        assert len(studio.sandbox.calls) == 6


async def test_without_a_list_every_service_that_can_be_offered_is(shop: Shop) -> None:
    hourly = {"min_duration": "PT1H", "max_duration": None, "duration_step": "PT1H"}
    await shop.studio.api("POST", "/services", {"name": "By the hour", "type": "flexible", **hourly})
    empty = await shop.studio.api("POST", "/services", {"name": "Nobody's", "type": "fixed", "duration": "PT1H"})
    odd = {"name": "Odd", "type": "fixed", "duration": "PT1H", "price": "10.005"}
    await shop.studio.api("POST", "/services", odd)
    await shop.studio.api("PATCH", f"/services/{shop.studio.headshot}", {"enabled": False})
    services = (await shop.availability.catalogue(Widget(name="all", currency="sek"))).services
    assert {service.name for service in services} == {"Portrait session", "Planning call", "Nobody's"}
    nobody = await shop.availability.service(Widget(name="all", currency="sek"), empty["id"])
    assert nobody.resources == ()
    assert (await shop.availability.times(shop.widget, nobody, month=DECEMBER)).slots == ()


async def test_what_hapio_does_not_have_is_not_found(shop: Shop) -> None:
    await shop.studio.api("PATCH", f"/services/{shop.studio.headshot}", {"enabled": False})
    elsewhere = Widget(name="elsewhere", location="00000000-0000-4000-8000-000000000000")
    with pytest.raises(NotFound):
        await shop.availability.catalogue(elsewhere)
    with pytest.raises(NotFound):
        await shop.availability.service(shop.widget, shop.studio.headshot)
    assert len((await shop.availability.catalogue(shop.widget)).services) == 2


async def test_the_catalogue_is_kept_half_a_day_and_then_renewed_behind_the_scenes(shop: Shop) -> None:
    old = await shop.availability.catalogue(shop.widget)
    await shop.studio.api("PATCH", f"/services/{shop.studio.portrait}", {"price": "1300.000"})
    calls = len(shop.studio.sandbox.calls)
    shop.studio.clock.advance(12 * HOUR - SECOND)
    assert await shop.availability.catalogue(shop.widget) == old
    assert len(shop.studio.sandbox.calls) == calls
    shop.studio.clock.advance(MINUTE)
    assert await shop.availability.catalogue(shop.widget) == old
    await shop.studio.quiet()
    assert len(shop.studio.sandbox.calls) == calls + 6
    shop.studio.clock.advance(MINUTE)
    assert (await shop.service()).price == Money(130_000, "sek")
    assert len(shop.studio.sandbox.calls) == calls + 6


async def test_the_catalogue_outlives_any_outage(shop: Shop) -> None:
    old = await shop.availability.catalogue(shop.widget)
    shop.studio.sandbox.faults.append(Fault("drop_before", times=10_000))
    for _ in range(3):
        shop.studio.clock.advance(DAY)
        assert await shop.availability.catalogue(shop.widget) == old
        await shop.studio.quiet()
    async with open_shop(shop.studio) as fresh:
        with pytest.raises(SchedulerError):
            await fresh.availability.catalogue(fresh.widget)


async def test_a_new_service_about_which_nothing_more_can_be_learned_leaves_the_others_in_place(shop: Shop) -> None:
    everything = Widget(name="all", currency="sek")
    old = await shop.availability.catalogue(everything)
    new = await shop.studio.api("POST", "/services", {"name": "New", "type": "fixed", "duration": "PT1H"})
    shop.studio.sandbox.faults.append(Fault("error_before", times=3, path=new["id"]))
    for wait in (12 * HOUR, MINUTE):
        shop.studio.clock.advance(wait)
        assert await shop.availability.catalogue(everything) == old
        await shop.studio.quiet()
    assert shop.studio.sandbox.faults == []
    shop.studio.clock.advance(MINUTE)
    assert len((await shop.availability.catalogue(everything)).services) == len(old.services) + 1


# Other times


async def test_the_next_free_time_is_found_beyond_a_booked_month(shop: Shop) -> None:
    service = await shop.service()
    closed = {
        "location_id": shop.studio.ids.location,
        "starts_at": "2026-11-23T00:00:00+01:00",
        "ends_at": "2026-12-20T00:00:00+01:00",
        "is_available": False,
    }
    await shop.studio.api("POST", f"/resources/{shop.studio.astrid}/schedule-blocks", closed)
    await shop.studio.api("POST", f"/resources/{shop.studio.jonas}/schedule-blocks", closed)
    found = await shop.availability.next_free(shop.widget, service, after=MONDAY.date())
    assert found
    assert found.starts_at == datetime(2026, 12, 21, 9, 0, tzinfo=STOCKHOLM)
    saturday = await shop.availability.next_free(
        shop.widget, service, after=date(2027, 1, 16), resource_id=shop.studio.jonas
    )
    assert saturday
    assert saturday.starts_at == datetime(2027, 1, 16, 10, 0, tzinfo=STOCKHOLM)
    assert saturday.resource_ids == (shop.studio.jonas,)


async def test_the_search_for_a_free_time_ends_where_booking_ends(shop: Shop) -> None:
    service = await shop.service()
    assert await shop.availability.next_free(shop.widget, service, after=date(2027, 1, 23)) is None
    january = len((await shop.look(date(2027, 1, 1))).slots)
    assert shop.studio.slot_reads() == -(-january // 100)
    assert await shop.availability.next_free(shop.widget, service, after=MONDAY.date(), months=0) is None


async def test_the_nearest_times_to_a_lost_one_are_offered_without_another_call(shop: Shop) -> None:
    service = await shop.service()
    slot = await shop.slot()
    for who in slot.resource_ids:
        shop.take(f"bk_{who}", slot, who)
    calls = len(shop.studio.sandbox.calls)
    near = await shop.availability.nearest(shop.widget, service, TEN)
    local = [slot.starts_at.astimezone(STOCKHOLM) for slot in near]
    # Until a quarter past eleven both are taken, and Jonas begins at ten.
    assert [f"{start:%a %H:%M}" for start in local] == ["Wed 11:30", "Wed 13:00", "Wed 13:30"]
    jonas = await shop.availability.nearest(shop.widget, service, TEN, resource_id=shop.studio.jonas, count=1)
    assert [near.resource_ids for near in jonas] == [(shop.studio.jonas,)]
    assert len(shop.studio.sandbox.calls) == calls


async def test_nearest_times_may_lie_in_the_next_month_if_that_is_known(shop: Shop) -> None:
    service = await shop.service()
    lost = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
    await shop.look(date(2026, 11, 1))
    reads = shop.studio.slot_reads()
    alone = await shop.availability.nearest(shop.widget, service, lost, count=1000)
    assert shop.studio.slot_reads() == reads
    await shop.look(DECEMBER)
    both = await shop.availability.nearest(shop.widget, service, lost, count=1000)
    assert {slot.starts_at for slot in alone} < {slot.starts_at for slot in both}
    assert max(slot.starts_at for slot in both) > datetime(2026, 12, 4, tzinfo=UTC)
    assert all(abs(slot.starts_at - lost) <= 7 * DAY for slot in both)
    assert len({slot.starts_at for slot in both}) == len(both)


async def test_no_nearest_times_are_offered_when_nothing_is_known(shop: Shop) -> None:
    service = await shop.service()
    shop.studio.sandbox.faults.append(Fault("drop_before", times=10_000))
    assert await shop.availability.nearest(shop.widget, service, TEN) == []


async def test_a_read_behind_the_scenes_that_the_database_fails_is_one_line_in_the_log(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    before = await shop.look()
    shop.books.broken = True
    shop.studio.clock.advance(46 * SECOND)
    with capture_logs() as logs:
        assert (await shop.look()).slots == before.slots
        await shop.studio.quiet()
        gc.collect()  # of an error that nobody has taken, the event loop tells when it is thrown away
    assert [(line["event"], line["error"]) for line in logs] == [("not read from the scheduler", "StorageError")]
    assert caplog.records == []
