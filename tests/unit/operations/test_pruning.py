"""What is done goes when it is old; what is not done, and the bookings, stay."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.store.tables import idempotency
from tests.support.stack import Stack, open_stack

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def stack(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, database=database, settings={"keep_done_days": 40}) as stack:
        yield stack


async def test_done_events_and_sent_mails_go_by_age_and_the_booking_stays(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.tick()
    store = stack.parts.store
    assert await store.events()
    history = await stack.history(booking)
    await stack.tick(after=timedelta(days=39))
    kept = await store.events()
    assert kept
    await stack.tick(after=timedelta(days=2))
    assert not [
        event for event in await store.events() if event.processed_at and event.processed_at < kept[0].received_at
    ]
    assert await store.prune(stack.clock() - timedelta(days=40)) == 0
    assert await stack.history(booking) == history
    assert (await stack.now(booking)).status is booking.status


async def test_answers_under_idempotency_keys_go_when_their_time_is_over(stack: Stack) -> None:
    store, now = stack.parts.store, stack.clock()
    for key, hours in (("old", 1), ("young", 30)):
        until = {"running_until": now + timedelta(hours=1), "forget_at": now + timedelta(hours=hours)}
        assert await store.take_key(key, fingerprint="same", run=f"run of {key}", **until) is None
    await stack.tick(after=timedelta(hours=7))
    async with store.engine.connect() as connection:
        assert (await connection.execute(sa.select(idempotency.c.key))).scalars().all() == ["young"]


async def test_a_look_that_finds_nothing_old_writes_nothing(stack: Stack) -> None:
    await stack.confirmed()
    await stack.tick()
    store = stack.parts.store
    while await store.tally_history():
        pass
    before = stack.doom.commits
    assert await store.prune(stack.clock() - timedelta(days=40)) == 0
    assert await store.tally_history() == 0
    assert await store.add_events([], again_at=stack.clock()) == 0
    assert stack.doom.commits == before
