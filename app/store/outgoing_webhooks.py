"""Outgoing webhooks: the endpoints, the deliveries to each, and whose turn it is.

Each delivery names the row that it tells of (`app.store.happenings`), once for each endpoint, so any number of
processes may read the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.outgoing_webhooks import Delivery, Endpoint, Wanted
from app.store.backend import note
from app.store.conflicts import insert_if_new, set_counter
from app.store.database import Database
from app.store.happenings import LINE, LOOKED, Look
from app.store.tables import (
    Instant,
    counters,
    history,
)
from app.store.webhook_tables import (
    NEVER_DELIVERED,
    endpoint_row,
    to_delivery,
    to_endpoint,
    webhook_deliveries,
    webhook_endpoints,
)

#: Nothing is put off for longer than these: a later time was written before the clock was set back.
_LONGEST_PAUSE, _LONGEST_REST = timedelta(hours=30), timedelta(hours=1)

_ACTIVE = webhook_endpoints.c.removed_at.is_(None)
_ON = sa.and_(_ACTIVE, webhook_endpoints.c.disabled_at.is_(None))
_UNDELIVERED = webhook_deliveries.c.next_try_at.is_not(None)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How deliveries stand, of endpoints that widgets.toml names. Ages in seconds."""

    waiting: int
    given_up: int
    oldest: float
    off: int
    failing: int


class OutgoingWebhookRows(Database):
    """The tables `webhook_endpoints` and `webhook_deliveries`."""

    # -- endpoints ---------------------------------------------------------------------------------------------

    async def set_endpoints(self, wanted: Sequence[Wanted]) -> None:
        """Make the endpoints those that widgets.toml names. A new one is told of what happens from now on; so is one
        that comes back. One that is named no more keeps its deliveries, which are not sent."""
        now = self._now()
        async with self._write() as connection:
            await self.backend.lock_name(connection, "webhooks")
            rows = (await connection.execute(sa.select(webhook_endpoints))).mappings()
            there = {row["id"]: to_endpoint(row) for row in rows}
            for one in wanted:
                known = there.get(one.id)
                values = {
                    "widget": one.widget,
                    "url": one.url,
                    "events": sorted(one.events),
                    "personal_data": one.personal_data,
                }
                if known is None:
                    await connection.execute(sa.insert(webhook_endpoints).values(_new_endpoint(one, now)))
                    continue
                if known.removed_at:
                    values |= {"removed_at": None, "added_at": now}
                if known.url != one.url:  # another address has another fate
                    values |= {
                        "failures": 0,
                        "failing_since": None,
                        "free_at": now,
                        "disabled_at": None,
                        "tell_at": None,
                    }
                await self._change_endpoint(connection, one.id, values)
            named = [one.id for one in wanted]
            gone = sa.update(webhook_endpoints).where(_ACTIVE, webhook_endpoints.c.id.not_in(named))
            await connection.execute(gone.values(removed_at=now))
            if not wanted:
                await connection.execute(sa.delete(counters).where(counters.c.name.in_([LINE, LOOKED])))
            elif await _counter(connection, LINE) is None:
                newest = await connection.scalar(sa.select(sa.func.max(history.c.id)))
                await set_counter(connection, LINE, newest or 0)
                await set_counter(connection, LOOKED, int(now.timestamp()))

    async def endpoints(self) -> list[Endpoint]:
        """Every endpoint that widgets.toml names, by its id."""
        rows = await self._all(sa.select(webhook_endpoints).where(_ACTIVE).order_by(webhook_endpoints.c.id))
        return [to_endpoint(row) for row in rows]

    async def switch_on(self, endpoint_id: str) -> bool:
        """Send again what waits for an endpoint, now. False if there is none of this id."""
        now = self._now()
        values = {"disabled_at": None, "tell_at": None, "failing_since": None, "failures": 0, "free_at": now}
        async with self._write() as connection:
            changed = await self._change_endpoint(connection, endpoint_id, values, _ACTIVE)
            await _hurry(connection, endpoint_id, now)
            return changed

    async def to_tell_off(self) -> list[Endpoint]:
        """Endpoints that are off, of which the owner is to hear now."""
        due = webhook_endpoints.c.tell_at <= self._now()
        return [to_endpoint(row) for row in await self._all(sa.select(webhook_endpoints).where(_ACTIVE, due))]

    async def tell_off_at(self, endpoint_id: str, at: datetime | None) -> None:
        """When the owner is to hear of it; None when that is done."""
        async with self._write() as connection:
            await self._change_endpoint(connection, endpoint_id, {"tell_at": at})

    # -- from what happened to deliveries ------------------------------------------------------------------------

    async def add_deliveries(self, look: Look, deliveries: Sequence[Delivery]) -> bool:
        """Write them, and that the look is done. Each gets the next number of its endpoint. False where another process
        was quicker; the next look finds what is left."""
        async with self._write() as connection:
            await self.backend.lock_name(connection, "webhooks")
            if (await _counter(connection, LINE) or 0) != look.line:
                return False
            for delivery in deliveries:
                number = await _next_number(connection, delivery.endpoint_id, look.looked_at)
                row = {column.name: getattr(delivery, column.name) for column in webhook_deliveries.c}
                await insert_if_new(connection, webhook_deliveries, {**row, "number": number})
            if look.upto > look.line:
                await set_counter(connection, LINE, look.upto)
            if deliveries or look.stale:
                await set_counter(connection, LOOKED, int(look.looked_at.timestamp()))
        return True

    # -- sending -------------------------------------------------------------------------------------------------

    async def endpoints_due(self) -> list[str]:
        """Endpoints that are free and have something to send now, the longest free first."""
        now = self._now()
        due = sa.exists().where(
            webhook_deliveries.c.endpoint_id == webhook_endpoints.c.id,
            _UNDELIVERED,
            _has_come(webhook_deliveries.c.next_try_at, now, _LONGEST_PAUSE),
        )
        rows = await self._all(
            sa.select(webhook_endpoints.c.id)
            .where(_ON, _has_come(webhook_endpoints.c.free_at, now, _LONGEST_REST), due)
            .order_by(webhook_endpoints.c.free_at)
        )
        return [row["id"] for row in rows]

    async def take_delivery(
        self, endpoint_id: str, *, lease: timedelta, pauses: Sequence[timedelta]
    ) -> tuple[Endpoint, Delivery] | None:
        """Become the one who sends to an endpoint, and take the oldest of what is due. The attempt is counted and the
        next one planned before it is made, so that a process which dies meanwhile repeats it. None where there is
        nothing to do, or another process is at it."""
        now = self._now()
        async with self._write() as connection:
            leased = await connection.execute(
                sa.update(webhook_endpoints)
                .where(
                    webhook_endpoints.c.id == endpoint_id,
                    _ON,
                    _has_come(webhook_endpoints.c.free_at, now, _LONGEST_REST),
                )
                .values(free_at=now + lease)
                .returning(*webhook_endpoints.c)
            )
            endpoint = leased.mappings().first()
            if endpoint is None:
                return None
            of_it = webhook_deliveries.c.endpoint_id == endpoint_id
            found = await connection.execute(
                sa.select(webhook_deliveries)
                .where(of_it, _UNDELIVERED, _has_come(webhook_deliveries.c.next_try_at, now, _LONGEST_PAUSE))
                .order_by(webhook_deliveries.c.number)
                .limit(1)
            )
            row = found.mappings().first()
            if row is None:
                await self._change_endpoint(connection, endpoint_id, {"free_at": now})
                return None
            tries = row["tries"] + 1
            again_at = now + pauses[min(tries, len(pauses)) - 1]
            taken = sa.update(webhook_deliveries).where(webhook_deliveries.c.id == row["id"])
            await connection.execute(taken.values(tries=tries, next_try_at=again_at))
        return to_endpoint(endpoint), to_delivery({**row, "tries": tries, "next_try_at": again_at})

    async def record_delivered(self, endpoint: Endpoint, delivery: Delivery, *, recovered: bool) -> None:
        """The endpoint has taken it. `recovered`: what else waits for it need not wait out its pauses."""
        now = self._now()
        async with self._write() as connection:
            # The endpoint's row first, here and everywhere, so that no two transactions wait for each other.
            values = {"failures": 0, "failing_since": None, "last_error": "", "delivered_at": now}
            await self._change_endpoint(connection, endpoint.id, values)
            await self._free(connection, endpoint, now)
            done = sa.update(webhook_deliveries).where(webhook_deliveries.c.id == delivery.id)
            await connection.execute(done.values(next_try_at=None, delivered_at=now, last_error=""))
            if recovered:
                await _hurry(connection, endpoint.id, now)

    # Seven: what the attempt met, and what follows for both rows.
    async def record_failed(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        *,
        error: str,
        again_at: datetime | None,
        free_at: datetime,
        off_before: datetime,
    ) -> bool:
        """The endpoint has not taken it: tried again at `again_at`, or given up; the endpoint is left alone until
        `free_at`. Whether it is switched off by this, since it has been failing since `off_before`."""
        now = self._now()
        failing = sa.func.coalesce(webhook_endpoints.c.failing_since, sa.literal(now, Instant))
        async with self._write() as connection:
            values = {"failures": webhook_endpoints.c.failures + 1, "failing_since": failing, "last_error": error}
            await self._change_endpoint(connection, endpoint.id, values)
            await self._free(connection, endpoint, free_at)
            off = webhook_endpoints.c.failing_since <= off_before
            switched = await self._change_endpoint(
                connection, endpoint.id, {"disabled_at": now, "tell_at": now}, _ON, off
            )
            failed = sa.update(webhook_deliveries).where(
                webhook_deliveries.c.id == delivery.id, webhook_deliveries.c.delivered_at.is_(None)
            )
            await connection.execute(failed.values(next_try_at=again_at, last_error=error))
            if switched:
                note(connection, "webhook switched off", endpoint=endpoint.id)
            return switched

    async def _free(self, connection: AsyncConnection, endpoint: Endpoint, at: datetime) -> None:
        """End the lease, unless it ran out and another process has its own."""
        await self._change_endpoint(
            connection, endpoint.id, {"free_at": at}, webhook_endpoints.c.free_at == endpoint.free_at
        )

    # -- looking back --------------------------------------------------------------------------------------------

    async def deliveries(
        self, endpoint_id: str = "", *, waiting: bool = False, skip: int = 0, most: int
    ) -> list[Delivery]:
        """Deliveries, newest first; `waiting` are those not delivered, given up ones among them."""
        wanted = [webhook_deliveries.c.endpoint_id == endpoint_id] if endpoint_id else []
        if waiting:
            wanted.append(webhook_deliveries.c.delivered_at.is_(None))
        newest = webhook_deliveries.c.created_at.desc(), webhook_deliveries.c.number.desc()
        rows = await self._all(sa.select(webhook_deliveries).where(*wanted).order_by(*newest).limit(most).offset(skip))
        return [to_delivery(row) for row in rows]

    async def send_again(self, ids: Collection[str]) -> int:
        """Send these as if for the first time, with the same id and number. Returns how many there are."""
        return await self._again(webhook_deliveries.c.id.in_(list(ids)))

    async def send_one_again(self, delivery_id: str, *, tries: int, delivered: bool) -> bool:
        """The same for one that was seen with so many tries, delivered or not. False where that is no longer so."""
        there = webhook_deliveries.c.delivered_at.is_not(None)
        as_seen = [webhook_deliveries.c.tries == tries, there if delivered else sa.not_(there)]
        waits_anyway = [webhook_deliveries.c.tries > 0] if not delivered else []
        return bool(await self._again(webhook_deliveries.c.id == delivery_id, *as_seen, *waits_anyway))

    async def send_waiting_again(self, endpoint_id: str) -> int:
        """Send everything again that an endpoint has not accepted, given up or not. Returns how many messages that
        is."""
        of_it = webhook_deliveries.c.endpoint_id == endpoint_id
        return await self._again(of_it, webhook_deliveries.c.delivered_at.is_(None))

    async def _again(self, *which: sa.ColumnElement[bool]) -> int:
        values = {"tries": 0, "next_try_at": self._now(), "delivered_at": None, "last_error": ""}
        async with self._write() as connection:
            again = await connection.execute(sa.update(webhook_deliveries).where(*which).values(values))
            return again.rowcount

    async def webhook_backlog(self) -> Backlog:
        """How deliveries stand now."""
        now = self._now()
        named = (
            sa.exists()
            .where(webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id, _ACTIVE)
            .correlate(webhook_deliveries)
        )
        [row] = await self._all(
            sa.select(
                _many(webhook_deliveries, named, _UNDELIVERED).label("waiting"),
                _many(webhook_deliveries, named, NEVER_DELIVERED).label("given_up"),
                sa.select(sa.func.min(webhook_deliveries.c.created_at, type_=Instant))
                .where(named, _UNDELIVERED)
                .scalar_subquery()
                .label("oldest"),
                _many(webhook_endpoints, _ACTIVE, webhook_endpoints.c.disabled_at.is_not(None)).label("off"),
                _many(webhook_endpoints, _ACTIVE, webhook_endpoints.c.failures > 0).label("failing"),
            )
        )
        oldest = max(0.0, (now - row["oldest"]).total_seconds()) if row["oldest"] else 0.0
        return Backlog(row["waiting"], row["given_up"], oldest, row["off"], row["failing"])

    async def forget_deliveries(self, before: datetime) -> int:
        """Delete what was made before then, whatever became of it, and endpoints of which nothing is left."""
        async with self._write() as connection:
            old = sa.delete(webhook_deliveries).where(webhook_deliveries.c.created_at < before)
            deleted = (await connection.execute(old)).rowcount
            left = sa.exists().where(webhook_deliveries.c.endpoint_id == webhook_endpoints.c.id)
            await connection.execute(sa.delete(webhook_endpoints).where(sa.not_(_ACTIVE), ~left))
            return deleted

    async def _change_endpoint(
        self,
        connection: AsyncConnection,
        endpoint_id: str,
        values: Mapping[str, Any],
        *conditions: sa.ColumnElement[bool],
    ) -> bool:
        changed = sa.update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id, *conditions)
        return bool((await connection.execute(changed.values(values))).rowcount)


def _has_come(column: sa.Column[Any], now: datetime, longest: timedelta) -> sa.ColumnElement[bool]:
    return sa.or_(column <= now, column > now + longest)


def _many(table: sa.Table, *where: sa.ColumnElement[bool] | sa.TextClause) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(table).where(*where).scalar_subquery()


def _new_endpoint(one: Wanted, now: datetime) -> dict[str, Any]:
    endpoint = Endpoint(
        id=one.id,
        widget=one.widget,
        url=one.url,
        events=one.events,
        personal_data=one.personal_data,
        added_at=now,
        free_at=now,
        failures=0,
        failing_since=None,
        last_error="",
        delivered_at=None,
        disabled_at=None,
        removed_at=None,
        tell_at=None,
    )
    return {**endpoint_row(endpoint), "number": 0}


async def _counter(connection: AsyncConnection, name: str) -> int | None:
    value: int | None = await connection.scalar(sa.select(counters.c.value).where(counters.c.name == name))
    return value


async def _next_number(connection: AsyncConnection, endpoint_id: str, now: datetime) -> int:
    """Higher than any before, also where the database was put back as it was yesterday: not a count, but the time in
    milliseconds, or one more than the last. Programs keep the highest that they have seen."""
    least = int(now.timestamp() * 1000)
    numbered = await connection.execute(
        sa.update(webhook_endpoints)
        .where(webhook_endpoints.c.id == endpoint_id)
        .values(number=sa.case((webhook_endpoints.c.number >= least, webhook_endpoints.c.number + 1), else_=least))
        .returning(webhook_endpoints.c.number)
    )
    return int(numbered.scalar_one())


async def _hurry(connection: AsyncConnection, endpoint_id: str, now: datetime) -> None:
    """Make everything that waits for an endpoint due now."""
    waiting = sa.update(webhook_deliveries).where(webhook_deliveries.c.endpoint_id == endpoint_id, _UNDELIVERED)
    await connection.execute(waiting.values(next_try_at=now))
