"""Calendly is connected by its token, and every call is counted."""

from random import Random

import httpx
import pytest

from app.scheduling.connect import connect
from app.scheduling.connected import Connected, World
from app.scheduling.port import SchedulerCall
from app.settings import read_settings
from app.store import Store
from sandbox.calendly import CalendlySandbox
from sandbox.clock import Clock
from tests.support.calendly_adviser import MONDAY
from tests.support.stack import no_wait

ENVIRON = {"CALENDLY_TOKEN": "calendly-sandbox-token", "SECRET_KEYS": "k" * 32, "PUBLIC_URL": "https://book.example"}


def connected(heard: list[tuple[str, SchedulerCall]], **environ: str) -> dict[str, Connected]:
    clock = Clock(MONDAY)
    settings = read_settings({**ENVIRON, **environ})
    transports: dict[str, httpx.AsyncBaseTransport] = {"calendly": CalendlySandbox(now=clock).transport()}

    def hear(name: str, call: SchedulerCall) -> None:
        heard.append((name, call))

    store = Store(settings.database_url, now=clock)
    world = World(now=clock, random=Random(1), sleep=no_wait, transports=transports, called=hear, tokens=store)
    return connect(settings, world)


async def test_the_token_connects_calendly_alone_and_its_calls_are_counted() -> None:
    heard: list[tuple[str, SchedulerCall]] = []
    there = connected(heard)
    assert list(there) == ["calendly"]
    calendly = there["calendly"]
    await calendly.scheduler.services()
    assert [(name, call.operation) for name, call in heard] == [
        ("calendly", "getCurrentUser"),
        ("calendly", "listEventTypes"),
    ]
    assert calendly.budget.spent == 2
    assert calendly.budget.may_read(1000)
    assert calendly.creates
    assert calendly.creates.per_day == 100
    await calendly.scheduler.aclose()


@pytest.mark.parametrize("key", ["", "a-signing-key"])
async def test_webhooks_are_received_where_their_key_is_set(key: str) -> None:
    there = connected([], CALENDLY_WEBHOOK_KEY=key, CALENDLY_CREATES_PER_DAY="5")
    assert bool(there["calendly"].webhooks) is bool(key)
    creates = there["calendly"].creates
    assert creates
    assert creates.per_day == 5
    await there["calendly"].scheduler.aclose()
