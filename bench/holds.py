"""How long a hold takes, and how many there are in a second: 1, 50 and 500 visitors at once on times of their own, then
500 on one. The database is SQLite, or PostgreSQL where one is named; `postgresql` starts a server for it.

    python -m bench.holds [postgresql | postgresql://…]

"CPU" is the server's for one hold: the sandbox and the visitors are on the same machine, and slower than it, so holds a
second are a lower bound. "The lock adds" is a hold's median less that of the very call which it makes: creating a
temporary booking at the scheduler, asked by the same kind of client, as many at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx

from bench.surroundings import API_KEY, Surroundings, cpu_seconds, surroundings
from tests.support.postgres import postgres_database, use_folder

_KEY = {"Authorization": f"Bearer {API_KEY}"}


async def main(database: str = "") -> None:
    """Print a line for each crowd; on PostgreSQL with a server of its own where the database is `postgresql`."""
    if database == "postgresql":
        with TemporaryDirectory() as run:
            use_folder(Path(run))
            async with postgres_database() as url:
                await main(url)
        return
    with TemporaryDirectory() as folder:
        settings = {"DATABASE_URL": database} if database else {}
        async with surroundings(Path(folder), **settings) as street:
            server = await street.serve()
            await _measure(street, server.pid, "PostgreSQL" if database else "SQLite")


async def _measure(street: Surroundings, pid: int, name: str) -> None:
    limits = httpx.Limits(max_connections=600)
    async with httpx.AsyncClient(base_url=street.address, timeout=120, limits=limits, headers=_KEY) as client:
        wishes = await _wishes(street, client)
        print(f"{name:12}{'visitors':>9}{'holds/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'the lock adds ms':>18}{'CPU ms':>9}")
        for crowd in (1, 50, 500):
            mine = [wishes.pop() for _ in range(max(crowd, 20))]
            spent = cpu_seconds(pid)
            took, seconds = await _all(mine, crowd, lambda wish: _hold(client, wish, 201))
            cpu = (cpu_seconds(pid) - spent) / len(mine) * 1000
            alone = await _scheduler(street, [wishes.pop() for _ in mine], crowd)
            p50, p99 = _at(took)
            adds = p50 - _at(alone)[0]
            print(f"{'':12}{crowd:9}{len(mine) / seconds:9.1f}{p50:9.1f}{p99:9.1f}{adds:18.1f}{cpu:9.1f}", flush=True)
        one = [wishes.pop()] * 500
        took, seconds = await _all(one, 500, lambda wish: _hold(client, wish, 0))
        p50, p99 = _at(took)
        print(f"{'':12}{'500 on 1':>9}{len(one) / seconds:9.1f}{p50:9.1f}{p99:9.1f}", flush=True)


async def _all(wishes: Sequence[Any], crowd: int, act: Callable[[Any], Awaitable[None]]) -> tuple[list[float], float]:
    """Seconds of each act, so many at once, and of all."""
    turn, took = asyncio.Semaphore(crowd), []

    async def one(wish: Any) -> None:
        async with turn:
            began = monotonic()
            await act(wish)
            took.append(monotonic() - began)

    began = monotonic()
    await asyncio.gather(*(one(wish) for wish in wishes))
    return took, monotonic() - began


async def _hold(client: httpx.AsyncClient, wish: dict[str, Any], expected: int) -> None:
    answer = await client.post("/api/bookings/lock", json=wish, headers={"Idempotency-Key": str(uuid4())})
    if expected and answer.status_code != expected:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")


async def _scheduler(street: Surroundings, wishes: Sequence[dict[str, Any]], crowd: int) -> list[float]:
    """What the sandboxed scheduler takes by itself to create the bookings that holds create."""
    headers = {"Authorization": f"Bearer {street.hapio.token}"}
    base = street.environ["HAPIO_BASE_URL"]
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=120) as client:

        async def create(wish: dict[str, Any]) -> None:
            asked = {
                "service_id": wish["serviceId"],
                "location_id": street.ids.location,
                "resource_id": wish["resourceId"],
                "starts_at": wish["start"],
                "ends_at": wish["end"],
                "is_temporary": True,
                "metadata": {"holdfast_id": str(uuid4())},
            }
            (await client.post("/bookings", json=asked)).raise_for_status()

        took, _ = await _all(wishes, crowd, create)
    return took


async def _wishes(street: Surroundings, client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Times of every person over half a year, no two of which overlap."""
    service = street.ids.services["Headshot express"]
    wish = {"serviceId": service, "customer": {"name": "Ada Example", "email": "ada@customer.example"}}
    found: list[dict[str, Any]] = []
    month = street.clock().date().replace(day=1)
    for _ in range(5):
        asked = {"serviceId": service, "from": f"{month:%Y-%m-%d}", "to": f"{month + timedelta(days=27):%Y-%m-%d}"}
        answer = (await client.get("/api/availability", params=asked)).raise_for_status().json()
        for slot in answer["slots"]:
            start = datetime.fromisoformat(slot["start"])
            if start > street.clock() + timedelta(days=1):
                found += [
                    {**wish, "start": slot["start"], "end": slot["end"], "resourceId": person}
                    for person in slot["resourceIds"]
                ]
        month = (month + timedelta(days=32)).replace(day=1)
    return found


def _at(took: Sequence[float]) -> tuple[float, float]:
    """Milliseconds of the median and of the 99th in a hundred."""
    parts = quantiles(took, n=100) if len(took) > 1 else [took[0]] * 99
    return parts[49] * 1000, parts[98] * 1000


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
