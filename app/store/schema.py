"""The versions of the tables, and the way from one to the next: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import sqlalchemy as sa

MIGRATIONS = Path(__file__).with_name("migrations")


def versions() -> list[str]:
    """Every version that this code knows, oldest first; the last is its own. A file's name begins with its version."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def version_in(connection: sa.Connection) -> str | None:
    """What the database says it is of, whatever that is; None where no migration was ever run."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def upgrade(connection: sa.Connection) -> None:
    """Run every migration that the database has not seen, in the caller's transaction."""
    # Imported here, because most starts find the database up to date, and Alembic takes a while to load.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def column_differences(table: sa.Table, there: Mapping[str, str], dialect: sa.Dialect) -> Iterator[str]:
    """How the columns that are there, each with its type in capitals, differ from the table in app/store/tables.py."""
    expected = _column_types(table, dialect)
    yield from (f"{table.name}.{name} is missing" for name in expected if name not in there)
    yield from (f"{table.name}.{name} is unknown" for name in there if name not in expected)
    for name in expected.keys() & there.keys():
        if expected[name] != there[name]:
            yield f"{table.name}.{name} is {there[name]} instead of {expected[name]}"


@cache
def _column_types(table: sa.Table, dialect: sa.Dialect) -> Mapping[str, str]:
    return {column.name: column.type.compile(dialect=dialect).upper() for column in table.columns}
