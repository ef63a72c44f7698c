"""What is on offer turns out to be wrong: it is read again at the first contradiction, and the visitor is told."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from app.domain.booking import Actor, Status
from app.domain.catalogue import Service
from app.domain.money import Money
from app.errors import BookingConflict, NotFound, SchedulerError, SlotTaken, TimePassed, TooSoon
from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.json_door import code, post, wish
from tests.support.manage import link, plain
from tests.support.rows import rows
from tests.support.stack import Stack, open_stack, text_of

SHOWN = 120_000


async def change(stack: Stack, service_id: str, **changes: Any) -> None:
    """The owner changes a service in Hapio's own pages."""
    async with stack.hapio_api() as api:
        (await api.patch(f"/services/{service_id}", json=changes)).raise_for_status()


async def open_times(stack: Stack) -> Browser:
    """A visitor who looks at the times of the portrait session."""
    anna = Browser(stack)
    said = await anna.open(f"/w/studio?service={stack.portrait_id}")
    assert "1,200" in said
    return anna


# Another price


async def test_a_price_that_changed_is_told_before_paying_and_shown_from_then_on(stack: Stack) -> None:
    anna = await open_times(stack)
    await change(stack, stack.portrait_id, price="1500.000")
    said = await anna.send('id="hf-hold"', start=anna.starts[0])
    assert "The price has changed: SEK 1,500" in said
    said = await anna.send('action="[^"]*/details"', name="Anna Ek", email="anna@customer.example")
    assert "The price has changed: SEK 1,500" in said
    assert "Pay SEK 1,500" in said
    listed = await Browser(stack).open("/w/studio")
    assert "1,500" in listed
    assert "1,200" not in listed


async def test_a_page_that_was_drawn_before_the_offer_was_read_again_is_told_too(stack: Stack) -> None:
    """By then the list and the lock agree, and only this visitor saw the old price."""
    anna, bo = await open_times(stack), await open_times(stack)
    await change(stack, stack.portrait_id, price="1500.000")
    await bo.send('id="hf-hold"', start=bo.starts[0])
    said = await anna.send('id="hf-hold"', start=anna.starts[-1])
    assert "The price has changed: SEK 1,500" in said


async def test_nothing_is_said_of_a_price_that_is_as_it_was(stack: Stack) -> None:
    anna = await open_times(stack)
    assert "The price has changed" not in await anna.send('id="hf-hold"', start=anna.starts[0])


@pytest.mark.parametrize("price", ["0.000", None])
async def test_what_has_become_free_is_told_to_be(stack: Stack, price: str | None) -> None:
    anna = await open_times(stack)
    await change(stack, stack.portrait_id, price=price)
    said = await anna.send('id="hf-hold"', start=anna.starts[0])
    assert "The price has changed: Free of charge" in said
    [booking] = await rows(stack)
    assert booking.terms.free


async def test_what_was_free_and_now_costs_something_is_told_and_has_to_be_paid(stack: Stack) -> None:
    anna = Browser(stack)
    await anna.open(f"/w/studio?service={stack.planning_id}")
    await change(stack, stack.planning_id, price="300.000")
    assert "The price has changed: SEK 300" in await anna.send('id="hf-hold"', start=anna.starts[0])
    said = await anna.send('action="[^"]*/details"', name="Anna Ek", email="anna@customer.example")
    assert "Pay SEK 300" in said


async def test_a_hold_that_is_made_again_at_another_price_says_so(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.tick(after=timedelta(minutes=11))
    await change(stack, stack.portrait_id, price="1500.000")
    again = await stack.parts.hold.again(booking.id, booking.id)
    assert again.terms.price == Money(150_000, "sek")
    assert "price_changed" in await stack.history(again)


async def test_the_locks_answer_names_the_price_that_will_be_charged(stack: Stack) -> None:
    wanted = await wish(stack)
    listed = (await stack.client.get("/api/services")).json()["services"]
    assert next(one["price"] for one in listed if one["id"] == stack.portrait_id) == SHOWN
    await change(stack, stack.portrait_id, price="1500.000")
    held = (await post(stack, "bookings/lock", wanted)).json()
    assert (held["price"], held["currency"]) == (150_000, "sek")
    listed = (await stack.client.get("/api/services")).json()["services"]
    assert next(one["price"] for one in listed if one["id"] == stack.portrait_id) == 150_000


async def test_a_price_that_stripe_would_not_charge_leaves_the_one_that_was_shown(stack: Stack) -> None:
    anna = await open_times(stack)
    await change(stack, stack.portrait_id, price="2.000")
    await anna.send('id="hf-hold"', start=anna.starts[0])
    [booking] = await rows(stack)
    assert booking.terms.price == Money(SHOWN, "sek")


# Another price, met by a move


async def test_a_move_at_another_price_than_the_list_has_is_asked_for_again(open_minded: Stack) -> None:
    stack, anna = open_minded, Browser(open_minded)
    booking = await stack.confirmed(await stack.in_days(3, "headshot"), service="headshot")
    new = await stack.in_days(5)
    await anna.open(f"{link(stack, booking)}/reschedule?date={new.date()}&resource=")
    assert "SEK 550.00 more" in plain(await anna.send('id="hf-hold"', start=new.isoformat(), service=stack.portrait_id))
    await change(stack, stack.portrait_id, price="1500.000")
    said = plain(await anna.send('action="[^"]*/reschedule"'))
    assert anna.page.status_code == 409
    assert "The booking or its price has changed since you opened this page." in said
    assert "SEK 850.00 more" in said
    assert len(stack.stripe.state.sessions) == 1
    assert len(stack.hapio_bookings()) == 1
    await anna.send('action="[^"]*/reschedule"')
    await stack.stripe.pay(urlsplit(anna.page.headers["location"]).path.rpartition("/")[2])
    await stack.until_quiet()
    moved = await stack.now(booking)
    assert (moved.starts_at, moved.terms.price, stack.money_kept()) == (new, Money(150_000, "sek"), 150_000)


async def test_a_move_that_met_another_price_leaves_the_list_right_and_the_booking_as_it_was(
    open_minded: Stack,
) -> None:
    stack = open_minded
    booking = await stack.confirmed(await stack.in_days(4, "headshot"), service="headshot")
    await change(stack, stack.portrait_id, price="1500.000")
    later = await stack.in_days(7, "portrait")
    with pytest.raises(BookingConflict):
        await stack.move(booking, later, service="portrait")
    listed = (await stack.client.get("/api/services")).json()["services"]
    assert [one["price"] for one in listed if one["id"] == stack.portrait_id] == [150_000]
    assert await stack.now(booking) == booking
    assert (await stack.move(booking, later, service="portrait")).difference == 85_000


async def test_a_cheaper_move_at_another_price_leaves_the_list_right(open_minded: Stack) -> None:
    """Its time is not locked first, so the price that was agreed to stands."""
    stack = open_minded
    booking = await stack.confirmed(await stack.in_days(4))
    await change(stack, stack.headshot_id, price="900.000")
    assert (await stack.move(booking, await stack.in_days(7, "headshot"), service="headshot")).difference == -55_000
    listed = (await stack.client.get("/api/services")).json()["services"]
    assert [one["price"] for one in listed if one["id"] == stack.headshot_id] == [90_000]


# Another length


async def test_the_page_that_reads_times_of_another_length_says_that_length(stack: Stack) -> None:
    anna = await open_times(stack)
    assert "1 h" in text_of(anna.page.text)
    await change(stack, stack.portrait_id, duration="PT1H30M")
    said = await anna.open(f"/w/studio?service={stack.portrait_id}&date=2027-01-05")
    assert "1 h 30 min" in said


async def test_times_of_the_old_length_in_other_months_are_read_again_before_they_are_shown(stack: Stack) -> None:
    months = {"from": "2026-11-23", "to": "2026-12-20", "serviceId": stack.portrait_id}
    await stack.client.get("/api/availability", params=months)
    await change(stack, stack.portrait_id, duration="PT1H30M")
    await stack.client.get("/api/availability", params={**months, "from": "2027-01-05", "to": "2027-01-08"})
    slots = (await stack.client.get("/api/availability", params=months)).json()["slots"]
    lengths = {datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"]) for one in slots}
    assert lengths == {timedelta(minutes=90)}


async def test_a_length_that_changes_again_and_again_does_not_use_up_the_calls(stack: Stack) -> None:
    await open_times(stack)
    stack.hapio.switches.rate_limit_per_minute = 1000
    reads = sum(call.path == "/v1/services" for call in stack.hapio.calls)
    asked = {"from": "2026-11-23", "to": "2026-11-25", "serviceId": stack.portrait_id}
    for number in range(20):
        await change(stack, stack.portrait_id, duration="PT1H" if number % 2 else "PT1H30M")
        stack.parts.availability.hinted("hapio")
        await stack.client.get("/api/availability", params=asked)
        stack.clock.advance(timedelta(seconds=50))
    assert sum(call.path == "/v1/services" for call in stack.hapio.calls) - reads <= 20 * 50 // 60 + 1


# Gone, or not offered any more


async def test_a_service_that_was_deleted_is_gone_at_the_first_click(stack: Stack) -> None:
    anna = await open_times(stack)
    start = anna.starts[0]
    async with stack.hapio_api() as api:
        (await api.delete(f"/services/{stack.portrait_id}")).raise_for_status()
    await anna.send('id="hf-hold"', start=start)
    assert anna.page.status_code == 404
    assert "Portrait session" not in await Browser(stack).open("/w/studio")
    answer = await post(
        stack, "bookings/lock", {**await wish(stack, service="headshot"), "serviceId": stack.portrait_id}
    )
    assert (answer.status_code, code(answer)) == (404, "BOOKING_NOT_FOUND")


async def test_a_service_that_was_deleted_is_gone_with_the_first_read_of_its_times(stack: Stack) -> None:
    await open_times(stack)
    async with stack.hapio_api() as api:
        (await api.delete(f"/services/{stack.portrait_id}")).raise_for_status()
    later = await stack.client.get(f"/w/studio?service={stack.portrait_id}&date=2027-01")
    assert later.status_code == 404
    assert "Portrait session" not in await Browser(stack).open("/w/studio")


@pytest.mark.parametrize("shape", ["A", "B"])
async def test_a_service_that_was_disabled_is_gone_at_the_first_click(stack: Stack, shape: str) -> None:
    stack.hapio.switches.update({"rule_error_shape": shape})
    anna = await open_times(stack)
    await change(stack, stack.portrait_id, enabled=False)
    said = await anna.send('id="hf-hold"', start=anna.starts[0])
    assert anna.page.status_code == 404
    assert "just been taken" not in said
    assert "Portrait session" not in await Browser(stack).open("/w/studio")


async def delete_person(stack: Stack) -> tuple[str, str]:
    """The first of those who take portraits leaves the studio; id and name."""
    [service] = [one for one in await offer(stack) if one.id == stack.portrait_id]
    async with stack.hapio_api() as api:
        (await api.delete(f"/resources/{service.resources[0].id}")).raise_for_status()
    return service.resources[0].id, service.resources[0].name


async def offer(stack: Stack) -> tuple[Service, ...]:
    return (await stack.parts.availability.catalogue(stack.parts.widgets["studio"])).services


async def test_a_person_who_was_deleted_is_gone_at_the_first_lock(stack: Stack) -> None:
    wanted = await wish(stack)
    gone, name = await delete_person(stack)
    refused = await post(stack, "bookings/lock", {**wanted, "resourceId": gone})
    assert (refused.status_code, code(refused)) == (409, "BOOKING_CONFLICT")
    listed = (await stack.client.get("/api/services")).json()["services"]
    [people] = [[one["name"] for one in it["resources"]] for it in listed if it["id"] == stack.portrait_id]
    assert people == ["Jonas Berg"]
    assert name == "Astrid Lindqvist"
    again = await post(stack, "bookings/lock", {**wanted, "resourceId": gone})
    assert (again.status_code, code(again)) == (404, "BOOKING_NOT_FOUND")
    assert (await post(stack, "bookings/lock", await wish(stack, 3))).status_code == 201


@pytest.mark.parametrize("shape", ["A", "B"])
async def test_a_person_who_does_not_work_there_any_more_is_gone_at_the_first_click(stack: Stack, shape: str) -> None:
    stack.hapio.switches.update({"rule_error_shape": shape})
    anna = await open_times(stack)
    [service] = [one for one in await offer(stack) if one.id == stack.portrait_id]
    async with stack.hapio_api() as api:
        (await api.patch(f"/resources/{service.resources[0].id}", json={"enabled": False})).raise_for_status()
    said = await anna.send('id="hf-hold"', start=anna.starts[0], resource=service.resources[0].id)
    assert anna.page.status_code == 409
    assert "The nearest free times are" in said
    assert service.resources[0].name not in said
    assert service.resources[0].name not in await anna.open(f"/w/studio?service={stack.portrait_id}")


async def test_a_move_to_a_person_who_was_deleted_takes_them_out_of_the_offer(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(await stack.in_days(3, "headshot"), service="headshot")
    week = {"serviceId": stack.portrait_id, "from": "2026-12-07", "to": "2026-12-11"}
    slots = (await stack.client.get("/api/availability", params=week)).json()["slots"]
    gone, _ = await delete_person(stack)
    later = next(datetime.fromisoformat(one["start"]) for one in slots if gone in one["resourceIds"])
    with pytest.raises(SlotTaken):
        await stack.move(booking, later, service="portrait", resource_id=gone, by=Actor.OWNER)
    [service] = [one for one in await offer(stack) if one.id == stack.portrait_id]
    assert gone not in {one.id for one in service.resources}
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_time_that_is_merely_taken_leaves_the_offer_alone(stack: Stack) -> None:
    anna = await open_times(stack)
    reads = sum(call.path == "/v1/services" for call in stack.hapio.calls)
    for start in anna.starts[:3]:
        await stack.side.stranger_takes(datetime.fromisoformat(start))
        await anna.send('id="hf-hold"', start=start)
        await anna.open(f"/w/studio?service={stack.portrait_id}")
    assert sum(call.path == "/v1/services" for call in stack.hapio.calls) == reads


async def test_the_offer_is_read_again_at_most_once_a_minute_and_less_often_if_nothing_has_changed(
    stack: Stack,
) -> None:
    """Hapio refuses the service again and again, and lists it as before."""
    await open_times(stack)
    stack.hapio.switches.rate_limit_per_minute = 1000
    reads = []
    for _ in range(20):
        await stack.parts.availability.contradicted(stack.parts.widgets["studio"])
        reads.append(sum(call.path == "/v1/services" for call in stack.hapio.calls))
        stack.clock.advance(timedelta(seconds=30))
    assert reads[1] == reads[0] == reads[2] - 1
    assert reads[-1] <= 5, "after 1, 2 and 4 minutes"


async def test_without_hapios_answer_the_old_offer_stands(stack: Stack) -> None:
    await open_times(stack)
    stack.hapio.faults.append(Fault("error_before", times=50))
    await stack.parts.availability.contradicted(stack.parts.widgets["studio"])
    assert len((await stack.parts.availability.catalogue(stack.parts.widgets["studio"])).services) == 3


# Below what Stripe charges


async def test_a_service_below_stripes_least_charge_is_left_out_and_the_log_says_so_once(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack:
        await change(stack, stack.headshot_id, price="2.000")
        with structlog.testing.capture_logs() as said:
            for _ in range(3):
                page = await stack.client.get("/w/studio")
                assert "Headshot express" not in text_of(page.text)
                assert "Portrait session" in text_of(page.text)
                stack.clock.advance(timedelta(minutes=2))
        told = [line for line in said if line["event"] == "service left out"]
        assert len(told) == 1
        assert told[0]["service"] == stack.headshot_id
        assert "least" in told[0]["reason"]


# Not taken, but passed or too soon


async def test_a_time_that_has_passed_is_not_called_taken(stack: Stack) -> None:
    anna = await open_times(stack)
    start = anna.starts[0]
    stack.clock.advance(timedelta(days=1))
    said = await anna.send('id="hf-hold"', start=start)
    assert anna.page.status_code == 409
    assert "This time has passed." in said
    assert "just been taken" not in said


async def test_a_time_within_the_notice_is_called_too_soon(stack: Stack) -> None:
    """The portrait session asks for two hours."""
    anna = await open_times(stack)
    start = await stack.free_slot()
    stack.clock.set(start - timedelta(minutes=75))
    said = await anna.send('id="hf-hold"', start=start.isoformat())
    assert "too soon to book here" in said
    assert "just been taken" not in said
    with pytest.raises(TooSoon):
        await stack.hold(start)


async def test_a_move_to_a_time_that_has_passed_or_is_too_soon_says_so(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    start = await stack.free_slot()
    for later, why in (
        (timedelta(hours=2), "This time has passed."),
        (-timedelta(minutes=60), "too soon to book here"),
    ):
        stack.clock.set(start + later)
        page = await stack.client.get(
            f"{link(stack, booking)}/reschedule/preview", params={"start": start.isoformat().replace("+00:00", "Z")}
        )
        assert page.status_code == 409
        assert why in text_of(page.text)
        assert "just been taken" not in text_of(page.text)


async def test_a_taken_time_is_called_taken(stack: Stack) -> None:
    start = await stack.in_days(2)
    await stack.take_everyone(start)
    with pytest.raises(SlotTaken) as refused:
        await stack.hold(start)
    assert not isinstance(refused.value, TimePassed | TooSoon)


async def test_a_service_that_is_gone_ends_a_move_with_that(stack: Stack) -> None:
    booking = await stack.confirmed()
    later = await stack.in_days(6)
    async with stack.hapio_api() as api:
        (await api.delete(f"/services/{stack.portrait_id}")).raise_for_status()
    with pytest.raises((NotFound, SchedulerError, SlotTaken)):
        await stack.move(booking, later)
    assert await stack.status(booking) is Status.CONFIRMED
