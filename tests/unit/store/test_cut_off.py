"""Who is cut off while waiting for the file leaves it free for others."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from anyio.lowlevel import checkpoint

from app.store import Store
from sandbox.clock import Clock
from tests.support.stack import MONDAY


async def test_a_write_that_is_cut_off_while_it_waits_for_another_process_leaves_no_transaction_open(
    tmp_path: Path,
) -> None:
    file = tmp_path / "holdfast.sqlite3"
    store = Store(f"sqlite:///{file}", now=Clock(MONDAY))
    await store.migrate()
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(store.beat())
        for _ in range(50):  # it has asked for its turn, and waits in its thread
            await checkpoint()
        writing.cancel()
        for _ in range(5):
            await checkpoint()
        other.execute("COMMIT")
        await asyncio.wait({writing})
        assert writing.cancelled()
        async with store.engine.connect() as connection:  # behind what its thread still had to do
            await connection.exec_driver_sql("SELECT 1")
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    await store.close()
