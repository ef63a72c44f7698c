"""The machine's clock is set back or forth, by an hour: what is planned by it follows, and nobody is shut out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.breaker import Breaker
from app.domain.booking import Status
from app.errors import RateLimited, SchedulerError
from app.protection.rate_limits import RateLimits, Rule
from sandbox.clock import Clock
from sandbox.hapio import Fault
from tests.support.backups import OWNER
from tests.support.figures import TOKEN, figure
from tests.support.owner_calendar import booked, in_hapio
from tests.support.processes import another_process
from tests.support.stack import Stack, open_stack

HOUR = timedelta(hours=1)


async def test_the_workers_age_is_never_below_zero(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        await stack.tick()
        stack.clock.advance(-HOUR)
        assert await figure(stack, "worker_age_seconds") == 0
        stack.clock.advance(timedelta(seconds=40))
        assert await figure(stack, "worker_age_seconds") == 40


@pytest.mark.parametrize("watched", [True, False])
async def test_a_worker_that_dies_is_noticed_although_the_clock_was_set_back(stack: Stack, watched: bool) -> None:
    await stack.tick()
    if watched:
        assert (await stack.client.get("/readyz")).status_code == 200
    stack.clock.advance(-HOUR)
    assert (await stack.client.get("/readyz")).status_code == 200
    stack.clock.advance(timedelta(minutes=2))
    answer = await stack.client.get("/readyz")
    assert (answer.status_code, answer.json()["worker"]) == (503, "late")


async def test_a_worker_that_lives_is_ready_before_and_after_each_step(stack: Stack) -> None:
    for step in (timedelta(0), -HOUR, timedelta(minutes=5), HOUR, -HOUR):
        await stack.tick(after=step)
        assert (await stack.client.get("/readyz")).status_code == 200, step


async def test_who_was_at_a_limit_waits_no_longer_than_its_window() -> None:
    clock = Clock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    rate_limits, rule = RateLimits(clock), Rule.of("knock", "3/minute")
    for _ in range(2):
        await rate_limits.check(rule, "anna")
    clock.advance(timedelta(seconds=10))
    await rate_limits.check(rule, "anna")
    clock.advance(-HOUR)
    with pytest.raises(RateLimited) as refused:
        await rate_limits.check(rule, "anna")
    assert refused.value.retry_after == 50
    assert await rate_limits.usage(rule, "anna") == (3, 0, 50)
    clock.advance(timedelta(seconds=50))
    await rate_limits.check(rule, "anna")


def test_a_provider_that_was_down_is_asked_again_after_the_usual_pause() -> None:
    clock = Clock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
    clock.advance(-HOUR)
    assert breaker.retry_after == 30
    clock.advance(timedelta(seconds=30))
    assert breaker.check() == 0


async def test_lost_payments_are_looked_for_as_often_as_ever(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.hold()
        await stack.tick()
        stack.clock.advance(-HOUR)
        await stack.tick()
        reads = len(stack.stripe.calls)
        await stack.tick(after=timedelta(minutes=11))
        assert len(stack.stripe.calls) > reads
        assert await stack.status(booking) is Status.HELD


@pytest.mark.both_databases
async def test_one_of_several_processes_looks_for_lost_payments_as_often_as_ever(tmp_path: Path, database: str) -> None:
    async with (
        open_stack(tmp_path, webhooks=False, database=database) as stack,
        another_process(stack, tmp_path, stack.settings.database_url, shared=True) as other,
    ):
        booking = await stack.hold()
        await other.worker.tick()
        stack.clock.advance(-HOUR)
        reads = len(stack.stripe.calls)
        for _ in range(2):
            await other.worker.tick()
            stack.clock.advance(timedelta(minutes=11))
        assert len(stack.stripe.calls) > reads
        assert await stack.status(booking) is Status.HELD


@pytest.mark.parametrize("shared", [False, True])
async def test_what_the_owner_cancels_at_the_scheduler_is_followed_as_soon_as_ever(
    stack: Stack, tmp_path: Path, shared: bool
) -> None:
    booking = await booked(stack)
    database = stack.settings.database_url
    async with another_process(stack, tmp_path, database, shared=shared) as other:
        await other.worker.tick()
        stack.clock.advance(-HOUR)
        await in_hapio(stack, booking, is_canceled=True)
        for _ in range(10):
            await other.worker.tick()
            stack.clock.advance(timedelta(minutes=10))
        assert await stack.status(booking) is Status.CANCELED


@pytest.mark.both_databases
async def test_only_one_of_several_processes_sweeps_although_their_clocks_differ(stack: Stack) -> None:
    store, nine_minutes = stack.parts.store, timedelta(minutes=9)
    assert await store.take_turn("sweep", until=stack.clock() + nine_minutes)
    stack.clock.advance(timedelta(seconds=-50))
    assert not await store.take_turn("sweep", until=stack.clock() + nine_minutes)


async def test_hours_are_told_as_soon_as_ever(stack: Stack) -> None:
    person = (await stack.parts.working_hours.people())[0]
    noon = await stack.in_days(2)
    for step in (timedelta(0), -HOUR):
        stack.clock.advance(step)
        noon += timedelta(days=1)
        await stack.parts.working_hours.take_off(person, noon, noon + HOUR, by=OWNER)
        await stack.parts.worker.tick()
        assert await stack.parts.working_hours.untold() == []


async def test_the_owner_hears_of_what_waits_as_soon_as_ever(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": (OWNER,)}) as stack:
        await stack.tick()
        stack.clock.advance(-HOUR)
        booking = await stack.hold()
        stack.hapio.faults.append(Fault("error_before", times=None))
        await stack.paid(booking)
        for _ in range(8):
            await stack.tick(after=timedelta(minutes=5))
        assert await stack.status(booking) is Status.PAID
        assert "Needs your attention" in [subject.partition(":")[0] for subject in await stack.mail(OWNER)]


async def test_a_time_that_is_taken_at_the_scheduler_disappears_as_soon_as_ever(stack: Stack) -> None:
    start = await stack.free_slot()
    stack.clock.advance(-HOUR)
    await stack.side.stranger_takes(start)
    for _ in range(3):
        stack.clock.advance(timedelta(minutes=2))
        shown = await stack.free_slot()
    assert shown != start


async def test_a_scheduler_that_had_failed_is_asked_again_after_the_usual_pause(stack: Stack) -> None:
    stack.hapio.faults.append(Fault("error_before", times=None))
    with pytest.raises(SchedulerError):
        await stack.free_slot()
    stack.hapio.faults.clear()
    stack.clock.advance(-HOUR)
    stack.clock.advance(timedelta(minutes=1))
    assert await stack.free_slot()


async def test_what_is_on_offer_is_read_again_as_soon_as_ever_where_the_scheduler_contradicts_it(stack: Stack) -> None:
    def reads() -> int:
        return sum(call.path == "/v1/services" for call in stack.hapio.calls)

    await stack.free_slot()
    await stack.parts.availability.contradicted(stack.parts.widgets["studio"])
    stack.clock.advance(-HOUR)
    before = reads()
    await stack.parts.availability.contradicted(stack.parts.widgets["studio"])
    assert reads() == before + 1
    await stack.parts.availability.contradicted(stack.parts.widgets["studio"])
    assert reads() == before + 1


async def test_a_mail_about_a_change_waits_a_quarter_of_an_hour_at_most(stack: Stack) -> None:
    booking = await stack.confirmed()
    for day, step in ((5, timedelta(0)), (6, -HOUR)):
        stack.clock.advance(step)
        await stack.move(booking, await stack.in_days(day))
        await stack.tick()
        await stack.tick(after=timedelta(minutes=16))
    subjects = await stack.mail("anna@customer.example")
    assert [subject.partition(":")[0] for subject in subjects].count("Moved") == 2


async def test_calls_that_the_clock_was_set_back_in_do_not_make_the_figures_fall(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        stack.parts.metrics.called("hapio", "getBookings", "200", 3.0)
        before = await figure(stack, "provider_seconds_sum", provider="hapio")
        stack.parts.metrics.called("hapio", "getBookings", "200", -3600.0)
        assert await figure(stack, "provider_seconds_sum", provider="hapio") == before


@pytest.mark.parametrize("step", [-HOUR, HOUR])
async def test_a_booking_that_was_begun_before_the_step_can_be_paid_or_says_in_words_that_its_hold_has_ended(
    stack: Stack, step: timedelta
) -> None:
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    stack.clock.advance(step)
    answer = await stack.client.post(f"/b/{token}/pay")
    assert answer.status_code == 303
    await stack.until_quiet()
    assert stack.money_kept() == 0
