"""One SQLite file: connections, one disciplined writer, migrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine


class Database:
    """What the store stands on. `now` gives aware UTC datetimes."""

    def __init__(self, url: str, *, now: Callable[[], datetime]) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url.replace("sqlite:///", "sqlite+aiosqlite:///", 1),
            connect_args={"timeout": 15},
            # An error names its statement, and errors are logged: rows hold customers and links.
            hide_parameters=True,
        )
        event.listen(self.engine.sync_engine, "connect", _prepare_connection)
        self._now = now
        self._writer = asyncio.Lock()

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()

    async def migrate(self) -> None:
        """Bring the schema up to date; waits while another process does the same."""
        async with self._write() as connection:
            await connection.run_sync(_upgrade)

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        # The lock queues this process's writers; BEGIN IMMEDIATE makes another process wait at the door instead of
        # failing in the middle. Shielded, because a canceled request must not leave a transaction half open.
        async with self._writer, self.engine.connect() as connection:
            with anyio.CancelScope(shield=True):
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    await connection.exec_driver_sql("ROLLBACK")
                    raise
                await connection.exec_driver_sql("COMMIT")

    async def _all(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> list[sa.RowMapping]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(query)).mappings())


def _prepare_connection(connection: Any, _record: object) -> None:
    # Transactions are opened by hand (see Store._write), so the driver must not open its own.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL, not NORMAL: what we owe Stripe and Hapio must survive a power cut too; the price is one fsync a write.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _upgrade(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
