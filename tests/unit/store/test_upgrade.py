"""A database that an earlier release made is brought up to date by itself, and everything in it goes on."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.cli.forget import forget
from app.domain.booking import Booking, Status
from app.errors import DatabaseUnusable
from app.main import Seams, open_parts
from app.store.schema import unusable, versions
from sandbox.hapio import Fault
from tests.support.stack import Stack, open_stack
from tests.unit.operations.test_backup_and_forget import asked, database

MIGRATIONS = Path(__file__).parents[3] / "app/store/migrations/versions"
RELEASED = Path(__file__).with_name("released")

#: The migrations of every release, by the hash of their file: what others have run is never changed, only added to.
FROZEN = {
    "0001": "7b7c2a8998a46d891ec1eb61b852bf024d507c1b6f19d59fa7309136ea2dd0ad",
}


# Migrations


def test_no_migration_of_a_release_was_changed() -> None:
    hashes = {path.name[:4]: hashlib.sha256(path.read_bytes()).hexdigest() for path in MIGRATIONS.glob("[0-9]*.py")}
    assert {version: hashes[version] for version in FROZEN} == FROZEN
    assert versions()[: len(FROZEN)] == list(FROZEN)


def test_each_migration_follows_the_one_before_it_and_is_named_by_its_version() -> None:
    told = []
    for path in sorted(MIGRATIONS.glob("[0-9]*.py")):
        values = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        assert values["revision"] == path.name[:4]
        told.append((values["down_revision"], values["revision"]))
    assert [before for before, _ in told] == [None, *(version for _, version in told[:-1])]


def test_each_release_left_a_database_to_upgrade() -> None:
    assert {path.stem for path in RELEASED.glob("*.sql")} >= FROZEN.keys()


# What a release left


class Left:
    """The rows of a release's database, by the first name of the customer."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        made = re.match(r"-- Made at (\S+)", sql)
        assert made
        self.made_at = datetime.fromisoformat(made[1])
        with closing(sqlite3.connect(":memory:")) as db:
            db.executescript(sql)
            db.row_factory = sqlite3.Row
            self.bookings = {
                row["customer_email"].partition("@")[0]: dict(row)
                for row in db.execute("SELECT * FROM bookings WHERE customer_email != ''")
            }
            self._payments = [dict(row) for row in db.execute("SELECT * FROM payments ORDER BY attempt")]
            [self.move] = [dict(row) for row in db.execute("SELECT * FROM moves WHERE state = 'held'")]

    def payments(self, name: str) -> list[dict[str, Any]]:
        """What a customer paid, or was asked to pay, the newest last."""
        return [row for row in self._payments if row["booking_id"] == self.bookings[name]["id"]]

    def studio(self, stack: Stack) -> dict[str, str]:
        """The ids of the studio then → its ids now."""
        now = {"Portrait session": stack.portrait_id, "Headshot express": stack.headshot_id}
        now |= {"Planning call": stack.planning_id, **stack.ids.resources}
        found = {}
        for row in self.bookings.values():
            found[row["location_id"]] = stack.ids.location
            found[row["service_id"]] = now[row["service_name"]]
            found[row["resource_id"]] = now[row["resource_name"]]
        return found


#: How each of them stood.
STOOD = {
    "over": Status.CONFIRMED,
    "expired": Status.EXPIRED,
    "returned": Status.CANCELED,
    "partly": Status.CONFIRMED,
    "moved": Status.CONFIRMED,
    "moving": Status.CONFIRMED,
    "confirmed": Status.CONFIRMED,
    "free": Status.CONFIRMED,
    "undoable": Status.CANCELED,
    "held": Status.HELD,
    "awaiting": Status.AWAITING_PAYMENT,
    "called": Status.CANCELED,
    "program": Status.HELD,
    "paid": Status.PAID,
}
SERVICES = {"Portrait session": "portrait", "Headshot express": "headshot", "Planning call": "planning"}


@pytest.mark.parametrize("version", FROZEN)
async def test_a_database_of_each_release_is_upgraded_and_everything_in_it_goes_on(
    tmp_path: Path, version: str
) -> None:
    left = Left((RELEASED / f"{version}.sql").read_text(encoding="utf-8"))
    async with open_stack(tmp_path, widget="reschedule = { other_service = true }") as stack:
        stack.hapio.state.switches.rate_limit_per_minute = 10_000
        stack.clock.advance(left.made_at - stack.clock())
        names = await at_the_providers(stack, left)
        await stack.stop()
        put(renamed(left.sql, left.studio(stack)), database(stack))
        rename_at_the_providers(stack, names)
        await stack.start()

        upgraded = version != versions()[-1]
        assert copies(database(stack)) == ([(f"before-{versions()[-1]}", 0o600, version)] if upgraded else [])
        assert {name: await stack.status(await at(stack, left, name)) for name in STOOD} == STOOD

        for name in ("awaiting", "moving"):
            await stack.stripe.pay(left.payments(name)[-1]["session_id"])
        await stack.tick(times=3)
        assert await stack.status(await at(stack, left, "awaiting")) is Status.CONFIRMED
        assert await stack.status(await at(stack, left, "paid")) is Status.CONFIRMED
        moving = await at(stack, left, "moving")
        assert moving.service_name == "Portrait session"

        await stack.cancel(await at(stack, left, "confirmed"))
        await stack.cancel(await at(stack, left, "free"))
        await stack.until_quiet()
        for name, back in (("confirmed", 120_000), ("undoable", 120_000)):
            [refund] = await stack.refunds(await at(stack, left, name))
            assert (refund.status, refund.amount.amount) == ("succeeded", back)
        assert await stack.refunds(await at(stack, left, "free")) == []
        for name in ("held", "program"):
            assert await stack.status(await at(stack, left, name)) is Status.EXPIRED
        assert any("awaiting@customer.example" in message.recipients for message in stack.mailbox.messages)

        assert await forget(stack.parts, asked("over@customer.example")) == 0
        assert (await at(stack, left, "over")).customer is None
        assert (await at(stack, left, "moved")).customer is not None
        assert await stack.parts.health.money_without_booking() == []


def put(sql: str, path: Path) -> None:
    """The database as the release left it, in the place of the one that is there."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(sql)


def copies(path: Path) -> list[tuple[str, int, str]]:
    """The copies beside a database: how each is called, who may read it, of which version it is."""
    found = []
    for copy in path.parent.glob(f"{path.name}.before-*"):
        with closing(sqlite3.connect(copy)) as db:
            [(version,)] = db.execute("SELECT version_num FROM alembic_version")
            assert db.execute("SELECT count(*) FROM bookings").fetchone() == (len(STOOD),)
        found.append((copy.name.removeprefix(f"{path.name}."), copy.stat().st_mode & 0o777, version))
    return found


async def at(stack: Stack, left: Left, name: str) -> Booking:
    return await stack.parts.bookings.get(left.bookings[name]["id"])


# What is refused


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ALTER TABLE bookings DROP COLUMN any_resource", "bookings.any_resource is missing"),
        ("ALTER TABLE bookings ADD COLUMN colour TEXT NOT NULL DEFAULT ''", "bookings.colour is unknown"),
        ("DROP TABLE sign_ins", "table sign_ins is missing"),
        ("DROP INDEX moves_open", "index moves_open is missing or different"),
    ],
)
async def test_a_database_without_the_tables_that_its_version_has_stops_every_start(
    stack: Stack, change: str, says: str
) -> None:
    await stack.stop()
    with closing(sqlite3.connect(database(stack))) as db:
        db.execute(change)
        db.commit()
    for may_migrate in (True, False):
        with pytest.raises(DatabaseUnusable, match=re.escape(says)):
            async with open_parts(stack.settings, Seams(now=stack.clock), may_migrate=may_migrate):
                raise AssertionError("opened")
    database(stack).unlink()
    await stack.start()


async def test_a_further_table_or_index_of_the_owners_does_no_harm(stack: Stack) -> None:
    with closing(sqlite3.connect(database(stack))) as db:
        db.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY)")
        db.execute("CREATE INDEX by_name ON reservations (service_name)")
        db.commit()
    await stack.restart()
    assert (await stack.confirmed()).status is Status.CONFIRMED


async def test_a_busy_database_is_told_as_one_that_may_be_tried_again(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorname = "SQLITE_BUSY"
    told = unusable(error, tmp_path / "holdfast.sqlite3")
    assert told.retry
    assert "Another process has been writing" in str(told)


async def at_the_providers(stack: Stack, left: Left) -> dict[str, str]:
    """Book the same once more, so that Hapio and Stripe have what the rows speak of; its ids → those in the rows."""
    names: dict[str, str] = {}
    paid_last = sorted(set(STOOD) - {"over", "expired", "returned", "called"}, key="paid".__eq__)
    for name in paid_last:
        row = left.bookings[name]
        booking = await again(stack, row, STOOD[name], left.studio(stack)[row["resource_id"]])
        if name == "moving":
            await stack.move(
                booking,
                moment(left.move["starts_at"]),
                service="portrait",
                resource_id=left.studio(stack)[left.move["resource_id"]],
            )
        view = await stack.parts.bookings.view(booking.id)
        pairs = [(booking.id, row["id"]), (view.booking.reservation.reference, row["hapio_booking_id"])]
        if view.move:
            pairs += [(view.move.id, left.move["id"]), (view.move.hapio_booking_id, left.move["hapio_booking_id"])]
        for payment, then in zip(view.payments, left.payments(name), strict=True):
            pairs += [(payment.id, then["id"]), (payment.session_id, then["session_id"])]
            pairs += [(payment.payment_intent_id, then["payment_intent_id"])]
        names |= {str(now): str(then) for now, then in pairs if now and then}
    return names


async def again(stack: Stack, row: Mapping[str, Any], stood: Status, person: str) -> Booking:
    """The booking of a row, made by this code."""
    starts_at, service = moment(row["starts_at"]), SERVICES[row["service_name"]]
    if stood is Status.CONFIRMED:
        return await stack.confirmed(starts_at, service=service, resource_id=person)
    if stood is Status.CANCELED:
        return await stack.cancel(await stack.confirmed(starts_at, service=service, resource_id=person))
    held = await stack.hold(starts_at, service=service, resource_id=person)
    if stood is Status.AWAITING_PAYMENT:
        await stack.at_stripe(held)
    if stood is Status.PAID:
        stack.hapio.faults.append(Fault("error_before", method="PATCH", times=50))
        await stack.paid(held)
        stack.hapio.faults.clear()
    return held


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """All names at once, since one's new name may be another's old one."""
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(pattern, lambda found: names[found[0]], text)


def rename_at_the_providers(stack: Stack, names: Mapping[str, str]) -> None:
    bookings = stack.hapio.state.bookings
    for one in [bookings.pop(name) for name in list(bookings)]:
        metadata = json.loads(renamed(json.dumps(one.metadata), names))
        bookings[names.get(one.id, one.id)] = replace(one, id=names.get(one.id, one.id), metadata=metadata)
    for objects in vars(stack.stripe.state).values():
        if isinstance(objects, dict):
            for name in list(objects):
                thing = objects.pop(name)
                plain = isinstance(thing, dict)
                objects[names.get(name, name)] = json.loads(renamed(json.dumps(thing), names)) if plain else thing
