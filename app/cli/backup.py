"""python -m app backup: a copy of the database, while a server runs."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from app.settings import Settings
from app.store.backup import BackupError, back_up
from app.store.sqlite_file import check_file, database_path


def run_backup(settings: Settings, arguments: argparse.Namespace) -> int:
    """Copy, and print the copy's path: 0 done, 1 not, 2 not a file. Raises DatabaseUnusable where there is nothing to
    copy."""
    if not settings.database_url.startswith("sqlite:"):
        print("`backup` copies an SQLite file; copy a PostgreSQL database with its own pg_dump.", file=sys.stderr)
        return 2
    database = database_path(settings.database_url)
    if not database.is_file():
        check_file(database, must_exist=True)
    try:
        print(back_up(database, arguments.folder, at=datetime.now(UTC), keep=arguments.keep))
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
