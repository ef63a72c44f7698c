"""An event loop whose time is a number: when nothing is left to do, it is the next timer's time.

A run of the simulation takes as long as its work, whatever its clock says. Nothing of it runs in another thread, and
nothing listens to a socket, so that the same seed is the same run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar
from unittest.mock import patch

from sandbox.clock import Clock

T = TypeVar("T")


class Stalled(Exception):
    """Something is waited for that will never come: no timer is left, and nobody is ready."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0 and jumps from timer to timer."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__(_NoWaiting(self))

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._virtual

    def skip(self, seconds: float) -> None:
        """Nothing happens for so long."""
        self._virtual += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # the same, at once
        """Run it here and now."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is raised where the outcome is awaited
            done.set_exception(error)
        return done


class _NoWaiting(selectors.DefaultSelector):
    """Instead of waiting for a timer it makes it late enough."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stalled
        if timeout > 0:
            self._loop.skip(timeout)
        return []


class VirtualClock(Clock):
    """The sandboxes' and the product's wall clock, which follows the loop's time."""

    def __init__(self, start: datetime, loop: VirtualLoop) -> None:
        super().__init__(start)
        self._start = start
        self._loop = loop

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time())


@contextmanager
def no_threads(busy: Callable[[], bool]) -> Iterator[None]:
    """What a library would do in a thread is done at once: the order in which threads end is nobody's to decide. While
    the file is `busy`, which such work may wait for, it comes later."""

    async def run_sync(work: Callable[..., T], *args: Any, **_: Any) -> T:
        while busy():  # noqa: ASYNC110 - whoever writes tells nobody
            await asyncio.sleep(0.01)
        return work(*args)

    with patch("anyio.to_thread.run_sync", run_sync):
        yield


def in_context(loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """Report what no task has caught as the failure that it is."""
    raise RuntimeError(str(context.get("message"))) from context.get("exception")  # type: ignore[misc]  # asyncio's own dict
