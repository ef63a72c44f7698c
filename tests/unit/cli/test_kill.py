"""A real server process is killed amid a crowd; `make kill` does more of it, on both databases."""

from pathlib import Path

from bench.kill import kill_on_sqlite


async def test_killed_amid_a_crowd_the_server_leaves_no_money_without_a_booking_and_no_time_sold_twice(
    tmp_path: Path,
) -> None:
    figures = await kill_on_sqlite(tmp_path, seed=5, programs=24, kills=1)
    assert figures.killed == 1
    assert figures.cut_off > 0
    assert figures.locked > 0
    assert figures.wrong == 0, figures
