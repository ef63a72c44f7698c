"""Owners' programs are told of bookings: once at least, signed, in an order that can be seen, and at no one's cost."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jsonschema_rs
import pytest
import stripe
from stripe import WebhookSignature

from app.cli.options import add_webhooks
from app.cli.webhooks import serve_webhooks
from app.domain.booking import Actor, Booking, Customer
from app.domain.history import HistoryWord
from app.domain.outgoing_webhooks import PAUSES, WebhookEvent
from app.operations.outgoing_webhooks import OutgoingWebhooks, Secrets, Sender
from app.operations.setup_check.finding import Level
from app.operations.setup_check.machine import DatabaseLook
from app.operations.setup_check.webhooks import look_at_webhooks
from app.store.due import remember
from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.figures import TOKEN, figure
from tests.support.receivers import CRM, Receivers
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, sign_in

PERSONAL = CRM + "personal_data = true\n"


@asynccontextmanager
async def with_crm(
    folder: Path, database: str = "sqlite", *, widget: str = CRM, **settings: Any
) -> AsyncIterator[Stack]:
    """The studio, whose program is told of everything from now on."""
    async with open_stack(folder, widget=widget, database=database, settings=settings) as stack:
        await stack.parts.outgoing_webhooks.tick()
        yield stack


@pytest.fixture
async def studio(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    async with with_crm(tmp_path, database) as stack:
        yield stack


async def told(stack: Stack) -> list[str]:
    """Everything that the program was told, after one more look."""
    await stack.parts.outgoing_webhooks.tick()
    return stack.receivers.told()


async def life(stack: Stack) -> None:
    """A booking is made, moved, cancelled and refunded; another one runs out."""
    booking = await stack.confirmed()
    await stack.move(booking, await stack.in_days(5))
    await stack.cancel(booking, by=Actor.OWNER)
    await stack.until_quiet()
    await stack.hold()
    await stack.until_quiet()


@pytest.mark.both_databases
async def test_a_program_is_told_of_a_bookings_whole_life(studio: Stack) -> None:
    await life(studio)
    assert sorted(await told(studio)) == sorted(
        f"booking.{word}" for word in ("held", "confirmed", "moved", "canceled", "refunded", "held", "expired")
    )
    messages = [received.message for received in studio.receivers.got]
    numbers = [message["number"] for message in messages]
    assert numbers == sorted(set(numbers))
    assert len({message["id"] for message in messages}) == len(messages)
    causes = {message["type"]: message["cause"] for message in messages}
    assert causes["booking.canceled"] == "by_owner"
    assert causes["booking.expired"] == "deadline"
    moved, refunded = (
        next(one for one in messages if one["type"] == f"booking.{word}") for word in ("moved", "refunded")
    )
    assert moved["move"]["start"] > moved["move"]["startBefore"]
    assert refunded["refund"] == {"amount": 120000, "currency": "sek"}
    # A second look finds nothing new, and neither does a new process.
    await studio.restart()
    assert len(await told(studio)) == len(messages)


async def test_the_openapi_document_describes_what_is_sent(tmp_path: Path) -> None:
    async with with_crm(tmp_path, widget=PERSONAL) as stack:
        document = (await stack.client.get("/api/openapi.json")).json()
        await life(stack)
        await told(stack)
        await stack.parts.outgoing_webhooks.try_out("studio.crm")
    schema = {**document["components"]["schemas"]["WebhookMessage"], "components": document["components"]}
    assert set(document["webhooks"]) == {*WebhookEvent, "webhook.test"}
    for received in stack.receivers.got:
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(received.message)
        # Nothing is sent that is not described, nor left out.
        assert received.message.keys() == schema["properties"].keys() == set(schema["required"])
        assert received.message["type"] in document["webhooks"]
    example = json.loads(DOCUMENT.read_text(encoding="utf-8").split("```json\n")[1].split("```")[0])
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(example)
    assert list(example) == list(received.message)
    assert list(example["booking"]) == list(stack.receivers.got[0].message["booking"])


async def test_an_undone_cancellation_and_a_customer_who_came_after_all_are_told(studio: Stack) -> None:
    booking = await studio.confirmed()
    await studio.cancel(booking)
    await studio.parts.cancel.undo(booking.id)
    studio.clock.set(booking.starts_at + timedelta(minutes=5))
    await studio.parts.bookings.get(booking.id)
    await studio.parts.corrections.mark_no_show(booking.id, no_show=True)
    await told(studio)
    await studio.parts.corrections.mark_no_show(booking.id, no_show=False)
    assert (await told(studio))[1:] == [
        "booking.confirmed",
        "booking.canceled",
        "booking.confirmed",
        "booking.no_show",
        "booking.no_show",
    ]
    again, missed, came = (received.message for received in studio.receivers.got[-3:])
    assert again["cause"] == "taken_back"
    assert (missed["booking"]["noShow"], came["booking"]["noShow"]) == (True, False)


async def test_what_needs_the_owner_is_told(studio: Stack) -> None:
    booking = await studio.hold()
    studio.hapio.faults.append(Fault("error_before", times=1000))
    await studio.paid(booking)
    await studio.tick(after=timedelta(minutes=15), times=2)
    assert "booking.needs_attention" in await told(studio)
    message = studio.receivers.got[-1].message
    assert (message["cause"], message["attention"]["amount"]) == ("not_confirmed", 120000)


async def test_nothing_personal_is_kept_or_sent_unless_the_owner_asks_for_it(studio: Stack) -> None:
    await studio.confirmed(customer=Customer("Anna Ek", "anna@customer.example", notes="a secret"))
    await told(studio)
    for received in studio.receivers.got:
        assert received.message["customer"] is None
        assert b"anna" not in received.body.lower()


async def test_a_customer_who_was_erased_is_in_no_later_message(tmp_path: Path) -> None:
    async with with_crm(tmp_path, widget=PERSONAL) as stack:
        stack.receivers.answers["crm.example"] = 500
        booking = await stack.confirmed(customer=Customer("Anna Ek", "anna@customer.example", answers={"a": "b"}))
        await told(stack)
        assert stack.receivers.got[0].message["customer"]["answers"] == {"a": "b"}
        for kept in await stack.parts.outgoing_webhooks.deliveries(most=10):
            assert "anna" not in kept.body.lower()
        stack.clock.set(booking.ends_at + timedelta(days=1))
        assert await stack.parts.store.forget(booking.id)
        stack.receivers.answers.clear()
        stack.receivers.got.clear()
        await told(stack)
        assert "booking.forgotten" in await told(stack)
        assert "booking.confirmed" in await told(stack)
        for received in stack.receivers.got:
            assert received.message["customer"] is None
            assert b"anna" not in received.body.lower()


async def test_only_chosen_events_of_the_widget_are_told_from_the_start_on(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack:
        await stack.confirmed()
        settings = stack.settings.widgets_file
        assert settings
        settings.write_text(settings.read_text() + CRM + 'events = ["booking.canceled"]\n')
        await stack.restart()
        await told(stack)
        await stack.cancel(await stack.confirmed(await stack.in_days(6)))
        assert await told(stack) == ["booking.canceled"]


async def test_messages_are_kept_for_thirty_days_also_of_a_program_that_is_told_no_more(tmp_path: Path) -> None:
    async with with_crm(tmp_path) as stack:
        await stack.hold()
        await told(stack)
        file = stack.settings.widgets_file
        assert file
        file.write_text(file.read_text().replace(CRM, ""))
        await stack.restart()
        for days, kept in ((29, 1), (2, 0)):
            stack.clock.advance(timedelta(days=days))
            await told(stack)
            assert len(await stack.parts.outgoing_webhooks.deliveries(most=10)) == kept
        assert await stack.parts.outgoing_webhooks.endpoints() == []


# Signatures


async def test_stripes_own_package_verifies_every_secret_that_counts(tmp_path: Path) -> None:
    async with with_crm(tmp_path, widget=CRM + "secret_versions = [2, 1]\n") as stack:
        await stack.hold()
        await told(stack)
        [received] = stack.receivers.got
        secrets = stack.parts.outgoing_webhooks.secrets("studio.crm")
        assert [version for version, _ in secrets] == [2, 1]
        for _, secret in secrets:
            assert WebhookSignature.verify_header(received.body.decode(), received.signature, secret)
        with pytest.raises(stripe.SignatureVerificationError):
            WebhookSignature.verify_header(received.body.decode() + " ", received.signature, secrets[0][1])


def test_a_new_key_of_the_server_asks_nothing_of_programs_at_once() -> None:
    at, old, new = datetime(2026, 11, 23, tzinfo=UTC), "o" * 32, "n" * 32
    [(_, secret)] = Secrets([old], {}).of("studio.crm")
    assert WebhookSignature.verify_header("{}", Secrets([new, old], {}).sign("studio.crm", b"{}", at), secret)
    for other in (Secrets([new], {}), Secrets([old], {"studio.crm": (2,)})):
        with pytest.raises(stripe.SignatureVerificationError):
            WebhookSignature.verify_header("{}", other.sign("studio.crm", b"{}", at), secret)
    with pytest.raises(stripe.SignatureVerificationError):
        WebhookSignature.verify_header("{}", Secrets([old], {}).sign("studio.else", b"{}", at), secret)


# When a program does not take it


async def test_a_message_is_repeated_for_three_days_with_growing_pauses_then_given_up(studio: Stack) -> None:
    studio.receivers.answers["crm.example"] = 500
    await studio.hold()
    began = studio.clock()
    await told(studio)
    webhooks = studio.parts.outgoing_webhooks
    tried = [began]
    while (waiting := (await webhooks.deliveries(waiting=True, most=1))[0]).next_try_at:
        [endpoint] = await webhooks.endpoints()
        studio.clock.set(max(waiting.next_try_at, endpoint.free_at))
        tried.append(studio.clock())
        await webhooks.tick()
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses == sorted(pauses)
    assert len(tried) == len(PAUSES) + 1
    assert timedelta(days=3) < tried[-1] - began < timedelta(days=4)
    assert len({received.message["id"] for received in studio.receivers.got}) == 1
    assert (await webhooks.backlog()).given_up == 1


async def test_an_address_that_takes_nothing_for_five_days_is_switched_off_and_the_owner_is_mailed_once(
    studio: Stack,
) -> None:
    studio.receivers.answers["crm.example"] = httpx.ConnectError("refused")
    webhooks = studio.parts.outgoing_webhooks
    await studio.hold()
    for _ in range(16):
        await webhooks.tick()
        studio.clock.advance(timedelta(hours=8))
        await studio.hold()
    [endpoint] = await webhooks.endpoints()
    assert endpoint.disabled_at
    await webhooks.tick()
    subjects = [message.header("Subject") for message in studio.mailbox.messages if "owner@" in message.recipients[0]]
    assert subjects.count("Your program “studio.crm” cannot be reached") == 1
    asked = len(studio.receivers.got)
    studio.receivers.answers.clear()
    await webhooks.tick()
    assert len(studio.receivers.got) == asked
    await webhooks.enable("studio.crm")
    await webhooks.tick()
    backlog = await webhooks.backlog()
    assert (backlog.off, backlog.waiting) == (0, 0)


async def test_a_mail_server_that_never_says_so_does_not_bring_the_same_mail_every_hour(studio: Stack) -> None:
    studio.receivers.answers["crm.example"] = httpx.ConnectError("refused")
    studio.mailbox.drop_after_data = True
    webhooks = studio.parts.outgoing_webhooks
    for _ in range(16):
        await studio.hold()
        await webhooks.tick()
        studio.clock.advance(timedelta(hours=8))
    for _ in range(12):
        await webhooks.tick()
        studio.clock.advance(timedelta(minutes=61))
    subjects = [message.header("Subject") for message in studio.mailbox.messages if "owner@" in message.recipients[0]]
    assert subjects.count("Your program “studio.crm” cannot be reached") == 3


async def test_one_message_that_a_program_cannot_take_holds_up_no_other(studio: Stack) -> None:
    studio.receivers.answers["crm.example"] = lambda got: 500 if got.message["type"] == "booking.held" else 204
    await studio.confirmed()
    assert await told(studio) == ["booking.held"]
    assert await told(studio) == ["booking.held", "booking.confirmed"]


async def test_what_waited_goes_out_as_soon_as_the_program_is_back(studio: Stack) -> None:
    studio.receivers.answers["crm.example"] = 503
    await studio.confirmed()
    webhooks = studio.parts.outgoing_webhooks
    for _ in range(40):
        studio.clock.advance(timedelta(minutes=30))
        await webhooks.tick()
    studio.receivers.answers.clear()
    studio.receivers.got.clear()
    first = min(one.next_try_at or studio.clock() for one in await webhooks.deliveries(most=2))
    last = max(one.next_try_at or studio.clock() for one in await webhooks.deliveries(most=2))
    assert last - first > timedelta(minutes=30)
    studio.clock.set(first)
    await webhooks.tick()
    await webhooks.tick()
    assert sorted(studio.receivers.told()) == ["booking.confirmed", "booking.held"]


async def test_a_process_that_dies_before_it_notes_the_answer_sends_the_same_message_again(studio: Stack) -> None:
    studio.receivers.answers["crm.example"] = asyncio.CancelledError()
    await studio.hold()
    with pytest.raises(asyncio.CancelledError):
        await told(studio)
    studio.receivers.answers.clear()
    await studio.restart()
    assert len(await told(studio)) == 1  # its lease has not run out
    studio.clock.advance(timedelta(minutes=1))
    await told(studio)
    first, second = (received.message for received in studio.receivers.got)
    assert first == second


@pytest.mark.both_databases
async def test_two_processes_send_each_message_once_and_one_after_the_other(studio: Stack) -> None:
    other = replace_process(studio)
    for _ in range(6):
        await studio.hold()
    await asyncio.gather(studio.parts.outgoing_webhooks.tick(), other.tick())
    for _ in range(3):
        await asyncio.gather(studio.parts.outgoing_webhooks.tick(), other.tick())
    ids = [received.message["id"] for received in studio.receivers.got]
    assert len(ids) == len(set(ids)) == 6
    # While one has an address in hand, no other takes anything of it: not before the lease is over.
    await studio.parts.outgoing_webhooks.replay(ids)
    store, lease = studio.parts.store, timedelta(seconds=60)
    assert await store.take_delivery("studio.crm", lease=lease, pauses=PAUSES)
    assert await store.take_delivery("studio.crm", lease=lease, pauses=PAUSES) is None
    studio.clock.advance(lease)
    assert await store.take_delivery("studio.crm", lease=lease, pauses=PAUSES)


@pytest.mark.both_databases
async def test_a_line_that_is_written_first_and_seen_last_is_told_and_none_twice(studio: Stack, database: str) -> None:
    store, webhooks = studio.parts.store, studio.parts.outgoing_webhooks
    slow, quick = await studio.hold(), await studio.hold()
    await told(studio)

    async def no_show(booking: Booking) -> None:
        async with store._write(booking.id) as connection:
            await remember(connection, booking.id, HistoryWord.NO_SHOW, booking.status, at=studio.clock())

    if database == "postgresql":
        async with store._write(slow.id) as connection:
            await remember(connection, slow.id, HistoryWord.MOVED, slow.status, at=studio.clock())
            await no_show(quick)
            await webhooks.tick()
    else:  # one writer: no line comes to stand before another that can be read
        await no_show(quick)
        await webhooks.tick()
        async with store._write(slow.id) as connection:
            await remember(connection, slow.id, HistoryWord.MOVED, slow.status, at=studio.clock())
    assert (await told(studio))[2:] == ["booking.no_show", "booking.moved"]
    studio.clock.advance(timedelta(minutes=2))
    assert len(await told(studio)) == 4


@pytest.mark.both_databases
async def test_a_clock_that_was_set_back_by_a_week_holds_nothing_up(studio: Stack) -> None:
    studio.receivers.answers["crm.example"] = 500
    await studio.hold()
    for _ in range(4):
        await told(studio)
        studio.clock.advance(timedelta(minutes=6))
    studio.receivers.answers.clear()
    studio.receivers.got.clear()
    studio.clock.set(studio.clock() - timedelta(days=7))
    booking = await studio.hold(await studio.free_slot(nth=5))
    await told(studio)
    studio.clock.advance(timedelta(seconds=1))
    assert await told(studio) == ["booking.held", "booking.held"]
    assert studio.receivers.got[-1].message["booking"]["bookingId"] == booking.id


def replace_process(stack: Stack) -> OutgoingWebhooks:
    """What a second process has, over the same database."""
    parts = stack.parts
    return OutgoingWebhooks(
        store=parts.store,
        widgets=parts.widgets,  # type: ignore[arg-type]  # Widgets, as the parts name it by its protocol
        sender=Sender(named=(), agent="test", resolve=stack.sites.resolve, transport=stack.receivers),
        secrets=Secrets(stack.settings.keys, {}),
        mailer=parts.mailer,
        live=False,
        now=stack.clock,
        random=stack.random,
        sleep=asyncio.sleep,
    )


# The owner's commands, figures and set-up check


async def at_the_desk(stack: Stack, *words: str) -> tuple[int, str]:
    """`python -m app webhooks` with these words: its exit code and what it says."""
    parser = argparse.ArgumentParser()
    add_webhooks(parser)
    said: list[str] = []
    return await serve_webhooks(stack.parts, parser.parse_args(words), said.append), "\n".join(said)


async def test_the_owner_sees_what_was_sent_and_sends_it_again(
    studio: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    booking = await studio.hold()
    studio.receivers.answers["crm.example"] = 500
    await told(studio)
    assert await at_the_desk(studio, "list") == (
        0,
        "studio.crm  https://crm.example/holdfast  failing since 2026-11-23 08:00:00Z: status 500",
    )
    code, said = await at_the_desk(studio, "show", "studio.crm", "--waiting", "--json")
    [message] = json.loads(said)["messages"]
    assert (code, message["bookingId"], message["tries"], message["error"]) == (0, booking.id, 1, "status 500")
    studio.receivers.answers.clear()
    assert await at_the_desk(studio, "replay", message["id"]) == (
        0,
        "1 message will be sent again when the server runs.",
    )
    await told(studio)
    first, second = (received.message for received in studio.receivers.got)
    assert first == second
    assert "delivered 2026-11-23" in (await at_the_desk(studio, "show", "studio.crm"))[1]
    assert (await at_the_desk(studio, "replay", "--waiting", "studio.crm"))[1].startswith("0 messages")
    assert (await at_the_desk(studio, "replay", message["id"]))[0] == 0
    assert len(await told(studio)) == 3
    code, said = await at_the_desk(studio, "secret", "studio.crm")
    assert (code, said[:17]) == (0, "version 1: whsec_")
    assert await at_the_desk(studio, "test", "studio.crm") == (0, "studio.crm has taken a test message (status 204).")
    studio.receivers.answers["crm.example"] = 404
    assert (await at_the_desk(studio, "test", "studio.crm"))[0] == 1
    assert (await at_the_desk(studio, "enable", "studio.crm"))[0] == 0
    capsys.readouterr()
    for wrong in (["show", "studio.erp"], ["secret", "crm"], ["replay"], ["replay", "wh_unknown"]):
        assert (await at_the_desk(studio, *wrong))[0] == 2
    assert "There is no address studio.erp. widgets.toml has: studio.crm." in capsys.readouterr().err


async def test_staff_see_how_each_program_stands(tmp_path: Path) -> None:
    other = CRM.replace('"crm"', '"erp"').replace("crm.example", "erp.example")
    async with with_crm(tmp_path, widget=CRM + other, staff_emails=(EVA,)) as stack:
        stack.receivers.answers["erp.example"] = 500
        await stack.hold()
        await told(stack)
        browser = Browser(stack)
        path = f"{await sign_in(stack, browser)}/technical/programs"
        await browser.open(path)
        page = text_of(browser.page.text)
        assert "studio.erp trying again: status 500" in page
        assert re.search(r"studio.crm sent [^.]+", page)
        [waiting] = await stack.parts.outgoing_webhooks.deliveries(waiting=True, most=9)
        seen = {"id": waiting.id, "tries": str(waiting.tries)}
        stack.receivers.answers.clear()
        again = await stack.client.post(path, data=seen, follow_redirects=True)
        assert "The message is being sent again." in again.text
        late = await stack.client.post(path, data=seen)
        assert (late.status_code, "in another window or by the server" in late.text) == (409, True)
        stack.clock.advance(timedelta(minutes=5))
        await told(stack)
        assert await stack.parts.outgoing_webhooks.deliveries(waiting=True, most=9) == []
        for field in ("enable", "all"):
            assert (await stack.client.post(path, data={field: "studio.erp"})).status_code == 303
            assert (await stack.client.post(path, data={field: "studio.no"})).status_code == 404


async def test_figures_and_set_up_check_tell_of_an_address_that_fails(tmp_path: Path) -> None:
    inside = CRM.replace('"crm"', '"erp"').replace("crm.example", "erp.internal")
    async with with_crm(tmp_path, widget=CRM + inside, metrics_token=TOKEN) as stack:
        stack.sites.names["erp.internal"] = ["10.0.0.7"]
        stack.receivers.answers["crm.example"] = 500
        await stack.hold()
        await told(stack)
        stack.clock.advance(timedelta(minutes=10))
        assert await figure(stack, "outgoing_webhooks_waiting") == 2
        assert await figure(stack, "outgoing_webhooks_failing") == 2
        assert await figure(stack, "outgoing_webhooks_age_seconds") >= 600
        database = DatabaseLook(stack.parts.store, now=stack.clock(), free_bytes=lambda _: 10**12)
        found = await look_at_webhooks(stack.settings, stack.parts.widgets, database, resolve=stack.sites.resolve)
    crm, erp = found
    assert (crm.level, erp.level) == (Level.WARN, Level.FAIL)
    assert crm.says == "has taken nothing since 2026-11-23 08:00Z: status 500"
    assert erp.says == "nothing is sent there: not a public address"


# Addresses


class Endless(httpx.AsyncByteStream):
    """A gigabyte, of which nobody may read a byte."""

    closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("the answer was read")
        yield b""

    async def aclose(self) -> None:
        self.closed = True


class Never(httpx.AsyncBaseTransport):
    """Takes the request, and does not answer."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize(
    ("url", "addresses", "error"),
    [
        ("https://crm.example/x", ["93.184.215.14"], ""),
        ("https://crm.example:8443/x", ["93.184.215.14"], ""),
        ("http://crm.example/x", ["93.184.215.14"], "not https"),
        ("https://crm.example/x", ["10.0.0.1"], "not a public address"),
        ("https://crm.example/x", ["93.184.215.14", "127.0.0.1"], "not a public address"),
        ("https://crm.example/x", ["::ffff:169.254.169.254"], "not a public address"),
        ("https://crm.example/x", [], "no such host"),
        ("https://169.254.169.254/latest", ["169.254.169.254"], "not a public address"),
        ("http://n8n.internal:5678/x", ["10.0.0.1"], ""),
        ("http://n8n.internal/x", ["10.0.0.1"], "not https"),
        ("https://n8n.internal:5678/x", ["10.0.0.1"], "not a public address"),
    ],
)
async def test_nothing_inside_is_asked_unless_the_operator_names_it(url: str, addresses: list[str], error: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        if not addresses:
            raise OSError(host)
        return addresses

    receivers = Receivers()
    sender = Sender(named=["http://n8n.internal:5678"], agent="x", resolve=resolve, transport=receivers)
    assert (await sender.send(url, b"{}", "t=1")).error == error
    assert await sender.trouble(url) == error
    # Exactly the address that was judged is asked: a name that leads elsewhere a moment later leads nowhere.
    assert [received.address for received in receivers.got] == ([] if error else addresses[:1])


async def test_no_answer_is_followed_read_or_waited_for(studio: Stack) -> None:
    endless = Endless()
    answers: list[tuple[httpx.Response | httpx.HTTPError, str]] = [
        (httpx.Response(302, headers={"Location": "http://127.0.0.1/admin"}), "status 302"),
        (httpx.Response(200, stream=endless), ""),
        (httpx.Response(410), "status 410"),
        (httpx.ReadError("cut"), "no answer"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"), "certificate not accepted"),
    ]
    for answer, error in answers:
        studio.receivers.answers["crm.example"] = answer
        sent = await studio.parts.outgoing_webhooks.try_out("studio.crm")
        assert sent.error == error
    assert endless.closed
    assert len(studio.receivers.got) == len(answers)
    assert {received.message["type"] for received in studio.receivers.got} == {"webhook.test"}
    slow = Sender(named=(), agent="x", resolve=studio.sites.resolve, transport=Never(), seconds=0.01)
    assert (await slow.send("https://crm.example", b"{}", "t=1")).error == "no answer"


# A program of ten lines


DOCUMENT = Path(__file__).parents[3] / "docs/webhooks.md"


def test_every_event_is_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert {event for event in WebhookEvent if f"| `{event}` |" in text} == set(WebhookEvent)


async def test_the_documents_program_survives_doubled_late_and_disordered_deliveries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with with_crm(tmp_path) as stack:
        monkeypatch.setenv("HOLDFAST_SECRET", stack.parts.outgoing_webhooks.secrets("studio.crm")[0][1])
        await life(stack)
        await told(stack)
    code = DOCUMENT.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) == 10
    program: dict[str, Any] = {}
    exec(code, program)  # noqa: S102 - the document's own
    program["time"] = SimpleNamespace(time=lambda: stack.clock().timestamp())
    receive, got = program["receive"], stack.receivers.got
    secret = Secrets(stack.settings.keys, {})
    for received in [*got[::-1], *got, *got[3:1:-1]]:
        assert receive(received.body, secret.sign("studio.crm", received.body, stack.clock())) == 204
    rows = program["books"].execute("SELECT id, booking FROM bookings").fetchall()
    newest = {one.message["booking"]["bookingId"]: one.message["booking"] for one in got}
    assert {booking_id: json.loads(booking) for booking_id, booking in rows} == newest
    assert sorted(booking["status"] for booking in newest.values()) == ["canceled", "expired"]
    body = got[0].body
    assert receive(body, secret.sign("studio.crm", body, stack.clock() - timedelta(hours=1))) == 400
    assert receive(body + b" ", secret.sign("studio.crm", body, stack.clock())) == 400
    assert receive(body, f"t={int(stack.clock().timestamp())},v1=forged") == 400
