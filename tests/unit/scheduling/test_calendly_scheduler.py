"""Booking at Calendly: what is asked, what becomes of the answer, and what is done when there is none."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.booking import Actor, Customer
from app.errors import (
    SchedulerDown,
    SchedulerError,
    SchedulerFailed,
    SchedulerForbidden,
    SchedulerNotFound,
    SchedulerRateLimited,
    SchedulerRefused,
    SchedulerUnauthorized,
    SchedulerUnreachable,
)
from app.scheduling.port import SchedulerLock
from sandbox.calendly import ALL_SCOPES, Fault, Question
from tests.support.calendly_adviser import CUSTOMER, HOUR, MONDAY, TEN, VISIT, CalendlyAdviser, open_adviser

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
UNTIL = MONDAY + HOUR
#: Every way in which a write can go without its effect, or have it and not say so.
BEFORE = ["error_before", "drop_before", "hang", "html_body"]
AFTER = ["error_after", "drop_after", "hang_after", "truncated_json"]
#: What says that a time is taken is not documented; these are the guesses.
TAKEN = ["already_filled", "start_time", "conflict"]


@pytest.fixture
async def adviser() -> AsyncIterator[CalendlyAdviser]:
    async with open_adviser() as adviser:
        yield adviser


def fault(kind: str, path: str = "/invitees$", **more: Any) -> Fault:
    return Fault(kind, **{"method": "POST", "path": path, **more})  # type: ignore[arg-type]  # a literal, parametrized


# locks


async def test_a_lock_is_one_look_whether_the_time_is_there(adviser: CalendlyAdviser) -> None:
    await adviser.scheduler.services()
    before = len(adviser.sandbox.calls)
    lock = await adviser.scheduler.lock(adviser.wanted(), until=UNTIL)
    assert lock == SchedulerLock("none:bk_1", None)
    assert len(adviser.sandbox.calls) - before == 1
    assert adviser.active() == []


async def test_a_time_that_was_taken_meanwhile_is_not_locked(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.book(adviser.review, TEN)
    with pytest.raises(SchedulerRefused):
        await adviser.scheduler.lock(adviser.wanted(), until=UNTIL)
    with pytest.raises(SchedulerRefused):
        await adviser.scheduler.lock(adviser.wanted(MONDAY), until=UNTIL)


async def test_a_lock_on_a_deleted_event_type_is_told_as_such(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.delete_event_type(adviser.session)
    with pytest.raises(SchedulerNotFound):
        await adviser.scheduler.lock(adviser.wanted(), until=UNTIL)


async def test_what_is_not_held_there_is_released_and_read_without_a_call(adviser: CalendlyAdviser) -> None:
    await adviser.scheduler.release("none:bk_1")
    with pytest.raises(SchedulerNotFound):
        await adviser.scheduler.read("none:bk_1")
    assert await adviser.scheduler.locks(created_before=UNTIL) == []
    assert await adviser.scheduler.overlapping(adviser.ids.user, starts_from=MONDAY, ends_to=TEN) == []
    assert adviser.sandbox.calls == []


# booking


@pytest.mark.parametrize("lock", ["none:bk_1", None])
async def test_a_booking_takes_one_create_and_needs_no_look_afterwards(
    adviser: CalendlyAdviser, lock: str | None
) -> None:
    await adviser.scheduler.services()
    before = len(adviser.sandbox.calls)
    made = await adviser.scheduler.confirm(lock, adviser.wanted(), VISIT)
    assert len(adviser.sandbox.calls) - before == 1
    assert adviser.active() == [made.id]
    assert adviser.creates == 1
    there = await adviser.scheduler.read(made.id)
    assert there == replace(made, service_name="Advice session", resource_name="Nora Whitfield")
    assert (there.starts_at, there.ends_at) == (TEN, TEN + HOUR)
    assert (there.buffer_starts_at, there.buffer_ends_at) == (TEN, TEN + HOUR + 15 * MINUTE)
    assert (there.service_id, there.resource_id, there.location_id) == (
        adviser.session,
        adviser.ids.user,
        adviser.ids.user,
    )
    assert (there.is_temporary, there.is_canceled, there.metadata) == (False, False, {"holdfast_id": "bk_1"})


async def test_a_booking_says_who_comes_and_carries_our_id_in_its_tracking(adviser: CalendlyAdviser) -> None:
    await adviser.booked()
    [order] = adviser.orders()
    assert order["event_type"] == adviser.ids.uris["Advice session"]
    assert order["start_time"] == "2026-11-24T15:00:00.000000Z"
    assert order["invitee"] == {
        "email": "Kim@example.com",
        "name": "Kim Doe",
        "first_name": "Kim",
        "last_name": "Doe",
        "timezone": "Europe/Berlin",
    }
    assert order["location"] == {"kind": "zoom_conference"}
    assert order["tracking"] == {
        "utm_campaign": None,
        "utm_source": "newsletter",
        "utm_medium": None,
        "utm_content": "bk_1",
        "utm_term": None,
        "salesforce_uuid": None,
    }


@pytest.mark.parametrize("form", ["single", "split"])
@pytest.mark.parametrize("name", ["Kim Doe", "Cher", "Ana Luísa de Sousa"])
async def test_either_form_of_names_gets_what_it_asks_for(adviser: CalendlyAdviser, form: str, name: str) -> None:
    adviser.sandbox.change_event_type(adviser.session, name_form=form)
    visit = replace(VISIT, customer=replace(CUSTOMER, name=name))
    made = await adviser.scheduler.confirm(None, adviser.wanted(), visit)
    assert adviser.sandbox.state.invitees[adviser.invitee_of(made.id)].name == name


@pytest.mark.parametrize("strictness", ["required", "optional"])
@pytest.mark.parametrize("places", [[], [{"kind": "physical", "location": "Court Street"}]])
async def test_the_place_goes_with_the_booking_where_there_is_one(
    adviser: CalendlyAdviser, strictness: str, places: list[dict[str, str]]
) -> None:
    adviser.sandbox.switches.update({"location_kind": strictness})
    adviser.sandbox.change_event_type(adviser.session, locations=places)
    assert await adviser.booked() in adviser.active()


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc", "\0"])
async def test_a_zone_that_is_none_becomes_the_advisers(adviser: CalendlyAdviser, zone: str) -> None:
    await adviser.scheduler.confirm(None, adviser.wanted(), replace(VISIT, time_zone=zone))
    assert adviser.orders()[0]["invitee"]["timezone"] == "America/New_York"


async def test_a_campaign_of_any_length_stops_no_booking(adviser: CalendlyAdviser) -> None:
    visit = replace(VISIT, metadata={"utm_term": "x" * 500, "utm_content": "their own"})
    made = await adviser.scheduler.confirm(None, adviser.wanted(), visit)
    assert (await adviser.scheduler.read(made.id)).metadata == {"holdfast_id": "bk_1"}


async def test_nobody_is_booked_without_a_name(adviser: CalendlyAdviser) -> None:
    with pytest.raises(SchedulerError, match="without a name"):
        await adviser.scheduler.confirm(None, adviser.wanted(), replace(VISIT, customer=None))
    assert adviser.orders() == []


async def test_what_is_final_already_is_read_and_not_booked_again(adviser: CalendlyAdviser) -> None:
    reference = await adviser.booked()
    again = await adviser.scheduler.confirm(reference, adviser.wanted(), VISIT)
    assert (again.id, adviser.creates) == (reference, 1)
    adviser.sandbox.cancel_as_host(reference)
    with pytest.raises(SchedulerNotFound):
        await adviser.scheduler.confirm(reference, adviser.wanted(), VISIT)
    assert adviser.creates == 1


async def test_what_the_visitor_has_moved_on_calendlys_page_is_final_at_its_new_time(adviser: CalendlyAdviser) -> None:
    booked = adviser.sandbox.book(adviser.session, TEN, name="Kim Doe", email="Kim@example.com")
    moved = adviser.sandbox.reschedule(booked["uri"], TEN + 2 * DAY)
    reference = booked["event"].rpartition("/")[2]
    final = await adviser.scheduler.confirm(reference, adviser.wanted(), VISIT)
    assert (final.id, final.starts_at) == (moved["event"].rpartition("/")[2], TEN + 2 * DAY)
    assert (final.email, final.metadata) == ("Kim@example.com", {})
    assert adviser.creates == 0


# a time that is taken


@pytest.mark.parametrize("body", TAKEN)
async def test_a_time_that_a_stranger_took_is_refused_however_calendly_says_it(
    adviser: CalendlyAdviser, body: str
) -> None:
    adviser.sandbox.switches.update({"taken_body": body})
    theirs = adviser.sandbox.book(adviser.session, TEN)["event"].rpartition("/")[2]
    with pytest.raises(SchedulerRefused):
        await adviser.booked()
    assert adviser.active() == [theirs]
    assert adviser.creates == 1


@pytest.mark.parametrize("body", TAKEN)
async def test_a_booking_of_an_earlier_life_is_taken_over(adviser: CalendlyAdviser, body: str) -> None:
    adviser.sandbox.switches.update({"taken_body": body})
    made = await adviser.booked()
    adviser.scheduler = adviser.connect()
    assert await adviser.booked() == made
    assert adviser.active() == [made]


async def test_a_booking_of_an_earlier_life_is_taken_over_though_the_days_creates_are_used_up(
    adviser: CalendlyAdviser,
) -> None:
    made = await adviser.booked()
    adviser.sandbox.switches.creates_per_day = 1
    assert await adviser.booked() == made


async def test_a_booking_with_another_tag_is_not_taken_over(adviser: CalendlyAdviser) -> None:
    await adviser.booked(tag="bk_2")
    with pytest.raises(SchedulerRefused):
        await adviser.booked(tag="bk_1")


async def test_a_canceled_booking_is_not_taken_over(adviser: CalendlyAdviser) -> None:
    first = await adviser.booked()
    adviser.sandbox.cancel_as_host(first)
    second = await adviser.booked()
    assert second != first
    assert adviser.active() == [second]
    adviser.sandbox.cancel_as_host(second)
    adviser.sandbox.book(adviser.session, TEN)
    with pytest.raises(SchedulerRefused):
        await adviser.booked()


@pytest.mark.parametrize("body", TAKEN)
async def test_a_taken_time_is_not_told_as_such_while_nobody_can_look_whose_it_is(
    adviser: CalendlyAdviser, body: str
) -> None:
    adviser.sandbox.switches.update({"taken_body": body})
    made = await adviser.booked()
    adviser.sandbox.faults.append(Fault("drop_before", path="/scheduled_events$", times=3))
    with pytest.raises(SchedulerError) as unclear:
        await adviser.booked()
    assert not isinstance(unclear.value, SchedulerRefused)
    assert await adviser.booked() == made


async def test_when_to_come_back_is_told_though_nobody_can_look(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.faults += [fault("rate_limited"), Fault("drop_before", path="/scheduled_events$", times=3)]
    with pytest.raises(SchedulerRateLimited):
        await adviser.booked()


@pytest.mark.parametrize("second", [fault("refuse", status=400), fault("rate_limited")], ids=["no", "later"])
@pytest.mark.parametrize("look", [True, False], ids=["and a look", "and no look"])
async def test_an_unknown_outcome_stays_one_whatever_the_second_try_says(
    adviser: CalendlyAdviser, second: Fault, look: bool
) -> None:
    adviser.sandbox.faults.append(fault("error_before"))
    adviser.meanwhile = [replace(second)]
    if not look:
        adviser.meanwhile.append(Fault("refuse", path="/scheduled_events$", status=404))
    with pytest.raises(SchedulerFailed):
        await adviser.booked()


async def test_only_the_names_of_what_was_wrong_are_told(adviser: CalendlyAdviser) -> None:
    details = [
        {"parameter": "Kim Doe!", "message": "Kim Doe is wrong"},
        {"parameter": 7},
        "odd",
        {"parameter": "tracking"},
    ]
    body = {"title": "Invalid Argument", "message": "Wrong.", "details": details}
    adviser.sandbox.faults.append(fault("refuse", status=400, body=body))
    with pytest.raises(SchedulerError) as wrong:
        await adviser.booked()
    assert str(wrong.value) == "createInvitee: 400 Wrong. (tracking)"
    assert "Kim Doe is wrong" in wrong.value.body


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"custom_questions": [Question("Your age?", required=True)]}, "questions_and_answers"),
        ({"locations": [{"kind": "ask_invitee"}]}, "location"),
        ({"collects_payment": True}, "event_type"),
    ],
    ids=["a question", "a place", "a payment"],
)
async def test_a_refusal_of_a_time_that_is_free_says_that_the_set_up_is_wrong(
    adviser: CalendlyAdviser, changes: dict[str, Any], says: str
) -> None:
    await adviser.scheduler.services()
    adviser.sandbox.change_event_type(adviser.session, **changes)
    with pytest.raises(SchedulerError, match=says) as wrong:
        await adviser.booked()
    assert type(wrong.value) is SchedulerError
    assert wrong.value.__cause__ is None
    assert "Kim" not in str(wrong.value)


async def test_another_place_is_noticed_after_its_refusal(adviser: CalendlyAdviser) -> None:
    await adviser.scheduler.services()
    adviser.sandbox.change_event_type(adviser.session, locations=[{"kind": "google_conference"}])
    with pytest.raises(SchedulerError):
        await adviser.booked()
    assert await adviser.booked() in adviser.active()


async def test_an_event_type_that_is_gone_or_off_is_refused_like_a_time(adviser: CalendlyAdviser) -> None:
    await adviser.scheduler.services()
    adviser.sandbox.change_event_type(adviser.session, active=False)
    with pytest.raises(SchedulerRefused):
        await adviser.booked()
    adviser.sandbox.delete_event_type(adviser.session)
    with pytest.raises(SchedulerRefused):
        await adviser.booked()
    with pytest.raises(SchedulerRefused):
        await adviser.scheduler.confirm(None, adviser.wanted(service_id="NOBODY"), VISIT)


async def test_an_unclear_refusal_stays_one_while_the_times_cannot_be_read(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.switches.taken_body = "start_time"
    adviser.sandbox.book(adviser.session, TEN)
    adviser.sandbox.faults.append(Fault("drop_before", path="available_times", times=3))
    with pytest.raises(SchedulerError) as unclear:
        await adviser.booked()
    assert not isinstance(unclear.value, SchedulerRefused)


async def test_a_plan_or_a_token_that_may_not_book_is_told_as_such(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.switches.plan = "free_old"
    with pytest.raises(SchedulerForbidden, match="upgrade"):
        await adviser.booked()
    adviser.sandbox.switches.plan = "paid"
    adviser.sandbox.set_scopes(sorted(ALL_SCOPES - {"scheduled_events:write"}))
    with pytest.raises(SchedulerForbidden, match="scheduled_events:write"):
        await adviser.booked()
    adviser.sandbox.switches.token = "revoked"
    with pytest.raises(SchedulerUnauthorized):
        await adviser.booked()


# the ration of creates


async def test_the_days_last_create_used_up_says_when_to_come_back(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.switches.creates_per_day = 0
    with pytest.raises(SchedulerRateLimited) as limited:
        await adviser.booked()
    assert limited.value.retry_after > 3600
    assert adviser.active() == []


@pytest.mark.parametrize("counts", [True, False])
async def test_every_create_that_was_sent_is_counted_here(adviser: CalendlyAdviser, counts: bool) -> None:
    adviser.sandbox.switches.refused_creates_count = counts
    await adviser.booked()
    with pytest.raises(SchedulerRefused):
        await adviser.booked(tag="bk_2")
    adviser.sandbox.faults.append(fault("rate_limited", retry_after=1))
    await adviser.booked(TEN + 2 * DAY, tag="bk_3")
    assert adviser.creates == len(adviser.orders()) == 4
    assert len(adviser.heard) == len(adviser.sandbox.calls)


async def test_more_creates_than_a_minute_allows_are_put_off(adviser: CalendlyAdviser) -> None:
    slots = await adviser.scheduler.bookable_slots(
        adviser.session, location_id=adviser.ids.user, starts_from=MONDAY, ends_to=MONDAY + 30 * DAY
    )
    first_of_days = list({slot.starts_at.date(): slot.starts_at for slot in reversed(slots)}.values())
    for number, start in enumerate(first_of_days[:10]):
        await adviser.booked(start, tag=f"bk_{number}")
    with pytest.raises(SchedulerRateLimited) as limited:
        await adviser.booked(first_of_days[10], tag="bk_10")
    assert limited.value.retry_after <= 60
    adviser.clock.advance(MINUTE)
    assert await adviser.booked(first_of_days[10], tag="bk_10") in adviser.active()


# answers that are lost


@pytest.mark.parametrize("kind", AFTER)
async def test_a_booking_whose_answer_is_lost_is_found_and_not_made_twice(adviser: CalendlyAdviser, kind: str) -> None:
    adviser.sandbox.faults.append(fault(kind))
    made = await adviser.booked()
    assert adviser.active() == [made]
    assert adviser.creates == 1


@pytest.mark.parametrize("kind", BEFORE)
async def test_a_booking_that_did_not_happen_is_made_at_the_second_try(adviser: CalendlyAdviser, kind: str) -> None:
    adviser.sandbox.faults.append(fault(kind))
    made = await adviser.booked()
    assert adviser.active() == [made]
    assert adviser.creates == 2
    adviser.sandbox.faults.append(fault(kind, times=2))
    with pytest.raises((SchedulerUnreachable, SchedulerFailed)):
        await adviser.booked(TEN + 2 * DAY, tag="bk_2")
    assert adviser.active() == [made]
    assert adviser.creates == 4


async def test_a_booking_that_arrives_late_and_then_stands_in_its_own_way_is_found(adviser: CalendlyAdviser) -> None:
    await adviser.scheduler.services()
    adviser.wire.late = True
    made = await adviser.booked()
    assert adviser.active() == [made]
    assert [call.status for call in adviser.sandbox.calls if call.path == "/invitees"] == [201, 400]


@pytest.mark.parametrize("kind", AFTER)
async def test_a_lost_booking_that_is_not_listed_yet_is_never_told_as_taken(
    adviser: CalendlyAdviser, kind: str
) -> None:
    adviser.sandbox.switches.listing_lag_seconds = 20
    adviser.sandbox.faults.append(fault(kind))
    with pytest.raises((SchedulerUnreachable, SchedulerFailed)):
        await adviser.booked()
    [made] = adviser.active()
    adviser.clock.advance(timedelta(seconds=20))
    assert await adviser.booked() == made
    assert adviser.active() == [made]


async def test_a_refusal_after_a_lost_answer_is_not_believed(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.book(adviser.session, TEN)
    adviser.sandbox.faults.append(fault("drop_before"))
    with pytest.raises(SchedulerUnreachable):
        await adviser.booked()
    with pytest.raises(SchedulerRefused):
        await adviser.booked()


@pytest.mark.parametrize(
    "then",
    [fault("rate_limited"), Fault("drop_before", path="/scheduled_events$", times=3)],
    ids=["a full minute", "no look"],
)
async def test_an_unknown_outcome_is_never_told_as_nothing_was_done(adviser: CalendlyAdviser, then: Fault) -> None:
    adviser.sandbox.switches.listing_lag_seconds = 20
    adviser.sandbox.faults += [fault("drop_after"), replace(then)]
    with pytest.raises(SchedulerUnreachable):
        await adviser.booked()


async def test_while_calendly_is_down_nothing_is_sent(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.faults.append(Fault("drop_before", times=None))
    for error in (SchedulerUnreachable, SchedulerDown):
        with pytest.raises(error):
            await adviser.scheduler.services()
    assert adviser.scheduler.pulse.down
    asked = len(adviser.sandbox.calls)
    with pytest.raises(SchedulerDown):
        await adviser.booked()
    assert len(adviser.sandbox.calls) == asked
    adviser.sandbox.faults.clear()
    adviser.clock.advance(MINUTE)
    assert adviser.scheduler.pulse.tripped
    assert await adviser.booked() in adviser.active()
    assert not adviser.scheduler.pulse.tripped


async def test_of_two_at_once_one_gets_the_time(adviser: CalendlyAdviser) -> None:
    tags = ["bk_1", "bk_2"]
    results = await asyncio.gather(*(adviser.booked(tag=tag) for tag in tags), return_exceptions=True)
    assert len(adviser.active()) == 1
    assert sum(isinstance(result, SchedulerRefused) for result in results) == 1


async def test_where_two_creates_may_both_win_each_knows_its_own(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.switches.race_mode, adviser.sandbox.switches.race_parties = "gap", 2
    tags = ["bk_1", "bk_2"]
    made = await asyncio.gather(*(adviser.booked(tag=tag) for tag in tags))
    for tag, id_ in zip(tags, made, strict=True):
        [found] = await adviser.scheduler.find(adviser.wanted(tag=tag), VISIT)
        assert found.id == id_


# looking


@pytest.mark.parametrize("customer", [CUSTOMER, replace(CUSTOMER, email="kim@EXAMPLE.com"), None])
async def test_a_booking_is_found_by_its_tag_start_and_type_under_any_name(
    adviser: CalendlyAdviser, customer: Customer | None
) -> None:
    first = await adviser.booked()
    adviser.sandbox.cancel_as_host(first)
    second = await adviser.booked()
    visit = replace(VISIT, customer=customer)
    found = await adviser.scheduler.find(adviser.wanted(), visit)
    assert [(one.id, one.is_canceled) for one in found] == [(first, True), (second, False)]
    assert await adviser.scheduler.find(adviser.wanted(tag="bk_2"), visit) == []
    assert await adviser.scheduler.find(adviser.wanted(TEN + 30 * MINUTE), visit) == []
    assert await adviser.scheduler.find(adviser.wanted(service_id=adviser.review), visit) == []


@pytest.mark.parametrize("tracking", ["kept", "lost"])
async def test_a_move_on_calendlys_page_leads_to_the_new_event(adviser: CalendlyAdviser, tracking: str) -> None:
    adviser.sandbox.switches.update({"tracking_after_reschedule": tracking})
    first = await adviser.booked()
    moved = adviser.sandbox.reschedule(adviser.invitee_of(first), TEN + DAY * 2)
    old = await adviser.scheduler.read(first)
    assert (old.is_canceled, old.canceled_by) == (True, Actor.CUSTOMER)
    assert old.successor
    assert old.successor == moved["event"].rpartition("/")[2]
    new = await adviser.scheduler.read(old.successor)
    assert (new.starts_at, new.is_canceled, new.successor) == (TEN + DAY * 2, False, None)
    assert new.metadata == ({"holdfast_id": "bk_1"} if tracking == "kept" else {})


async def test_a_move_of_ours_leads_to_the_new_event_by_its_tag(adviser: CalendlyAdviser) -> None:
    old, other = await adviser.booked(), await adviser.booked(TEN + DAY * 2, tag="bk_2")
    new = await adviser.booked(TEN + DAY * 3)
    await adviser.scheduler.cancel(old)
    await adviser.scheduler.cancel(other)
    there = await adviser.scheduler.read(old)
    assert (there.is_canceled, there.successor) == (True, new)
    assert (await adviser.scheduler.read(other)).successor is None


async def test_what_stands_under_our_tag_is_found_at_whatever_time_it_is(adviser: CalendlyAdviser) -> None:
    email = VISIT.customer.email if VISIT.customer else ""
    gone, stands = await adviser.booked(), await adviser.booked(TEN + DAY * 2)
    await adviser.scheduler.cancel(gone)
    there = await adviser.scheduler.standing("bk_1", email)
    assert there
    assert (there.id, there.starts_at, there.email) == (stands, TEN + DAY * 2, email)
    assert await adviser.scheduler.standing("bk_2", email) is None
    assert await adviser.scheduler.standing("bk_1", "somebody.else@customer.example") is None


async def test_who_canceled_is_told(adviser: CalendlyAdviser) -> None:
    by_customer, by_owner = await adviser.booked(), await adviser.booked(TEN + 2 * DAY, tag="bk_2")
    adviser.sandbox.cancel_as_invitee(adviser.invitee_of(by_customer))
    adviser.sandbox.cancel_as_host(by_owner)
    for reference, who in ((by_customer, Actor.CUSTOMER), (by_owner, Actor.OWNER)):
        there = await adviser.scheduler.read(reference)
        assert (there.is_canceled, there.canceled_by, there.successor) == (True, who, None)


@pytest.mark.parametrize("id_", ["", "NOBODY", "..", "a/b", "a?b=c"])
async def test_a_booking_that_is_none_is_not_found(adviser: CalendlyAdviser, id_: str) -> None:
    scheduler = adviser.scheduler
    for call in (scheduler.read, scheduler.cancel, scheduler.restore):
        with pytest.raises(SchedulerNotFound):
            await call(id_)
    await scheduler.release(id_)
    assert {call.path for call in adviser.sandbox.calls} <= {
        "/scheduled_events/NOBODY",
        "/scheduled_events/NOBODY/cancellation",
    }


async def test_all_bookings_to_come_are_listed_no_matter_who_made_them(adviser: CalendlyAdviser) -> None:
    over = await adviser.booked(MONDAY + 5 * HOUR + 30 * MINUTE, tag="bk_0")
    running, ahead = await adviser.booked(), await adviser.booked(TEN + 2 * DAY, tag="bk_2")
    theirs = adviser.sandbox.book(adviser.review, TEN + 3 * DAY)["event"].rpartition("/")[2]
    adviser.sandbox.cancel_as_host(ahead)
    adviser.clock.set(TEN + 30 * MINUTE)
    await adviser.scheduler.locations()
    before = len(adviser.sandbox.calls)
    for listed in (await adviser.scheduler.coming(adviser.clock()), await adviser.scheduler.changed(MONDAY)):
        assert {one.id: one.is_canceled for one in listed} == {running: False, ahead: True, theirs: False}
        assert over not in {one.id for one in listed}
        assert all(one.metadata == {} and one.resource_id == adviser.ids.user for one in listed)
    assert len(adviser.sandbox.calls) - before == 2


async def test_a_hundred_events_fill_a_page(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.add_event_type("Long day", 15, start_time_increment=15, slug="long", days_ahead=90)
    long_day = list(adviser.sandbox.state.event_types)[-1]
    starts = await adviser.scheduler.bookable_slots(
        long_day, location_id=adviser.ids.user, starts_from=MONDAY, ends_to=MONDAY + 30 * DAY
    )
    for slot in starts[:101]:
        adviser.sandbox.book(long_day, slot.starts_at)
    before = len(adviser.sandbox.calls)
    assert len(await adviser.scheduler.coming(MONDAY)) == 101
    assert len(adviser.sandbox.calls) - before == 2
    assert adviser.scheduler.calls_to_list(201) == 3
