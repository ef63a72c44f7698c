"""python -m app backup: a copy of the database, beside a running server."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.backup import BackupError, back_up
from app.main import utc_now
from app.settings import Settings


def add_backup(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app backup`."""
    parser.add_argument("folder", type=Path, help="where the copy goes; it is named after the time")
    parser.add_argument("--keep", type=_count, default=0, metavar="N", help="delete older copies beyond the newest N")


def run_backup(settings: Settings, arguments: argparse.Namespace) -> int:
    """Copy, and print the copy's path: 0 done, 1 not."""
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    try:
        print(back_up(database, arguments.folder, at=utc_now(), keep=arguments.keep))
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("is a number from 1 up")
    return int(text)
