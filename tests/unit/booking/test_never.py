"""A provider refuses permanently, or never answers again, from any call on: nobody waits in silence.

Every captured amount stands for a confirmed booking or went back, or the owner was told and an alarm is on. When the
provider answers again after days, everything ends as if it had never been away.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from app.domain.booking import Booking, Status
from app.errors import HoldfastError
from app.operations.alerts import AlertKind
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.agreement import assert_nothing_is_due_to_the_scheduler, due_to_the_house, intents_of, tag
from tests.support.rows import all_moves, rows
from tests.support.stack import Doom, Stack, open_stack
from tests.support.stories import (
    FREE,
    HEADSHOT,
    OTHER_SERVICE,
    PORTRAIT,
    Change,
    book_for_free,
    cancel,
    cancel_by_the_owner,
    give_up_while_paying,
    move,
    move_to_a_higher_price,
    move_to_a_lower_price,
    pay,
    take_a_cancellation_back,
    walk_away_from_stripe,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def scheduler_is_silent(stack: Stack) -> None:
    stack.side.faults.append(Fault("drop_before", times=None))


def scheduler_refuses_the_token(stack: Stack) -> None:
    stack.side.faults.append(Fault("refuse", times=None, status=401))


def stripe_is_silent(stack: Stack) -> None:
    stack.stripe.faults.append(StripeFault("drop_before", times=None))


def stripe_refuses_the_key(stack: Stack) -> None:
    stack.stripe.faults.append(StripeFault("refuse", times=None, status=403, code="account_invalid"))


def stripe_refuses_refunds(stack: Stack) -> None:
    stack.stripe.faults.append(
        StripeFault("refuse", method="POST", path="/refunds$", times=None, status=400, code="insufficient_funds")
    )


@dataclass
class Turn(Doom):
    """From the n-th answer of a provider on the world is another one; the process lives. What is committed in between
    makes no difference to who never answers."""

    then: Callable[[], None] = lambda: None

    def effect(self) -> None:
        """A commit is no turn."""

    def answered(self) -> None:
        self.effects += 1
        if self.effects == self.at:
            self.then()


SCHEDULER = [scheduler_is_silent, scheduler_refuses_the_token]
STRIPE = [stripe_is_silent, stripe_refuses_the_key]
#: What is done, and who of those that it asks may never answer again.
STORIES = [
    *((pay, never) for never in SCHEDULER + STRIPE),
    *((walk_away_from_stripe, never) for never in SCHEDULER + STRIPE),
    *((give_up_while_paying, never) for never in SCHEDULER + STRIPE),
    *((book_for_free, never) for never in SCHEDULER),
]
REFUNDS = [*STRIPE, stripe_refuses_refunds]
CHANGES = [
    *((cancel, PORTRAIT, "", never) for never in SCHEDULER + REFUNDS),
    *((cancel_by_the_owner, PORTRAIT, "", never) for never in SCHEDULER + REFUNDS),
    *((cancel, FREE, "", never) for never in SCHEDULER),
    *((take_a_cancellation_back, PORTRAIT, "", never) for never in SCHEDULER + REFUNDS),
    *((move, PORTRAIT, "", never) for never in SCHEDULER),
    *((move_to_a_lower_price, PORTRAIT, OTHER_SERVICE, never) for never in SCHEDULER + REFUNDS),
    *((move_to_a_higher_price, HEADSHOT, OTHER_SERVICE, never) for never in SCHEDULER + REFUNDS),
]


def named(part: object) -> str:
    """A parameter's name in the list of tests."""
    return str(getattr(part, "__name__", part))


@pytest.mark.parametrize(("story", "never"), STORIES, ids=named)
async def test_nobody_waits_in_silence_for_a_booking(
    story: Callable[[Stack], Awaitable[None]], never: Callable[[Stack], None], tmp_path: Path
) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        await stack.free_slot()
        return lambda: story(stack)

    await turn_everywhere(tmp_path, prepare, never)


@pytest.mark.parametrize(("change", "service", "widget", "never"), CHANGES, ids=named)
async def test_nobody_waits_in_silence_for_a_change(
    change: Change, service: str, widget: str, never: Callable[[Stack], None], tmp_path: Path
) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        booking = await stack.confirmed(service=service)
        await stack.tick()  # its mails
        return lambda: change(stack, booking)

    await turn_everywhere(tmp_path, prepare, never, widget=widget)


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
@pytest.mark.parametrize("never", SCHEDULER, ids=named)
async def test_nobody_waits_in_silence_for_a_booking_whose_time_nobody_locks(
    scheduler: str, never: Callable[[Stack], None], tmp_path: Path
) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        await stack.free_slot()
        return lambda: pay(stack)

    await turn_everywhere(tmp_path, prepare, never, scheduler=scheduler)


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
@pytest.mark.parametrize("never", SCHEDULER, ids=named)
@pytest.mark.parametrize("change", [cancel, move], ids=named)
async def test_nobody_waits_in_silence_for_a_change_where_nobody_locks_the_time(
    change: Change, scheduler: str, never: Callable[[Stack], None], tmp_path: Path
) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        booking = await stack.confirmed()
        await stack.tick()  # its mails
        return lambda: change(stack, booking)

    await turn_everywhere(tmp_path, prepare, never, scheduler=scheduler)


@pytest.mark.parametrize("never", SCHEDULER, ids=named)
async def test_where_the_calendar_alone_is_silent_nobody_is_sent_to_stripe(
    never: Callable[[Stack], None], tmp_path: Path
) -> None:
    """A process that is started anew asks the calendar before it ends what it has found: the database may be a copy."""
    async with open_stack(tmp_path, webhooks=False) as stack:
        await stack.hold()
        never(stack)
        await stack.restart()
        await days_pass(stack)
        told = [one.text or "" for one in stack.mailbox.messages if "owner@studio.example" in one.recipients]
        assert any("delete the entry in your calendar" in text for text in told)
        assert not any("Stripe" in text for text in told)
        kinds = {alert.kind for alert in await stack.parts.alerts.all()}
        assert AlertKind.NOT_RELEASED in kinds
        assert AlertKind.NOT_ENDED not in kinds


@pytest.mark.parametrize("never", STRIPE, ids=named)
async def test_money_that_came_after_the_end_is_told_while_stripe_does_not_say_what_it_is(
    never: Callable[[Stack], None], tmp_path: Path
) -> None:
    """Stripe's message says that there was a payment, and what it was cannot be read."""
    async with open_stack(tmp_path) as stack:
        booking = await stack.hold()
        session_id = await stack.at_stripe(booking)
        await stack.tick(after=HOUR, times=2)
        assert await stack.status(booking) is Status.EXPIRED
        never(stack)
        await stack.pay_late(session_id)
        await days_pass(stack)
        told = [one.text or "" for one in stack.mailbox.messages if "owner@studio.example" in one.recipients]
        [text] = [text for text in told if "Stripe does not say whether the customer has paid" in text]
        assert "check your Stripe account" in text
        assert "the time stays blocked" not in text, "it was given back"
        stack.stripe.faults.clear()
        await hours_pass(stack)
        await assert_all_is_settled(stack)


async def turn_everywhere(
    tmp_path: Path,
    prepare: Callable[[Stack], Awaitable[Callable[[], Awaitable[object]]]],
    never: Callable[[Stack], None],
    *,
    widget: str = "",
    scheduler: str = "hapio",
) -> None:
    """Let the provider be gone from the first effect on, from the second, … until the story has no more of them."""
    after = 0
    fired = True
    while fired:
        folder = tmp_path / str(after)
        folder.mkdir()
        turn = Turn()
        async with open_stack(folder, widget=widget, webhooks=False, doom=turn, scheduler=scheduler) as stack:
            story = await prepare(stack)
            turn.effects, turn.at, turn.then = 0, after, partial(never, stack)
            if after == 0:
                never(stack)
            with suppress(HoldfastError):
                await story()
            fired = after == 0 or turn.effects >= turn.at
            turn.at = 0
            await days_pass(stack)
            await assert_nobody_waits_in_silence(stack)
            stack.side.faults.clear()
            stack.stripe.faults.clear()
            await hours_pass(stack)
            await assert_all_is_settled(stack)
        after += 1
    assert after >= 2, "the story must ask a provider for something"


async def days_pass(stack: Stack) -> None:
    """The worker goes on closely through the first hour, then through days, past every visit."""
    for step in [HOUR / 4] * 5 + [4 * HOUR] * 2 + [DAY] * 4:
        await stack.tick(after=step)
    for _ in range(3):  # mails go out a few at a time
        await stack.tick(after=timedelta(minutes=5))


async def hours_pass(stack: Stack) -> None:
    """Long enough for every pause between two tries."""
    for _ in range(6):
        await stack.tick(after=2 * HOUR)


async def assert_nobody_waits_in_silence(stack: Stack) -> None:
    told = " ".join(message.header("Message-ID") for message in stack.mailbox.messages)
    alarms = await alarms_on(stack)
    active = set(occupied_there(stack))
    for booking in await rows(stack):
        kept = money_kept_for(stack, booking)
        moves_of = {moved.id for moved in await all_moves(stack) if moved.booking_id == booking.id}
        occupied = active & {booking.id, *moves_of}
        is_right = kept == due_to_the_house(booking) and bool(occupied) is (booking.status is Status.CONFIRMED)
        if not is_right:
            assert f"{booking.id}.trouble_owner" in told, f"nobody told the owner: {booking}"
            assert alarms, f"no alarm is on: {booking}"


def occupied_there(stack: Stack) -> list[str]:
    """Our tags on what takes up time at the scheduler."""
    if stack.side.name == "hapio":
        return [tag(held) for held in stack.hapio_bookings()]
    return [one.tag for one in stack.side.booked() if one.tag]


async def alarms_on(stack: Stack) -> list[str]:
    """The alarms of the documents that would wake someone now."""
    census = await stack.parts.store.census()
    ages = {name: getattr(census, name) for name in census.__slots__ if name.startswith("oldest_")}
    alarms = [name for name, age in ages.items() if name != "oldest_event" and age > 3600]
    if await stack.parts.store.money_without_booking():
        alarms.append("money_without_booking")
    return alarms


async def assert_all_is_settled(stack: Stack) -> None:
    for booking in await rows(stack):
        assert booking.status in {Status.CONFIRMED, Status.EXPIRED, Status.CANCELED}
        assert not booking.reservation.unsure
        assert money_kept_for(stack, booking) == due_to_the_house(booking)
    for moved in await all_moves(stack):
        assert moved.state in {"done", "refused", "expired"}
    await assert_nothing_is_due_to_the_scheduler(stack)
    confirmed = [booking.id for booking in await rows(stack) if booking.status is Status.CONFIRMED]
    if stack.side.name == "hapio":  # the others let nobody take back what is past
        assert sorted(occupied_there(stack)) == sorted(confirmed)
    assert stack.money_held() == 0
    assert await stack.parts.store.money_without_booking() == []


def money_kept_for(stack: Stack, booking: Booking) -> int:
    """What Stripe took for the booking and did not give back."""
    intents = {intent["id"]: intent["amount_received"] for intent in intents_of(stack, booking)}
    returned = sum(
        made["amount"]
        for made in stack.stripe.state.refunds.values()
        if made["payment_intent"] in intents and made["status"] in {"succeeded", "pending"}
    )
    return int(sum(intents.values()) - returned)
