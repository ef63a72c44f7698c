"""A PostgreSQL server that syncs what it commits, and can be killed and started again over the same files."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg

from scripts.postgres import HELP, find
from tests.support.postgres import USER, other_user, url_of

_SETTINGS = ("listen_addresses=", "fsync=on", "synchronous_commit=on", "max_connections=150", "shared_buffers=64MB")
#: Seconds until the server answers: after a kill it replays its log, and waits for what is left of the old one.
_PATIENCE = 60


class DurablePostgres:
    """The server in its folder, whose socket is there too."""

    kind = "PostgreSQL"

    def __init__(self, folder: Path, programs: Path, user: str | None) -> None:
        self._folder, self._programs, self._user = folder, programs, user
        self._process: Process | None = None

    async def make(self) -> None:
        """The files of an empty server."""
        words = ["-D", str(self._folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"]
        made = await self._run("initdb", *words)
        _, told = await made.communicate()
        if made.returncode:
            raise RuntimeError(told.decode())

    async def start(self) -> None:
        """Start it, and wait until it answers; again and again while a killed one's processes are still ending."""
        async with asyncio.timeout(_PATIENCE):
            while not await self._answers():
                if self._process is None or self._process.returncode is not None:
                    settings = (*_SETTINGS, f"unix_socket_directories={self._folder}")
                    words = [word for setting in settings for word in ("-c", setting)]
                    self._process = await self._run("postgres", "-D", str(self._folder / "data"), *words)
                await asyncio.sleep(0.1)

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End its first process: SIGKILL as the system does where memory is short, SIGQUIT as an immediate stop."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            await self._process.wait()

    async def database(self, name: str) -> str:
        """The DATABASE_URL of a new, empty database."""
        connection: asyncpg.Connection[Any] = await asyncpg.connect(url_of(self._folder, "postgres"))
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return url_of(self._folder, name)

    async def _answers(self) -> bool:
        try:
            connection: asyncpg.Connection[Any] = await asyncpg.connect(url_of(self._folder, "postgres"), timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True

    async def _run(self, program: str, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            str(self._programs / program),
            *words,
            cwd=self._folder,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE if program == "initdb" else DEVNULL,
            user=self._user,
        )


@asynccontextmanager
async def durable_postgres() -> AsyncIterator[DurablePostgres]:
    """A server that answers, for as long as the block runs. RuntimeError where there is none to start."""
    programs = find()
    if programs is None:
        raise RuntimeError(HELP)
    folder = Path(mkdtemp(prefix="holdfast-durable-"))
    user = other_user() if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if user:
        shutil.chown(folder, user)
    server = DurablePostgres(folder, programs, user)
    try:
        await server.make()
        await server.start()
        yield server
    finally:
        await server.kill(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)
