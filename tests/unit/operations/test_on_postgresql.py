"""What those who run the server see where its data are in PostgreSQL."""

import argparse
import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.cli.backup import run_backup
from app.cli.forget import forget
from app.environment import Environment
from app.main import tell_start
from app.operations.setup_check import Doctor, Wires
from app.telemetry.logs import set_up_logs
from sandbox.clock import Clock
from tests.support.backups import asked
from tests.support.commands import ENVIRON
from tests.support.logs import lines_of
from tests.support.postgres import postgres_database
from tests.support.stack import MONDAY, Stack, make_settings, open_stack
from tests.support.stores import opened

ROOT = Path(__file__).parents[3]
PASSWORD = "open-s3same"


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, whose DATABASE_URL has a password in it."""
    async with postgres_database() as url, open_stack(tmp_path, settings={"database_url": with_password(url)}) as stack:
        yield stack


def with_password(url: str) -> str:
    return url.replace("holdfast@", f"holdfast:{PASSWORD}@")


async def nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody is there", request=request)


async def doctor(url: str) -> list[str]:
    """What the set-up check says of the database and the worker."""
    silent = httpx.MockTransport(nobody)
    wires = Wires(schedulers={"hapio": silent}, stripe=silent, web=silent)
    environment = Environment({**ENVIRON, "DATABASE_URL": url}, None)
    found = await Doctor(environment, now=Clock(MONDAY), wires=wires).findings()
    assert PASSWORD not in str(found)
    about = {"database", "worker", "backup", "disk"}
    return [f"{one.level.value} {one.about}: {one.says}" for one in found if one.about in about]


@pytest.mark.usefixtures("logs_as_before")
async def test_the_log_says_where_the_data_are_without_the_password(studio: Stack) -> None:
    stream = io.StringIO()
    set_up_logs("info", stream)
    await tell_start(studio.parts, worker=True)
    [started] = lines_of(stream)
    assert str(started["database"]).startswith("postgresql://holdfast@/test_")
    assert PASSWORD not in stream.getvalue()
    assert PASSWORD not in repr(studio.settings)


async def test_the_doctor_finds_a_good_database_and_its_worker(studio: Stack) -> None:
    await studio.tick()
    url = studio.settings.database_url
    database, worker = await doctor(url)
    assert database.startswith("ok database: postgresql://holdfast@/test_")
    assert database.endswith("is reachable and up to date")
    assert worker == "ok worker: alive"


async def test_the_doctor_names_what_is_wrong_with_a_database(tmp_path: Path) -> None:
    [unreachable] = await doctor(with_password(f"postgresql://holdfast@/book?host={tmp_path}"))
    assert unreachable.startswith("FAIL database: postgresql://holdfast@/book")
    assert "cannot be reached" in unreachable
    async with postgres_database(template="template1") as url:
        assert (await doctor(url))[0].endswith("has no tables yet")
    async with postgres_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE alembic_version SET version_num = '0005'")
        await connection.close()
        [old] = await doctor(url)
        assert "is of the older version 0005" in old


async def test_calls_of_the_doctors_are_counted_in_the_database(studio: Stack) -> None:
    before = await studio.parts.store.counter("hapio_calls:2026-11")
    await doctor(studio.settings.database_url)
    assert await studio.parts.store.counter("hapio_calls:2026-11") > before


def test_backup_names_the_program_that_copies_such_a_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(tmp_path, database_url=with_password("postgresql://holdfast@db.example/book"))
    assert run_backup(settings, argparse.Namespace(folder=tmp_path / "backups", keep=0)) == 2
    assert "pg_dump" in capsys.readouterr().err


async def test_a_customer_is_forgotten_and_what_the_rows_were_is_vacuumed(studio: Stack) -> None:
    booking = await studio.confirmed()
    studio.clock.set(booking.ends_at + timedelta(days=1))
    await studio.until_quiet()
    assert await forget(studio.parts, asked("anna@customer.example")) == 0
    assert (await studio.now(booking)).customer is None
    async with studio.parts.store.engine.connect() as connection:
        dead = "SELECT count(*) FROM pg_stat_user_tables WHERE relname = 'bookings' AND last_vacuum IS NULL"
        assert (await connection.exec_driver_sql(dead)).scalar() == 0


async def run(*words: str, **environ: str) -> tuple[int | None, str]:
    """A program in a process of its own: its exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        env={"PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_container_with_a_worker_is_well_while_the_worker_beats(tmp_path: Path) -> None:
    command_line = tmp_path / "cmdline"
    command_line.write_text("\0".join(["python", "-m", "app", "worker", ""]))
    check = (str(ROOT / "deploy/healthcheck.py"), str(command_line))
    async with postgres_database() as url:
        assert (await run(*check, DATABASE_URL=url))[0] == 1
        connection = await asyncpg.connect(url)
        await connection.execute("INSERT INTO counters VALUES ('worker_beat', extract(epoch FROM now()))")
        await connection.close()
        (tmp_path / "address").write_text(url)
        assert (await run(*check, DATABASE_URL_FILE=str(tmp_path / "address")))[0] == 0
    code, said = await run(*check, DATABASE_URL=url)
    assert code == 1
    assert "does not exist" in said


async def test_a_studio_is_copied_by_one_command_that_needs_no_settings(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack, postgres_database(template="template1") as url:
        await stack.confirmed()
        await stack.stop()
        code, said = await run("-m", "app", "copy-database", stack.settings.database_url, with_password(url))
        assert code == 0, said
        assert "Every row was read back and is the same." in said
        async with opened(url, stack.clock) as store:
            assert [one async for one in store.standing()]

        code, said = await run("-m", "app", "copy-database", stack.settings.database_url, with_password(url))
        assert code == 1
        assert "only an empty database can be copied into. Nothing was copied." in said
        assert PASSWORD not in said
        await stack.start()


async def test_an_address_that_cannot_be_one_is_refused_without_showing_it(tmp_path: Path) -> None:
    code, said = await run(
        "-m", "app", "copy-database", f"sqlite:///{tmp_path}/a", f"postgresql://me:{PASSWORD}/x@db/y"
    )
    assert code == 2
    assert "must be postgresql://" in said
    assert PASSWORD not in said
