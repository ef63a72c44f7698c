"""Print the folder of PostgreSQL's programs for the tests, installing the server if the machine has none.

A missing server ends the run with exit code 1: tests that are skipped are not tests. No cluster is made or started
here; the tests start one of their own.
"""

import os
import shutil
import sys
from pathlib import Path

from scripts.system_package import install

HELP = """No PostgreSQL server was found, and none could be installed. One of these helps:
  - install it with the system's package manager (Debian: apt-get install postgresql; macOS: brew install postgresql),
  - name the folder of an existing one's programs: make unit POSTGRES=/path/to/bin"""
#: Programs that the tests start.
NEEDED = ("initdb", "postgres", "pg_ctl")
#: Debian keeps each major version's programs in a folder of their own, off the path.
DEBIANS = Path("/usr/lib/postgresql")


def find() -> Path | None:
    """Return the folder to use: $POSTGRES, where the path leads, or the newest of Debian's."""
    named = os.environ.get("POSTGRES")
    if named:
        if not _whole(Path(named)):
            sys.exit(f"POSTGRES names {named}, which has no {' and '.join(NEEDED)}.")
        return Path(named)
    on_path = shutil.which("initdb")
    there = [Path(on_path).resolve().parent] if on_path else []
    versions = [path for path in DEBIANS.glob("*/bin") if path.parent.name.isdecimal()]
    there += sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    return next(filter(_whole, there), None)


def _whole(folder: Path) -> bool:
    return all((folder / program).is_file() for program in NEEDED)


def main() -> None:
    """Print the folder; install first if need be."""
    folder = find()
    if folder is None:
        install("postgresql")
        folder = find()
    if folder is None:
        sys.exit(HELP)
    print(folder)


if __name__ == "__main__":
    main()
