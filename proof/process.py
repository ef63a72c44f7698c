"""One process of the product, which may be killed at any of its steps and started again over the same database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from starlette.applications import Starlette

from app.main import create_app
from app.parts import Parts
from proof.disk import Disk

if TYPE_CHECKING:
    from proof.world import World

T = TypeVar("T")

#: Whose task this is; None outside every process.
RUNS_IN: ContextVar[Process | None] = ContextVar("runs_in", default=None)
#: How often a task that is told to end is told again.
_TOLD = 50


class Stops(Protocol):
    """A connection to the database."""

    def stop(self) -> None:
        """Cut it."""


class Gone(Exception):
    """The process has died, and whoever waited for it learns nothing."""


class Pause(float):
    """The pause between two steps of a worker, which can be told from all other waiting."""

    def __mul__(self, other: float) -> Pause:
        return Pause(float(self) * other)


class Process:
    """A life is from `start` to `kill`; `dies_at` is the step of the present one at which it ends."""

    def __init__(self, world: World, name: str, disk: Disk) -> None:
        self._world = world
        self.name = name
        self.disk = disk
        self.connections: list[Stops] = []
        #: In the order in which they were made: a set's order is that of addresses in memory.
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.alive = False
        self.steps = 0
        self.dies_at = 0
        self._up: asyncio.Future[Parts] | None = None
        self._life: asyncio.Task[None] | None = None
        self.app: Starlette | None = None
        self.lives = 0

    # -- a life ----------------------------------------------------------------------------------------------

    async def start(self, *, worker_every: float = 0.0, shared: bool = False) -> Parts:
        """Begin a life; with `worker_every` (seconds) the worker runs in it."""
        assert not self.alive
        self.alive, self.steps, self.lives = True, 0, self.lives + 1
        self._up = asyncio.get_running_loop().create_future()
        self._life = self.spawn(self._live(worker_every, shared=shared))
        either: set[asyncio.Future[Any]] = {self._up, self._life}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._up.done():
            return self._up.result()
        if not self._life.cancelled():
            self._life.result()
        raise Gone

    async def _live(self, worker_every: float, *, shared: bool) -> None:
        app = create_app(self._world.settings, self._world.seams(self, shared=shared), run_worker=False)
        # Not by ASGI's messages: a process that is killed says nothing, and to put its end into words takes long.
        async with app.router.lifespan_context(app):
            self.app = app
            parts: Parts = app.state.parts
            self._world.opened(parts)
            assert self._up
            self._up.set_result(parts)
            if worker_every:
                await parts.worker.run(every=Pause(worker_every))
            else:
                await asyncio.get_running_loop().create_future()

    @property
    def parts(self) -> Parts:
        """What doors ask for. Raises Gone."""
        if not self.alive or self._up is None or not self._up.done():
            raise Gone
        return self._up.result()

    async def kill(self) -> None:
        """End it in the middle of whatever it does. Nothing that it still tries has any effect."""
        self.alive, self.app = False, None
        for connection in [*self.connections]:
            connection.stop()
        self.connections.clear()
        for _ in range(_TOLD):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.sleep(0)
        self.tasks.clear()

    async def step(self, where: str, what: str) -> None:
        """A moment at which the process may die, and others may go on."""
        if not self.alive:
            raise asyncio.CancelledError
        if self.ends_at(where, what):
            await asyncio.get_running_loop().create_future()
        pause = self.pause(where, what)
        if pause:
            await asyncio.sleep(pause)

    def ends_at(self, where: str, what: str) -> bool:
        """Count a step; whether the process is killed at it."""
        self.steps += 1
        if self.steps != self.dies_at:
            return False
        self._world.note(f"{self.name} is killed ({where}, {what})")
        self._world.killed[where, what] += 1
        self._world.struck(f"killed at {where if where in ('database', 'mail', 'stripe') else 'scheduler'}")
        self._world.network.launch(self._world.die(self))
        return True

    def pause(self, where: str, what: str) -> float:
        """Seconds that a step takes."""
        return self._world.pause_at(where, what)

    # -- work in it ------------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of this process; so are those that it makes."""
        context = copy_context()
        context.run(RUNS_IN.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    async def run(self, act: Callable[[Parts], Awaitable[T]]) -> T:
        """Let it do something, for somebody outside. Raises what the act raises, and Gone."""
        parts = self.parts

        async def work() -> T:
            return await act(parts)

        task = self.spawn(work())
        await asyncio.wait({task})
        if task.cancelled():
            raise Gone
        return task.result()


def make_task(loop: asyncio.AbstractEventLoop, work: Any, context: Any = None) -> asyncio.Task[Any]:
    """Every task belongs to the process in which it was made."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    process = context.get(RUNS_IN) if context is not None else RUNS_IN.get()
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda ended: process.tasks.pop(ended, None))
    return task
