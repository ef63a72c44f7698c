"""Print the path of a Redis or Valkey server for the tests, installing one if the machine has none.

A missing server ends the run with exit code 1: tests that are skipped are not tests. Nothing is started here; the tests
start one of their own.
"""

import os
import shutil
import sys

from scripts.system_package import install

HELP = """No Redis or Valkey server was found, and none could be installed. One of these helps:
  - install it with the system's package manager (Debian: apt-get install redis-server; macOS: brew install redis),
  - name an existing one: make unit REDIS=/path/to/redis-server"""
NAMES = ("redis-server", "valkey-server")


def find() -> str | None:
    """Return the program to use: $REDIS, or what the path leads to."""
    named = os.environ.get("REDIS")
    if named:
        if not os.access(named, os.X_OK):
            sys.exit(f"REDIS names {named}, which is no program.")
        return named
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def main() -> None:
    """Print the path; install first if need be."""
    program = find()
    if program is None:
        install("redis-server")
        program = find()
    if program is None:
        sys.exit(HELP)
    print(program)


if __name__ == "__main__":
    main()
