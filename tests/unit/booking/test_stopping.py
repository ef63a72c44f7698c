"""A stop in the middle of work: the step under way ends, the rest is still owed after the next start."""

import asyncio
from datetime import timedelta

from anyio.lowlevel import checkpoint

from app.domain.booking import Status
from tests.support.stack import Stack


async def test_the_worker_ends_its_step_and_leaves_the_rest_for_the_next_start(stack: Stack) -> None:
    holds = [await stack.hold(await stack.free_slot(nth=nth)) for nth in (0, 8, 16)]
    stack.clock.advance(timedelta(minutes=30))
    running = asyncio.create_task(stack.parts.worker.run())
    while not any(call.method == "DELETE" for call in stack.hapio.calls):
        await checkpoint()
    stack.parts.worker.stop()
    await asyncio.wait_for(running, timeout=10)
    ended = [hold for hold in holds if await stack.status(hold) is Status.EXPIRED]
    assert 0 < len(ended) < len(holds)
    assert len(stack.hapio_bookings()) == len(holds) - len(ended)
    await stack.restart()
    await stack.tick()
    assert [await stack.status(hold) for hold in holds] == [Status.EXPIRED] * 3
    assert stack.hapio_bookings() == []


async def test_a_worker_told_to_stop_begins_nothing_new(stack: Stack) -> None:
    hold = await stack.hold()
    stack.clock.advance(timedelta(minutes=30))
    stack.parts.worker.stop()
    await stack.parts.worker.run()
    assert await stack.status(hold) is Status.HELD
