"""Background tasks, apart from the requests, that must not end before the process does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

#: Seconds until a task that has ended is started again.
PAUSE = 5.0


class Background:
    """One task, started again whenever it ends by itself: by an error, or because something in it was cut off.

    `work` returns only where it was told to stop, which `stopped` then says. `sleep` waits seconds.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._name = name
        self._work = work
        self._sleep = sleep
        self._stopped = stopped
        self._running = False
        self._task = asyncio.create_task(self._keep())

    @property
    def running(self) -> bool:
        """Whether it is at work now; not while it waits to be started again."""
        return self._running and not self._task.done()

    async def aclose(self, patience: float = 0) -> None:
        """End it, after `patience` seconds at the latest for what it is about to do."""
        if patience:
            await asyncio.wait({self._task}, timeout=patience)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def wait(self) -> None:
        """Until it has come to its end."""
        await self._task

    async def _keep(self) -> None:
        while True:
            self._running = True
            error = await self._ended_by()
            self._running = False
            if self._stopped():
                return
            log.error("background task ended, and is started again", task=self._name, exc_info=error)
            await self._sleep(PAUSE)

    async def _ended_by(self) -> BaseException | None:
        try:
            await self._work()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            return error  # a cancellation inside, meant for something else
        except Exception as error:  # noqa: BLE001 - it is logged where it is returned to
            return error
        return None
