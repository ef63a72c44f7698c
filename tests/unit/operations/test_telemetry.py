"""The log: one JSON object a line, whatever logs it, and never an error for the code that logs."""

import asyncio
import errno
import io
import json
import logging
import os
import signal
import sys
import tomllib
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, suppress
from pathlib import Path

import httpx
import pytest
import structlog

from app.errors import MailError, SlotTaken
from app.store.schema import versions
from app.telemetry.logs import set_up_logs
from app.version import VERSION
from bench.surroundings import free_port
from sandbox.clock import Clock
from sandbox.hapio import Fault, HapioSandbox
from sandbox.seed import seed_studio
from sandbox.serve import base_url, listen, serve_on
from tests.support.logs import lines_of
from tests.support.stack import Stack

ROOT = Path(__file__).parents[3]


class Broken(io.StringIO):
    """Standard error on a full disk, or in a pipe that nobody reads any more."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, _text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


pytestmark = pytest.mark.usefixtures("logs_as_before")


def fail(how: Exception) -> Exception:
    """An exception that was raised, and so has a traceback."""
    try:
        raise how
    except type(how) as error:
        return error


# A line that cannot be written


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EAGAIN, errno.EBADF])
def test_a_line_that_cannot_be_written_raises_nothing_into_the_code_that_logs(number: int) -> None:
    set_up_logs("info", Broken(number))
    structlog.get_logger().error("failed", exc_info=fail(ValueError("x")))
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=fail(ValueError("x")))


def test_a_closed_stream_raises_nothing_either() -> None:
    closed = io.StringIO()
    closed.close()
    set_up_logs("info", closed)
    structlog.get_logger().error("failed")
    logging.getLogger("asyncio").error("failed")


def test_a_process_without_standard_error_can_log() -> None:
    with redirect_stderr(None):
        set_up_logs("info")
        structlog.get_logger().error("failed")
        logging.getLogger("asyncio").error("failed")


def test_a_real_full_device_raises_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        set_up_logs("info", full)
        for _ in range(3):
            structlog.get_logger().error("failed")
            logging.getLogger("asyncio").error("failed")


def test_a_pipe_that_nobody_reads_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        set_up_logs("info", pipe)
        for number in range(3000):  # a pipe holds some 64 KiB
            structlog.get_logger().info("request", number=number, padding="x" * 100)
        os.set_blocking(reading, False)
        seen = os.read(reading, 1_000_000).decode().splitlines()
        assert all(json.loads(line)["event"] == "request" for line in seen)
        structlog.get_logger().info("request", number=3000)
        told, last = os.read(reading, 1_000_000).decode().splitlines()
    os.close(reading)
    assert json.loads(told)["lost"] == 3000 - len(seen)
    assert json.loads(last)["number"] == 3000


def test_values_that_have_no_text_cost_the_line_and_nothing_else() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    stream = io.StringIO()
    set_up_logs("info", stream)
    logging.getLogger().handlers[:] = logging.getLogger().handlers[-1:]  # without pytest's, which raise
    structlog.get_logger().info("one", value=Silent())
    logging.getLogger("library").warning("%d of %d", 1)
    structlog.get_logger().info("two", value=object)
    told, two = lines_of(stream)
    assert (told["lost"], two["event"]) == (2, "two")


# What a line is


def test_lines_of_libraries_have_the_same_form_as_ours() -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)
    with structlog.contextvars.bound_contextvars(request="r1"):
        structlog.get_logger().info("held", booking="bk_1")
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    ours, theirs = lines_of(stream)
    assert {"timestamp", "level", "event", "request"} <= ours.keys() & theirs.keys()
    assert (theirs["logger"], theirs["level"], theirs["request"]) == ("uvicorn.error", "warning", "r1")


def test_only_lines_of_the_asked_level_and_above_are_written() -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)
    set_up_logs("error", stream)
    for log in (structlog.get_logger(), logging.getLogger("uvicorn.error"), logging.getLogger("stripe")):
        log.info("quiet")
        log.warning("quiet")
        log.error("loud")
    assert [line["event"] for line in lines_of(stream)] == ["loud"] * 3


def test_an_exception_is_one_short_line_with_its_places() -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)

    def deeper(depth: int) -> None:
        if depth:
            deeper(depth - 1)
        raise RecursionError("x" * 100_000)

    try:
        deeper(300)
    except RecursionError as error:
        structlog.get_logger().error("failed", exc_info=error)
    [line] = lines_of(stream)
    assert len(stream.getvalue()) <= 4096
    assert line["error"] == "RecursionError"
    assert "deeper" in str(line["trace"])


def test_what_a_visitor_typed_is_in_no_line_even_where_an_exception_repeats_it() -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)
    structlog.get_logger().error("failed", exc_info=fail(ValueError("invalid port: 'anna@customer.example'")))
    logging.getLogger("uvicorn.error").error("failed", exc_info=fail(KeyError("anna@customer.example")))
    structlog.get_logger().error("put off", exc_info=fail(MailError("recipient refused: [550]", permanent=True)))
    assert "anna" not in stream.getvalue()
    assert "recipient refused: [550]" in stream.getvalue()


def test_a_failure_that_comes_again_and_again_is_told_in_short() -> None:
    stream, at = io.StringIO(), Clock()
    set_up_logs("info", stream, clock=lambda: at().timestamp())
    for _ in range(100):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            structlog.get_logger().error("tick failed", exc_info=error)
    lines = lines_of(stream)
    assert len(lines) == 100
    assert [("trace" in line) for line in lines] == [True] + [False] * 99
    assert len(stream.getvalue()) < 100 * 250


def test_a_library_that_repeats_itself_thousands_of_times_a_second_does_not_fill_the_log() -> None:
    stream, seconds = io.StringIO(), [0.0]
    set_up_logs("info", stream, clock=lambda: seconds[0])
    for _ in range(2):
        for _ in range(2048):
            logging.getLogger("asyncio").error("socket.accept() out of system resource")
        seconds[0] += 1
    logging.getLogger("asyncio").error("socket.accept() out of system resource")
    assert [line.get("not_told", 0) for line in lines_of(stream)] == [0, 2047, 2047]


def test_the_version_is_the_one_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "app.version.VERSION"}


# What happens is in the log


async def test_a_booking_a_mail_and_each_request_have_their_lines(stack: Stack) -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)
    booking = await stack.hold(await stack.in_days(3))
    await stack.paid(booking)
    await stack.until_quiet()
    await stack.cancel(booking)
    lapsed = await stack.hold(await stack.free_slot(nth=9))
    await stack.until_quiet()
    answer = await stack.client.get("/b/a-token-of-somebody")
    lines = lines_of(stream)
    happened = [(line["booking"], line["what"]) for line in lines if line["event"] == "booking"]
    words = ("held", "payment_started", "paid", "confirmed", "by_customer")
    assert happened == [*((booking.id, word) for word in words), (lapsed.id, "held"), (lapsed.id, "deadline")]
    [asked] = [line for line in lines if line["event"] == "refund asked"]
    assert (asked["booking"], asked["amount"], asked["currency"]) == (booking.id, 120_000, "sek")
    assert {line["kind"] for line in lines if line["event"] == "mail sent"} >= {"confirmed_customer", "confirmed_owner"}
    request = lines[-1]
    assert request["event"] == "request"
    assert (request["method"], request["route"], request["status"]) == ("GET", "/b/{token}", 403)
    assert request["request"] == answer.headers["x-request-id"]
    assert "a-token-of-somebody" not in stream.getvalue()
    assert "anna" not in stream.getvalue().lower()


async def test_what_was_rolled_back_is_in_no_line(stack: Stack) -> None:
    stream = io.StringIO()
    await stack.hold(starts_at := await stack.free_slot(), resource_id=(await offered(stack))[0])
    set_up_logs("info", stream)
    with pytest.raises(SlotTaken):
        await stack.hold(starts_at, resource_id=(await offered(stack))[0])
    assert not [line for line in lines_of(stream) if line["event"] == "booking"]


async def offered(stack: Stack) -> list[str]:
    """Who offers the portrait."""
    service = await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)
    return sorted(resource.id for resource in service.resources)


async def test_an_outage_of_a_provider_is_in_the_log_from_its_begin_to_its_end(stack: Stack) -> None:
    booking = await stack.hold()
    stream = io.StringIO()
    set_up_logs("info", stream)
    stack.hapio.faults.append(Fault("error_before", times=5))
    await stack.parts.hold.give_up(booking.id)
    await stack.until_quiet()
    told = [(line["event"], line["level"]) for line in lines_of(stream) if line.get("provider") == "hapio"]
    assert told.count(("refused", "info")) == 5
    assert ("provider down", "error") in told
    assert told[-1] == ("provider up", "info")


async def test_a_refused_call_is_logged_with_what_stripe_says_of_it(stack: Stack) -> None:
    booking = await stack.hold()
    del stack.stripe.state.sessions[await stack.at_stripe(booking)]
    stream = io.StringIO()
    set_up_logs("info", stream)
    await stack.parts.settle.booking(booking.id)
    [line] = [line for line in lines_of(stream) if line["event"] == "refused"]
    assert (line["provider"], line["operation"], line["code"], line["status"]) == (
        *("stripe", "read session", "resource_missing", 404),
    )


@pytest.mark.parametrize(("body", "reason"), [(b"{}", "bad signature"), (b"\xff", "not UTF-8")])
async def test_a_refused_webhook_leaves_its_reason_in_the_log(stack: Stack, body: bytes, reason: str) -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)
    await stack.client.post("/api/webhooks/stripe", content=body, headers={"stripe-signature": "t=1,v1=0"})
    [line] = [line for line in lines_of(stream) if line["event"] == "webhook refused"]
    assert (line["provider"], line["reason"], line["level"]) == ("stripe", reason, "warning")


async def test_a_mail_that_is_not_taken_is_logged_with_the_servers_reason(stack: Stack) -> None:
    await stack.paid(await stack.hold())
    stream = io.StringIO()
    set_up_logs("info", stream)
    stack.mailbox.refuse = "permanent"
    await stack.tick()
    lines = [line for line in lines_of(stream) if line["event"] == "put off" and line["act"] == "send"]
    assert lines
    assert all("refused" in str(line["reason"]) for line in lines)
    assert all(line["kind"] for line in lines_of(stream) if line["event"] == "mail given up")
    assert "@" not in stream.getvalue()


# A whole process


@asynccontextmanager
async def process(folder: Path, stderr: int, **settings: str) -> AsyncIterator[tuple[Process, str, HapioSandbox]]:
    """`serve` as an operator starts it, next to a Hapio sandbox."""
    hapio = HapioSandbox(now=Clock())
    listener = listen(port=0)
    async with serve_on(listener, hapio.app):
        address, port = base_url(listener), free_port()
        async with httpx.AsyncClient(
            base_url=f"{address}/v1", headers={"Authorization": f"Bearer {hapio.token}"}
        ) as api:
            await seed_studio(api)
        environ = {
            "HAPIO_API_TOKEN": hapio.token,
            "HAPIO_BASE_URL": f"{address}/v1",
            "SECRET_KEYS": "a-secret-key-of-the-process-tests-only",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "DATABASE_URL": f"sqlite:///{folder / 'holdfast.sqlite3'}",
            **settings,
        }
        command = (sys.executable, "-m", "app", "serve", "--port", str(port))
        server = await asyncio.create_subprocess_exec(*command, env=os.environ | environ, stderr=stderr, stdout=PIPE)
        try:
            yield server, environ["PUBLIC_URL"], hapio
        finally:
            if server.returncode is None:
                server.send_signal(signal.SIGTERM)
            await asyncio.wait_for(server.communicate(), 60)


async def ready(address: str, *, seconds: float = 60) -> httpx.Response:
    """What `/readyz` says once it says 200, or at last."""
    answer = httpx.Response(0)
    async with httpx.AsyncClient(base_url=address) as client:
        for _ in range(int(seconds / 0.1)):
            with suppress(httpx.TransportError):
                answer = await client.get("/readyz")
                if answer.is_success:
                    break
            await asyncio.sleep(0.1)  # another process starts, and only its door tells when it has
    return answer


async def test_after_the_reader_of_the_log_is_gone_the_worker_goes_on_through_a_fault(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as in `serve 2>&1 | cat`, with the cat killed
    async with process(tmp_path, writing) as (server, address, hapio):
        os.close(writing)
        hapio.faults.append(Fault("error_before", times=10_000))
        answer = await ready(address)
        assert (answer.status_code, answer.json()["worker"]) == (200, "ok")
        assert any(call.status == 500 for call in hapio.calls), "the worker has met the fault"
        assert server.returncode is None


async def test_every_line_of_a_servers_life_is_an_object(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        async with process(tmp_path, file.fileno(), STAFF_EMAILS="") as (_, address, _hapio):
            assert (await ready(address)).status_code == 200
            host, port = address.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"this is no HTTP\r\n\r\n")
            refused = (await reader.read()).decode().lower()
            writer.close()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    [start] = [line for line in lines if line["event"] == "started"]
    assert (start["version"], start["mode"], start["schema"]) == (VERSION, "without payments", versions()[-1])
    assert str(tmp_path) in start["database"]
    assert start["widgets"] == ["default"]
    assert {"uvicorn.error"} == {line["logger"] for line in lines if "logger" in line}
    assert any(line["event"] == "request" and line["route"] == "/readyz" for line in lines)
    assert refused.startswith("http/1.1 400")
    for header in ("x-request-id: ", "x-content-type-options: nosniff", "referrer-policy: no-referrer"):
        assert header in refused
    database = tmp_path / "holdfast.sqlite3"
    assert database.stat().st_mode & 0o077 == 0, "nobody else on the machine reads it"
