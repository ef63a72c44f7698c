"""python -m app: starts with good settings, stops cleanly, and says what is wrong otherwise; the owner's commands."""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.cli.arguments import add_bookings
from app.cli.desk import serve
from app.cli.terminal import Terminal
from app.domain.booking import Actor, Booking, Status
from app.domain.money import Money
from app.errors import LinkRefused
from app.main import Seams, open_parts
from app.settings import Settings
from sandbox.serve import base_url, listen
from tests.support.commands import ENVIRON, Owner
from tests.support.stack import MONDAY, Stack
from tests.support.staff import copies

HERE = Path(__file__).parent


def run(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 — our own command line
        [sys.executable, "-m", "app", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE.parents[2]), **environ},
        cwd=HERE,  # not the checkout's root, where a developer may have a .env
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_missing_setting_stops_the_start_with_its_name() -> None:
    process = run("serve", **{**ENVIRON, "PUBLIC_URL": ""})
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "PUBLIC_URL is missing" in said


def test_migrate_makes_the_database_and_may_be_repeated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'holdfast.sqlite3'}"
    for _ in range(2):
        process = run("migrate", **ENVIRON, DATABASE_URL=url)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert (tmp_path / "holdfast.sqlite3").stat().st_size > 0


def test_the_server_answers_and_stops_cleanly_when_told(tmp_path: Path) -> None:
    with listen() as free:
        url = base_url(free)
    port = url.rpartition(":")[2]
    process = run("serve", "--port", port, **ENVIRON, DATABASE_URL=f"sqlite:///{tmp_path / 'holdfast.sqlite3'}")
    transport = httpx.HTTPTransport(retries=8)  # connecting again with growing pauses until it listens
    with httpx.Client(transport=transport, base_url=url) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}


def test_the_worker_stops_cleanly_when_told(tmp_path: Path) -> None:
    process = run("worker", **ENVIRON, DATABASE_URL=f"sqlite:///{tmp_path / 'holdfast.sqlite3'}", LOG_LEVEL="warning")
    assert process.stderr
    # With Hapio out of reach the first sweep is put off, and says so: the worker is at work.
    assert "sweep_scheduler" in process.stderr.readline() + process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


# What the owner does: python -m app bookings


@pytest.fixture
def owner(stack: Stack) -> Owner:
    """With nobody else at the desk."""
    return Owner(stack)


async def booked(stack: Stack, nth: int = 0, *, service: str = "portrait", name: str = "Anna Ek") -> Booking:
    """A paid and confirmed booking; without `nth`, within the 50 % of the terms."""
    booking = await stack.hold(await stack.free_slot(service, nth), service=service, customer=stack.customer(name))
    await stack.paid(booking)
    await stack.tick()
    assert await stack.status(booking) is Status.CONFIRMED
    return await stack.parts.bookings.get(booking.id)


async def test_a_list_has_a_heading_for_each_day_and_times_of_the_place(stack: Stack, owner: Owner) -> None:
    first, second = await booked(stack), await booked(stack, 20, name="Bo Alm")
    assert await owner.types("list") == 0
    lines = owner.printed[0].splitlines()
    assert lines[0] == "Monday, 23 November 2026 (Europe/Stockholm)"
    for part in ("13:00–14:00 UTC+1", "Portrait session", "Astrid Lindqvist", "Anna Ek", "SEK 1,200.00", "confirmed"):
        assert part in lines[1]
    assert lines[1].endswith(first.id)
    assert lines[-1].endswith(second.id)
    assert lines[3].startswith("Wednesday, 25 November 2026")


async def test_a_narrow_terminal_gets_shorter_names_and_never_a_shorter_id(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack, name="Annabella Ekströmsdotter Wallenberg")
    assert await owner.types("list", width=105) == 0
    line = owner.printed[0].splitlines()[1]
    assert len(line) <= 105
    assert "…" in line
    assert line.endswith(booking.id)


async def test_a_list_is_narrowed_by_days_status_and_address(stack: Stack, owner: Owner) -> None:
    monday, wednesday = await booked(stack), await booked(stack, 20, name="Bo Alm")
    abandoned = await stack.hold(await stack.free_slot("portrait", 30), customer=stack.customer("Cleo Dahl"))
    await stack.tick(after=timedelta(minutes=11))

    async def listed(*words: str) -> list[str]:
        assert await owner.types("list", "--json", *words) == 0
        return [booking["bookingId"] for booking in owner.result["bookings"]]

    assert await listed() == [monday.id, wednesday.id]
    assert await listed("--from", "2026-11-24") == [wednesday.id]
    assert await listed("--to", "2026-11-23") == [monday.id]
    assert await listed("--from", "2026-11-23", "--to", "2026-11-23") == [monday.id]
    assert await listed("--email", "Bo@customer.example") == [wednesday.id]
    assert await listed("--status", "expired") == [abandoned.id]
    assert await listed("--status", "canceled") == []
    stack.clock.advance(timedelta(days=1))
    assert await listed() == [wednesday.id]
    assert await listed("--from", "2026-11-23", "--status", "completed") == [monday.id]
    assert await listed("--email", "anna@customer.example") == [monday.id]


async def test_days_that_make_no_sense_are_wrong_use(owner: Owner) -> None:
    assert await owner.types("list", "--from", "2026-11-24", "--to", "2026-11-23") == 2
    for day in ("tomorrow", "0001-01-01", "9999-12-31"):
        with pytest.raises(SystemExit) as stopped:
            await owner.types("list", "--from", day)
        assert stopped.value.code == 2


async def test_show_tells_the_owner_who_comes_what_was_paid_and_what_happened(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("show", booking.id) == 0
    told = " ".join(owner.printed[0].split())
    assert f"{booking.id} confirmed" in told
    assert "Mon, 23 Nov 2026, 13:00–14:00 UTC+1 (Europe/Stockholm)" in told
    assert "Customer Anna Ek anna@customer.example" in told
    assert "50% back until Mon, 23 Nov 2026, 11:00 UTC+1 after that, no refund" in told
    assert "Payments SEK 1,200.00, captured, pi_" in told
    assert told.endswith("Confirmed")


async def test_what_a_customer_typed_does_not_steer_the_terminal(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack, name="Anna\x1b[2J\u202e Ek")
    for words in (("show", booking.id), ("list",), ("show", booking.id, "--json"), ("list", "--json")):
        assert await owner.types(*words) == 0
        assert "\x1b" not in owner.printed[0]
        assert "\u202e" not in owner.printed[0]


async def test_a_booking_that_there_is_not_is_refused(owner: Owner) -> None:
    for act in (["show"], ["cancel"], ["no-show"], ["resend"], ["refund"], ["move", "--start", "2026-11-24T10:00"]):
        assert await owner.types(*act, "bk_none", "--json") == 1
        assert owner.result["error"]["code"] == "BOOKING_NOT_FOUND"


async def test_without_a_yes_nothing_is_cancelled_moved_or_refunded(stack: Stack, owner: Owner) -> None:
    booking, owner.answer = await booked(stack), False
    start = (await stack.free_slot("portrait", 20)).isoformat()
    for act in (["cancel"], ["refund"], ["move", "--start", start]):
        assert await owner.types(*act, booking.id) == 1
        assert len(owner.questions) == 1
        assert owner.told[-1] == "Nothing was changed, charged or refunded."
    assert await stack.parts.bookings.get(booking.id) == booking
    assert stack.money_kept() == 120000


async def test_the_owner_cancels_and_everything_goes_back_whatever_the_terms_say(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("cancel", booking.id) == 0
    assert "We refund SEK 1,200.00 to the customer straight away: all that is left of the payment." in owner.said
    assert owner.questions == ["Cancel this booking?"]
    assert owner.told[-2:] == ["Cancelled.", "Refund of SEK 1,200.00: sent."]
    assert await stack.status(booking) is Status.CANCELED
    assert stack.money_kept() == 0
    assert stack.hapio_bookings() == []


async def test_a_cancellation_shows_and_refunds_only_what_is_left(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("refund", booking.id, "--amount", "200") == 0
    assert (
        "We refund SEK 200.00 to the customer straight away: out of SEK 1,200.00 that is left of the payment."
        in owner.said
    )
    assert await owner.types("cancel", booking.id, "--yes", "--json") == 0
    assert owner.questions == []
    assert "We refund SEK 1,000.00 to the customer" in owner.said
    assert owner.result["changed"] is True
    assert owner.result["booking"]["status"] == "canceled"
    assert [(back["amount"], back["status"]) for back in owner.result["refunds"]] == [(100000, "succeeded")]
    assert stack.money_kept() == 0


async def test_a_second_cancellation_changes_nothing_and_says_who_was_first(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER)
    assert await owner.types("cancel", booking.id, "--yes", "--json") == 0
    assert owner.result["changed"] is False
    assert "cancelled by the customer" in owner.said
    assert "the customer can undo this until Mon, 23 Nov 2026, 09:10 UTC+1" in owner.said
    assert await owner.types("refund", booking.id, "--yes") == 0
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_what_changed_while_the_owner_was_reading_is_not_canceled(stack: Stack, tmp_path: Path) -> None:
    booking = await booked(stack, 20)
    start = await stack.free_slot("portrait", 40)
    reading, read = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def ask(_question: str) -> bool:
        loop.call_soon_threadsafe(reading.set)
        return read.wait(30)

    def at_another_desk() -> int:
        return asyncio.run(by_hand(stack.settings, ["cancel", booking.id], ask))

    canceling = loop.run_in_executor(None, at_another_desk)
    await reading.wait()
    await stack.parts.reschedule.booking(booking.id, starts_at=start, by=Actor.CUSTOMER)
    read.set()
    assert await canceling == 1
    assert await stack.status(booking) is Status.CONFIRMED
    assert stack.money_kept() == 120000


async def test_what_was_refunded_while_the_owner_was_reading_is_not_refunded_twice(
    stack: Stack, tmp_path: Path
) -> None:
    booking = await booked(stack)
    reading, read = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def ask(_question: str) -> bool:
        loop.call_soon_threadsafe(reading.set)
        return read.wait(30)

    def at_another_desk() -> int:
        return asyncio.run(by_hand(stack.settings, ["refund", booking.id, "--amount", "200"], ask))

    refunding = loop.run_in_executor(None, at_another_desk)
    await reading.wait()
    await stack.parts.owner_refunds.give_back(booking.id, Money(20000, "sek"))
    read.set()
    assert await refunding == 1
    assert [refund.amount.amount for refund in await stack.refunds(booking)] == [20000]
    assert stack.money_kept() == 100000


async def by_hand(settings: Settings, words: list[str], ask: Callable[[str], bool]) -> int:
    """The owner's command in a process of its own, or nearly."""
    parser = argparse.ArgumentParser()
    add_bookings(parser)
    terminal = Terminal(lambda _: None, lambda _: None, ask)
    async with open_parts(settings, Seams(now=lambda: MONDAY)) as parts:
        return await serve(parts, parser.parse_args(words), terminal)


async def test_a_free_booking_is_canceled_without_a_word_of_money_going_back(stack: Stack, owner: Owner) -> None:
    booking = await stack.hold(service="planning")
    await stack.parts.checkout.start(booking.id)
    await stack.tick()
    assert await owner.types("cancel", booking.id) == 0
    assert "Nothing was paid, so there is nothing to refund." in owner.said
    assert await owner.types("refund", booking.id) == 1
    assert owner.told == ["There is nothing left to refund. Nothing was changed, charged or refunded."]


async def test_no_more_is_refunded_than_is_left(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("refund", booking.id, "--amount", "1200.01") == 1
    assert owner.told == ["Only SEK 1,200.00 is left to refund. Nothing was changed, charged or refunded."]
    for amount in ("twenty", "20.005", "0", "-5", "NaN", "1e99999999", "1_0", "1e2", "+12", "٣", "１２"):
        assert await owner.types("refund", booking.id, f"--amount={amount}") == 2, amount
    assert stack.money_kept() == 120000
    assert await owner.types("refund", booking.id, "--amount=12,50") == 0
    assert stack.money_kept() == 118750
    assert await owner.types("refund", booking.id) == 0
    assert stack.money_kept() == 0
    assert await stack.status(booking) is Status.CONFIRMED
    assert await owner.types("refund", booking.id) == 1


async def test_a_refund_waits_for_a_bank_and_the_owner_is_told(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    (payment,) = (await stack.parts.bookings.view(booking.id)).payments
    await stack.parts.store.record_dispute(payment, dispute="needs_response")
    assert await owner.types("cancel", booking.id, "--yes") == 0
    assert "once the bank has decided the dispute, unless it has taken the money back itself" in owner.said
    assert owner.told[-1] == "Refund of SEK 1,200.00: waiting for the bank to decide the dispute."
    assert stack.money_kept() == 120000


async def test_a_move_at_the_same_price_moves_no_money(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("move", booking.id, "--start", "2026-11-26T13:00", "--resource", "jonas berg") == 0
    assert "To:  Thu, 26 Nov 2026, 13:00–14:00 UTC+1, Portrait session with Jonas Berg" in owner.told
    assert "The price stays at SEK 1,200.00. There is nothing to pay or refund." in owner.said
    moved = await stack.parts.bookings.get(booking.id)
    assert (moved.starts_at.isoformat(), moved.resource_name) == ("2026-11-26T12:00:00+00:00", "Jonas Berg")
    assert stack.money_kept() == 120000


async def test_a_move_to_a_cheaper_service_tells_the_difference_and_gives_it_back(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    start = (await stack.free_slot("headshot", 20)).isoformat()
    assert await owner.types("move", booking.id, "--start", start, "--service", "Headshot express", "--json") == 0
    assert "It costs SEK 650.00. We refund SEK 550.00 to the customer straight away" in owner.said
    assert owner.result["move"] == {"state": "done", "checkoutUrl": None, "priceDifference": -55000}
    assert [back["amount"] for back in owner.result["refunds"]] == [55000]
    assert stack.money_kept() == 65000


async def test_a_move_after_everything_was_refunded_promises_no_money(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("refund", booking.id, "--yes") == 0
    start = (await stack.free_slot("headshot", 20)).isoformat()
    assert await owner.types("move", booking.id, "--start", start, "--service", "Headshot express") == 0
    assert "It costs SEK 650.00. There is nothing to pay or refund." in owner.said
    assert await owner.types("cancel", booking.id) == 0
    assert "Nothing is left of the payment, so there is nothing to refund." in owner.said
    assert stack.money_kept() == 0


async def test_a_move_to_a_dearer_service_waits_for_the_customer_to_pay(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack, service="headshot")
    start = await stack.free_slot("portrait", 20)
    words = ("move", booking.id, "--start", start.isoformat(), "--service", stack.portrait_id, "--json")
    assert await owner.types(*words) == 0
    assert "It costs SEK 550.00 more, SEK 1,200.00 in all. Nothing is charged now." in owner.said
    assert owner.result["move"]["state"] == "held"
    assert (await stack.parts.bookings.get(booking.id)).starts_at == booking.starts_at
    assert await owner.types(*words) == 1
    assert owner.result["error"]["code"] == "POLICY_REFUSED"

    assert await owner.types(*words[:1], booking.id, *words[2:-1]) == 1
    assert owner.told[-1].startswith("This booking is being moved, or the customer is paying for a move.")
    view = await stack.parts.bookings.view(booking.id)
    assert view.move
    await stack.stripe.pay(str(view.payments[-1].session_id))
    await stack.tick()
    assert (await stack.parts.bookings.get(booking.id)).starts_at == start
    assert stack.money_kept() == 120000


async def test_cancelling_a_booking_on_the_move_ends_the_move_first(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack, service="headshot")
    start = (await stack.free_slot("portrait", 20)).isoformat()
    assert await owner.types("move", booking.id, "--start", start, "--service", "Portrait session", "--yes") == 0
    assert await owner.types("cancel", booking.id, "--yes") == 0
    assert "is stopped first, unless it is paid for." in owner.said
    assert "We refund SEK 650.00 to the customer" in owner.said
    await stack.until_quiet()
    assert (stack.money_kept(), stack.hapio_bookings()) == (0, [])


async def test_a_time_that_is_not_free_is_refused_with_the_nearest(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("move", booking.id, "--start", "2026-11-24T03:00") == 1
    assert owner.told[-1].startswith("That time is not free. The nearest: ")
    assert owner.told[-1].endswith("UTC+1. Nothing was changed, charged or refunded.")
    assert await owner.types("move", booking.id, "--start", "2026-11-20T10:00") == 1


async def test_a_start_that_cannot_be_meant_is_wrong_use(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    for start in ("soon", "2026-11-24", "9999-12-31T23:30", "2027-03-28T02:30", "2026-10-25T02:30"):
        assert await owner.types("move", booking.id, "--start", start) == 2
    assert await owner.types("move", booking.id, "--start", "2026-11-24T10:00", "--service", "Massage") == 2
    assert "Choose one of: Portrait session, Headshot express, Planning call." in owner.told[-1]


async def test_with_hapio_down_a_move_changes_nothing_and_says_so(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    stack.hapio.state.tokens.clear()
    stack.clock.advance(timedelta(days=1))
    assert await owner.types("move", booking.id, "--start", "2026-12-01T10:00") == 1
    assert owner.told[-1].startswith("The scheduler refused: its token is wrong")
    assert await stack.parts.bookings.get(booking.id) == booking


async def test_a_no_show_can_be_noted_once_the_visit_has_begun_and_undone(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    assert await owner.types("no-show", booking.id) == 1
    assert owner.told == [
        "The visit only begins on Mon, 23 Nov 2026, 13:00 UTC+1. Nothing was changed, charged or refunded."
    ]
    stack.clock.advance(timedelta(hours=5))
    assert await owner.types("no-show", booking.id) == 0
    assert owner.told == ["Nothing is charged or refunded.", "Marked as missed."]
    assert await owner.types("list", "--status", "no-show", "--json") == 0
    assert [found["bookingId"] for found in owner.result["bookings"]] == [booking.id]
    assert await owner.types("no-show", booking.id, "--undo", "--json") == 0
    assert owner.result["booking"]["status"] == "completed"
    assert stack.money_kept() == 120000


async def test_a_resent_link_retires_the_old_one_and_is_not_sent_twice_in_a_row(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    links = stack.parts.links
    old = links.manage_token(booking.id, booking.link_version)
    assert await owner.types("resend", booking.id) == 0
    with pytest.raises(LinkRefused):
        await stack.parts.manage_links.open(old)
    assert await owner.types("resend", booking.id) == 1
    assert owner.told[-1] == "A new link was emailed a moment ago. Wait five minutes before you send another one."
    stack.clock.advance(timedelta(days=40))
    assert await owner.types("resend", booking.id) == 1
    assert "nothing left to manage" in owner.told[-1]


async def test_the_command_works_while_a_server_runs_on_the_same_file(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold(service="planning")
    await stack.parts.checkout.start(booking.id)
    await stack.tick()
    environ = {
        **ENVIRON,
        "DATABASE_URL": stack.settings.database_url,
        "WIDGETS_FILE": str(stack.settings.widgets_file),
        "LOG_LEVEL": "info",
    }

    async def types(*words: str) -> tuple[int, str, str]:
        process = run("bookings", *words, **environ)
        out, err = await asyncio.to_thread(process.communicate, "", 60)
        return process.returncode, out, err

    code, shown, logged = await types("show", booking.id)
    assert (code, logged) == (0, "")
    assert "anna@customer.example" in shown
    code, _, told = await types("cancel", booking.id)  # the input has ended: nobody says yes
    assert code == 1
    assert await stack.status(booking) is Status.CONFIRMED
    code, result, told = await types("cancel", booking.id, "--yes", "--json")
    assert code == 0
    assert json.loads(result)["booking"]["status"] == "canceled"
    assert "anna" not in told.lower()
    assert await stack.status(booking) is Status.CANCELED


async def test_into_a_file_or_another_program_the_list_has_every_name_in_full(stack: Stack) -> None:
    name = "Wilhelmina Charlotta Ottilia von Rosenstierna af Lilliecreutz"
    await stack.confirmed(customer=replace(stack.customer(), name=name))
    environ = {
        **ENVIRON,
        "DATABASE_URL": stack.settings.database_url,
        "WIDGETS_FILE": str(stack.settings.widgets_file),
        "COLUMNS": "80",
    }
    process = run("bookings", "list", "--from", "2026-11-23", **environ)
    listed, _ = await asyncio.to_thread(process.communicate, "", 60)
    assert process.returncode == 0
    assert name in listed
    assert "Portrait session" in listed


def test_a_database_that_is_not_there_is_wrong_use_and_none_is_made(tmp_path: Path) -> None:
    process = run("bookings", "list", **ENVIRON, DATABASE_URL=f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Is DATABASE_URL right?" in told
    assert list(tmp_path.iterdir()) == []


async def test_a_status_is_looked_for_beyond_the_first_five_hundred(stack: Stack, owner: Owner) -> None:
    booking = await booked(stack)
    await copies(stack, booking, 510)
    await copies(stack, booking, 1, no_show=True, starts_at=booking.starts_at + timedelta(days=1))
    assert await owner.types("list", "--status", "no-show", "--json") == 0
    assert [one["status"] for one in owner.result["bookings"]] == ["no-show"]
    assert owner.result["more"] is False
    assert await owner.types("list", "--json") == 0
    assert (len(owner.result["bookings"]), owner.result["more"]) == (500, True)
    assert await owner.types("list") == 0
    assert "There are more bookings than these 500" in owner.said
