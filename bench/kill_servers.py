"""What `bench.kill` kills, and starts again: web processes behind a proxy, workers, PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Protocol

import httpx

from bench.kill_books import Figures
from bench.surroundings import Surroundings
from tests.support.redis import RedisServer, redis_server

#: Seconds that a process may take to start on a busy machine, with a database that is being started as well.
_START_SECONDS = 120


class Victim(Protocol):
    """What can be killed and started again. `kind` is what it is to people."""

    kind: str

    async def start(self) -> None:
        """Until it answers."""
        ...

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """At once."""
        ...


class ProductProcess:
    """A web process on `port`, or a worker where there is none. `ahead` tells how far its clock is ahead."""

    # Its place, its part, and what it is told at each start.
    def __init__(
        self, street: Surroundings, figures: Figures, ahead: Callable[[], int], *, port: int = 0, worker: bool = False
    ) -> None:
        self.kind = "web" if port else "worker"
        self._street, self._figures, self._ahead = street, figures, ahead
        self._port, self._worker = port, worker
        self._process: Process | None = None
        self._log = street.folder / "log"

    async def start(self) -> None:
        """Again and again, as a supervisor does, while the database cannot be reached."""
        async with asyncio.timeout(_START_SECONDS):
            while not await self._started():  # noqa: ASYNC110 - a process that has ended tells nobody
                await asyncio.sleep(0.5)

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Also while it starts."""
        if self._process is None:
            return
        if self._process.returncode is not None:
            self._figures.ended_alone += 1
        await self._street.end(self._process, number)

    async def _started(self) -> bool:
        part = [*(["--worker"] if self._worker else []), "--ahead", str(self._ahead())]
        with self._log.open("ab") as log:  # what a dead database makes them say is no news, unless something is wrong
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.kill", "--serve", str(self._port), *part),
                env={**os.environ, **self._street.environ},
                stdout=log if self._port else PIPE,
                stderr=log,
            )
        self._street.processes.append(process)
        if not await (self._answers(process) if self._port else _says_so(process)):
            return False
        self._process = process
        return True

    async def _answers(self, process: Process) -> bool:
        async with httpx.AsyncClient() as client:
            while process.returncode is None:
                with suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{self._port}/healthz")).is_success:
                        return True
                await asyncio.sleep(0.05)
        return False


class Counts:
    """Redis, which keeps nothing over its end."""

    kind = "Redis"

    def __init__(self, port: int, closing: AsyncExitStack) -> None:
        self._port, self._closing = port, closing
        self._server: RedisServer | None = None

    async def start(self) -> None:
        """On its port, empty."""
        self._server = await self._closing.enter_async_context(redis_server(self._port))

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """As if its machine had lost its power, whatever the signal."""
        if self._server is not None:
            await self._server.kill()


async def _says_so(process: Process) -> bool:
    """A worker's first line; nothing where it has ended."""
    assert process.stdout  # noqa: S101 - it was asked for
    return bool(await process.stdout.readline())


@asynccontextmanager
async def proxy(port: int, behind: Sequence[int]) -> AsyncIterator[None]:
    """Gives each connection to the next web process that takes it, as a proxy before several hosts does."""
    turn = 0

    async def take(reader: StreamReader, writer: StreamWriter) -> None:
        nonlocal turn
        turn += 1
        with suppress(OSError):
            for place in range(len(behind)):
                with suppress(OSError):
                    there = await asyncio.open_connection("127.0.0.1", behind[(turn + place) % len(behind)])
                    await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))
                    break
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def _pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
