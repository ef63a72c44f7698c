"""What the calendar of a full day costs beside a page of the same frame with nothing on it.

    python -m bench.front_desk

A day of eight people with 60 bookings, and its week, next to the page that asks for a sign-in link. One process, one
core, the ASGI application called directly; of several rounds the cheapest counts, in milliseconds of CPU time, and of
time on the clock. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import httpx

from app.cli.demo import HAPIO_TOKEN, OWNER, STUDIO, open_demo
from app.domain.booking import Customer, Status, Visitor
from app.parts import Parts
from app.telemetry.logs import set_up_logs
from sandbox.clock import Clock

ROUNDS, CALLS, BOOKINGS = 5, 20, 60
#: A Wednesday morning in Stockholm, half past ten.
WEDNESDAY = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
_NEW = ("Freja Nyström", "Olle Sandberg", "Tuva Ek", "Nils Åkesson", "Saga Holm")
_CUSTOMERS = ("Anna Ek", "Bo Berg", "Cleo Dahl", "Dina El-Amin", "Erik Fors", "Fatima Gül", "Greta Hagström-Lindqvist")


@dataclass(frozen=True, slots=True)
class FullDesk:
    """The demo's studio on a full day, and the path of the first page of somebody who is signed in."""

    parts: Parts
    public: str
    home: str
    client: httpx.AsyncClient
    clock: Clock


@asynccontextmanager
async def full_desk(folder: Path) -> AsyncIterator[FullDesk]:
    """Eight people and 60 bookings on one day, an hour or half an hour each, two of them not paid yet; one person is
    off for lunch."""
    async with open_demo(folder, widgets={"hapio": STUDIO}, worker=False, now=WEDNESDAY) as demo:
        parts: Parts = demo.app.state.parts
        widget = parts.widgets["studio"]
        demo.hapio.switches.rate_limit_per_minute = 10_000
        await _more_people(demo.urls.hapio)
        await parts.availability.contradicted(widget)
        catalogue = await parts.availability.catalogue(widget)
        service = next(one for one in catalogue.services if len(one.resources) >= 8)
        people = service.resources
        slot = await parts.availability.next_free(widget, service, after=WEDNESDAY.date() + timedelta(days=1))
        assert slot  # noqa: S101 - the demo's studio has times
        first = await parts.hold.take(
            widget,
            service_id=service.id,
            starts_at=slot.starts_at,
            resource_id=None,
            visitor=Visitor(key="0" * 24, time_zone="Europe/Stockholm", language="en"),
            customer=Customer(name=_CUSTOMERS[0], email="anna@customer.example"),
        )
        start = WEDNESDAY.replace(hour=8, minute=0)
        for number in range(BOOKINGS):
            person, turn = people[number % len(people)], number // len(people)
            starts_at = start + timedelta(minutes=60 * turn + (30 if number % 3 == 0 else 0))
            ends_at = starts_at + timedelta(minutes=30 if number % 3 == 0 else 60)
            id_ = f"bk_{number:020x}"
            row = replace(
                first.reservation,
                id=id_,
                booking_id=id_,
                resource_id=person.id,
                resource_name=person.name,
                starts_at=starts_at,
                ends_at=ends_at,
                buffer_starts_at=starts_at,
                buffer_ends_at=ends_at,
                reference=None,
            )
            customer = Customer(name=_CUSTOMERS[number % 7], email=f"c{number}@customer.example", phone="+46701234567")
            status = Status.AWAITING_PAYMENT if number in {20, 41} else Status.CONFIRMED
            booking = replace(
                first, id=id_, status=status, customer=customer, reservation=row, deadline=start + timedelta(days=1)
            )
            await parts.store.insert_hold(booking, capacity=None)
        members = await parts.working_hours.people()
        noon = WEDNESDAY.replace(hour=15, minute=0)
        await parts.working_hours.take_off(
            members[-1], noon, noon + timedelta(minutes=90), by=OWNER, note="Driving lesson"
        )
        await parts.store.add_sign_in("si_bench", OWNER, forget_before=WEDNESDAY - timedelta(days=2))
        await parts.store.use_sign_in("si_bench", stays=True, ends_at=WEDNESDAY + timedelta(hours=12))
        home = "/staff/" + parts.links.staff_token("si_bench", stays=True)
        transport = httpx.ASGITransport(app=demo.app)
        async with httpx.AsyncClient(transport=transport, base_url=demo.urls.public) as client:
            yield FullDesk(parts, demo.urls.public, home, client, demo.clock)


async def _more_people(hapio: str) -> None:
    headers = {"Authorization": f"Bearer {HAPIO_TOKEN}"}
    async with httpx.AsyncClient(base_url=f"{hapio}/v1", headers=headers) as owner:
        services = (await owner.get("/services")).raise_for_status().json()["data"]
        place = (await owner.get("/locations")).raise_for_status().json()["data"][0]["id"]
        known = (await owner.get("/resources")).raise_for_status().json()["data"]
        made = []
        for name in _NEW:
            body = {"name": name, "max_simultaneous_bookings": 1}
            made.append((await owner.post("/resources", json=body)).raise_for_status().json()["id"])
        for person in [*(one["id"] for one in known), *made]:
            await owner.put(f"/resources/{person}/services/{services[0]['id']}")
        for person in made:
            body = {"location_id": place, "start_date": "2024-01-01"}
            path = f"/resources/{person}/recurring-schedules"
            schedule = (await owner.post(path, json=body)).raise_for_status().json()["id"]
            for day in ("monday", "tuesday", "wednesday", "thursday", "friday"):
                for opens, closes in (("09:00:00", "12:30:00"), ("13:00:00", "18:00:00")):
                    block = {"weekday": day, "start_time": opens, "end_time": closes}
                    (await owner.post(f"{path}/{schedule}/schedule-blocks", json=block)).raise_for_status()


async def main() -> None:
    """Measure, and print a table."""
    with TemporaryDirectory() as folder:
        async with full_desk(Path(folder)) as desk:
            pages = {
                "the page that asks to sign in": "/staff",
                "a full day": desk.home,
                "its week": f"{desk.home}?days=7",
                "the list of the day": f"{desk.home}/bookings?days=1",
            }
            cpu: dict[str, float] = {}
            clock: dict[str, float] = {}
            for _ in range(ROUNDS):
                for name, path in pages.items():
                    desk.clock.advance(timedelta(minutes=1))  # staff have a limit a minute as well
                    spent, began = process_time(), perf_counter()
                    for _ in range(CALLS):
                        (await desk.client.get(path)).raise_for_status()
                    used, took = (process_time() - spent) / CALLS * 1e3, (perf_counter() - began) / CALLS * 1e3
                    cpu[name], clock[name] = min(used, cpu.get(name, used)), min(took, clock.get(name, took))
            base = next(iter(pages))
            print(f"{'':32}{'CPU ms':>8}{'ms':>8}{'times':>8}")
            for name in pages:
                print(f"{name:32}{cpu[name]:8.1f}{clock[name]:8.1f}{cpu[name] / cpu[base]:8.1f}")


if __name__ == "__main__":
    set_up_logs("warning")
    asyncio.run(main())
