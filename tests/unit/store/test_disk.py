"""A disk that is full or read-only, and a database that someone else has locked: told as what it is, and survived."""

import asyncio
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import httpx
import pytest
from anyio.lowlevel import checkpoint

from app.domain.booking import Status
from app.errors import StorageBusy
from app.parts import Parts
from app.telemetry.logs import set_up_logs
from tests.support.browser import Browser
from tests.support.disk import locked, pragma, read_only
from tests.support.logs import lines_of
from tests.support.stack import Stack, text_of
from tests.support.workers import until, with_worker

#: Beyond the pause between two trial writes of `/readyz`.
LATER = timedelta(seconds=6)

pytestmark = pytest.mark.usefixtures("logs_as_before")


def full(parts: Parts) -> AbstractContextManager[None]:
    """Not one page more fits; small rows still find room in pages that are there."""
    return pragma(parts, "max_page_count = 1")


Trouble = Callable[[Parts], AbstractContextManager[None]]
TROUBLES = [(full, "full"), (read_only, "read only"), (locked, "busy")]


def say_so(answer: httpx.Response) -> None:
    """A 503 that says when to come back, and that nothing was charged; nobody's mistake is confessed."""
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "Something went wrong" not in answer.text


async def a_wish(stack: Stack, *, nth: int = 0) -> dict[str, object]:
    """What a program sends to hold a time of an hour."""
    start = await stack.free_slot(nth=nth)
    return {
        "serviceId": stack.portrait_id,
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
        "customer": {"name": "Anna Ek", "email": "anna@customer.example"},
    }


async def test_a_visitor_is_told_that_nothing_could_be_saved_and_when_to_come_back(stack: Stack) -> None:
    for trouble in (read_only, locked):
        anna = Browser(stack)
        await anna.open(f"/w/studio?service={stack.portrait_id}")
        with trouble(stack.parts):
            await anna.send('id="hf-hold"', start=anna.starts[0])
        say_so(anna.page)
        assert "Our booking system" in text_of(anna.page.text)
        assert "Nothing was charged" in text_of(anna.page.text)
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    await anna.send('id="hf-hold"', start=anna.starts[0])
    assert anna.page.status_code == 200


async def test_a_program_is_told_the_same_in_json(stack: Stack) -> None:
    wish = await a_wish(stack)
    for trouble in (read_only, locked):
        with trouble(stack.parts):
            answer = await stack.client.post("/api/bookings/lock", json=wish)
        say_so(answer)
        error = answer.json()["error"]
        assert error["code"] == "INTERNAL_ERROR"
        assert error["message"].startswith("Our booking system")
    assert (await stack.client.post("/api/bookings/lock", json=wish)).status_code == 201


@pytest.mark.parametrize(("trouble", "state"), TROUBLES)
async def test_readyz_tries_a_write_and_names_what_is_wrong(stack: Stack, trouble: Trouble, state: str) -> None:
    await stack.tick()
    with trouble(stack.parts):
        answer = await stack.client.get("/readyz")
        assert (answer.status_code, answer.json()["database"]) == (503, state)
        assert answer.json()["worker"] == "ok"
    stack.clock.advance(LATER)
    assert (await stack.client.get("/readyz")).json()["database"] == "ok"


async def test_readyz_writes_seldom_however_often_it_is_asked(stack: Stack) -> None:
    await stack.tick()
    before = stack.doom.commits
    for _ in range(20):
        await stack.client.get("/readyz")
    assert stack.doom.commits == before + 1
    stack.clock.advance(LATER)
    await asyncio.gather(*(stack.client.get("/readyz") for _ in range(20)))
    assert stack.doom.commits == before + 2


async def test_a_page_is_still_shown_while_nothing_can_be_written(stack: Stack) -> None:
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    for trouble, _ in TROUBLES:
        with trouble(stack.parts):
            assert (await stack.client.get(f"/b/{token}")).status_code == 200


async def test_what_was_paid_while_the_disk_was_full_is_taken_in_once_there_is_room(stack: Stack) -> None:
    booking = await stack.hold()
    session = await stack.at_stripe(booking)
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    with read_only(stack.parts):
        await stack.stripe.pay(session)
        back = await stack.client.get(f"/b/{token}/return")
        say_so(back)
        assert "do not pay again" in text_of(back.text)
        assert "charged" not in text_of(back.text)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED


async def test_the_log_stays_short_while_the_disk_is_full(stack: Stack) -> None:
    await stack.hold()
    stream, pauses, broken = io.StringIO(), [], asyncio.Event()

    async def wait(seconds: float) -> None:
        pauses.append(seconds)
        await broken.wait()
        await checkpoint()
        stack.clock.advance(timedelta(seconds=seconds))
        if len(failed()) >= 50:
            app.state.parts.worker.stop()

    def failed() -> list[dict[str, object]]:
        return [line for line in lines_of(stream) if line["event"] == "tick failed"]

    async with with_worker(stack, wait) as (app, _):
        await until(lambda: bool(pauses))
        set_up_logs("info", stream)
        stack.clock.advance(timedelta(minutes=30))
        with read_only(app.state.parts):
            broken.set()
            await until(lambda: app.state.parts.worker.stopping)
        assert len(failed()) >= 50
        assert sum("trace" in line for line in failed()) == 1
        assert "readonly" in str(failed()[0]["error"])
        assert len(stream.getvalue()) < 25_000
        assert max(pauses) == 10, "and the longer it lasts, the more seldom it is tried"
    await stack.until_quiet()
    assert stack.hapio_bookings() == []


async def test_who_waits_behind_a_write_that_hangs_is_told_so_instead_of_waiting_for_all_before(stack: Stack) -> None:
    store = stack.parts.store
    store.backend.patience = 0.05
    async with store.backend.turn():
        with pytest.raises(StorageBusy):
            await store.beat()
    await store.beat()


async def test_a_disk_that_fills_up_in_the_middle_of_a_change_leaves_nothing_half_done(stack: Stack) -> None:
    with full(stack.parts):
        for number in range(40):
            # With long notes, so that the pages that are there are full before one address holds too much.
            wish = await a_wish(stack, nth=number)
            customer = {"name": "Anna Ek", "email": "anna@customer.example", "notes": "…" * 1000}
            answer = await stack.client.post("/api/bookings/lock", json=wish | {"customer": customer})
            if answer.status_code != 201:
                break
        say_so(answer)
    await stack.until_quiet()
    assert stack.hapio_bookings() == []
