"""Kill -9 of the server at a random instant during 200 concurrent bookings over JSON, again and again.

    make kill

Each round has a server process of its own on an empty database, beside sandboxes for Hapio and Stripe on loopback
ports. Programs lock, pay and look; some want the same time. The process is killed, and started again a minute later;
of the programs that were cut off half repeat their calls under the same keys, and half have walked away. Then the
worker's passes follow, with the clock moved past every deadline, and everybody's books are compared. Ends with 1 if
anything disagrees.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import uvicorn

from app.domain.booking import Booking, Status
from app.domain.refund import REFUND_VOID
from app.main import Seams, create_app, open_parts
from app.parts import Parts
from app.payments.connection import StripeHTTP
from app.protection.idempotency import LONGEST_RUN
from app.settings import read_settings
from app.telemetry.logs import set_up_logs
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.seed import seed_studio
from sandbox.serve import base_url, listen, serve_on
from sandbox.stripe import StripeSandbox

PROGRAMS, ROUNDS = 200, 10
#: The latest instant of the kill, in seconds from the first request.
LATEST = 9.0
KEY = "a-key-that-opens-the-sandbox-only"
_FINAL = {Status.CONFIRMED, Status.EXPIRED, Status.CANCELED}


@dataclass
class Figures:
    """What a round came to. The last five must be zero."""

    killed_after: float = 0.0
    locked: int = 0
    cut_off: int = 0
    captured: int = 0
    confirmed: int = 0
    refunded: int = 0
    expired: int = 0
    unfinished: int = 0
    money_without_booking: int = 0
    bookings_without_money: int = 0
    orphans: int = 0
    double_slots: int = 0

    @property
    def wrong(self) -> int:
        """How many things disagree."""
        return (
            self.unfinished
            + self.money_without_booking
            + self.bookings_without_money
            + self.orphans
            + self.double_slots
        )


@dataclass
class Street:
    """What stands around the server and outlives it."""

    clock: Clock
    hapio: HapioSandbox
    stripe: StripeSandbox
    environ: Mapping[str, str]
    port: int
    chance: random.Random
    ahead: int = 0
    something: asyncio.Event = field(default_factory=asyncio.Event)
    figures: Figures = field(default_factory=Figures)

    def sleep(self, span: timedelta) -> None:
        """Let time pass for everybody, and for the servers to come."""
        self.clock.advance(span)
        self.ahead += int(span.total_seconds())

    @property
    def address(self) -> str:
        """The server's."""
        return f"http://127.0.0.1:{self.port}"


async def kill_once(folder: Path, *, seed: int, programs: int = PROGRAMS, latest: float = LATEST) -> Figures:
    """One round, in a folder of its own."""
    async with _street(folder, random.Random(seed)) as street:  # noqa: S311 - chance, not a secret
        figures = street.figures
        wishes = await _wishes(street, programs)
        server = await _start(street)
        cut_off: list[_Program] = []
        running = [_Program(street, number, wish, cut_off) for number, wish in enumerate(wishes)]
        began = monotonic()
        async with httpx.AsyncClient(base_url=street.address, timeout=60) as client:
            everybody = [asyncio.create_task(program.run(client)) for program in running]
            await asyncio.sleep(street.chance.uniform(0.1, latest))
            await street.something.wait()  # on a busy machine, not before there is anything to lose
            server.send_signal(signal.SIGKILL)
            figures.killed_after = monotonic() - began
            await server.wait()
            await asyncio.gather(*everybody)
        figures.cut_off = len(cut_off)
        street.sleep(LONGEST_RUN)
        server = await _start(street)
        patient = [program for program in cut_off if street.chance.random() < 0.5]
        cut_off.clear()
        async with httpx.AsyncClient(base_url=street.address, timeout=60) as client:
            await asyncio.gather(*(program.run(client) for program in patient))
        server.send_signal(signal.SIGKILL)
        await server.wait()
        await _pass(street)
        return figures


class _Program:
    """Books one time, under keys of its own; stops where the server does, and can go on from there."""

    def __init__(self, street: Street, number: int, wish: dict[str, Any], cut_off: list[_Program]) -> None:
        self._street = street
        self._wish = wish
        self._cut_off = cut_off
        self._keys = [str(UUID(int=street.chance.getrandbits(128), version=4)) for _ in range(2)]
        self._walks_away = number % 7 == 0
        self._paid = False

    async def run(self, client: httpx.AsyncClient) -> None:
        """From the beginning; what is done already answers from the key."""
        try:
            await self._book(client)
        except httpx.TransportError:
            self._cut_off.append(self)

    async def _book(self, client: httpx.AsyncClient) -> None:
        held = await self._post(client, "/api/bookings/lock", self._wish, self._keys[0])
        if held.status_code != 201:
            return
        if held.headers.get("idempotency-replayed") is None:
            self._street.figures.locked += 1
            self._street.something.set()
        named = {"bookingId": held.json()["bookingId"]}
        page = await self._post(client, "/api/checkout/create-session", named, self._keys[1])
        if page.status_code != 200 or self._walks_away or self._paid:
            return
        session = page.json()["sessionId"]
        if session and self._street.stripe.state.sessions[session]["status"] == "open":
            self._paid = True
            await self._street.stripe.pay(session)
        await client.get(f"/api/bookings/{named['bookingId']}", headers={"Authorization": f"Bearer {KEY}"})

    async def _post(self, client: httpx.AsyncClient, path: str, body: Any, key: str) -> httpx.Response:
        """Patient where the server says that the first call still runs, or that it is busy."""
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
        for _ in range(5):
            answer = await client.post(path, json=body, headers=headers)
            if answer.status_code not in {409, 429, 503} or "retry-after" not in answer.headers:
                break
            await asyncio.sleep(1)
        return answer


async def _wishes(street: Street, programs: int) -> list[dict[str, Any]]:
    """Free times of the half-hour service, one in three wanted twice."""
    async with _in_process(street) as parts:
        widget = parts.widgets["studio"]
        [service] = (await parts.availability.catalogue(widget)).services
        today = street.clock().date()
        months = {(today + timedelta(days=days)).replace(day=1) for days in (1, 31)}
        slots = [
            slot
            for month in sorted(months)
            for slot in (await parts.availability.times(widget, service, month=month)).slots
            if slot.starts_at > street.clock() + timedelta(days=1)
        ]
    places = [(slot, person) for slot in slots for person in slot.resource_ids]
    chosen = street.chance.sample(places, programs * 2 // 3)
    chosen += street.chance.sample(chosen, programs - len(chosen))
    street.chance.shuffle(chosen)
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


@asynccontextmanager
async def _in_process(street: Street) -> AsyncIterator[Parts]:
    """The product's parts over the same database, without a server."""
    seams = Seams(
        now=street.clock,
        sleep=_no_wait,
        scheduler_transports={"hapio": street.hapio.transport()},
        stripe_http=StripeHTTP(street.stripe.transport()),
    )
    async with open_parts(read_settings(street.environ), seams, may_migrate=True) as parts:
        yield parts


async def _pass(street: Street) -> None:
    """The worker's passes over an hour and a half, then everybody's books."""
    async with _in_process(street) as parts:
        for _ in range(9):
            street.clock.advance(timedelta(minutes=10))
            await parts.worker.tick()
        await _compare(street, parts)


async def _compare(street: Street, parts: Parts) -> None:
    figures = street.figures
    bookings = {booking.id: booking for booking in await _all_bookings(parts)}
    standing = Counter(booking.status for booking in bookings.values())
    figures.confirmed, figures.expired = standing[Status.CONFIRMED], standing[Status.EXPIRED]
    figures.unfinished = sum(count for status, count in standing.items() if status not in _FINAL)
    paid: Counter[str] = Counter()
    for intent in street.stripe.state.payment_intents.values():
        back = sum(
            refund["amount"]
            for refund in street.stripe.state.refunds.values()
            if refund["payment_intent"] == intent["id"] and refund["status"] not in REFUND_VOID
        )
        if intent["amount_received"]:
            figures.captured += 1
            figures.refunded += back == intent["amount_received"]
            paid[intent["metadata"]["booking_id"]] += intent["amount_received"] - back
    for booking_id, kept in paid.items():
        booking = bookings.get(booking_id)
        if kept and (booking is None or booking.status is not Status.CONFIRMED):
            figures.money_without_booking += 1
    figures.bookings_without_money = sum(
        booking.status is Status.CONFIRMED and paid[booking.id] != booking.terms.price.amount
        for booking in bookings.values()
    )
    _compare_times(street, bookings)


def _compare_times(street: Street, bookings: Mapping[str, Booking]) -> None:
    """Hapio has one final booking for each of ours, and never two at once with one person."""
    live = [booking for booking in street.hapio.state.bookings.values() if not booking.is_canceled]
    told = Counter((booking.metadata or {}).get("holdfast_id", "") for booking in live)
    ours = {booking.id for booking in bookings.values() if booking.status is Status.CONFIRMED}
    street.figures.orphans = sum(count for name, count in told.items() if name not in ours)
    street.figures.orphans += sum(booking.is_temporary for booking in live)
    street.figures.bookings_without_money += len(ours - set(told))
    by_person: dict[str, list[Any]] = {}
    for booking in live:
        by_person.setdefault(str(booking.resource_id), []).append(booking)
    for their in by_person.values():
        their.sort(key=lambda booking: booking.starts_at)
        street.figures.double_slots += sum(second.starts_at < first.ends_at for first, second in pairwise(their))


async def _all_bookings(parts: Parts) -> list[Booking]:
    """Every booking has a customer here, since the lock takes one."""
    return await parts.bookings.find(most=100_000)


async def _no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


# What stands around the server


@asynccontextmanager
async def _street(folder: Path, chance: random.Random) -> AsyncIterator[Street]:
    clock = Clock()
    port = _free_port()
    async with AsyncExitStack() as running:
        stripe_at, hapio_at = listen(), listen()
        hapio = HapioSandbox(now=clock)
        hapio.switches.rate_limit_per_minute = 1_000_000  # the crowd is the point here, not its waiting
        stripe = StripeSandbox(
            now=clock,
            public_url=base_url(stripe_at),
            webhook_client=await running.enter_async_context(httpx.AsyncClient(timeout=5)),
            webhook_url=f"http://127.0.0.1:{port}/api/webhooks/stripe",
        )
        await running.enter_async_context(serve_on(stripe_at, stripe.app))
        await running.enter_async_context(serve_on(hapio_at, hapio.app))
        headers = {"Authorization": f"Bearer {hapio.token}"}
        async with httpx.AsyncClient(base_url=f"{base_url(hapio_at)}/v1", headers=headers) as api:
            ids = await seed_studio(api)
        widgets = folder / "widgets.toml"
        widgets.write_text(
            f'[studio]\ncurrency = "sek"\nservices = [{{ id = "{ids.services["Headshot express"]}" }}]\n'
        )
        environ = {
            "HAPIO_API_TOKEN": hapio.token,
            "HAPIO_BASE_URL": f"{base_url(hapio_at)}/v1",
            "HAPIO_CALLS_PER_MONTH": "1000000",
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": "whsec_sandbox",
            "STRIPE_API_BASE": base_url(stripe_at),
            "SECRET_KEYS": "a-key-of-32-characters-for-the-sandbox",
            "API_KEYS": KEY,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "DATABASE_URL": f"sqlite:///{folder / 'holdfast.sqlite3'}",
            "WIDGETS_FILE": str(widgets),
            "LOG_LEVEL": "error",
        }
        yield Street(clock, hapio, stripe, environ, port, chance)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _start(street: Street) -> Process:
    """A server process that answers."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.kill", "--serve", str(street.port), "--ahead", str(street.ahead)),
        env=os.environ | dict(street.environ),
    )
    async with httpx.AsyncClient() as client:
        for _ in range(400):
            with suppress(httpx.TransportError):
                if (await client.get(f"{street.address}/healthz")).is_success:
                    return server
            await asyncio.sleep(0.05)
    raise RuntimeError("the server does not start")


def _serve(port: int, ahead: int) -> None:
    set_up_logs("error")
    clock = Clock()
    clock.advance(timedelta(seconds=ahead))
    uvicorn.run(create_app(read_settings(os.environ), Seams(now=clock)), port=port, access_log=False, log_config=None)


# The command


def main() -> int:
    """Run the rounds and print their figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.kill")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", type=int, default=0, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--ahead", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(arguments.serve, arguments.ahead)
        return 0
    return asyncio.run(_rounds(arguments.rounds, arguments.seed))


async def _rounds(rounds: int, seed: int) -> int:
    set_up_logs("error")
    names = list(Figures.__dataclass_fields__)
    print("  ".join(["round", *(name.replace("_", " ") for name in names)]))
    wrong = 0
    for number in range(rounds):
        with TemporaryDirectory() as folder:
            figures = await kill_once(Path(folder), seed=seed + number)
        values = [f"{figures.killed_after:.2f} s", *(str(getattr(figures, name)) for name in names[1:])]
        told = [value.rjust(len(name)) for name, value in zip(names, values, strict=True)]
        print("  ".join([str(number + 1).rjust(5), *told]), flush=True)
        wrong += figures.wrong
    print("everything agrees" if not wrong else f"{wrong} things disagree")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
