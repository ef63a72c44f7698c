"""A database that cannot be written."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import event

from app.parts import Parts


@contextmanager
def pragma(parts: Parts, *statements: str) -> Iterator[None]:
    """Every connection is under these pragmas."""

    def before_use(connection: sqlite3.Connection, *_: object) -> None:
        for statement in statements:
            connection.cursor().execute(f"PRAGMA {statement}")

    engine = parts.store.engine.sync_engine
    event.listen(engine, "checkout", before_use)
    try:
        yield
    finally:
        event.remove(engine, "checkout", before_use)
        event.listen(engine, "checkout", as_before)


def as_before(connection: sqlite3.Connection, *_: object) -> None:
    """Pragmas outlive their use; this is what they are in health."""
    for statement in ("query_only = 0", "max_page_count = 1000000", "busy_timeout = 15000"):
        connection.cursor().execute(f"PRAGMA {statement}")


def read_only(parts: Parts) -> AbstractContextManager[None]:
    """The file may not be written."""
    return pragma(parts, "query_only = 1")


@contextmanager
def locked(parts: Parts) -> Iterator[None]:
    """Another program writes, for longer than we wait."""
    other = sqlite3.connect(parts.settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pragma(parts, "busy_timeout = 20"):
            yield
    finally:
        other.close()
