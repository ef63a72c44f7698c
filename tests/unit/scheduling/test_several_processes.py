"""Several processes over one database: one of them reads, and each sees what the others take and free."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from anyio.lowlevel import checkpoint
from sqlalchemy.exc import SQLAlchemyError

from app.domain.local_days import next_month
from app.errors import SchedulerError
from app.parts import Parts
from app.scheduling.availability import CallBudget, SchedulerAvailability
from app.scheduling.availability.shared import LEASE, SharedReads
from app.scheduling.connection import ClientOptions
from app.scheduling.hapio.client import HapioClient
from app.scheduling.hapio.scheduler import HapioScheduler
from app.store.tables import reservations
from sandbox.faults import Fault
from tests.support.once import HAPIO_URL
from tests.support.processes import another_process
from tests.support.stack import Stack, no_wait, open_stack

STOCKHOLM = ZoneInfo("Europe/Stockholm")
HOUR = timedelta(hours=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def stack(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, database=database) as stack:
        yield stack


async def processes(running: AsyncExitStack, stack: Stack, tmp_path: Path, count: int) -> list[Parts]:
    return [
        await running.enter_async_context(
            another_process(stack, tmp_path, stack.settings.database_url, stack.side.transport(), shared=True)
        )
        for _ in range(count)
    ]


async def shown(stack: Stack, parts: Parts, *, person: str | None = None) -> list[datetime]:
    """What a visitor of this process is shown of the month, of one person or of all."""
    widget = parts.widgets["studio"]
    service = await parts.availability.service(widget, stack.portrait_id)
    month = stack.clock().date().replace(day=1)
    times = await parts.availability.times(widget, service, month=month, resource_id=person)
    return [slot.starts_at for slot in times.slots]


def reads(stack: Stack) -> int:
    return sum(call.path.endswith("bookable-slots") for call in stack.hapio.calls)


async def test_a_hundred_visitors_of_a_cold_month_at_four_processes_are_one_read(stack: Stack, tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        four = await processes(running, stack, tmp_path, 4)
        for parts in four:  # what is on offer is read by each, twice a day
            await parts.availability.service(parts.widgets["studio"], stack.portrait_id)
        before = reads(stack)
        told = await asyncio.gather(*(shown(stack, four[number % 4]) for number in range(100)))
    assert told[0]
    assert all(times == told[0] for times in told)
    assert reads(stack) - before == 1


async def test_a_time_that_one_process_takes_and_frees_is_gone_and_back_at_the_others(
    stack: Stack, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        one, other = await processes(running, stack, tmp_path, 2)
        [start, *_] = await shown(stack, one)
        assert start in await shown(stack, other)
        before = reads(stack)
        service = await one.availability.service(one.widgets["studio"], stack.portrait_id)
        held = []
        for person in service.resources:
            held.append(
                await one.hold.take(
                    one.widgets["studio"],
                    service_id=stack.portrait_id,
                    starts_at=start,
                    resource_id=person.id,
                    visitor=stack.visitor(),
                )
            )
            if start not in await shown(stack, one):
                break
        await other.availability.catch_up()
        assert start not in await shown(stack, other)
        for booking in held:
            await one.hold.give_up(booking.id)
        await other.availability.catch_up()
        assert start in await shown(stack, other)
        assert reads(stack) == before  # nobody had to ask the scheduler for it


async def test_what_the_scheduler_says_has_changed_is_read_again_once_for_all(stack: Stack, tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        one, other = await processes(running, stack, tmp_path, 2)
        await shown(stack, one), await shown(stack, other)
        before = reads(stack)
        stack.clock.advance(timedelta(seconds=5))
        one.availability.hinted("hapio")
        await until(lambda: doubted(other))
        await other.availability.catch_up()
        stack.clock.advance(timedelta(seconds=1))
        await shown(stack, other), await shown(stack, one)  # they are read behind what is shown
        await until(lambda: read_again(one, stack.clock()))
        for parts in (one, other):
            await parts.availability.catch_up()
            await shown(stack, parts)
        assert reads(stack) == before + 1


async def test_hours_that_one_process_changes_are_seen_at_the_others_at_once_and_no_change_undoes_another(
    stack: Stack, tmp_path: Path
) -> None:
    """Two desks block an hour each at the same moment; a visitor of a third process sees neither, and no scheduler
    keeps only the one that came last."""
    stack.hapio.switches.rate_limit_per_minute = 1000
    async with AsyncExitStack() as running:
        one, other, third = await processes(running, stack, tmp_path, 3)
        person = (await one.working_hours.people())[0]
        free = await shown(stack, third, person=person.resource_id)
        first, second = free[0], max(start for start in free if start.date() == free[0].date())
        an_hour = timedelta(hours=1)
        blocks = await asyncio.gather(
            one.working_hours.take_off(person, first, first + an_hour, by="eva@studio.example"),
            other.working_hours.take_off(person, second, second + an_hour, by="maja@studio.example"),
        )
        await third.availability.catch_up()
        assert not {first, second} & {*await shown(stack, third, person=person.resource_id)}
        await one.worker.tick()
        assert await one.working_hours.untold() == []
        await third.working_hours.read_again("hapio")
        known = (await third.working_hours.person(person.resource_id)).hours
        assert known
        left = known.days[first.date()]
        assert not [span for span in left for at in (first, second) if span.opens <= minutes(at) < span.closes]
        assert not {first, second} & {*await shown(stack, third, person=person.resource_id)}
        stack.clock.advance(timedelta(seconds=1))
        for block in blocks:
            await one.working_hours.take_back(block.id, by="eva@studio.example")
        await third.availability.catch_up()
        assert await shown(stack, third, person=person.resource_id) == free


def minutes(at: datetime) -> int:
    """How late it is at the studio."""
    here = at.astimezone(STOCKHOLM)
    return here.hour * 60 + here.minute


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Let what runs behind the scenes come to its end."""
    async with asyncio.timeout(30):
        while not await true():
            await checkpoint()


async def doubted(parts: Parts, *, at: datetime | None = None) -> bool:
    marks = await parts.store.reading_marks("hapio", since=LONG_AGO)
    return any(mark.doubted_at and at in (None, mark.doubted_at) for mark in marks)


async def read_again(parts: Parts, since: datetime) -> bool:
    marks = await parts.store.reading_marks("hapio", since=LONG_AGO)
    return any(mark.asked_at is not None and mark.asked_at >= since for mark in marks)


async def after_a_failed_read(running: AsyncExitStack, stack: Stack, folder: Path) -> Parts:
    """The second of two processes that know what is on offer; the scheduler, which answers no more, has just failed
    the first."""
    one, other = await processes(running, stack, folder, 2)
    for parts in (one, other):
        await parts.availability.service(parts.widgets["studio"], stack.portrait_id)
    stack.hapio.faults.append(Fault("drop_before", times=10_000))
    with pytest.raises(SchedulerError):
        await shown(stack, one)
    return other


async def test_a_scheduler_that_fails_one_process_is_not_asked_by_the_others_at_once(
    stack: Stack, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        other = await after_a_failed_read(running, stack, tmp_path)
        before = len(stack.hapio.calls)
        with pytest.raises(SchedulerError):
            await shown(stack, other)
        assert len(stack.hapio.calls) == before


async def test_a_month_that_could_not_be_read_is_asked_for_again_although_the_clock_was_set_back(
    stack: Stack, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        other = await after_a_failed_read(running, stack, tmp_path)
        stack.hapio.faults.clear()
        stack.clock.advance(-HOUR)
        assert await shown(stack, other)


async def test_a_month_that_a_process_died_over_is_read_although_the_clock_was_set_back(
    stack: Stack, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        one, other = await processes(running, stack, tmp_path, 2)
        await shown(stack, one)
        [mark] = await one.store.reading_marks("hapio", since=LONG_AGO)
        span = (stack.clock(), stack.clock() + HOUR)
        until = stack.clock() + LEASE
        await one.store.outdate_readings("hapio", *span)
        assert await one.store.lease_reading(mark.key, scheduler="hapio", span=span, holder="dead", until=until)
        stack.clock.advance(-HOUR)
        async with asyncio.timeout(5):
            assert await shown(stack, other)


async def test_what_is_read_after_the_clock_was_set_back_takes_the_place_of_what_was_read_before(
    stack: Stack, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        one, other, third = await processes(running, stack, tmp_path, 3)
        [start, *_] = await shown(stack, one)
        await shown(stack, other)
        stack.clock.advance(-HOUR)
        service = await one.availability.service(one.widgets["studio"], stack.portrait_id)
        for _ in service.resources:
            await stack.side.stranger_takes(start)
        before = reads(stack)
        for parts in (one, other, third, one):
            await parts.availability.catch_up()
            assert start not in await shown(stack, parts)
        assert reads(stack) == before + 1


async def test_what_the_scheduler_says_has_changed_is_read_again_although_the_clock_was_set_back_since_another_change(
    stack: Stack, tmp_path: Path
) -> None:
    async with AsyncExitStack() as running:
        one, other = await processes(running, stack, tmp_path, 2)
        await shown(stack, one), await shown(stack, other)
        stack.clock.advance(timedelta(seconds=5))
        one.availability.hinted("hapio")
        await until(lambda: doubted(other))
        await other.availability.catch_up()
        stack.clock.advance(-HOUR)
        await shown(stack, other), await shown(stack, one)
        stack.clock.advance(timedelta(seconds=5))
        before = reads(stack)
        one.availability.hinted("hapio")
        await until(lambda: doubted(other, at=stack.clock()))
        await other.availability.catch_up()
        stack.clock.advance(timedelta(seconds=1))
        await shown(stack, other)
        await until(lambda: read_again(other, stack.clock()))
        assert reads(stack) == before + 1


async def test_an_answer_that_is_not_kept_leaves_the_month_to_the_others(stack: Stack) -> None:
    """A host whose clock is ahead by some seconds has read it before."""
    store, now, seconds = stack.parts.store, stack.clock(), timedelta(seconds=1)
    for asked_at in (now + 9 * seconds, now):
        span = (now, now + HOUR)
        assert await store.lease_reading("month", scheduler="hapio", span=span, holder="one", until=now + LEASE)
        await store.put_reading("month", holder="one", asked_at=asked_at, cost=1, body=b"")
    month = await store.reading("month")
    assert month
    assert (month.asked_at, month.lease_until) == (now + 9 * seconds, None)


async def test_a_process_that_follows_knows_of_every_time_that_is_taken_and_freed(stack: Stack, tmp_path: Path) -> None:
    """It reads only what is new, and has what is in the database after each step."""
    async with AsyncExitStack() as running:
        [other] = await processes(running, stack, tmp_path, 1)
        await shown(stack, other)

        async def follows() -> None:
            await other.availability.catch_up()
            known = other.availability.occupied(other.widgets["studio"])
            assert {*known} == {*await stack.parts.store.occupied()}
            stack.clock.advance(timedelta(minutes=1))

        held = await stack.hold(await stack.free_slot(nth=3), visitor=stack.visitor("bo"))
        await follows()
        await stack.parts.hold.give_up(held.id)
        await follows()
        booking = await stack.confirmed()
        await follows()
        person = (await stack.parts.working_hours.people())[0]
        noon = booking.starts_at + timedelta(days=2)
        block = await stack.parts.working_hours.take_off(
            person, noon, noon + timedelta(hours=1), by="eva@studio.example"
        )
        await follows()
        moved = await stack.move(booking, await stack.in_days(5))
        await follows()
        await stack.tick(after=timedelta(minutes=1), times=3)
        await follows()
        await stack.parts.working_hours.take_back(block.id, by="eva@studio.example")
        await follows()
        await stack.cancel(moved.booking)
        await follows()
        assert other.availability.occupied(other.widgets["studio"]) == ()


async def test_a_host_whose_clock_is_ahead_misses_nothing(stack: Stack, tmp_path: Path) -> None:
    """It looks, its clock is set back, and what is taken then seems to be older than its last look."""
    async with AsyncExitStack() as running:
        [other] = await processes(running, stack, tmp_path, 1)
        stack.clock.advance(timedelta(minutes=7))
        await shown(stack, other)
        await other.availability.catch_up()
        stack.clock.advance(timedelta(minutes=-7))
        held = await stack.hold()
        await other.availability.catch_up()
        assert [row.reservation_id for row in other.availability.occupied(other.widgets["studio"])] == [
            held.reservation.id
        ]


async def test_what_a_host_wrote_with_a_wrong_clock_is_seen_within_the_hour(stack: Stack) -> None:
    async with one_that_does_not_listen(stack) as other:
        await other.catch_up()
        held = await stack.hold()
        async with stack.parts.store._write() as connection:
            changed = sa.update(reservations).values(occupancy_at=stack.clock() - timedelta(hours=3))
            await connection.execute(changed)
        await other.catch_up()
        assert other.occupied() == ()
        stack.clock.advance(timedelta(minutes=61))
        await other.catch_up()
        assert [row.reservation_id for row in other.occupied()] == [held.reservation.id]


async def test_a_time_that_was_taken_when_the_month_was_read_is_back_once_another_process_has_freed_it(
    stack: Stack, tmp_path: Path
) -> None:
    """Also where another month was read before the process has caught up."""
    async with AsyncExitStack() as running:
        [other] = await processes(running, stack, tmp_path, 1)
        held = await stack.hold()
        person = held.resource_id
        assert held.starts_at not in await shown(stack, other, person=person)
        await stack.parts.hold.give_up(held.id)
        service = await other.availability.service(other.widgets["studio"], stack.portrait_id)
        month = next_month(stack.clock().date())
        await other.availability.times(other.widgets["studio"], service, month=month)
        await other.availability.catch_up()
        assert held.starts_at in await shown(stack, other, person=person)


async def test_what_another_process_has_read_is_not_missed_where_the_database_fails_meanwhile(
    stack: Stack, tmp_path: Path
) -> None:
    """It fails for minutes, each time after it has told which months are new."""
    async with AsyncExitStack() as running:
        [one] = await processes(running, stack, tmp_path, 1)
        other = await running.enter_async_context(one_that_does_not_listen(stack))
        widget = one.widgets["studio"]
        service = await other.service(widget, stack.portrait_id)
        month = stack.clock().date().replace(day=1)
        [free, *_] = (await other.times(widget, service, month=month)).slots
        await shown(stack, one)
        stack.clock.advance(timedelta(minutes=2))
        for _ in service.resources:
            await stack.side.stranger_takes(free.starts_at)
        one.availability.hinted("hapio")
        await until(lambda: doubted(one))
        stack.clock.advance(timedelta(seconds=1))
        await shown(stack, one)
        await until(lambda: read_again(one, stack.clock()))
        for _ in range(2):
            await rename_column(stack, "body", "lost")
            with pytest.raises(SQLAlchemyError):
                await other.catch_up()
            await rename_column(stack, "lost", "body")
            stack.clock.advance(timedelta(minutes=3))
        await other.catch_up()
        assert free.starts_at not in [
            slot.starts_at for slot in (await other.times(widget, service, month=month)).slots
        ]


@asynccontextmanager
async def one_that_does_not_listen(stack: Stack) -> AsyncIterator[SchedulerAvailability]:
    """The times of a process that catches up only when it is told to."""
    store, now = stack.parts.store, stack.clock
    options = ClientOptions(
        base_url=HAPIO_URL, now=now, random=stack.random, sleep=no_wait, transport=stack.side.transport()
    )
    client = HapioClient(options, token=stack.hapio.token)
    times = SchedulerAvailability(
        name="hapio",
        scheduler=HapioScheduler(client),
        occupancy=store,
        budget=CallBudget(calls_per_month=10_000, counter="hapio_calls", now=now),
        now=now,
        ttl=45,
        max_age=3600,
        shared=SharedReads(store, scheduler="hapio", holder="quiet", now=now, sleep=no_wait),
    )
    yield times
    await times.aclose()
    await client.aclose()


async def rename_column(stack: Stack, name: str, to: str) -> None:
    """What was read of a month cannot be read under another name."""
    async with stack.parts.store._write() as connection:
        await connection.execute(sa.text(f"ALTER TABLE readings RENAME COLUMN {name} TO {to}"))
