"""What runs beside the requests goes on whatever happens to it, and `/healthz` tells when it does not."""

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
    """Waits that fail a few times: what a bug, or a cancellation that goes astray, does to a background task."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        await checkpoint()
        if self.errors and seconds < 5:
            raise self.errors.pop(0)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError(), KeyError("x")])
async def test_a_worker_that_ends_by_itself_is_started_again_and_goes_on(stack: Stack, error: BaseException) -> None:
    hold = await stack.hold()
    stack.clock.advance(timedelta(minutes=30))
    sleep = Stumbling(error, error)
    async with with_worker(stack, sleep) as (_, client):
        await until(lambda: not sleep.errors and sleep.waits.count(5.0) == 2 and sleep.waits[-1] < 5)
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json()["worker"] == "ok"
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
