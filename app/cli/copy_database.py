"""python -m app copy-database: copies the database from SQLite to PostgreSQL, or back."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, datetime

from app.errors import StorageError
from app.store.copying import NotCopied, copy_rows


def run_copy_database(arguments: argparse.Namespace) -> int:
    """Copy, and print how many rows each table has: 0 done, 1 not, and then nothing was written. Raises
    DatabaseUnusable."""
    try:
        copied = asyncio.run(copy_rows(arguments.source, arguments.target, now=_utc_now))
    except NotCopied as error:
        print(f"{error} Nothing was copied.", file=sys.stderr)
        return 1
    except StorageError as error:
        print(f"A database stopped answering ({error}). Nothing was copied.", file=sys.stderr)
        return 1
    for one in copied:
        print(f"{one.rows:>9,} {one.table:<15} {one.digest[:16]}")
    print("Every row was read back and is the same. Set DATABASE_URL to the new database, then start the server.")
    return 0


def _utc_now() -> datetime:
    return datetime.now(UTC)
