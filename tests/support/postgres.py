"""A PostgreSQL server for the run, and a database of its own for each test.

The first test that wants one starts the server; all of the run's processes share it. It lies in memory where there is
room, listens on a socket in its own folder alone, and waits for no disk. It ends with the run, however that ends.
"""

import asyncio
import fcntl
import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import anyio
import asyncpg

from app.store.database import Database
from sandbox.clock import Clock
from scripts.postgres import HELP, find

#: What the product's own migrations make of nothing; every test's database is a copy.
TEMPLATE = "holdfast_template"
USER = "holdfast"
#: As fast as it goes: nothing of it is to outlive the run.
SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=300",
    "shared_buffers=64MB",
)
#: Ends the server once the run's first process is gone, killed or not.
MINDER = """
while kill -0 "$1" 2>/dev/null; do sleep 1; done
kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")"
sleep 1
rm -rf "$2"
"""

_run: list[Path] = []
_numbers = count(1)


def use_folder(folder: Path) -> None:
    """The folder that the run's processes share."""
    _run[:] = [folder]


@asynccontextmanager
async def postgres_database(*, template: str = TEMPLATE) -> AsyncIterator[str]:
    """The DATABASE_URL of a database with our tables and nothing in them; with `template1`, of an empty one."""
    folder = await anyio.to_thread.run_sync(server)
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _as_admin(folder, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield url_of(folder, name)
    finally:
        await _as_admin(folder, f'DROP DATABASE "{name}" WITH (FORCE)')


def url_of(folder: Path, name: str) -> str:
    """A database of the server whose socket is in that folder."""
    return f"postgresql://{USER}@/{name}?host={folder}"


async def _as_admin(folder: Path, statement: str) -> None:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url_of(folder, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def server() -> Path:
    """The folder of the run's server, started if it is not there yet."""
    with _alone(_run[0] / "postgres.lock"):
        told = _run[0] / "postgres.folder"
        if not told.exists():
            told.write_text(str(_start()))
        return Path(told.read_text())


_threads = threading.Lock()


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One process of the run at a time, and one thread of it."""
    with _threads, file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start() -> Path:
    programs = find()
    if programs is None:
        raise RuntimeError(HELP)
    folder = Path(mkdtemp(prefix="holdfast-postgres-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    # PostgreSQL refuses to run as root.
    other = other_user() if os.geteuid() == 0 else None
    if other:
        shutil.chown(folder, other)
    data = folder / "data"
    make = ["-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    settings = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={folder}"))
    start = ["-D", str(data), "-l", str(folder / "log"), "-w", "-o", settings, "start"]
    for program, words in (("initdb", make), ("pg_ctl", start)):
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            [str(programs / program), *words],
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,  # the server keeps pg_ctl's
            user=other,
        )
        if done.returncode:
            log = (folder / "log").read_text() if (folder / "log").exists() else (done.stderr or b"").decode()
            raise RuntimeError(f"{program} failed:\n{log}")
    first = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", MINDER, "sh", str(first), str(folder)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ).returncode = 0  # not waited for: it outlives us
    asyncio.run(_make_template(folder))
    return folder


def other_user() -> str:
    """Who runs the server where we are root, which it refuses to be."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody.")


async def _make_template(folder: Path) -> None:
    await _as_admin(folder, f"CREATE DATABASE {TEMPLATE}")
    database = Database(url_of(folder, TEMPLATE), now=Clock())
    await database.migrate()
    await database.close()
