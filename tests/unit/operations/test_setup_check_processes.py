"""`python -m app doctor` about several server processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.operations.setup_check import Level
from app.operations.setup_check.processes import look_at_processes
from tests.support.redis import redis_server
from tests.support.stack import Stack, make_settings, open_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path) as stack:
        yield stack


async def test_several_processes_without_redis_are_told_that_each_counts_for_itself(
    stack: Stack, tmp_path: Path
) -> None:
    store = stack.parts.store
    await store.serve_beat("one")
    assert await look_at_processes(stack.settings, store, now=stack.clock()) == []
    await store.serve_beat("two")
    [finding] = await look_at_processes(stack.settings, store, now=stack.clock())
    assert finding.level is Level.WARN
    assert "2 server processes" in finding.says
    assert "REDIS_URL" in finding.fix
    stack.clock.advance(stack.minutes(5))
    assert await look_at_processes(stack.settings, store, now=stack.clock()) == []


async def test_a_redis_that_is_named_has_to_answer(stack: Stack, tmp_path: Path) -> None:
    async with redis_server() as redis:
        settings = make_settings(tmp_path, redis_url=redis.url)
        [finding] = await look_at_processes(settings, stack.parts.store, now=stack.clock())
        assert finding.level is Level.OK
        await redis.kill()
        [finding] = await look_at_processes(settings, stack.parts.store, now=stack.clock())
    assert finding.level is Level.FAIL
    assert str(redis.port) in finding.says
