"""What runs next to the requests goes on whatever happens to it, and `/healthz` tells when it does not."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from anyio.lowlevel import checkpoint

from app.domain.booking import Status
from app.operations.background import Background
from sandbox.hapio import Fault
from tests.support.figures import TOKEN, figure
from tests.support.stack import Stack, no_wait, open_stack
from tests.support.workers import until, with_worker

pytestmark = pytest.mark.both_databases


class Stumbling:
    """Waits that fail a few times in each task: what a bug, or a cancellation that goes astray, does to it."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = errors
        self._left: dict[object, list[BaseException]] = {}
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        await checkpoint()
        left = self._left.setdefault(asyncio.current_task(), list(self._errors))
        if left and seconds < 5:
            raise left.pop(0)

    @property
    def over(self) -> bool:
        """Whether every task has failed as often as it was to, was started again each time, and goes on."""
        failed = len(self._errors) * len(self._left)
        return 0 < failed == self.waits.count(5.0) and not any(self._left.values()) and self.waits[-1] < 5


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError(), KeyError("x")])
async def test_a_worker_that_ends_by_itself_is_started_again_and_goes_on(stack: Stack, error: BaseException) -> None:
    hold = await stack.hold()
    stack.clock.advance(timedelta(minutes=30))
    sleep = Stumbling(error, error)
    async with with_worker(stack, sleep) as (_, client):
        await until(lambda: sleep.over)
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        async with asyncio.timeout(60):
            while (await client.get("/readyz")).json()["worker"] != "ok":
                await checkpoint()
    assert await stack.status(hold) is Status.EXPIRED


async def test_a_process_whose_worker_is_gone_says_that_it_is_not_healthy(stack: Stack) -> None:
    async def never_again(seconds: float) -> None:
        await checkpoint()
        raise RuntimeError("no clock any more")

    async with with_worker(stack, never_again) as (app, client):
        await until(lambda: not app.state.worker.running)
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "the worker has ended"})


async def test_a_server_without_a_worker_of_its_own_is_healthy_without_it(stack: Stack) -> None:
    assert (await stack.client.get("/healthz")).json() == {"status": "ok"}


async def test_a_task_that_is_told_to_end_ends() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = Background("work", work, sleep=no_wait)
    await begun.wait()
    assert task.running
    await task.aclose()
    assert not task.running


async def test_a_row_that_cannot_be_read_stops_nothing_but_its_own_step(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        odd = await stack.hold()
        await stack.paid(odd)
        lapsed = await stack.hold(await stack.free_slot(nth=9))
        ended = await stack.hold(await stack.free_slot(nth=12))
        stack.hapio.faults.append(Fault("drop_before", times=20, method="DELETE"))
        await stack.parts.hold.give_up(ended.id)
        stack.hapio.faults.clear()
        async with stack.parts.store._write() as connection:
            await connection.execute(
                sa.text("UPDATE bookings SET status = 'paid', next_try_at = NULL, terms = '[]' WHERE id = :id"),
                {"id": odd.id},
            )
        await stack.tick(after=timedelta(hours=1))
        await stack.tick(after=timedelta(hours=1))
        assert await stack.status(lapsed) is Status.EXPIRED
        assert [booking.metadata["holdfast_id"] for booking in stack.hapio_bookings()] == [odd.id]
        assert await figure(stack, "worker_failures_total", act="confirm") == 2
        assert (await stack.client.get("/readyz")).json()["worker"] == "ok"
