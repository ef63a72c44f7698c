"""What every test needs and what is always the same: made once in a process or a run, then copied.

Nothing here is shared between tests but immutable things: the bytes of an empty database, compiled templates, and the
records of the demo's studio, which the sandbox never changes in place.
"""

import os
import pickle
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType
from typing import Any, TypeVar, cast

import anyio
import httpx
import starlette.routing
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.util import LRUCache

import app.store.sqlite_file
from app.store.database import Database
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.seed import StudioIds, seed_studio

T = TypeVar("T")

HAPIO_URL = "http://hapio.sandbox/v1"


class CompiledTemplates(BytecodeCache):
    """Templates compiled once in a process; compiling a page's takes longer than most tests that look at it."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """What was compiled of the same file with the same text."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        assert bucket.code
        self._codes[bucket.key, bucket.checksum] = bucket.code


# Every app and sandbox of this process has the routes of an earlier one; reading their paths was a tenth of an app's
# start. What `compile_path` gives, Starlette only reads.
starlette.routing.compile_path = cache(starlette.routing.compile_path)


def _once_for_each_schema(
    differences: Callable[[sqlite3.Connection], list[str]],
) -> Callable[[sqlite3.Connection], list[str]]:
    known: dict[tuple[Any, ...], list[str]] = {}

    def look(db: sqlite3.Connection) -> list[str]:
        schema = tuple(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"))
        if schema not in known:
            known[schema] = differences(db)
        return known[schema]

    return look


# Every start compares each table and index with the code's. What comes of it, the schema's text decides.
_differences = _once_for_each_schema(app.store.sqlite_file.differences)
setattr(app.store.sqlite_file, "differences", _differences)  # noqa: B010 - the type checker knows its parameter's name

#: Every app of this process finds the templates that an earlier one compiled.
COMPILED = CompiledTemplates()


def _nothing_unseen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
    """Other processes find what was taken and freed by `occupancy_at`."""
    changed = statement.partition("WHERE")[0]
    if changed.startswith("UPDATE reservations") and _OCCUPANCY.search(changed):
        assert "occupancy_at=" in changed, f"other processes would not see it: {statement}"


_OCCUPANCY = re.compile(r"\b(occupies|resource_id|buffer_starts_at|buffer_ends_at)=")


def share_statements(engine: Engine) -> None:
    """Let this engine find the statements that an earlier one compiled. They are kept by dialect, so it takes the
    earlier one's dialect, too. What it runs is watched by the way."""
    event.listen(engine, "before_cursor_execute", _nothing_unseen)
    engine.dialect, engine._compiled_cache = _statements.setdefault(
        engine.dialect.name, (engine.dialect, LRUCache(10_000))
    )


class OnceInARun:
    """Long work whose outcome several tests look at, in whichever of the run's processes they are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """What `work` comes to, or came to before in this run. Two processes that begin at once both do it."""
        file = self._folder / f"{sha256(name.encode()).hexdigest()[:16]}.pickle"
        if file.exists():
            return cast("T", pickle.loads(file.read_bytes()))  # noqa: S301 - written below, in the run's own folder
        outcome = work()
        mine = file.with_suffix(f".{os.getpid()}")
        mine.write_bytes(pickle.dumps(outcome))
        mine.replace(file)
        return outcome


_statements: dict[str, tuple[Dialect, LRUCache[Any, Any]]] = {}
_database: list[bytes] = []
_studios: dict[datetime, tuple[HapioSandbox, StudioIds]] = {}


async def empty_database() -> bytes:
    """The file that the product's own migrations make of nothing."""
    if not _database:
        with TemporaryDirectory() as folder:
            file = Path(folder, "empty.sqlite3")
            database = Database(f"sqlite:///{file}", now=Clock())
            await database.migrate()
            async with database.engine.connect() as connection:
                # Tables that a migration made again leave free pages, in which a full disk would show late.
                await connection.exec_driver_sql("VACUUM")
            await database.close()
            _database.append(await anyio.Path(file).read_bytes())
    return _database[0]


async def seeded_hapio(clock: Clock) -> tuple[HapioSandbox, StudioIds]:
    """Hapio with the demo's studio in it, nothing booked and no call made."""
    at = clock()
    if at not in _studios:
        first = HapioSandbox(now=Clock(at))
        async with open_api(first) as api:
            _studios[at] = first, await seed_studio(api)
    first, ids = _studios[at]
    hapio = HapioSandbox(now=clock)
    hapio.state.become(first.state)
    return hapio, ids


def open_api(sandbox: HapioSandbox) -> httpx.AsyncClient:
    """Hapio's API, as the owner and other programs use it."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    return httpx.AsyncClient(transport=sandbox.transport(), base_url=HAPIO_URL, headers=headers)
