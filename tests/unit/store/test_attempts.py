"""Attempts to take the same times from several processes at once; `python -m bench.attempts` makes ten thousand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.reservation import Occupied
from bench.attempts import over, run
from tests.support.postgres import postgres_database


async def test_no_time_is_given_away_twice_or_wasted_by_processes_over_postgresql() -> None:
    async with postgres_database() as url:
        assert await run(url, processes=2, attempts=400) == []


async def test_no_time_is_given_away_twice_or_wasted_by_processes_over_one_file(tmp_path: Path) -> None:
    assert await run(f"sqlite:///{tmp_path / 'attempts.sqlite3'}", processes=2, attempts=400) == []


@pytest.mark.parametrize("capacity", [1, 3])
async def test_the_count_would_notice_a_time_that_was_given_away_once_too_often(capacity: int) -> None:
    at = datetime(2031, 5, 5, 8, tzinfo=UTC)
    rows = [Occupied(f"bk_{n}", f"r{capacity - 1}", at, at + timedelta(hours=1)) for n in range(capacity + 1)]
    assert over(rows[:-1]) == []
    assert over(rows)
