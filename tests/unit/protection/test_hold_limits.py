"""What one visitor, one address, and a crowd may do: through the plain pages, as any program can use them."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import anyio
import httpx
import pytest
import structlog

from app.domain.booking import Status
from app.errors import TooManyHolds
from app.protection.hold_limits import Client
from app.protection.proof_of_work import BITS, Challenges, Proof
from tests.support.browser import Browser
from tests.support.callers import Caller, days, free_starts, held, solve
from tests.support.rows import rows
from tests.support.stack import Stack, open_stack, text_of

#: The name of one page view, as pages make it.
PAGE_KEY = "0123456789abcdef01234567"


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[Stack]:
    """A widget that is pressed as soon as one time is held, and full with four."""
    async with open_stack(tmp_path, widget="max_holds = 4") as stack:
        yield stack


async def test_one_visitor_cannot_block_a_day(stack: Stack) -> None:
    """Anyone who holds times of a day leaves at least as many to others, whatever is clicked and from how many
    pages."""
    day = next(day for day in await days(stack) if len(day) >= 4)
    caller = Caller(stack)
    for start in day:
        await caller.hold(start, resource=stack.ids.resources["Astrid Lindqvist"])
    taken = await held(stack)
    assert 0 < taken <= len(day) / 2
    assert caller.page.status_code == 429
    assert int(caller.page.headers["retry-after"]) > 60
    assert "pay for one of them, or wait" in text_of(caller.page.text)


async def test_an_address_holds_six_times_unpaid_and_others_are_not_kept_from_theirs(stack: Stack) -> None:
    starts = [day[0] for day in await days(stack)]
    caller = Caller(stack)
    answers = [(await caller.hold(start)).status_code for start in starts[:7]]
    assert answers == [303] * 6 + [429]
    assert (await Caller(stack, "203.0.113.1").hold(starts[6])).status_code == 303


async def test_where_a_day_has_two_times_the_second_person_of_a_household_gets_the_second(stack: Stack) -> None:
    """Half of two is one: nobody is refused because someone on the same network holds the other time."""
    day = next(day for day in await days(stack) if len(day) >= 4)
    first, second = day[0], day[-1]
    caller = Caller(stack)
    assert (await caller.hold(first, key="a" * 24)).status_code == 303
    gate, widget = stack.parts.hold_limits, stack.parts.widgets["studio"]
    zone = ZoneInfo("Europe/Stockholm")
    admission = await gate.admit(widget, Client("b" * 24, "198.51.100.7"), second, [second], zone)
    await gate.finished(admission, held=False)
    assert (await caller.hold(second, key="b" * 24)).status_code == 303
    with pytest.raises(TooManyHolds):
        await gate.admit(widget, Client("c" * 24, "198.51.100.7"), day[1], [day[1]], zone)


async def test_a_visitor_s_own_hold_is_shown_to_them_and_another_time_takes_its_place_with_what_was_typed(
    stack: Stack,
) -> None:
    day = next(day for day in await days(stack) if len(day) >= 4)
    caller = Caller(stack)
    first = await caller.hold(day[0])
    [token] = re.findall(r"/b/([^?]+)", first.headers["location"])
    [booking] = await rows(stack)
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "anna@customer.example"})
    times = await caller.client.get(f"/w/studio?service={stack.portrait_id}&mine={token}")
    assert "You are holding" in text_of(times.text)
    assert "You are holding" not in text_of((await caller.client.get(f"/w/studio?service={stack.portrait_id}")).text)
    same = await caller.hold(day[0], mine=token)
    assert (same.status_code, len(await rows(stack))) == (303, 1)
    assert token.rpartition(".")[0] in same.headers["location"], "an older page still offers it: on with the same hold"

    second = await caller.hold(day[-1], mine=token)
    assert second.status_code == 303
    before, after = sorted(await rows(stack), key=lambda one: one.starts_at)
    assert (before.status, after.status) == (Status.EXPIRED, Status.HELD)
    assert after.customer
    assert after.customer.name == "Anna Ek"
    page = await caller.client.get(second.headers["location"])
    assert 'value="Anna Ek"' in page.text


async def test_at_a_limit_the_day_and_the_choice_stay_and_the_page_tries_again_when_it_ends(stack: Stack) -> None:
    starts = [day[0] for day in await days(stack)]
    caller = Caller(stack)
    for start in starts[:6]:
        await caller.hold(start)
    refused = await caller.hold(starts[6])
    assert refused.status_code == 429
    wait = int(refused.headers["retry-after"])
    assert f'value="{starts[6].isoformat().replace("+00:00", "Z")}" data-again="{wait}"' in refused.text
    assert "We will try again automatically at 09:10" in text_of(refused.text)
    assert f'name="date" value="{starts[6].date()}' in refused.text


async def test_the_other_addresses_of_an_ipv6_household_are_the_same_visitor(stack: Stack) -> None:
    starts = [day[0] for day in await days(stack)]
    answers = [
        (await Caller(stack, f"2001:db8:1:2::{number}").hold(start)).status_code
        for number, start in enumerate(starts[:7], start=1)
    ]
    assert answers == [303] * 6 + [429]


async def test_a_visitor_who_pays_may_hold_more(stack: Stack) -> None:
    starts = [day[0] for day in await days(stack)]
    caller = Caller(stack)
    for start in starts[:6]:
        await caller.hold(start)
    assert (await caller.hold(starts[6])).status_code == 429
    first = (await rows(stack))[0]
    await stack.parts.checkout.add_details(first.id, {"name": "Anna Ek", "email": "anna@customer.example"})
    await stack.paid(first)
    await stack.parts.settle.booking(first.id)
    stack.clock.advance(stack.minutes(1))
    assert (await caller.hold(starts[6])).status_code == 303


async def test_a_visitor_who_releases_times_and_chooses_others_is_never_refused(stack: Stack) -> None:
    """Back in the browser leaves a hold behind. The next one takes its place where there is room for one only."""
    anna = Browser(stack)
    starts = [day[0] for day in await days(stack)]
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    times_page = anna.page
    for start in starts[:8]:
        anna.page = times_page
        await anna.send('id="hf-hold"', start=start.isoformat())
        assert anna.page.status_code == 200, text_of(anna.page.text)
        stack.clock.advance(timedelta(seconds=30))
    assert await held(stack) == 6
    assert {booking.starts_at for booking in await rows(stack) if booking.status is Status.HELD} == {*starts[2:8]}


async def test_a_hold_with_details_is_not_released_for_another(stack: Stack) -> None:
    caller, token = Caller(stack), stack.parts.links.visitor_token("anna")
    starts = [day[0] for day in await days(stack)]
    for start in starts[:6]:
        await caller.hold(start, visitor=token)
    for booking in await rows(stack):
        await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "anna@customer.example"})
    assert (await caller.hold(starts[6], visitor=token)).status_code == 429
    assert await held(stack) == 6


async def test_the_signed_name_goes_along_when_a_time_is_given_up(stack: Stack) -> None:
    """So a visitor whose address changes, from home to the road, is still the same one."""
    anna = Browser(stack)
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    await anna.send('id="hf-hold"', start=anna.starts[0])
    await anna.send('action="[^"]*/release"')
    [token] = set(re.findall(r'name="visitor" value="([^"]+)"', anna.page.text))
    assert stack.parts.links.read_visitor_token(token)
    starts = [day[0] for day in await days(stack)]
    answers = []
    for number, start in enumerate(starts[:7]):
        answers.append((await Caller(stack, f"203.0.113.{number}").hold(start, visitor=token)).status_code)
        for booking in await rows(stack):
            if booking.customer is None and booking.status is Status.HELD:
                form = {"name": "Anna Ek", "email": "anna@customer.example"}
                await stack.parts.checkout.add_details(booking.id, form)
    assert answers == [303] * 6 + [429]


async def test_a_made_up_name_is_nobodys(stack: Stack) -> None:
    assert stack.parts.links.read_visitor_token("forged") == ""
    assert stack.parts.links.read_visitor_token("x" * 100_000) == ""
    token = stack.parts.links.visitor_token("anna")
    assert stack.parts.links.read_visitor_token(token) == "anna"
    stack.clock.advance(stack.minutes(60 * 24 + 1))
    assert stack.parts.links.read_visitor_token(token) == ""
    booking = await stack.hold()
    other = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    assert stack.parts.links.read_visitor_token(other) == ""


async def test_a_hundred_clicks_at_once_are_counted_one_by_one(stack: Stack) -> None:
    starts = [day[0] for day in await days(stack)][:10]
    callers = [Caller(stack) for _ in starts]
    async with anyio.create_task_group() as clicks:
        for caller, start in zip(callers, starts, strict=True):
            clicks.start_soon(caller.hold, start)
    assert await held(stack) == 6


async def test_too_many_attempts_are_told_when_to_come_back(stack: Stack) -> None:
    start = (await free_starts(stack))[0]
    caller = Caller(stack)
    answers = [(await caller.hold(start, key=PAGE_KEY)).status_code for _ in range(30)]
    assert set(answers) == {303}, "a doubled click is the same hold, however often"
    await stack.take_everyone(start)
    await stack.until_quiet()
    taken = (await free_starts(stack))[0]
    await stack.take_everyone(taken)
    answers = [(await caller.hold(taken)).status_code for _ in range(13)]
    assert 409 in answers
    assert answers[-1] == 429
    assert 0 < int(caller.page.headers["retry-after"]) <= 600


async def test_looking_at_ever_new_times_is_limited_and_looking_again_is_not(stack: Stack) -> None:
    address = f"/w/studio?service={stack.portrait_id}"
    anna = Caller(stack).client
    for _ in range(300):
        assert (await anna.get(address)).status_code == 200, "a page that was shown before costs nothing"
    answers = [(await anna.get(f"{address}&utm_source={number}")).status_code for number in range(130)]
    assert 110 < answers.count(200) < 120
    assert answers[-1] == 429
    assert (await anna.get(address)).status_code == 200
    assert (await Caller(stack, "203.0.113.1").client.get(f"{address}&utm_source=x")).status_code == 200


async def test_a_proxy_that_is_not_believed_is_told_of_in_the_log_once(stack: Stack) -> None:
    """All its visitors would be counted as one, which an owner has to hear of before they do."""
    starts = await free_starts(stack)
    caller = Caller(stack)
    with structlog.testing.capture_logs() as said:
        for _ in range(2):
            caller.client.headers["X-Forwarded-For"] = "192.0.2.1, 198.51.100.7"  # as a believed proxy leaves it
            await caller.hold(starts[0], key=PAGE_KEY)
        assert not [line for line in said if line["event"] == "proxy headers not believed"]
        for _ in range(2):
            caller.client.headers["X-Forwarded-For"] = "192.0.2.1"
            await caller.hold(starts[0], key=PAGE_KEY)
    assert [line["event"] for line in said].count("proxy headers not believed") == 1
    assert "192.0.2.1" not in str(said)


async def test_paying_is_not_started_over_and_over(stack: Stack) -> None:
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    caller = Caller(stack)
    answers = [(await caller.client.post(f"/b/{token}/pay")).status_code for _ in range(21)]
    assert answers == [303] * 20 + [429]
    assert len(stack.stripe.state.sessions) == 1
    other = await Caller(stack, "203.0.113.1").client.post(f"/b/{token}/pay")
    assert other.status_code == 303


async def test_a_page_that_is_asked_for_without_end_says_when_to_come_back(stack: Stack) -> None:
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    answers = [await stack.client.get(f"/b/{token}") for _ in range(121)]
    assert [answer.status_code for answer in answers] == [200] * 120 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert "Too many tries" in text_of(answers[-1].text)
    stack.clock.advance(stack.minutes(1))
    assert (await stack.client.get(f"/b/{token}")).status_code == 200


async def test_a_program_that_asks_too_often_is_told_so_in_json(stack: Stack) -> None:
    async def verify() -> httpx.Response:
        return await stack.client.post("/api/receipts/verify", json={"receipt": "forged"})

    answers = [await verify() for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert answers[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


# Under pressure


async def test_nobody_is_asked_for_a_proof_on_an_ordinary_day(stack: Stack) -> None:
    for number, start in enumerate([day[0] for day in await days(stack)][:10]):
        assert (await Caller(stack, f"203.0.113.{number}").hold(start)).status_code == 303


async def test_under_pressure_a_question_comes_first_and_its_answer_leads_on(busy: Stack) -> None:
    starts = [day[0] for day in await days(busy)]
    await Caller(busy, "203.0.113.1").hold(starts[0])
    caller = Caller(busy)
    assert (await caller.hold(starts[1], email="anna@customer.example")).status_code == 429
    assert "What is" in caller.page.text
    assert await held(busy) == 1
    assert (await caller.answer()).status_code == 303
    assert "email=anna" in caller.page.headers["location"], "nothing that was sent is lost on the way"
    assert await held(busy) == 2


async def test_a_wrong_answer_gets_another_question(busy: Stack) -> None:
    starts = [day[0] for day in await days(busy)]
    await Caller(busy, "203.0.113.1").hold(starts[0])
    caller = Caller(busy)
    await caller.hold(starts[1])
    assert (await caller.answer("99")).status_code == 429
    assert "not the right number" in text_of(caller.page.text)
    assert (await caller.answer()).status_code == 303


async def test_a_proof_serves_one_hold_of_one_visitor(busy: Stack) -> None:
    starts = [day[0] for day in await days(busy)]
    await Caller(busy, "203.0.113.1").hold(starts[0])
    caller = Caller(busy)
    question = await caller.hold(starts[1])
    await caller.answer()
    caller.page = question
    assert (await caller.answer(start=starts[2].isoformat())).status_code == 429, "used up"
    other = Caller(busy, "203.0.113.9")
    other.page = await caller.hold(starts[2])
    assert (await other.answer()).status_code == 429, "asked of somebody else"


async def test_an_answer_that_comes_too_late_does_not_count(busy: Stack) -> None:
    starts = [day[0] for day in await days(busy)]
    await Caller(busy, "203.0.113.1").hold(starts[0])
    caller = Caller(busy)
    await caller.hold(starts[1])
    await busy.hold(starts[2])
    busy.clock.advance(busy.minutes(10))
    await busy.hold(starts[3])
    assert (await caller.answer()).status_code == 429


async def test_a_program_cannot_guess_on_and_on(busy: Stack) -> None:
    starts = [day[0] for day in await days(busy)]
    await Caller(busy, "203.0.113.1").hold(starts[0])
    caller = Caller(busy)
    await caller.hold(starts[1])
    for _ in range(6):
        await caller.answer("99")
    assert (await caller.answer("99")).status_code == 429
    assert "What is" not in caller.page.text


async def test_a_full_widget_holds_nothing_more_until_a_hold_ends(busy: Stack) -> None:
    starts = [day[0] for day in await days(busy)]
    for start in starts[:4]:
        await busy.hold(start)
    caller = Caller(busy)
    assert (await caller.hold(starts[5])).status_code == 429
    assert "Too many people" in text_of(caller.page.text)
    assert 0 < int(caller.page.headers["retry-after"]) <= 600
    await busy.tick(after=busy.minutes(11))
    assert (await caller.hold(starts[5])).status_code == 303


async def test_an_ended_hold_is_held_again_under_pressure_with_what_was_typed(busy: Stack) -> None:
    anna, starts = Browser(busy), [day[0] for day in await days(busy)]
    await anna.open(f"/w/studio?service={busy.portrait_id}")
    await anna.send('id="hf-hold"', start=starts[0].isoformat())
    details = anna.page
    await busy.tick(after=busy.minutes(11))
    await busy.hold(starts[1])
    anna.page = details
    said = await anna.send('action="[^"]*/details"', name="Anna <Ek>", email="anna@customer.example")
    assert "What is" in said
    first, second = re.findall(r"What is (\d) plus (\d)\?", said)[0]
    said = await anna.send('id="hf-check"', proof_answer=str(int(first) + int(second)))
    assert "again" in said
    assert "Anna &lt;Ek&gt;" in anna.page.text


def test_work_is_accepted_once_for_its_purpose_and_nothing_like_it() -> None:
    now = datetime.fromisoformat("2026-11-23T08:00:00Z")
    challenges = Challenges(["k" * 32], now=lambda: now, random=Random(1))
    asked = challenges.make("studio:anna")
    assert asked.bits == BITS
    solution = solve(asked.salt, asked.bits)
    for token, wrong in (
        (asked.token, "1,2,3,4,5,6,7,8"),
        (asked.token, solution.rpartition(",")[0]),
        (asked.token, "x"),
        (asked.token, ""),
        (asked.token[:-2], solution),
        ("", solution),
        ("x" * 10_000, solution),
    ):
        assert not challenges.accept("studio:anna", Proof(token, wrong))
    assert not challenges.accept("studio:bo", Proof(asked.token, solution))
    assert challenges.accept("studio:anna", Proof(asked.token, solution))
    assert not challenges.accept("studio:anna", Proof(asked.token, solution))


def test_the_more_is_held_the_more_work_each_hold_is() -> None:
    now = datetime.fromisoformat("2026-11-23T08:00:00Z")
    challenges = Challenges(["k" * 32], now=lambda: now, random=Random(1))
    assert [challenges.make("p", effort=effort).bits for effort in (0, 1, 3, 9)] == [6, 7, 9, 9]


@pytest.mark.parametrize("typed", [" 7 ", "٧", "07"])
def test_a_person_may_type_the_number_as_they_write_it(typed: str) -> None:
    now = datetime.fromisoformat("2026-11-23T08:00:00Z")
    challenges = Challenges(["k" * 32], now=lambda: now, random=Random(3))
    while (asked := challenges.make("p")).first + asked.second != 7:
        pass
    assert challenges.accept("p", Proof(asked.token, answer=typed))


# Managing a booking


async def test_links_cannot_be_guessed_at_speed(stack: Stack) -> None:
    caller = Caller(stack)
    answers = [(await caller.client.get(f"/manage/guess-{number}")).status_code for number in range(61)]
    assert answers == [403] * 60 + [429]


async def test_fresh_links_are_not_asked_for_without_end(stack: Stack) -> None:
    caller = Caller(stack)
    asked = {"email": "anna@customer.example"}
    answers = [(await caller.client.post("/manage/resend", data=asked)).status_code for _ in range(7)]
    assert answers == [303] * 6 + [429]
    neighbor = Caller(stack, "198.51.100.8")
    assert (await neighbor.client.post("/manage/resend", data=asked)).status_code == 303


async def test_one_booking_is_not_changed_without_end(stack: Stack) -> None:
    booking = await stack.confirmed()
    token = stack.parts.links.manage_token(booking.id, booking.link_version)
    answers = []
    for number in range(11):
        caller = Caller(stack, f"198.51.100.{number}")
        answers.append((await caller.client.post(f"/manage/{token}/cancel", data={})).status_code)
    assert answers[-1] == 429
    assert 429 not in answers[:-1]
