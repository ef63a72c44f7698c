"""What pages and acts cost with 200,000 past bookings, as ratios to a studio that has just opened.

The young studio has a hundred, so that a page of fifty lines is full at both: what differs is looking for them. The
full one has 10,000 more that are still to come, of fifty people, three years ahead, where nobody looks.

    python -m bench.years [--bookings 200000] [--rounds 25] [--only sqlite]

Two servers run side by side, one over the young database and one over the full one, on SQLite and then on PostgreSQL.
Each round books, moves and cancels at one and then at the other, and looks at every page. The figure is CPU time, of
the server and of PostgreSQL's processes for its database together, since the clock speaks of whatever else the machine
does; of all rounds the median counts. The worker's step is measured in this process.

The full database is one booking's rows, multiplied by the database itself: 3.8 years with one every ten minutes, of
20,000 customers; mails and webhook events of the last 90 days, as `KEEP_DONE_DAYS` leaves them.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import asyncpg
import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import short_reference
from app.main import Seams, open_parts
from app.parts import Parts
from app.settings import read_settings
from app.store.search import follow_search
from app.store.tables import Instant, bookings, history, inbox, outbox, payments, reservations
from app.telemetry.logs import set_up_logs
from bench.surroundings import API_KEY, Surroundings, Visitor, hidden_fields, surroundings
from tests.support.postgres import postgres_database, use_folder

T = TypeVar("T")
BOOKINGS, ROUNDS = 200_000, 25
#: Bookings of the full studio that are still to come.
_AHEAD = 10_000
#: Past bookings of the young studio.
_YOUNG = 100
#: Not counted: connections are opened, and pages drawn for the first time.
_WARM_UP = 3
#: Bookings of the last 90 days, one every ten minutes.
_KEPT = 90 * 144
_STAFF, _METRICS = "eva@studio.example", "a-token-for-the-figures"
#: What must be another one in each copy.
_NAMES = {
    "id",
    "booking_id",
    "reservation_id",
    "payment_id",
    "reference",
    "session_id",
    "payment_intent_id",
    "message_id",
    "event_id",
    "visitor_key",
}
_VISIT = {"starts_at", "ends_at", "buffer_starts_at", "buffer_ends_at"}
#: What a customer's bookings have in common.
_CUSTOMERS = {"customer_key", "customer_email", "customer_search"}


async def fill(connection: AsyncConnection, booking_id: str, count: int, *, ahead: bool = False) -> None:
    """Make `count` past bookings of one that is confirmed, and its neighbours' rows with it; or, `ahead`, bookings in
    three years, whose mails are not written yet."""
    for table in (bookings, reservations, payments, history, *(() if ahead else (outbox, inbox))):
        times = min(count, _KEPT) if table in (outbox, inbox) else count
        columns = [column for column in table.columns if not (table is history and column.name == "id")]
        key = table.c.id if table is bookings else table.c.booking_id
        values = ", ".join(_copied(column, connection.dialect.name, ahead=ahead) for column in columns)
        names = ", ".join(column.name if column.name != "by" else '"by"' for column in columns)
        await connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) WITH RECURSIVE copy(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM copy"  # noqa: S608
            f" WHERE i < {times}) SELECT {values} FROM {table.name}, copy WHERE {key.name} = '{booking_id}'"
        )


def _copied(column: sa.Column[Any], dialect: str, *, ahead: bool) -> str:
    name = f'{column.table.name}."{column.name}"'
    if column is outbox.c.next_try_at:  # the reminder of a past visit was sent, too
        return "NULL"
    if column is outbox.c.sent_at:
        return _copied(outbox.c.due_at, dialect, ahead=ahead)
    if column.name in _NAMES:
        return f"{name} || '{'+' if ahead else '_'}' || CAST(i AS TEXT)"
    if column.name in _CUSTOMERS:
        return f"{name} || CAST(i % 20000 AS TEXT)"
    if ahead and column.name == "resource_id":  # of fifty people, one of whom is the first booking's
        return f"CASE WHEN i % 50 = 0 THEN {name} ELSE {name} || '+' || CAST(i % 50 AS TEXT) END"
    if isinstance(column.type, Instant):
        later = "(-60 * 24 * 80 - i * 10)"  # the one that is copied may be some weeks ahead
        if ahead and column.name in _VISIT:
            later = "(60 * 24 * 365 * 3 + i * 10)"
        if dialect == "sqlite":
            return f"strftime('%Y-%m-%d %H:%M:%f000', {name}, {later} || ' minutes')"
        return f"{name} + make_interval(mins => {later})"
    return name


async def _index(parts: Parts) -> None:
    """The texts that the copies are searched by, as the acts would have kept them."""
    store = parts.store
    async with store.engine.connect() as connection:
        found = (await connection.execute(sa.select(bookings.c.customer_search).distinct())).scalars().all()
        await connection.exec_driver_sql("BEGIN")
        for text in found:
            await follow_search(store.backend, connection, "", text)
        await connection.exec_driver_sql("COMMIT")


@dataclass
class Studio:
    """One of the two, and what was measured at it: for each act its CPU milliseconds."""

    street: Surroundings
    client: httpx.AsyncClient
    parts: Parts
    pid: int
    home: str
    postgres: asyncpg.Connection[Any] | None
    visitors: int = 0
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def measure(self, name: str, act: Awaitable[T], *, here: bool = False) -> T:
        """Do it, and note what the server spent; with `here` this process."""
        before = await self._spent(here=here)
        done = await act
        self.took[name].append(((await self._spent(here=here)) - before) * 1000)
        return done

    async def _spent(self, *, here: bool) -> float:
        pids = ["self" if here else str(self.pid)]
        if self.postgres is not None:
            name = urlsplit(self.street.environ["DATABASE_URL"]).path[1:]
            rows = await self.postgres.fetch("SELECT pid FROM pg_stat_activity WHERE datname = $1", name)
            pids += [str(row["pid"]) for row in rows]
        return sum(_cpu(pid) for pid in pids)

    async def live(self) -> None:
        """A booking from the first look to its cancellation, and all pages meanwhile."""
        self.visitors += 1
        visitor, measure = Visitor(self.street, self.client, self.visitors), self.measure
        service = self.street.ids.services["Headshot express"]
        await measure("widget page", visitor.get("/w/studio"))
        times = await measure("times", visitor.get(f"/w/studio?service={service}&tz=Europe/Stockholm"))
        starts = [unescape(one) for one in re.findall(r'name="start" value="([^"]+)"', times.text)]
        form = {**hidden_fields(times.text), "start": starts[0]}
        held = await measure("hold", visitor.post("/w/studio/hold", form))
        page = held.headers["location"].partition("?")[0]
        await measure("booking's page", visitor.get(page))
        details = {"name": "Ada Example", "email": "ada@customer.example", "terms": "yes", "consent": "yes"}
        await measure("details", visitor.post(f"{page}/details", details))
        paying = await measure("pay", visitor.post(f"{page}/pay", {}))
        session = urlsplit(paying.headers["location"]).path.rpartition("/")[2]
        await measure("webhooks, confirmation", self._paid(visitor, session))
        booking_id = self.parts.links.read_booking_token(page.rpartition("/")[2])
        found = await self.parts.store.booking(booking_id)
        assert found  # noqa: S101 - it was just made
        managed = f"/manage/{self.parts.links.manage_token(booking_id, found.link_version)}"
        for name, path in {
            "manage page": managed,
            "page to cancel": f"{managed}/cancel",
            "page to move": f"{managed}/reschedule",
            "calendar file": f"{managed}/calendar.ics",
        }.items():
            await measure(name, visitor.get(path))
        moved = {
            "bookingId": booking_id,
            "newStart": (found.starts_at + timedelta(days=7)).isoformat(),
            "newEnd": (found.ends_at + timedelta(days=7)).isoformat(),
        }
        await measure("move", self._ask("/api/bookings/reschedule", moved))
        await self._look(booking_id)
        await measure("cancel", self._ask("/api/bookings/cancel", {"bookingId": booking_id}))
        await measure("worker's step, with something due", self.parts.worker.tick(), here=True)
        for _ in range(3):
            await self.parts.worker.tick()
        await measure("worker's step, with nothing due", self.parts.worker.tick(), here=True)

    async def _paid(self, visitor: Visitor, session: str) -> None:
        back = urlsplit(await self.street.stripe.pay(session))
        await self.street.stripe.deliver_due()
        await visitor.get(f"{back.path}?{back.query}")

    async def _look(self, booking_id: str) -> None:
        """At the staff's pages, the feeds and the figures."""
        feed = f"/staff/feed/{await self.parts.staff.feed_token(_STAFF)}/bookings"
        for name, path in {
            "staff: day": self.home,
            "staff: week": f"{self.home}?days=7",
            "staff: list": f"{self.home}/bookings",
            "staff: a booking": f"{self.home}/bookings/{booking_id}",
            "staff: customers": f"{self.home}/customers",
            "staff: a customer": f"{self.home}/customers/{booking_id}",
            "staff: services": f"{self.home}/services",
            "staff: technical": f"{self.home}/technical",
            "feed, calendar": f"{feed}.ics",
            "feed, table": f"{feed}.csv",
            "/metrics": "/metrics",
            "/readyz": "/readyz",
        }.items():
            await self.measure(name, self._get(path))
        for name, typed in {
            "a name": "nobody of that name",
            "a letter": "a",
            "a reference": short_reference(booking_id),
        }.items():
            await self.measure(f"staff: find {name}", self._get(f"{self.home}/find?q={quote(typed)}"))
            await self.measure(f"staff: customers, {name}", self._find(typed))

    async def _get(self, path: str) -> None:
        headers = {"Authorization": f"Bearer {_METRICS}"} if path == "/metrics" else self._from()
        try:
            answer = await self.client.get(path, headers=headers)
        except httpx.ReadTimeout as late:
            raise RuntimeError(f"{path} does not answer") from late
        if answer.status_code not in {200, 302, 303} and path != "/readyz":  # the worker is here, and beats seldom
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")

    def _from(self) -> dict[str, str]:
        """Each round from an address of its own: rounds may be quicker than one address may ask."""
        return {"X-Forwarded-For": f"10.0.1.{self.visitors}"}

    async def _find(self, typed: str) -> None:
        """The form of the list of customers."""
        page = f"{self.home}/customers"
        headers = {"Origin": self.street.environ["PUBLIC_URL"], **self._from()}
        answer = await self.client.post(page, data={"q": typed}, headers=headers)
        if not answer.is_success:
            raise RuntimeError(f"{page}: {answer.status_code} {answer.text[:300]}")

    async def _ask(self, path: str, body: Mapping[str, str]) -> None:
        answer = await self.client.post(path, json=body, headers={"Authorization": f"Bearer {API_KEY}"})
        if not answer.is_success:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")


def _cpu(pid: str) -> float:
    """Seconds that a process's threads have run so far (the kernel's sched-stats.rst); 0 for one that has ended."""
    try:
        return sum(int(one.read_text().split()[0]) for one in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except FileNotFoundError:
        return 0.0


@asynccontextmanager
async def _studio(folder: Path, database: str, count: int, ahead: int = 0) -> AsyncIterator[Studio]:
    named = {"DATABASE_URL": database} if database else {}
    named |= {"STAFF_EMAILS": _STAFF, "METRICS_TOKEN": _METRICS}
    async with AsyncExitStack() as closing:
        street = await closing.enter_async_context(surroundings(folder, **named))
        server = await street.serve()
        client = await closing.enter_async_context(httpx.AsyncClient(base_url=street.address, timeout=60))
        await Visitor(street, client, 0).book()
        await street.stripe.deliver_due()
        await street.end(server)
        parts = await closing.enter_async_context(open_parts(read_settings(street.environ), Seams(now=street.clock)))
        [booking] = await parts.bookings.find(most=1)
        for _ in range(3):
            await parts.worker.tick()
        async with parts.store.engine.connect() as connection:
            await connection.exec_driver_sql("BEGIN")
            await fill(connection, booking.id, count)
            if ahead:
                await fill(connection, booking.id, ahead, ahead=True)
            await connection.exec_driver_sql("COMMIT")
        await _index(parts)
        # What the worker has done with each of them over the years, some at every step.
        street.clock.advance(timedelta(minutes=1))  # the newest lines are left for later
        while await parts.store.tally_history():
            pass
        async with parts.store.engine.connect() as connection:
            if database:  # as its autovacuum would
                await connection.exec_driver_sql("VACUUM ANALYZE")
        await parts.store.add_sign_in("si_bench", _STAFF, forget_before=street.clock() - timedelta(days=2))
        await parts.store.use_sign_in("si_bench", stays=True, ends_at=street.clock() + timedelta(hours=12))
        home = "/staff/" + parts.links.staff_token("si_bench", stays=True)
        server = await street.serve("--no-worker")
        postgres: asyncpg.Connection[Any] | None = None
        if database:
            postgres = await asyncpg.connect(database.replace(urlsplit(database).path, "/postgres"))
            closing.push_async_callback(postgres.close)
        yield Studio(street, client, parts, server.pid, home, postgres)


async def measure(folder: Path, databases: tuple[str, str], *, count: int, rounds: int) -> None:
    """Print a line for each act: CPU milliseconds at the young one and at the full one, and their ratio."""
    for name in ("young", "full"):
        await asyncio.to_thread((folder / name).mkdir, parents=True)
    async with (
        _studio(folder / "young", databases[0], _YOUNG) as young,
        _studio(folder / "full", databases[1], count, _AHEAD) as full,
    ):
        for number in range(_WARM_UP + rounds):
            for studio in (young, full) if number % 2 else (full, young):
                if number == _WARM_UP:
                    studio.took.clear()
                await studio.live()
        print(f"\n{'PostgreSQL' if databases[0] else 'SQLite':34}{'young ms':>10}{'full ms':>10}{'ratio':>8}")
        for name, took in young.took.items():
            one, two = median(took), median(full.took[name])
            print(f"{name:34}{one:10.2f}{two:10.2f}{two / one if one else 0:8.2f}", flush=True)


async def main() -> None:
    """Both databases."""
    parser = argparse.ArgumentParser(prog="python -m bench.years")
    parser.add_argument("--bookings", type=int, default=BOOKINGS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=("sqlite", "postgresql"), default="")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        use_folder(Path(folder))
        if asked.only != "postgresql":
            await measure(Path(folder) / "sqlite", ("", ""), count=asked.bookings, rounds=asked.rounds)
        if asked.only != "sqlite":
            async with postgres_database() as one, postgres_database() as two:
                await measure(Path(folder) / "postgresql", (one, two), count=asked.bookings, rounds=asked.rounds)


if __name__ == "__main__":
    set_up_logs("error")
    asyncio.run(main())
