"""`serve --workers 2`, as an owner runs it: real processes, real sockets."""

from pathlib import Path

from bench.processes import rolling_restart
from bench.surroundings import surroundings


async def test_new_processes_take_the_old_ones_places_without_a_failed_request(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as street:
        asked, failed = await rolling_restart(street)
    assert asked > 50
    assert failed == 0
