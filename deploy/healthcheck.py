"""Whether what a container runs is well: exit code 0, or 1 with the reason on standard error. Standard library only.

The server is asked at /readyz. A worker of its own has no port; its beat in the database tells. The first process's
command line says which it is, so that one image serves for all.
"""

import os
import sqlite3
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.error import URLError

#: As /readyz counts it: a worker beats every ten seconds.
LATE = 90


def main(command_line: Path) -> int:
    """`command_line` as Linux shows it: words that end in a zero byte."""
    words = command_line.read_text(encoding="utf-8").split("\0")
    try:
        if "worker" in words:
            _check_beat(os.environ.get("DATABASE_URL", "sqlite:///holdfast.sqlite3"))
        elif "demo" in words:
            # Of the demo's seven ports in a row, the second is the server's.
            _check_url(f"http://127.0.0.1:{_port(words, 8400) + 1}/readyz")
        else:
            _check_url(f"http://127.0.0.1:{_port(words, 8000)}/readyz")
    except (OSError, URLError, sqlite3.Error, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _port(words: list[str], usual: int) -> int:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--port":
            return int(following)
        if word.startswith("--port="):
            return int(word.removeprefix("--port="))
    return usual


def _check_url(url: str) -> None:
    urllib.request.urlopen(url, timeout=4).close()  # noqa: S310 - http, and nothing else


def _check_beat(database_url: str) -> None:
    path = Path(database_url.removeprefix("sqlite:///")).absolute()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)) as connection:
        row = connection.execute("SELECT value FROM counters WHERE name = 'worker_beat'").fetchone()
    if row is None or time.time() - row[0] > LATE:
        raise ValueError("the worker does not beat")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "/proc/1/cmdline")))
