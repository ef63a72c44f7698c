"""Free times over JSON are given again without being drawn: to the letter, counted, and never after they changed."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest

from app.web.shared.ready_answers import ReadyAnswer, ReadyAnswers
from tests.support.json_door import KEY, SERVER
from tests.support.stack import Stack, open_stack

SHOP = "https://studio.example"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, settings={"api_keys": (KEY,)}) as stack:
        yield stack


def target(stack: Stack) -> str:
    span = {"from": "2026-11-23", "to": "2026-11-28"}
    return f"/api/availability?{urlencode({'serviceId': stack.portrait_id, **span})}"


def shelves(stack: Stack) -> ReadyAnswers:
    """What the lifespan hands to the server."""
    assert stack.hooks.app
    found = stack.hooks.app.state.ready
    assert isinstance(found, ReadyAnswers)
    return found


def ready(stack: Stack, headers: Mapping[str, str] | None = None, *, client: str = "10.0.0.1") -> ReadyAnswer | None:
    """What the server finds before it makes a request of what came in."""
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return shelves(stack).find(target(stack).encode(), raw, lambda: (client, 50000))


async def warm(stack: Stack) -> None:
    """Ask until nothing new is read for it."""
    for _ in range(3):
        await stack.client.get(target(stack), headers=SERVER)


@pytest.mark.parametrize("headers", [{}, {"Origin": SHOP}, {"Origin": "https://other.example"}, SERVER])
async def test_a_ready_answer_says_what_the_door_says(stack: Stack, headers: dict[str, str]) -> None:
    await warm(stack)
    found = ready(stack, headers, client="127.0.0.1")
    assert found
    door = await stack.client.get(target(stack), headers=headers)
    assert door.content == found.body
    said = dict(line.split(": ", 1) for line in found.lines.decode().split("\r\n") if line)
    told = {name: value for name, value in door.headers.items() if name != "x-request-id"}
    assert int(told.pop("ratelimit-remaining")) == int(said.pop("ratelimit-remaining")) - 1, "each is counted"
    assert said == told


async def test_a_time_that_was_taken_is_not_given_again(stack: Stack) -> None:
    await warm(stack)
    assert ready(stack)
    booking = await stack.confirmed()
    assert ready(stack) is None
    shown = (await stack.client.get(target(stack))).json()["slots"]
    assert booking.starts_at not in {datetime.fromisoformat(slot["start"]) for slot in shown}


async def test_the_age_goes_on_and_nothing_is_given_that_is_too_old(stack: Stack) -> None:
    await warm(stack)
    stack.clock.advance(timedelta(seconds=7))
    found = ready(stack)
    assert found
    assert b'"age":7,' in found.body
    assert (await stack.client.get(target(stack))).json()["age"] == 7
    stack.clock.advance(timedelta(minutes=1))
    assert ready(stack) is None, "the calendar is looked at again"


async def test_a_limit_holds_for_ready_answers_and_for_the_door_together(stack: Stack) -> None:
    await warm(stack)
    given = 0
    while ready(stack, client="127.0.0.1"):
        given += 1
    assert given == 60
    refused = await stack.client.get(target(stack))
    assert refused.status_code == 429
    assert ready(stack, client="10.0.0.2"), "another address has its own"
    assert ready(stack, SERVER, client="127.0.0.1"), "so has a key"


async def test_wrong_credentials_are_refused_at_the_door(stack: Stack) -> None:
    await warm(stack)
    for wrong in ("Basic abc", "nonsense"):
        assert ready(stack, {"Authorization": wrong}) is None
        assert (await stack.client.get(target(stack), headers={"Authorization": wrong})).status_code == 401


async def test_what_could_not_be_answered_is_not_kept(stack: Stack) -> None:
    path = target(stack).replace("to=2026", "to=9026")
    for _ in range(3):
        assert (await stack.client.get(path, headers=SERVER)).status_code == 422
    assert shelves(stack).find(path.encode(), [], lambda: None) is None
    assert shelves(stack).find(path.replace("availability", "services").encode(), [], lambda: None) is None


async def test_ready_answers_stand_in_the_figures(stack: Stack) -> None:
    await warm(stack)
    before = await _figures(stack)
    assert ready(stack)
    await stack.client.get(target(stack))
    after = await _figures(stack)
    assert after["warm"] == before["warm"] + 2
    assert after["requests"] == before["requests"] + 2


async def _figures(stack: Stack) -> dict[str, float]:
    lines = (await stack.parts.health.exposition()).decode().splitlines()
    [warm] = [line for line in lines if line.startswith("holdfast_looks_total") and "warm_page" in line]
    [asked] = [
        line for line in lines if line.startswith("holdfast_http_requests_total") and "/api/availability" in line
    ]
    return {"warm": float(warm.split()[-1]), "requests": float(asked.split()[-1])}
