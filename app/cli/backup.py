"""python -m app backup: a copy of the database, beside a running server."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from app.settings import Settings
from app.store.backup import BackupError, back_up
from app.store.sqlite_file import check_file, database_path


def add_backup(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app backup`."""
    parser.add_argument("folder", type=Path, help="the folder for the copy, which is named after the time")
    parser.add_argument("--keep", type=_count, default=0, metavar="N", help="delete older copies beyond the newest N")


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


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number from 1 up")
    return int(text)
