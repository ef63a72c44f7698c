"""`python -m app reconcile`: what Stripe, Hapio and the database do not have in common, and putting it right."""

import argparse
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.cli.options import add_reconcile
from app.cli.reconcile import reconcile
from app.domain.booking import Booking, Status
from sandbox import hapio, stripe
from tests.support.backups import OWNER, copied, final_in_hapio, lost_booking, money_alarms, put_back
from tests.support.commands import Owner
from tests.support.stack import Stack, open_stack

PRICE = 120_000


class Desk(Owner):
    """The owner, who only ever reconciles."""

    async def types(self, *words: str, width: int = 0) -> int:
        """The command with these options; its exit code."""
        parser = argparse.ArgumentParser()
        add_reconcile(parser)
        return await reconcile(self.stack.parts, parser.parse_args(words), self.terminal(width))

    @property
    def said(self) -> str:
        """Everything that is printed for people."""
        return "\n".join(self.told).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def desk(stack: Stack) -> Desk:
    """With nobody else at it."""
    return Desk(stack)


async def lost_hold(stack: Stack, folder: Path) -> Booking:
    """A hold that was made after the copy, which is then put back."""
    copy = copied(stack, folder)
    booking = await stack.hold()
    await put_back(stack, copy)
    return booking


async def test_in_health_there_is_nothing_to_show(stack: Stack, desk: Desk) -> None:
    await stack.confirmed()
    await stack.hold(await stack.free_slot(nth=9))
    assert await desk.types() == 0
    assert desk.told == ["Stripe, the scheduler and the database agree."]
    assert desk.questions == []


async def test_looking_shows_everything_and_moves_nothing(stack: Stack, desk: Desk, tmp_path: Path) -> None:
    copy = copied(stack, tmp_path)
    held = await stack.hold(await stack.free_slot(nth=9))
    booking = await stack.confirmed()
    session = (await stack.parts.bookings.view(booking.id)).payments[0].session_id
    await put_back(stack, copy)
    before = [(one.id, one.is_temporary) for one in stack.hapio_bookings()]
    assert await desk.types() == 0
    for shown in (session, "SEK 1,200.00", held.reservation.reference, booking.reservation.reference, "Anna Ek"):
        assert str(shown) in desk.said
    assert [(one.id, one.is_temporary) for one in stack.hapio_bookings()] == before
    assert stack.money_kept() == PRICE
    assert desk.questions == []


async def test_holds_that_the_database_does_not_know_are_released_with_one_answer(
    stack: Stack, desk: Desk, tmp_path: Path
) -> None:
    copy = copied(stack, tmp_path)
    for nth in (0, 9, 18):
        await stack.hold(await stack.free_slot(nth=nth))
    await put_back(stack, copy)
    known = await stack.hold(await stack.free_slot(nth=27))
    assert await desk.types("--release") == 0
    assert len(desk.questions) == 1
    assert [one.id for one in stack.hapio_bookings()] == [known.reservation.reference]


async def test_a_no_releases_nothing(stack: Stack, desk: Desk, tmp_path: Path) -> None:
    booking = await lost_hold(stack, tmp_path)
    desk.answer = False
    assert await desk.types("--release") == 1
    assert [one.id for one in stack.hapio_bookings()] == [booking.reservation.reference]


async def test_with_yes_nothing_is_asked(stack: Stack, desk: Desk, tmp_path: Path) -> None:
    await lost_hold(stack, tmp_path)
    assert await desk.types("--release", "--yes") == 0
    assert desk.questions == []
    assert stack.hapio_bookings() == []


async def test_a_hold_of_other_software_in_hapio_is_neither_shown_nor_released(stack: Stack, desk: Desk) -> None:
    made = await stack.book_elsewhere(await stack.free_slot(), is_temporary=True)
    assert await desk.types("--release", "--yes") == 0
    assert {one.id for one in stack.hapio_bookings()} == set(made)


async def test_a_payment_of_a_known_booking_is_adopted_and_confirmed(stack: Stack, desk: Desk, tmp_path: Path) -> None:
    booking = await stack.hold()
    copy = copied(stack, tmp_path)
    session = await stack.at_stripe(booking)
    await stack.stop()
    await stack.stripe.pay(session)
    await stack.start()
    await put_back(stack, copy)
    assert await desk.types() == 0
    assert booking.id in desk.said
    assert await stack.status(booking) is Status.HELD
    assert await desk.types("--adopt", "--yes") == 0
    assert await stack.status(booking) is Status.CONFIRMED
    assert await desk.types() == 0
    assert "the database agree" in desk.said


async def test_a_payment_of_an_unknown_booking_is_refunded_and_its_alarm_ends(
    stack: Stack, desk: Desk, tmp_path: Path
) -> None:
    await lost_booking(stack, tmp_path)
    assert await desk.types("--refund") == 0
    assert desk.questions == ["Refund 1 payment in full?"]
    assert stack.money_kept() == 0
    assert await money_alarms(stack) == []
    assert await desk.types("--refund", "--yes") == 0
    assert len(stack.stripe.state.refunds) == 1


async def test_what_is_refunded_before_the_server_saw_it_is_not_mailed_about(
    stack: Stack, desk: Desk, tmp_path: Path
) -> None:
    await lost_booking(stack, tmp_path)
    await desk.types("--refund", "--yes")
    await stack.until_quiet()
    assert await stack.mail(OWNER) == []


async def test_only_the_rest_of_a_payment_that_was_refunded_in_part_goes_back(
    stack: Stack, desk: Desk, tmp_path: Path
) -> None:
    _booking, session = await lost_booking(stack, tmp_path)
    stack.stripe.refund_in_dashboard(stack.stripe.state.sessions[session]["payment_intent"], amount=50_000)
    assert await desk.types("--refund", "--yes") == 0
    assert stack.money_kept() == 0


async def test_held_money_of_an_unknown_booking_is_let_go(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        await stack.tick()
        copy = copied(stack, tmp_path)
        session = await stack.at_stripe(await stack.hold())
        await stack.stop()
        await stack.stripe.pay(session)
        await stack.start()
        await put_back(stack, copy)
        await stack.tick()
        assert await money_alarms(stack) == [("unknown_booking", PRICE)]
        assert await Desk(stack).types("--refund", "--yes") == 0
        assert (stack.money_held(), await money_alarms(stack)) == (0, [])


async def test_a_payment_marked_as_settled_keeps_its_money_and_ends_its_alarm(
    stack: Stack, desk: Desk, tmp_path: Path
) -> None:
    _booking, session = await lost_booking(stack, tmp_path)
    assert await desk.types("--settled", session) == 0
    assert stack.money_kept() == PRICE
    await stack.until_quiet()
    assert await money_alarms(stack) == []
    assert await desk.types("--settled", session) == 2


async def test_a_confirmed_booking_in_hapio_is_released_only_by_its_name(
    stack: Stack, desk: Desk, tmp_path: Path
) -> None:
    await lost_booking(stack, tmp_path)
    [there] = final_in_hapio(stack)
    assert await desk.types("--adopt", "--release", "--refund", "--yes") == 0
    assert final_in_hapio(stack) == [there]
    assert await desk.types("--release-final", there) == 0
    assert len(desk.questions) == 1
    assert final_in_hapio(stack) == []
    assert stack.hapio.state.bookings[there].is_canceled


async def test_what_is_called_off_here_and_stands_in_hapio_is_shown_and_can_be_cancelled(
    stack: Stack, desk: Desk
) -> None:
    """As where a copy was put back that does not know what was booked of it since."""
    booking = await stack.confirmed()
    [there] = final_in_hapio(stack)
    await stack.cancel(booking)
    assert await desk.types() == 0
    assert desk.told == ["Stripe, the scheduler and the database agree."]
    bookings = stack.hapio.state.bookings
    bookings[there] = replace(bookings[there], is_canceled=False)
    assert await desk.types() == 0
    assert there in desk.said
    assert await desk.types("--release-final", there) == 0
    assert final_in_hapio(stack) == []


@pytest.mark.parametrize("option", ["--settled", "--release-final"])
async def test_a_name_that_is_not_there_changes_nothing(stack: Stack, desk: Desk, tmp_path: Path, option: str) -> None:
    await lost_hold(stack, tmp_path)
    assert await desk.types("--release", "--yes", option, "cs_test_other") == 2
    assert len(stack.hapio_bookings()) == 1


async def test_what_is_here_and_not_in_hapio_is_shown(stack: Stack, desk: Desk) -> None:
    booking = await stack.confirmed()
    stack.hapio.state.bookings.clear()
    assert await desk.types() == 0
    assert booking.id in desk.said
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_payment_that_stripe_does_not_know_is_shown(stack: Stack, desk: Desk) -> None:
    booking = await stack.confirmed()
    stack.stripe.state.sessions.clear()
    assert await desk.types() == 0
    assert "is STRIPE_SECRET_KEY for the same account" in desk.said
    assert booking.id in desk.said


async def test_programs_read_what_was_found_and_done(stack: Stack, desk: Desk, tmp_path: Path) -> None:
    booking, session = await lost_booking(stack, tmp_path)
    assert await desk.types("--json", "--refund", "--yes") == 0
    assert desk.result["success"] is True
    [payment] = desk.result["unknownPayments"]
    assert (payment["sessionId"], payment["bookingId"]) == (session, booking.id)
    assert (payment["amount"], payment["currency"]) == (PRICE, "sek")
    assert desk.result["unknownBookings"][0]["bookingId"] == booking.id
    assert desk.result["done"] == [{"act": "refund", "id": session}]


@pytest.mark.parametrize("who", ["The scheduler", "Stripe"])
async def test_without_an_answer_nothing_is_done_and_it_says_so(stack: Stack, desk: Desk, who: str) -> None:
    if who == "The scheduler":
        stack.hapio.faults.append(hapio.Fault("error_before", times=50))
    else:
        stack.stripe.faults.append(stripe.Fault("error_before", times=50))
    assert await desk.types("--release", "--refund", "--yes") == 1
    assert desk.said.startswith(f"{who} gave no usable answer")
    assert await desk.types("--json") == 1
    assert desk.result["success"] is False


async def test_a_refund_that_stripe_refuses_is_told_and_the_others_go_on(
    stack: Stack, desk: Desk, tmp_path: Path
) -> None:
    await stack.tick()
    copy = copied(stack, tmp_path)
    for nth in (0, 9):
        await stack.paid(await stack.hold(await stack.free_slot(nth=nth)))
    await put_back(stack, copy)
    stack.stripe.faults.append(stripe.Fault("error_before", method="POST", path="/v1/refunds", times=5))
    assert await desk.types("--refund", "--yes") == 1
    assert "not done" in desk.said
    assert stack.money_kept() == PRICE
    stack.clock.advance(timedelta(minutes=5))
    assert await desk.types("--refund", "--yes") == 0
    assert stack.money_kept() == 0


async def test_without_stripe_only_hapio_is_compared(tmp_path: Path) -> None:
    settings = {"stripe_secret_key": None, "stripe_webhook_secret": ()}
    async with open_stack(tmp_path, settings=settings) as stack:
        copy = copied(stack, tmp_path)
        await stack.hold(service="planning")
        await put_back(stack, copy)
        assert await Desk(stack).types("--release", "--yes") == 0
        assert stack.hapio_bookings() == []
