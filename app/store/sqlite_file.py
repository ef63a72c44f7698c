"""Whether a file is a database of ours, of which version, and whether it has the tables that the code expects."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from app.errors import DatabaseBusy, DatabaseUnusable
from app.store.backend import PATIENCE
from app.store.schema import column_differences, versions
from app.store.tables import metadata

_DIALECT = sqlite.dialect()
_RESTORE = "Restore the last backup; docs/operations.md#restore explains how."


def database_path(url: str) -> Path:
    """The file that a DATABASE_URL names."""
    return Path(url.removeprefix("sqlite:///"))


def check_file(path: Path, *, must_exist: bool) -> None:
    """Open the database as a start would, and change nothing. Raises DatabaseUnusable, with one sentence.

    Without `must_exist` the file may be missing, or older than this code; its folder must be there.
    """
    folder = path.absolute().parent
    if must_exist and not path.exists():
        raise DatabaseUnusable(
            f"There is no database at {path.absolute()}.",
            "Is DATABASE_URL right? `serve` or `migrate` makes a new one.",
        )
    if not folder.is_dir():
        raise DatabaseUnusable(
            f"The folder {folder} of the database does not exist.", "Create it, or correct DATABASE_URL."
        )
    if path.is_dir():
        raise DatabaseUnusable(
            f"{path} is a folder.", f"Let DATABASE_URL name a file in it, such as {path}/holdfast.sqlite3."
        )
    if not path.exists():
        if not os.access(folder, os.W_OK):
            raise _not_writable(path)
        return
    with (
        explained(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE)) as db,
    ):
        # SQLite looks at the file's rights, and at those of its folder, only when it writes.
        db.execute("BEGIN IMMEDIATE")
        version = version_of(db, path)
        db.execute("ROLLBACK")
        if must_exist and version is None:
            raise DatabaseUnusable(f"{path} is empty: there is no database in it.", "Is DATABASE_URL right?")
        if must_exist and version != versions()[-1]:
            raise DatabaseUnusable(
                f"{path} is of the older version {version}; this program needs {versions()[-1]}.",
                "Start the server, or run `python -m app migrate`, to bring it up to date.",
            )


def version_of(db: sqlite3.Connection, path: Path) -> str | None:
    """The version that the database says it is of; None for an empty one. Raises DatabaseUnusable where it is another
    program's, or a newer version's."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    told = db.execute("SELECT version_num FROM alembic_version").fetchall() if "alembic_version" in tables else []
    version = str(told[0][0]) if told else ""
    if version in versions():
        return version
    if version.isdecimal() and version > versions()[-1]:
        raise DatabaseUnusable(
            f"{path} was made by a newer version of Holdfast ({version}; this program knows {versions()[-1]}).",
            "Install that version again, or restore the copy that was made before the upgrade.",
        )
    raise DatabaseUnusable(f"{path} is the database of another program.", "Correct DATABASE_URL.")


def check_tables(path: Path) -> None:
    """Raises DatabaseUnusable, naming what differs, where the tables are not those of this code."""
    with explained(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        found = differences(db)
    if found:
        raise DatabaseUnusable(f"{path} does not have the tables of this version: {'; '.join(found)}.", _RESTORE)


def differences(db: sqlite3.Connection) -> list[str]:
    """In which tables, columns, types and indexes the database differs from app/store/tables.py; empty if in none.

    Further tables and indexes do no harm; a further column may, since our rows would leave it empty.
    """
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    found = []
    for table in metadata.sorted_tables:
        if table.name not in there:
            found.append(f"table {table.name} is missing")
            continue
        columns = {name: str(kind).upper() for _, name, kind, *_ in db.execute(f'PRAGMA table_info("{table.name}")')}
        found += column_differences(table, columns, _DIALECT)
        found += _indexes(db, table)
    return found


def _indexes(db: sqlite3.Connection, table: sa.Table) -> Iterator[str]:
    there: dict[str, tuple[bool, tuple[Any, ...]]] = {}
    for _, name, unique, *_ in db.execute(f'PRAGMA index_list("{table.name}")').fetchall():
        columns = tuple(column for _, _, column in db.execute(f'PRAGMA index_info("{name}")'))
        there[name] = bool(unique), columns
    for index in table.indexes:
        if there.get(str(index.name)) != (bool(index.unique), tuple(column.name for column in index.columns)):
            yield f"index {index.name} is missing or different"
    unique_ones = {columns for unique, columns in there.values() if unique}
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            columns = tuple(column.name for column in constraint.columns)
            if columns not in unique_ones:
                yield f"{table.name} does not hold ({', '.join(columns)}) unique"


def make_file(path: Path) -> None:
    """An empty database where there is none. Raises DatabaseUnusable where nothing can be written."""
    with explained(path), closing(sqlite3.connect(path, timeout=PATIENCE)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors about the file, raised as DatabaseUnusable or DatabaseBusy."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise unusable(error, path) from error


def unusable(error: sqlite3.DatabaseError, path: Path) -> DatabaseUnusable:
    """What SQLite says of the file, in one sentence with what to do."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusy(f"Another process has been writing to {path} for {PATIENCE} seconds.", "Try again.")
    if name == "SQLITE_FULL":
        return DatabaseBusy(f"The disk that {path} lies on is full.", "Make room, and try again.")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return _not_writable(path)
    return DatabaseUnusable(f"{path} cannot be read as a database ({error}).", _RESTORE)


def _not_writable(path: Path) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"{path} cannot be written by this user.",
        "Give the file and its folder to the user that runs Holdfast: SQLite writes next to the file, too.",
    )
