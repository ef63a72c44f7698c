"""Canceling and moving at Calendly: a move is a new event, and the old one is cancelled when it is let go."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app.errors import (
    SchedulerError,
    SchedulerFailed,
    SchedulerForbidden,
    SchedulerNotFound,
    SchedulerRefused,
    SchedulerUnreachable,
)
from sandbox.calendly import ALL_SCOPES, Fault
from tests.support.calendly_adviser import HOUR, TEN, VISIT, CalendlyAdviser, open_adviser

#: Two days after TEN, 10:00 in New York.
THURSDAY = TEN + timedelta(days=2)
BEFORE = ["error_before", "drop_before", "hang", "html_body"]
AFTER = ["error_after", "drop_after", "hang_after"]


@pytest.fixture
async def adviser() -> AsyncIterator[CalendlyAdviser]:
    async with open_adviser() as adviser:
        yield adviser


def fault(kind: str, path: str, **more: Any) -> Fault:
    return Fault(kind, **{"method": "POST", "path": path, **more})  # type: ignore[arg-type]  # a literal, parametrized


async def moved(adviser: CalendlyAdviser, reference: str) -> str:
    """Move to Thursday, as the acts do under the booking's own id."""
    lock = "none:mv_1"
    return (await adviser.scheduler.move(reference, adviser.wanted(THURSDAY), VISIT, lock=lock)).id


# cancel and release


@pytest.mark.parametrize("act", ["cancel", "release"])
@pytest.mark.parametrize("reasons", ["accepted", "refused"])
async def test_a_booking_is_canceled_with_a_reason_where_one_is_taken(
    adviser: CalendlyAdviser, act: str, reasons: str
) -> None:
    adviser.sandbox.switches.update({"cancel_with_reason": reasons})
    reference = await adviser.booked()
    await getattr(adviser.scheduler, act)(reference)
    assert adviser.active() == []
    cancellation = adviser.sandbox.state.events[reference].cancellation
    assert cancellation
    assert bool(cancellation.reason) is (reasons == "accepted")


@pytest.mark.parametrize("act", ["cancel", "release"])
async def test_what_is_canceled_already_by_whomever_is_what_was_wanted(adviser: CalendlyAdviser, act: str) -> None:
    ours, theirs = await adviser.booked(), await adviser.booked(THURSDAY, tag="bk_2")
    adviser.sandbox.cancel_as_invitee(adviser.invitee_of(theirs))
    for _ in range(2):
        await getattr(adviser.scheduler, act)(ours)
        await getattr(adviser.scheduler, act)(theirs)
    assert adviser.active() == []


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_a_cancellation_whose_answer_is_lost_is_made_once(adviser: CalendlyAdviser, kind: str) -> None:
    reference = await adviser.booked()
    adviser.sandbox.faults.append(fault(kind, "/cancellation$"))
    await adviser.scheduler.cancel(reference)
    assert adviser.active() == []
    adviser.sandbox.faults.append(fault(kind, "/cancellation$", times=3))
    second = await adviser.booked(THURSDAY, tag="bk_2")
    if kind in BEFORE:
        with pytest.raises((SchedulerUnreachable, SchedulerFailed)):
            await adviser.scheduler.cancel(second)
        assert adviser.active() == [second]


async def test_a_visit_that_has_begun_is_not_canceled_any_more_and_takes_up_nothing_to_come(
    adviser: CalendlyAdviser,
) -> None:
    reference = await adviser.booked()
    adviser.clock.set(TEN + HOUR)
    with pytest.raises(SchedulerRefused):
        await adviser.scheduler.cancel(reference)
    await adviser.scheduler.release(reference)
    assert adviser.active() == [reference]


async def test_a_token_that_may_not_cancel_is_told_as_such(adviser: CalendlyAdviser) -> None:
    reference = await adviser.booked()
    adviser.sandbox.set_scopes(sorted(ALL_SCOPES - {"scheduled_events:write"} | {"scheduled_events:read"}))
    for act in (adviser.scheduler.cancel, adviser.scheduler.release):
        with pytest.raises(SchedulerForbidden):
            await act(reference)
    assert adviser.active() == [reference]


async def test_a_cancellation_that_is_refused_for_no_known_reason_is_told(adviser: CalendlyAdviser) -> None:
    reference = await adviser.booked()
    adviser.sandbox.faults.append(fault("refuse", "/cancellation$", status=400, times=2))
    with pytest.raises(SchedulerError):
        await adviser.scheduler.cancel(reference)
    assert adviser.active() == [reference]


async def test_a_cancellation_is_undone_by_booking_again_alone(adviser: CalendlyAdviser) -> None:
    reference = await adviser.booked()
    await adviser.scheduler.cancel(reference)
    calls = len(adviser.sandbox.calls)
    with pytest.raises(SchedulerNotFound):
        await adviser.scheduler.restore(reference)
    assert len(adviser.sandbox.calls) == calls
    again = await adviser.scheduler.confirm(None, adviser.wanted(), VISIT)
    assert adviser.active() == [again.id]


async def test_a_customer_is_not_forgotten_there_by_us(adviser: CalendlyAdviser) -> None:
    reference = await adviser.booked()
    with pytest.raises(SchedulerError, match="by hand"):
        await adviser.scheduler.forget(reference, {"holdfast_id": "bk_1"})


# moves


async def test_a_move_makes_a_new_event_and_the_old_one_ends_when_it_is_released(adviser: CalendlyAdviser) -> None:
    old = await adviser.booked()
    new = await moved(adviser, old)
    assert adviser.active() == [old, new]
    there = await adviser.scheduler.read(new)
    assert (there.starts_at, there.metadata) == (THURSDAY, {"holdfast_id": "bk_1"})
    await adviser.scheduler.release(old)
    assert adviser.active() == [new]


async def test_a_move_to_another_service_is_an_event_of_that_type(adviser: CalendlyAdviser) -> None:
    old = await adviser.booked()
    wanted = adviser.wanted(THURSDAY, service_id=adviser.review)
    new = await adviser.scheduler.move(old, wanted, VISIT, lock=None)
    assert (await adviser.scheduler.read(new.id)).service_id == adviser.review
    assert adviser.orders()[-1]["location"] == {"kind": "physical"}


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER, "truncated_json"])
async def test_a_move_whose_answer_is_lost_makes_one_event(adviser: CalendlyAdviser, kind: str) -> None:
    old = await adviser.booked()
    adviser.sandbox.faults.append(fault(kind, "/invitees$"))
    new = await moved(adviser, old)
    assert adviser.active() == [old, new]


async def test_a_move_of_an_earlier_life_is_taken_over(adviser: CalendlyAdviser) -> None:
    old = await adviser.booked()
    new = await moved(adviser, old)
    assert await moved(adviser, old) == new
    adviser.sandbox.cancel_as_invitee(adviser.invitee_of(old))
    assert await moved(adviser, old) == new
    assert adviser.active() == [new]


async def test_a_booking_moves_there_and_back_again(adviser: CalendlyAdviser) -> None:
    first = await adviser.booked()
    second = await moved(adviser, first)
    await adviser.scheduler.release(first)
    third = (await adviser.scheduler.move(second, adviser.wanted(), VISIT, lock=None)).id
    await adviser.scheduler.release(second)
    assert third not in {first, second}
    assert adviser.active() == [third]


async def test_a_move_to_a_time_that_is_taken_leaves_the_booking_where_it_was(adviser: CalendlyAdviser) -> None:
    old = await adviser.booked()
    theirs = adviser.sandbox.book(adviser.session, THURSDAY)["event"].rpartition("/")[2]
    with pytest.raises(SchedulerRefused):
        await moved(adviser, old)
    with pytest.raises(SchedulerRefused):
        await adviser.scheduler.move(old, adviser.wanted(TEN + HOUR / 2), VISIT, lock=None)
    assert adviser.active() == [old, theirs]


async def test_a_booking_that_was_canceled_or_moved_there_meanwhile_is_not_moved(adviser: CalendlyAdviser) -> None:
    canceled, elsewhere = await adviser.booked(), await adviser.booked(TEN + 4 * HOUR, tag="bk_2")
    adviser.sandbox.cancel_as_invitee(adviser.invitee_of(canceled))
    adviser.sandbox.reschedule(adviser.invitee_of(elsewhere), THURSDAY + 4 * HOUR)
    for reference in (canceled, elsewhere, "NOBODY"):
        with pytest.raises(SchedulerNotFound):
            await moved(adviser, reference)
    assert adviser.creates == 2
