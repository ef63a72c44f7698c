"""A full widget, many addresses of one network, and holds that would never end."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import anyio
import pytest

from app.domain.booking import Status
from app.errors import BookingConflict, HoldExpired
from app.protection.proof_of_work import FULL_BITS
from app.protection.rate_limits import RateLimits, Rule, network_of
from sandbox.clock import Clock
from tests.support.browser import Browser
from tests.support.callers import Caller, days, free_starts, held, solve
from tests.support.json_door import code, post, wish
from tests.support.rows import rows
from tests.support.stack import Stack, open_stack, text_of


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Stack]:
    """A widget that two holds fill, and they are there."""
    async with open_stack(tmp_path, widget="max_holds = 2") as stack:
        for day in (await days(stack))[:2]:
            await stack.hold(day[0])
        yield stack


async def hold_with_work(caller: Caller, bits: int, **fields: str) -> int:
    """Send the challenge's form with the work of so many bits done; the answer's status."""
    [form] = re.findall(r'(?s)<form id="hf-check".*?</form>', caller.page.text)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    [salt] = re.findall(r'data-salt="([^"]+)"', form)
    action = re.findall(r'action="([^"]+)"', form)[0]
    data = {name: unescape(value) for name, value in hidden.items()} | {"proof_solution": solve(salt, bits)}
    caller.page = await caller.client.post(unescape(action), data=data | fields)
    return caller.page.status_code


# A full house


async def test_a_full_widget_asks_for_far_more_work_and_then_holds_the_time(full: Stack) -> None:
    caller, start = Caller(full), (await days(full))[3][0]
    assert (await caller.hold(start)).status_code == 429
    assert f'data-bits="{FULL_BITS}"' in caller.page.text
    assert await hold_with_work(caller, FULL_BITS) == 303
    assert await held(full) == 3


async def test_a_full_widget_takes_no_sum_in_place_of_the_work(full: Stack) -> None:
    """And says to those whose browser cannot work that they have to wait."""
    caller = Caller(full)
    await caller.hold((await days(full))[3][0])
    assert "What is" not in caller.page.text
    assert "Too many people are booking" in text_of(caller.page.text)


async def test_little_work_that_was_asked_for_before_the_widget_was_full_is_not_enough(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="max_holds = 4") as stack:
        starts = [day[0] for day in await days(stack)]
        await stack.hold(starts[0])
        caller = Caller(stack)
        await caller.hold(starts[5])
        [bits] = map(int, re.findall(r'data-bits="(\d+)"', caller.page.text))
        assert bits < FULL_BITS
        asked = caller.page
        for start in starts[1:4]:
            await stack.hold(start)
        caller.page = asked
        assert await hold_with_work(caller, bits) == 429
        assert f'data-bits="{FULL_BITS}"' in caller.page.text
        caller.page = asked
        assert (await caller.answer()).status_code == 429
        assert await held(stack) == 4


async def test_each_quarter_beyond_a_full_widget_doubles_the_work(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="max_holds = 4") as stack:
        asked = []
        for number, day in enumerate((await days(stack))[:9]):
            if number >= 4:
                await (caller := Caller(stack)).hold(day[-1])
                asked += re.findall(r'data-bits="(\d+)"', caller.page.text)
            await stack.hold(day[0])
        assert asked == ["12", "13", "14", "14", "14"]


async def test_a_program_is_asked_for_work_and_for_no_sum(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="max_holds = 8") as stack:
        for day in (await days(stack))[:2]:
            await stack.hold(day[0])
        wanted = await wish(stack, 60)
        asked = await post(stack, "bookings/lock", wanted)
        assert (asked.status_code, code(asked)) == (429, "RATE_LIMITED")
        challenge = asked.json()["error"]["details"]["challenge"]
        assert set(challenge) == {"token", "salt", "bits", "parts", "rounds"}
        for answer in range(8, 14):
            proof = {"token": challenge["token"], "answer": str(answer)}
            assert (await post(stack, "bookings/lock", wanted | {"proof": proof})).status_code == 429
        proof = {"token": challenge["token"], "solution": solve(challenge["salt"], challenge["bits"])}
        assert (await post(stack, "bookings/lock", wanted | {"proof": proof})).status_code == 201


async def test_attempts_at_taken_times_put_nobody_else_under_a_proof(stack: Stack) -> None:
    taken = (await free_starts(stack))[0]
    await stack.take_everyone(taken)
    answers = {(await Caller(stack, f"203.0.113.{number}").hold(taken)).status_code for number in range(70)}
    assert answers == {409}
    free = (await days(stack))[3][0]
    assert (await Caller(stack, "198.51.100.9").hold(free)).status_code == 303


async def test_many_holds_in_a_minute_do(stack: Stack) -> None:
    """What the limit is for, with the holds paid or given up as fast as they come."""
    start = (await days(stack))[3][0]
    stack.hapio.switches.rate_limit_per_minute = 1000
    for number in range(60):
        assert (await Caller(stack, f"203.0.113.{number}").hold(start)).status_code == 303
        [booking] = [one for one in await rows(stack) if one.status is Status.HELD]
        await stack.parts.hold.give_up(booking.id)
        stack.clock.advance(timedelta(milliseconds=500))
    caller = Caller(stack, "198.51.100.9")
    assert (await caller.hold(start)).status_code == 429
    assert "hf-check" in caller.page.text


# One network, many addresses


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("2001:db8:1:2::", "2001:db8:1::/48"),
        ("2001:db8:1:ffff::", "2001:db8:1::/48"),
        ("203.0.113.9", ""),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_the_network_of_an_address_is_its_first_48_bits(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_one_ipv6_network_cannot_fill_a_widget_from_its_many_addresses(stack: Stack) -> None:
    """From 32 holds in ten minutes on it has to work for each, and with 24 held at once far more."""
    starts = [start for day in await days(stack) for start in (day[0], day[-1])]
    stack.hapio.switches.rate_limit_per_minute = 1000
    statuses = []
    for number, start in enumerate(starts[:30]):
        caller = Caller(stack, f"2001:db8:1:{number:x}::1")
        statuses.append((await caller.hold(start)).status_code)
    assert await held(stack) <= 24
    assert statuses[-1] == 429
    assert f'data-bits="{FULL_BITS}"' in caller.page.text
    other = Caller(stack, "2001:db8:2::1")
    last = (await free_starts(stack))[-1]
    assert (await other.hold(last)).status_code in {303, 429}
    assert f'data-bits="{FULL_BITS}"' not in other.page.text


async def test_attempts_from_one_ipv6_network_are_counted_together(stack: Stack) -> None:
    taken = (await free_starts(stack))[0]
    await stack.take_everyone(taken)
    answers = [(await Caller(stack, f"2001:db8:1:{number:x}::1").hold(taken)).status_code for number in range(61)]
    assert answers[-1] == 429
    assert (await Caller(stack, "2001:db8:2::1").hold(taken)).status_code == 409


async def test_one_network_cannot_push_others_out_of_what_is_remembered() -> None:
    clock = Clock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    rate_limits, rule = RateLimits(clock, most_kept=1000), Rule.of("knock", "3/hour")
    for _ in range(3):
        await rate_limits.check(rule, "203.0.113.9")
        await rate_limits.check(rule, "2001:db8:9:1::")
    for number in range(5000):
        await rate_limits.check(rule, f"2001:db8:1:{number:x}::")
    assert rate_limits.kept < 300
    for address in ("203.0.113.9", "2001:db8:9:1::"):
        assert await rate_limits.wait(rule, address) > 0, "still remembered"


# One address, several at once


async def test_four_holds_behind_one_address_ask_hapio_at_the_same_time(stack: Stack) -> None:
    """An office, or a proxy that is not believed: nobody waits for Hapio's answer to someone else. The sandbox lets
    none of the four through before all four are there."""
    starts = [day[0] for day in await days(stack)][:4]
    stack.hapio.switches.update({"race_mode": "non_atomic", "race_parties": 4, "race_wait_seconds": 60})
    callers = [Caller(stack) for _ in starts]
    with anyio.fail_after(30):
        async with anyio.create_task_group() as clicks:
            for caller, start in zip(callers, starts, strict=True):
                clicks.start_soon(caller.hold, start)
    assert [caller.page.status_code for caller in callers] == [303] * 4


async def test_clicks_at_once_leave_as_much_of_a_day_to_others_as_clicks_one_by_one(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="max_holds_per_visitor = 50") as stack:
        day = next(day for day in await days(stack) if len(day) >= 6)
        callers = [Caller(stack) for _ in day]
        async with anyio.create_task_group() as clicks:
            for caller, start in zip(callers, day, strict=True):
                clicks.start_soon(caller.hold, start)
        assert 0 < await held(stack) <= len(day) / 2


# A hold's life


async def test_no_extension_leads_beyond_two_hours_and_none_is_offered_that_would(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="hold_minutes = 50") as stack:
        booking = await stack.hold()
        visitor = Browser(stack)
        address = f"/b/{stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)}"
        assert "Keep it for 50 more minutes" in await visitor.open(address)
        stack.clock.advance(timedelta(minutes=45))
        await stack.parts.hold.extend(booking.id)
        stack.clock.advance(timedelta(minutes=45))
        assert "Keep it for 30 more minutes" in await visitor.open(address)
        extended = await stack.parts.hold.extend(booking.id)
        assert extended.deadline == booking.created_at + timedelta(hours=2)
        assert "Keep it" not in await visitor.open(address)
        with pytest.raises(BookingConflict):
            await stack.parts.hold.extend(booking.id)
        await stack.tick(after=timedelta(minutes=31))
        assert await stack.status(booking) is Status.EXPIRED


async def test_paying_that_is_begun_again_and_again_holds_the_time_no_longer(stack: Stack) -> None:
    """Each changed address once began another 31 minutes, five times, 172 minutes in all."""
    booking = await stack.hold()
    deadlines = []
    for number in range(5):
        await stack.at_stripe(booking)
        deadlines.append((await stack.now(booking)).deadline)
        stack.clock.advance(timedelta(minutes=8))
        form = {"name": "Anna Ek", "email": f"anna{number}@customer.example"}
        await stack.parts.checkout.add_details(booking.id, form)
    assert deadlines[0] == booking.created_at + timedelta(minutes=31)
    assert max(deadlines) <= booking.created_at + timedelta(minutes=45)
    await stack.tick(after=timedelta(minutes=14))
    assert await stack.status(booking) is Status.EXPIRED


async def test_a_customer_who_corrects_the_address_once_may_still_pay(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    stack.clock.advance(timedelta(minutes=20))
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "anna@right.example"})
    session = await stack.at_stripe(booking)
    stack.clock.advance(timedelta(minutes=10))
    await stack.stripe.pay(session)
    await stack.parts.settle.booking(booking.id)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_payment_page_that_was_opened_late_is_open_to_its_end(tmp_path: Path) -> None:
    """Our shortest page at Stripe lives for 35 minutes, so it may end after the two hours."""
    async with open_stack(tmp_path) as stack:
        booking = await stack.hold()
        for _ in range(10):
            stack.clock.advance(timedelta(minutes=9))
            await stack.parts.hold.extend(booking.id)
        session = await stack.at_stripe(booking)
        await stack.tick(after=timedelta(minutes=29))
        await stack.stripe.pay(session)
        await stack.parts.settle.booking(booking.id)
        assert await stack.status(booking) is Status.CONFIRMED


async def test_an_hour_that_the_owner_gives_is_given(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="hold_minutes = 60") as stack:
        booking = await stack.hold()
        await stack.tick(after=timedelta(minutes=59))
        assert await stack.status(booking) is Status.HELD
        await stack.tick(after=timedelta(minutes=2))
        with pytest.raises(HoldExpired):
            await stack.parts.hold.extend(booking.id)
