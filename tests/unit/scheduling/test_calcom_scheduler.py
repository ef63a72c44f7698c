"""Taking, keeping, moving and giving back a time at Cal.com, and what is done when it does not answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.errors import (
    SchedulerError,
    SchedulerForbidden,
    SchedulerNotFound,
    SchedulerRateLimited,
    SchedulerRefused,
    SchedulerUnreachable,
)
from app.scheduling.port import LockKind
from sandbox.calcom import Account
from sandbox.faults import Fault, FaultKind
from tests.support.calcom_coach import ADA, HOUR, METADATA, MINUTE, TEN, CalcomCoach, open_coach, visit

#: How a call can end without a usable answer, before its effect and after it.
BEFORE: tuple[FaultKind, ...] = ("error_before", "drop_before", "hang", "html_body")
AFTER: tuple[FaultKind, ...] = ("error_after", "drop_after", "hang_after", "truncated_json")
TWO = TEN + 4 * HOUR


@pytest.fixture
async def coach() -> AsyncIterator[CalcomCoach]:
    async with open_coach() as coach:
        await coach.scheduler.services()
        coach.sandbox.calls.clear()
        yield coach


async def test_its_locks_are_a_courtesy(coach: CalcomCoach) -> None:
    traits = coach.scheduler.traits
    assert traits.lock is LockKind.COURTESY
    assert (traits.keeps_metadata, traits.mails_customer, traits.prices) == (False, True, False)


# Locking


async def test_a_lock_hides_the_time_for_as_long_as_it_is_needed(coach: CalcomCoach) -> None:
    locked = await coach.scheduler.lock(coach.wanted(), until=coach.clock() + 75 * MINUTE + timedelta(seconds=1))
    [reservation] = coach.sandbox.state.reservations.values()
    assert (locked.reference, locked.price) == (f"reservation:{reservation.uid}", None)
    assert (reservation.start, reservation.until) == (TEN, coach.clock() + 76 * MINUTE)
    assert not await listed(coach)
    coach.clock.set(reservation.until)
    assert await listed(coach)


async def listed(coach: CalcomCoach) -> bool:
    """Whether others are offered the time."""
    found = await coach.scheduler.bookable_slots(
        coach.session, location_id=coach.owner_id, starts_from=TEN, ends_to=TEN + HOUR
    )
    return bool(found)


async def test_a_lock_for_less_than_cal_coms_own_minutes_has_these(coach: CalcomCoach) -> None:
    await coach.scheduler.lock(coach.wanted(), until=coach.clock() - MINUTE)
    [reservation] = coach.sandbox.state.reservations.values()
    assert reservation.until == coach.clock() + 5 * MINUTE


async def test_a_taken_time_is_refused(coach: CalcomCoach) -> None:
    await coach.lock()
    with pytest.raises(SchedulerRefused):
        await coach.lock()
    coach.sandbox.book_as_stranger(int(coach.session), TWO)
    with pytest.raises(SchedulerRefused):
        await coach.lock(TWO)


async def test_where_long_reservations_are_refused_a_short_one_is_made(coach: CalcomCoach) -> None:
    coach.sandbox.switches.reservation_cap_minutes = 30
    assert (await coach.lock()).startswith("reservation:")
    [reservation] = coach.sandbox.state.reservations.values()
    assert reservation.until == coach.clock() + 5 * MINUTE


async def test_where_even_a_short_reservation_is_refused_the_booking_goes_on_without(coach: CalcomCoach) -> None:
    coach.sandbox.switches.reservation_cap_minutes = 1
    lock = await coach.lock()
    assert lock == "none:bk_1"
    assert (await coach.confirm(lock)).starts_at == TEN


async def test_a_key_that_may_not_say_how_long_reserves_for_cal_coms_own_minutes(coach: CalcomCoach) -> None:
    coach.sandbox.add_user(Account("otto", "Otto Other", "otto@example.test", "Europe/Berlin"), "cal_otto")
    locked = await coach.make_scheduler("cal_otto").lock(coach.wanted(), until=coach.clock() + HOUR)
    assert locked.reference.startswith("reservation:")
    [reservation] = coach.sandbox.state.reservations.values()
    assert reservation.until == coach.clock() + 5 * MINUTE


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_after_a_lost_answer_the_booking_goes_on_without_a_reservation(
    coach: CalcomCoach, kind: FaultKind
) -> None:
    coach.sandbox.faults.append(Fault(kind, path="/reservations$"))
    lock = await coach.lock()
    assert lock == "none:bk_1"
    assert len(coach.called("POST", "/reservations")) == 1
    assert (await coach.confirm(lock)).starts_at == TEN


async def test_a_lock_that_was_certainly_not_made_is_an_error(coach: CalcomCoach) -> None:
    coach.sandbox.faults.append(Fault("rate_limited", path="/reservations$"))
    with pytest.raises(SchedulerRateLimited):
        await coach.lock()
    with pytest.raises(SchedulerNotFound):
        await coach.scheduler.lock(coach.wanted(service="999999"), until=coach.clock() + HOUR)


async def test_giving_a_lock_back_shows_the_time_again_and_can_be_repeated(coach: CalcomCoach) -> None:
    lock = await coach.lock()
    for _ in range(2):
        await coach.scheduler.release(lock)
    assert await listed(coach)
    coach.sandbox.calls.clear()
    await coach.scheduler.release("none:bk_1")
    assert coach.sandbox.calls == []


async def test_a_lock_is_no_booking(coach: CalcomCoach) -> None:
    for lock in (await coach.lock(), "none:bk_1"):
        with pytest.raises(SchedulerNotFound):
            await coach.scheduler.read(lock)
    assert await coach.scheduler.find(coach.wanted(), visit()) == []


# Confirming


async def test_a_confirmed_booking_tells_cal_com_who_comes_and_nothing_personal_beside(coach: CalcomCoach) -> None:
    lock = await coach.lock()
    booking = await coach.confirm(lock)
    [call] = coach.called("POST", "/bookings")
    assert call.body == {
        "start": "2026-11-24T10:00:00Z",
        "eventTypeId": int(coach.session),
        "attendee": {
            "name": ADA.name,
            "email": ADA.email,
            "timeZone": "Europe/Stockholm",
            "language": "sv",
            "phoneNumber": ADA.phone,
        },
        "metadata": {"holdfast_id": "bk_1", "paid_amount": "65.00", "utm_source": "newsletter"},
    }
    assert coach.there() == [(TEN, "accepted")]
    assert booking.metadata["holdfast_id"] == "bk_1"
    assert coach.sandbox.state.reservations == {}


@pytest.mark.parametrize(
    ("told", "attendee"),
    [
        ({"time_zone": ""}, {"timeZone": "Europe/London"}),
        ({"time_zone": "Mars/Olympus"}, {"timeZone": "Europe/London"}),
        ({"time_zone": "Asia/Calcutta"}, {"timeZone": "Asia/Kolkata"}),
        ({"language": "tlh"}, {"language": "en"}),
        ({"language": "sv-FI"}, {"language": "sv"}),
        ({"language": "pt"}, {"language": "pt-BR"}),
        ({"language": "nb"}, {"language": "no"}),
        ({"customer": type(ADA)("Ada", ADA.email, phone="112")}, {"phoneNumber": None}),
        ({"customer": type(ADA)("Ada", ADA.email)}, {"phoneNumber": None}),
    ],
)
async def test_what_cal_com_does_not_know_of_a_visitor_costs_no_booking(
    coach: CalcomCoach, told: dict[str, Any], attendee: dict[str, Any]
) -> None:
    await coach.scheduler.confirm(None, coach.wanted(), visit(**told))
    [call] = coach.called("POST", "/bookings")
    assert {name: call.body["attendee"].get(name) for name in attendee} == attendee


async def test_more_metadata_than_cal_com_takes_costs_no_booking(coach: CalcomCoach) -> None:
    much = METADATA | {f"utm_{number}": "x" * 600 for number in range(80)} | {"k" * 41: "v"}
    await coach.scheduler.confirm(None, coach.wanted(), visit(metadata=much))
    [call] = coach.called("POST", "/bookings")
    assert call.body["metadata"]["holdfast_id"] == "bk_1"
    assert len(call.body["metadata"]) == 50
    assert max(map(len, call.body["metadata"].values())) == 500


async def test_nobody_is_booked_without_a_customer(coach: CalcomCoach) -> None:
    with pytest.raises(SchedulerError, match="without a customer"):
        await coach.scheduler.confirm(None, coach.wanted(), visit(customer=None))
    assert coach.called("POST", "/bookings") == []


@pytest.mark.parametrize("status", [400, 409])
async def test_a_time_that_a_stranger_took_meanwhile_is_refused(coach: CalcomCoach, status: Any) -> None:
    coach.sandbox.switches.taken_status = status
    lock = await coach.lock()
    coach.sandbox.book_as_stranger(int(coach.session), TEN)
    with pytest.raises(SchedulerRefused) as refused:
        await coach.confirm(lock)
    assert "not available" in refused.value.body
    assert coach.there() == [(TEN, "accepted")]
    assert len(coach.called("POST", "/bookings")) == 1


async def test_a_refusal_of_a_time_that_is_still_offered_is_the_owners_to_mend(coach: CalcomCoach) -> None:
    await coach.set_type(bookingFields=[{"type": "text", "slug": "dog", "required": True}])
    lock = await coach.lock()
    with pytest.raises(SchedulerError, match="Missing required booking field") as raised:
        await coach.confirm(lock)
    assert not isinstance(raised.value, SchedulerRefused)
    assert not raised.value.outcome_unknown
    assert coach.there() == []


async def test_an_attendee_whom_the_owner_has_blocked_is_the_owners_to_mend(coach: CalcomCoach) -> None:
    coach.sandbox.block_attendee(ADA.email)
    with pytest.raises(SchedulerForbidden):
        await coach.confirm()
    coach.sandbox.switches.decoy = True
    with pytest.raises(SchedulerError, match="does not exist") as raised:
        await coach.confirm()
    assert not raised.value.outcome_unknown
    assert coach.there() == []


async def test_a_reservation_that_stands_in_its_own_way_is_dropped_and_the_time_booked(coach: CalcomCoach) -> None:
    coach.sandbox.switches.reservation_enforced = True
    booking = await coach.confirm(await coach.lock())
    assert (booking.starts_at, coach.there()) == (TEN, [(TEN, "accepted")])
    assert len(coach.called("POST", "/bookings")) == 2


async def test_a_strangers_reservation_that_stands_in_the_way_has_the_time(coach: CalcomCoach) -> None:
    coach.sandbox.switches.reservation_enforced = True
    await coach.lock()
    with pytest.raises(SchedulerRefused):
        await coach.confirm("none:bk_1")
    assert coach.there() == []


@pytest.mark.parametrize("enforced", [True, False])
async def test_a_reservation_that_lapsed_costs_nothing(coach: CalcomCoach, enforced: bool) -> None:
    coach.sandbox.switches.reservation_enforced = enforced
    lock = await coach.lock()
    coach.clock.advance(3 * HOUR)
    assert (await coach.confirm(lock)).starts_at == TEN


async def test_a_reservation_that_cannot_be_dropped_is_left_to_lapse(coach: CalcomCoach) -> None:
    lock = await coach.lock()
    coach.sandbox.faults.append(Fault("error_before", times=3, method="DELETE"))
    assert (await coach.confirm(lock)).starts_at == TEN


@pytest.mark.parametrize("price", [True, False])
async def test_a_booking_that_waits_for_cal_coms_own_payment_or_a_yes_is_released(
    coach: CalcomCoach, price: bool
) -> None:
    if price:
        coach.sandbox.set_price(int(coach.session), 6500)
    else:
        coach.sandbox.set_confirmation(int(coach.session), True)
    with pytest.raises(SchedulerError, match="of its own"):
        await coach.confirm()
    assert coach.there() == [(TEN, "rejected")]
    # Each attempt mails the customer, so there is no second one before the owner has changed that.
    with pytest.raises(SchedulerError, match="payment app" if price else "your confirmation"):
        await coach.confirm()
    assert len(coach.there()) == 1
    coach.sandbox.set_price(int(coach.session), 0)
    coach.sandbox.set_confirmation(int(coach.session), False)
    assert (await coach.confirm()).starts_at == TEN


async def test_a_pending_booking_that_cannot_be_declined_is_canceled(coach: CalcomCoach) -> None:
    coach.sandbox.set_confirmation(int(coach.session), True)
    coach.sandbox.faults.append(Fault("refuse", status=400, path="/decline$"))
    with pytest.raises(SchedulerError, match="of its own"):
        await coach.confirm()
    assert coach.there() == [(TEN, "cancelled")]


@pytest.mark.parametrize("kind", BEFORE)
async def test_a_booking_that_was_not_made_is_made_by_a_second_try(coach: CalcomCoach, kind: FaultKind) -> None:
    coach.sandbox.faults.append(Fault(kind, method="POST", path="/bookings$"))
    assert (await coach.confirm()).starts_at == TEN
    assert coach.there() == [(TEN, "accepted")]
    assert len(coach.called("POST", "/bookings")) == 2


@pytest.mark.parametrize("kind", AFTER)
async def test_a_booking_whose_answer_was_lost_is_found_again(coach: CalcomCoach, kind: FaultKind) -> None:
    coach.sandbox.faults.append(Fault(kind, method="POST", path="/bookings$"))
    booking = await coach.confirm(await coach.lock())
    assert coach.there() == [(TEN, "accepted")]
    assert booking.id in coach.sandbox.state.bookings
    assert len(coach.called("POST", "/bookings")) == 1


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_after_a_service_that_never_answers_the_outcome_is_unknown(coach: CalcomCoach, kind: FaultKind) -> None:
    coach.sandbox.faults.append(Fault(kind, times=None, path="/bookings"))
    with pytest.raises(SchedulerError) as raised:
        await coach.confirm()
    assert raised.value.outcome_unknown
    assert 1 <= len(coach.called("POST", "/bookings")) <= 2
    coach.sandbox.faults.clear()
    coach.clock.advance(5 * MINUTE)
    assert (await coach.confirm()).starts_at == TEN
    assert coach.there() == [(TEN, "accepted")]


async def test_a_list_that_lags_never_makes_our_own_booking_look_like_a_strangers(coach: CalcomCoach) -> None:
    coach.sandbox.switches.list_lag_seconds = 30
    coach.sandbox.faults.append(Fault("drop_after", method="POST", path="/bookings$"))
    with pytest.raises(SchedulerUnreachable):
        await coach.confirm()
    coach.clock.advance(MINUTE)
    assert (await coach.confirm()).starts_at == TEN
    assert coach.there() == [(TEN, "accepted")]


async def test_a_create_that_lands_late_makes_no_second_booking(coach: CalcomCoach) -> None:
    coach.wire.late = True
    assert (await coach.confirm()).starts_at == TEN
    assert coach.there() == [(TEN, "accepted")]


async def test_a_stranger_who_comes_between_two_tries_leaves_it_open_what_became_of_the_first(
    coach: CalcomCoach,
) -> None:
    coach.sandbox.faults.append(Fault("drop_before", method="POST", path="/bookings$"))
    coach.sandbox.book_as_stranger(int(coach.session), TEN)
    with pytest.raises(SchedulerUnreachable):
        await coach.confirm()
    with pytest.raises(SchedulerRefused):
        await coach.confirm()


async def test_what_an_earlier_life_has_booked_is_the_answer(coach: CalcomCoach) -> None:
    lock = await coach.lock()
    first = await coach.confirm(lock)
    assert await coach.make_scheduler().confirm(lock, coach.wanted(), visit()) == first
    assert await coach.confirm(None) == first
    assert coach.there() == [(TEN, "accepted")]


async def test_a_booking_under_our_tag_at_another_time_is_not_the_answer(coach: CalcomCoach) -> None:
    await coach.confirm()
    coach.sandbox.book_as_stranger(int(coach.session), TWO)
    with pytest.raises(SchedulerRefused):
        await coach.confirm(starts_at=TWO)


async def test_confirming_a_booking_again_reads_it_wherever_it_is_by_now(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    assert await coach.confirm(made.id) == made
    moved = coach.sandbox.move_as_owner(made.id, TWO)["uid"]
    assert (await coach.confirm(made.id)).id == moved
    coach.sandbox.cancel_as_owner(moved)
    with pytest.raises(SchedulerNotFound):
        await coach.confirm(made.id)
    assert len(coach.called("POST", "/bookings")) == 1


@pytest.mark.parametrize("mode", ["atomic", "gap"])
async def test_two_processes_that_confirm_at_once_make_one_booking(coach: CalcomCoach, mode: Any) -> None:
    coach.sandbox.switches.race_mode = mode
    coach.sandbox.switches.race_parties = 2
    other = coach.make_scheduler()
    first, second = await asyncio.gather(coach.confirm(), other.confirm(None, coach.wanted(), visit()))
    assert first.id == second.id
    assert coach.there() == [(TEN, "accepted")]


# Looking


async def test_only_what_bears_our_tag_service_and_start_is_ours(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    coach.sandbox.book_as_stranger(int(coach.session), TWO)
    assert await coach.scheduler.find(coach.wanted(), visit()) == [made]
    for other in (coach.wanted(tag="bk_2"), coach.wanted(TWO), coach.wanted(service=coach.call)):
        assert await coach.scheduler.find(other, visit()) == []
    moved = coach.sandbox.move_as_owner(made.id, TWO + 2 * HOUR)["uid"]
    [old] = await coach.scheduler.find(coach.wanted(), visit())
    assert (old.id, old.is_canceled, old.successor) == (made.id, True, moved)


async def test_what_stands_under_our_tag_is_found_at_whatever_time_it_is(coach: CalcomCoach) -> None:
    made, customer = await coach.confirm(), visit().customer
    assert customer
    assert await coach.scheduler.standing("bk_1", customer.email) == made
    moved = coach.sandbox.move_as_owner(made.id, TWO)["uid"]
    there = await coach.scheduler.standing("bk_1", customer.email)
    assert there
    assert (there.id, there.starts_at) == (moved, TWO)
    assert await coach.scheduler.standing("bk_2", customer.email) is None
    coach.sandbox.cancel_as_owner(moved)
    assert await coach.scheduler.standing("bk_1", customer.email) is None


async def test_finding_needs_no_customer_and_names_none_in_the_address(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    assert await coach.scheduler.find(coach.wanted(), visit(customer=None)) == [made]
    assert all("ada" not in call.query.lower() for call in coach.sandbox.calls)


# Moving


async def test_a_move_makes_a_new_booking_that_carries_our_tag(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    moved = await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=None)
    assert moved.id != made.id
    assert (moved.starts_at, moved.metadata["holdfast_id"]) == (TWO, "bk_1")
    [call] = coach.called("POST", "/reschedule")
    assert call.body == {"start": "2026-11-24T14:00:00Z", "rescheduledBy": "maya@collins-coaching.example"}
    coach.sandbox.calls.clear()
    await coach.scheduler.release(made.id)
    assert sorted(status for _start, status in coach.there()) == ["accepted", "cancelled"]
    assert len(coach.sandbox.calls) == 1


@pytest.mark.parametrize("enforced", [True, False])
async def test_a_move_to_a_reserved_time_gives_the_reservation_back(coach: CalcomCoach, enforced: bool) -> None:
    coach.sandbox.switches.reservation_enforced = enforced
    made = await coach.confirm()
    moved = await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=await coach.lock(TWO))
    assert moved.starts_at == TWO
    assert coach.sandbox.state.reservations == {}


async def test_a_move_that_is_made_already_is_the_answer(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    first = await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=None)
    again = await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock="none:mv_1")
    assert again == first
    assert len(coach.called("POST", "/reschedule")) == 1


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_a_move_happens_once_whenever_its_answer_is_lost(coach: CalcomCoach, kind: FaultKind) -> None:
    made = await coach.confirm()
    coach.sandbox.faults.append(Fault(kind, path="/reschedule$"))
    moved = await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=None)
    assert moved.starts_at == TWO
    assert sorted(coach.there()) == [(TEN, "cancelled"), (TWO, "accepted")]


async def test_a_move_to_a_time_that_a_stranger_has_leaves_the_booking_where_it_was(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    lock = await coach.lock(TWO)
    coach.sandbox.book_as_stranger(int(coach.session), TWO)
    with pytest.raises(SchedulerRefused):
        await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=lock)
    assert (await coach.scheduler.read(made.id)).starts_at == TEN
    assert not (await coach.scheduler.read(made.id)).is_canceled


async def test_a_move_by_half_its_length_is_possible(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    moved = await coach.scheduler.move(made.id, coach.wanted(TEN + 30 * MINUTE), visit(), lock=None)
    assert moved.starts_at == TEN + 30 * MINUTE


@pytest.mark.parametrize("to", [TWO, TEN + 30 * MINUTE], ids=["elsewhere", "by half its length"])
async def test_a_move_that_is_refused_although_the_time_is_free_is_the_owners_to_mend(
    coach: CalcomCoach, to: datetime
) -> None:
    """The booking's own time does not count as taken."""
    made = await coach.confirm()
    coach.sandbox.faults.append(Fault("refuse", status=400, path="/reschedule$"))
    with pytest.raises(SchedulerError) as raised:
        await coach.scheduler.move(made.id, coach.wanted(to), visit(), lock=None)
    assert not isinstance(raised.value, SchedulerRefused)


@pytest.mark.parametrize("binds_owner", [False, True])
async def test_moving_disabled_for_customers_need_not_bind_the_owner(coach: CalcomCoach, binds_owner: bool) -> None:
    coach.sandbox.switches.disabled_rescheduling_binds_owner = binds_owner
    coach.sandbox.set_rescheduling(int(coach.session), False)
    made = await coach.confirm()
    if binds_owner:
        with pytest.raises(SchedulerForbidden):
            await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=None)
    else:
        assert (await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=None)).starts_at == TWO


async def test_a_canceled_booking_is_not_moved_and_says_so(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    coach.sandbox.cancel_as_owner(made.id)
    assert (await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=None)).is_canceled
    assert coach.called("POST", "/reschedule") == []


async def test_a_booking_that_the_owner_has_moved_meanwhile_is_moved_from_there(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    coach.sandbox.move_as_owner(made.id, TEN + 5 * HOUR)
    moved = await coach.scheduler.move(made.id, coach.wanted(TWO), visit(), lock=None)
    assert moved.starts_at == TWO
    assert [start for start, status in coach.there() if status == "accepted"] == [TWO]


async def test_to_another_service_a_new_booking_is_made_and_the_old_one_stands_until_it_is_released(
    coach: CalcomCoach,
) -> None:
    made = await coach.confirm()
    wanted = coach.wanted(TWO, service=coach.call)
    for _ in range(2):
        moved = await coach.scheduler.move(made.id, wanted, visit(), lock=None)
    assert (moved.service_id, moved.starts_at, moved.metadata["holdfast_id"]) == (coach.call, TWO, "bk_1")
    assert sorted(coach.there()) == [(TEN, "accepted"), (TWO, "accepted")]
    await coach.scheduler.release(made.id)
    assert sorted(coach.there()) == [(TEN, "cancelled"), (TWO, "accepted")]


# Giving back, cancelling


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_a_cancellation_happens_once_whenever_its_answer_is_lost(coach: CalcomCoach, kind: FaultKind) -> None:
    for act in (coach.scheduler.cancel, coach.scheduler.release):
        made = await coach.confirm()
        coach.sandbox.faults.append(Fault(kind, path="/cancel$"))
        for _ in range(2):
            await act(made.id)
        assert (await coach.scheduler.read(made.id)).is_canceled


async def test_what_is_gone_is_not_there_to_cancel_and_needs_no_release(coach: CalcomCoach) -> None:
    await coach.scheduler.release("nobody")
    with pytest.raises(SchedulerNotFound):
        await coach.scheduler.cancel("nobody")


async def test_cancelling_that_the_owner_has_disabled_is_refused(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    coach.sandbox.set_cancelling(int(coach.session), False)
    with pytest.raises(SchedulerRefused, match="does not allow"):
        await coach.scheduler.cancel(made.id)
    with pytest.raises(SchedulerError, match="does not allow") as raised:
        await coach.scheduler.release(made.id)
    assert not isinstance(raised.value, SchedulerRefused)


async def test_a_booking_that_was_moved_there_is_canceled_where_it_is_now(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    coach.sandbox.move_as_owner(made.id, TWO)
    for _ in range(2):
        await coach.scheduler.cancel(made.id)
    assert [status for _start, status in coach.there()] == ["cancelled", "cancelled"]


async def test_a_cancellation_cannot_be_undone_nor_metadata_be_changed(coach: CalcomCoach) -> None:
    made = await coach.confirm()
    await coach.scheduler.cancel(made.id)
    with pytest.raises(SchedulerNotFound):
        await coach.scheduler.restore(made.id)
    with pytest.raises(SchedulerError, match="metadata"):
        await coach.scheduler.forget(made.id, {"holdfast_id": "bk_1"})
    again = await coach.confirm()
    assert again.id != made.id
    assert [status for _start, status in coach.there()] == ["cancelled", "accepted"]
