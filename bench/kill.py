"""Kill -9 at random instants during 200 concurrent bookings over JSON, again and again.

    make kill

On SQLite, one server process is killed twice. On PostgreSQL, three web processes behind a proxy, two workers apart and
Redis are: two of the web processes, a worker, PostgreSQL's first process, and Redis, in any order, each started again
after a moment. Sandboxes for Hapio, Stripe and mail stand on loopback ports. Programs lock, pay and look; some want the
same time. Of the programs that were cut off half repeat their calls under the same keys, and half walk away. Then all
are killed and started once more a minute later, for those whose keys were in use. The worker's passes follow, with the
clock moved past every deadline, and everybody's books are compared. Ends with 1 if anything disagrees.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
import uvicorn

from app.main import Seams, create_app, open_parts, run_worker_of
from app.parts import Parts
from app.payments.connection import StripeHTTP
from app.protection.idempotency import LONGEST_RUN
from app.settings import Settings, read_settings
from app.telemetry.logs import set_up_logs
from bench.durable_postgres import DurablePostgres, durable_postgres
from bench.kill_books import WRONG, Figures, compare
from bench.kill_servers import Counts, ProductProcess, Victim, proxy
from bench.surroundings import API_KEY, Surroundings, free_port, surroundings
from sandbox.clock import Clock

PROGRAMS, ROUNDS = 200, 5
#: How often a program that was cut off asks again, a second apart, before it leaves it until later.
_TRIES = 6
#: A worker's steps until the mails of a round have gone out; what waits after them counts as missing.
_MOST_STEPS = 60


@dataclass
class Round:
    """One round's surroundings, and what is to be killed in it: after so many answers, whom."""

    street: Surroundings
    chance: random.Random
    figures: Figures = field(default_factory=Figures)
    victims: list[Victim] = field(default_factory=list)
    plan: list[tuple[int, Victim]] = field(default_factory=list)
    ahead: int = 0
    answers: int = 0
    strikes: list[asyncio.Task[None]] = field(default_factory=list)
    locks: dict[int, asyncio.Lock] = field(default_factory=dict)

    def sleep(self, span: timedelta) -> None:
        """Let time pass for everybody, and for the servers to come."""
        self.street.clock.advance(span)
        self.ahead += int(span.total_seconds())

    def plan_kills(self, whom: Sequence[Victim], programs: int) -> None:
        """Each after a random number of answers, of which there are more than two for each program."""
        self.plan = sorted(
            ((self.chance.randrange(programs // 10, programs * 2), victim) for victim in whom), key=lambda one: one[0]
        )

    def answered(self) -> None:
        """One more answer, or none where one was due."""
        self.answers += 1
        while self.plan and self.plan[0][0] <= self.answers:
            _, victim = self.plan.pop(0)
            self.strikes.append(asyncio.create_task(self._strike(victim)))

    async def _strike(self, victim: Victim) -> None:
        async with self.locks.setdefault(id(victim), asyncio.Lock()):
            await asyncio.sleep(self.chance.uniform(0, 0.2))
            await victim.kill()
            self.figures.killed += 1
            await asyncio.sleep(self.chance.uniform(0.3, 1.5))
            await victim.start()


async def kill_on_sqlite(folder: Path, *, seed: int, programs: int = PROGRAMS, kills: int = 2) -> Figures:
    """One round in a folder of its own: one process, killed so often."""
    async with surroundings(folder) as street:
        one = Round(street, random.Random(seed))  # noqa: S311 - chance, not a secret
        server = ProductProcess(street, one.figures, lambda: one.ahead, port=street.port, worker=True)
        one.victims = [server]
        await _run(one, [server] * kills, programs)
        return one.figures


async def kill_on_postgresql(
    folder: Path, server: DurablePostgres, *, seed: int, programs: int = PROGRAMS, webs: int = 3, workers: int = 2
) -> Figures:
    """One round on a database of its own: one of each kind, and two of the web processes."""
    redis_port = free_port()
    named = {"DATABASE_URL": await server.database(f"round_{seed}"), "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0"}
    async with AsyncExitStack() as closing:
        street = await closing.enter_async_context(surroundings(folder, **named))
        one = Round(street, random.Random(seed))  # noqa: S311 - chance, not a secret
        ports = [free_port() for _ in range(webs)]
        served = [ProductProcess(street, one.figures, lambda: one.ahead, port=port) for port in ports]
        working = [ProductProcess(street, one.figures, lambda: one.ahead, worker=True) for _ in range(workers)]
        counts = Counts(redis_port, closing)
        await counts.start()
        await closing.enter_async_context(proxy(street.port, ports))
        one.victims = [*served, *working]
        web = one.chance.sample(served, min(2, webs))
        await _run(one, [*web, one.chance.choice(working), server, counts], programs)
        return one.figures


async def _run(one: Round, whom: Sequence[Victim], programs: int) -> None:
    street, figures = one.street, one.figures
    wishes = await _wishes(one, programs)
    await asyncio.gather(*(victim.start() for victim in one.victims))
    one.plan_kills(whom, programs)
    running = [_Program(one, number, wish) for number, wish in enumerate(wishes)]
    limits = httpx.Limits(max_connections=programs)
    async with httpx.AsyncClient(base_url=street.address, timeout=60, limits=limits) as client:
        await asyncio.gather(*(program.run(client) for program in running))
        await asyncio.gather(*one.strikes)
    cut_off = [program for program in running if program.cut_off]
    figures.cut_off = len(cut_off)
    await asyncio.gather(*(victim.kill() for victim in one.victims))
    one.sleep(LONGEST_RUN)
    await asyncio.gather(*(victim.start() for victim in one.victims))
    async with httpx.AsyncClient(base_url=street.address, timeout=60, limits=limits) as client:
        await asyncio.gather(*(program.run(client) for program in cut_off if program.patient))
    await asyncio.gather(*(victim.kill() for victim in one.victims))
    async with _in_process(one) as parts:
        for _ in range(9):
            street.clock.advance(timedelta(minutes=10))
            await parts.worker.tick()
        for _ in range(_MOST_STEPS):
            if not await _mails_wait(parts):
                break
            # A mail that a step took and did not get to waits until its lease is over.
            street.clock.advance(timedelta(minutes=1))
            await parts.worker.tick()
        await compare(street, parts, figures)


class _CutOff(Exception):
    """No answer, or none that says what became of the call."""


class _Program:
    """Books one time, under keys of its own; stops where the server does, and can go on from there."""

    def __init__(self, one: Round, number: int, wish: dict[str, Any]) -> None:
        self._round = one
        self._wish = wish
        self._keys = [str(UUID(int=one.chance.getrandbits(128), version=4)) for _ in range(2)]
        self._walks_away = number % 7 == 0
        self._paid = False
        self.patient = one.chance.random() < 0.5
        self.cut_off = False

    async def run(self, client: httpx.AsyncClient) -> None:
        """From the beginning; what is done already answers from the key."""
        self.cut_off = False
        try:
            await self._book(client)
        except _CutOff:
            self.cut_off = True

    async def _book(self, client: httpx.AsyncClient) -> None:
        held = await self._ask(client, "POST", "/api/bookings/lock", self._wish, self._keys[0])
        if held.status_code != 201:
            return
        if held.headers.get("idempotency-replayed") is None:
            self._round.figures.locked += 1
        named = {"bookingId": held.json()["bookingId"]}
        page = await self._ask(client, "POST", "/api/checkout/create-session", named, self._keys[1])
        if page.status_code != 200 or self._walks_away or self._paid:
            return
        session, stripe = page.json()["sessionId"], self._round.street.stripe
        if session and stripe.state.sessions[session]["status"] == "open":
            self._paid = True
            await stripe.pay(session)
        await self._ask(client, "GET", f"/api/bookings/{named['bookingId']}")

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, body: Any = None, key: str = ""
    ) -> httpx.Response:
        """Whoever is patient asks again where there is no answer, or where the server says that it is busy or that the
        first call still runs. Raises _CutOff."""
        headers = {"Authorization": f"Bearer {API_KEY}", **({"Idempotency-Key": key} if key else {})}
        for _ in range(_TRIES if self.patient else 1):
            try:
                answer = await client.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                self._round.answered()
            else:
                self._round.answered()
                self._round.figures.answers_500 += answer.status_code == 500
                if answer.status_code < 500 and not (
                    answer.status_code in {409, 429} and "retry-after" in answer.headers
                ):
                    return answer
            await asyncio.sleep(self._round.chance.uniform(0.5, 1.5))
        raise _CutOff


async def _wishes(one: Round, programs: int) -> list[dict[str, Any]]:
    """Free times of the half-hour service, one in three wanted twice."""
    now, chance = one.street.clock(), one.chance
    async with _in_process(one) as parts:
        widget = parts.widgets["studio"]
        services = (await parts.availability.catalogue(widget)).services
        [service] = [each for each in services if each.id == one.street.ids.services["Headshot express"]]
        months = {(now.date() + timedelta(days=days)).replace(day=1) for days in (1, 31)}
        slots = [
            slot
            for month in sorted(months)
            for slot in (await parts.availability.times(widget, service, month=month)).slots
            if slot.starts_at > now + timedelta(days=1)
        ]
    places = [(slot, person) for slot in slots for person in slot.resource_ids]
    chosen = chance.sample(places, programs * 2 // 3)
    chosen += chance.sample(chosen, programs - len(chosen))
    chance.shuffle(chosen)
    customer = {"name": "Ada Example", "email": "ada@customer.example"}
    return [
        {
            "serviceId": service.id,
            "start": slot.starts_at.isoformat(),
            "end": slot.ends_at.isoformat(),
            "resourceId": person,
            "customer": customer,
        }
        for slot, person in chosen
    ]


async def _mails_wait(parts: Parts) -> bool:
    """A worker's step sends a few of them."""
    waiting, why = await parts.store.mails_late(parts.now())
    return bool(waiting) and not why


@asynccontextmanager
async def _in_process(one: Round) -> AsyncIterator[Parts]:
    """The product's parts over the same database, without a server."""
    seams = Seams(
        now=one.street.clock,
        sleep=_no_wait,
        scheduler_transports={"hapio": one.street.hapio.transport()},
        stripe_http=StripeHTTP(one.street.stripe.transport()),
    )
    async with open_parts(read_settings(one.street.environ), seams, may_migrate=True) as parts:
        yield parts


async def _no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


# A process of the product, with its clock ahead


def _serve(port: int, *, worker: bool, ahead: int) -> None:
    set_up_logs(os.environ.get("LOG_LEVEL", "error"))
    clock = Clock()
    clock.advance(timedelta(seconds=ahead))
    settings, seams = read_settings(os.environ), Seams(now=clock)
    if port:
        uvicorn.run(create_app(settings, seams, run_worker=worker), port=port, access_log=False, log_config=None)
    else:
        asyncio.run(_work(settings, seams))


async def _work(settings: Settings, seams: Seams) -> None:
    async with open_parts(settings, seams, may_migrate=True) as parts, run_worker_of(parts, seams) as clock:
        print("at work", flush=True)
        await clock.wait()


# The command


def main() -> int:
    """Run the rounds and print their figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.kill")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="on each database (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--programs", type=int, default=PROGRAMS)
    parser.add_argument("--only", choices=("sqlite", "postgresql"), default="")
    for name in ("--serve", "--ahead"):
        parser.add_argument(name, type=int, default=-1 if name == "--serve" else 0, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve >= 0:
        _serve(arguments.serve, worker=arguments.worker, ahead=arguments.ahead)
        return 0
    return asyncio.run(_rounds(arguments))


async def _rounds(arguments: argparse.Namespace) -> int:
    set_up_logs("error")
    seeds = range(arguments.seed, arguments.seed + arguments.rounds)
    found: list[tuple[str, Figures]] = []

    async def each(name: str, kill: Callable[..., Any], *words: Any) -> None:
        for seed in seeds:
            with TemporaryDirectory() as folder:
                figures = await kill(Path(folder), *words, seed=seed, programs=arguments.programs)
                if figures.wrong:
                    print((Path(folder) / "log").read_text()[-20_000:])
            found.append((f"{name} {seed}", figures))
            print(f"{name}, seed {seed}: {figures.wrong or 'nothing'} wrong; {figures}", flush=True)

    if arguments.only != "postgresql":
        await each("SQLite", kill_on_sqlite)
    if arguments.only != "sqlite":
        async with durable_postgres() as server:
            await each("PostgreSQL", kill_on_postgresql, server)
    _print_table(found)
    wrong = sum(figures.wrong for _, figures in found)
    print("everything agrees" if not wrong else f"{wrong} things disagree")
    return int(wrong > 0)


def _print_table(found: Sequence[tuple[str, Figures]]) -> None:
    """A column for each round, and what must be zero below the line."""
    width = max(len(name) for name, _ in found) + 2
    print("\n" + " " * 24 + "".join(name.rjust(width) for name, _ in found))
    names = [each.name for each in fields(Figures)]
    for name in names:
        if name == WRONG[0]:
            print("must be 0:")
        print(name.replace("_", " ").ljust(24) + "".join(str(getattr(one, name)).rjust(width) for _, one in found))


if __name__ == "__main__":
    sys.exit(main())
