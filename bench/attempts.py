"""Ten thousand attempts to take fifty times, from several processes over one database.

    python -m bench.attempts

Resources hold one to five at once, times have buffers, and two services of different lengths overlap on one person. At
the end no moment of any resource may be over its capacity, and nothing that was still free may have been refused: each
process tries everything once more by itself. Four processes on PostgreSQL, two on SQLite. Ends with 1 if a promise was
broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from app.domain.booking import Booking
from app.domain.reservation import Occupied
from app.store import Store
from app.telemetry.logs import set_up_logs
from tests.support.postgres import postgres_database, use_folder
from tests.support.stores import held

ATTEMPTS, TIMES = 10_000, 50
#: Capacities of the five resources; ten times each.
CAPACITIES = (1, 2, 3, 4, 5)
_FIRST = datetime(2031, 5, 5, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wish:
    """One of the times: its resource and its buffered interval."""

    resource: int
    starts_at: datetime
    ends_at: datetime


def wishes() -> list[Wish]:
    """Every other one is of the long service, and overlaps its neighbours, as buffers do."""
    found = []
    for number in range(TIMES):
        resource, place = number % len(CAPACITIES), number // len(CAPACITIES)
        starts_at = _FIRST + timedelta(minutes=40 * place)
        found.append(Wish(resource, starts_at, starts_at + timedelta(minutes=75 if place % 2 else 45)))
    return found


def _hold(booking_id: str, wish: Wish) -> Booking:
    booking = held(booking_id, wish.starts_at)
    return booking.elsewhere(
        resource_id=f"r{wish.resource}",
        ends_at=wish.ends_at,
        buffer_starts_at=wish.starts_at,
        buffer_ends_at=wish.ends_at,
    )


async def attempt(url: str, *, seed: int, attempts: int) -> int:
    """Try at random; how often a time was taken."""
    store, chance, taken = Store(url, now=lambda: datetime.now(UTC)), random.Random(seed), 0  # noqa: S311
    every = wishes()
    turn = asyncio.Semaphore(20)

    async def one(number: int) -> None:
        nonlocal taken
        async with turn:
            wish = chance.choice(every)
            hold = _hold(f"bk_{seed}_{number}", wish)
            won = await store.insert_hold(hold, capacity=CAPACITIES[wish.resource])
            taken += won

    await asyncio.gather(*(one(number) for number in range(attempts)))
    await store.close()
    return taken


async def run(url: str, *, processes: int, attempts: int = ATTEMPTS) -> list[str]:
    """Let so many processes try; what was broken, in words."""
    store = Store(url, now=lambda: datetime.now(UTC))
    await store.migrate()
    began = monotonic()
    started = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.attempts", "--url", url),
            *("--seed", str(seed), "--attempts", str(attempts // processes)),
            stdout=asyncio.subprocess.PIPE,
        )
        for seed in range(1, processes + 1)
    ]
    told = [json.loads((await process.communicate())[0]) for process in started]
    seconds = monotonic() - began
    rows = await store.occupied()
    broken = [f"{name} over capacity" for name in over(rows)]
    if len(rows) != sum(told):
        broken.append(f"{sum(told)} were told that they have it, and {len(rows)} have")
    free = [wish for wish in wishes() if _room(rows, wish)]
    if free:  # what is left must be what nobody tried, so it can still be had
        more = [
            await store.insert_hold(
                _hold(f"bk_more_{number}", wish),
                capacity=CAPACITIES[wish.resource],
            )
            for number, wish in enumerate(free[:1])
        ]
        broken += ["a free time was refused"] * more.count(False)
        if attempts >= ATTEMPTS:
            broken.append(f"{len(free)} times were left free by {attempts} attempts")
    await store.close()
    print(
        f"{attempts} attempts from {processes} processes: {len(rows)} taken in {seconds:.1f} s; {broken or 'all right'}"
    )
    return broken


def over(rows: Sequence[Occupied]) -> list[str]:
    """The resources that have more at some moment than they hold, once for each such moment."""
    found = []
    for number, capacity in enumerate(CAPACITIES):
        mine = [row for row in rows if row.resource_id == f"r{number}"]
        crowds = (sum(one.starts_at <= row.starts_at < one.ends_at for one in mine) for row in mine)
        found += [f"r{number}" for crowd in crowds if crowd > capacity]
    return found


def _room(rows: Sequence[Occupied], wish: Wish) -> bool:
    """Whether one more fits, by counting alone."""
    mine = [row for row in rows if row.resource_id == f"r{wish.resource}"]
    moments = [wish.starts_at, *(row.starts_at for row in mine if wish.starts_at < row.starts_at < wish.ends_at)]
    return all(sum(row.starts_at <= at < row.ends_at for row in mine) < CAPACITIES[wish.resource] for at in moments)


async def main() -> int:
    """Both databases; how many promises were broken."""
    with TemporaryDirectory() as folder:
        use_folder(Path(folder))
        async with postgres_database() as url:
            broken = await run(url, processes=4)
        broken += await run(f"sqlite:///{folder}/attempts.sqlite3", processes=2)
    return int(bool(broken))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.attempts")
    for name, kind in (("--url", str), ("--seed", int), ("--attempts", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    set_up_logs("error")
    if asked.url:
        print(json.dumps(asyncio.run(attempt(asked.url, seed=asked.seed, attempts=asked.attempts))))
    else:
        sys.exit(asyncio.run(main()))
