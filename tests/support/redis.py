"""A Redis server of the test's own, in memory alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from bench.surroundings import free_port
from scripts.redis import HELP, find


@dataclass
class RedisServer:
    """Where it is, and its process."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        """As in REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def kill(self) -> None:
        """As if its machine had lost its power."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def redis_server(port: int = 0) -> AsyncIterator[RedisServer]:
    """A server that listens; on the port of one that was killed, it is that one again."""
    program = find()
    if program is None:
        raise RuntimeError(HELP)
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(30):
            while b"eady to accept connections" not in await process.stdout.readline():
                assert process.returncode is None
        yield RedisServer(port, process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
