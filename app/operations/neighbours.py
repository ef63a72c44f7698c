"""Other processes with the same database: times that one of them takes, frees or reads are shown by the others within a
moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.errors import StorageError
from app.operations.background import Background
from app.operations.services import Services
from app.scheduling.availability import Availability
from app.store import Store

log = structlog.get_logger()

#: How often a server process says that it is alive, in seconds; and after how many it is taken to be gone.
BEAT_SECONDS, GONE_SECONDS = 60.0, 150
#: Others are told at most so often, in seconds, however much happens.
_PAUSE = 0.1


async def beat(store: Store, process: str, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Say again and again that this server process is alive, for the set-up check to count them."""
    while True:
        try:
            await store.serve_beat(process)
        except StorageError as error:
            log.warning("not said to be alive", error=type(error).__name__)
        await sleep(BEAT_SECONDS)


class Neighbours:
    """Listens and tells, until it is closed. A database that does not answer is tried again: the times that are shown
    meanwhile may be taken, which the lock finds out."""

    def __init__(self, store: Store, *, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._store = store
        self._sleep = sleep
        self._something = asyncio.Event()
        self._tasks: list[Background] = []

    def changed(self) -> None:
        """Something was taken or freed here."""
        self._something.set()

    def watch(self, availability: Availability, services: Services) -> None:
        """Keep these times, and what is on offer, as the others have them."""
        listening = Background("neighbours", lambda: self._listen(availability, services), sleep=self._sleep)
        self._tasks += [listening, Background("telling neighbours", self._tell, sleep=self._sleep)]

    async def aclose(self) -> None:
        """Stop both."""
        for task in self._tasks:
            await task.aclose()

    async def _listen(self, availability: Availability, services: Services) -> None:
        async for _ in self._store.changes():
            try:
                await services.catch_up()
                await availability.catch_up()
            except StorageError as error:
                log.warning("other processes are not followed", error=type(error).__name__)

    async def _tell(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            try:
                await self._store.tell_others()
            except StorageError as error:
                log.warning("other processes are not told", error=type(error).__name__)
            await self._sleep(_PAUSE)
