"""A database that an earlier release made is brought up to date by itself, and everything in it goes on."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from app.cli.forget import forget
from app.domain.booking import Actor, Booking, Status
from app.domain.move import MoveState
from app.domain.reservation import Due
from app.errors import DatabaseUnusable
from app.main import Seams, open_parts
from app.store import Store
from app.store.schema import versions
from app.store.sqlite_file import unusable
from scripts.dump_release import WIDGET, play, play_on
from tests.support.agreement import assert_nothing_is_due_to_the_scheduler
from tests.support.backups import asked, database
from tests.support.stack import Stack, open_stack

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
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in {"revision", "down_revision"}
        }
        assert values["revision"] == path.name[:4]
        told.append((values["down_revision"], values["revision"]))
    assert [before for before, _ in told] == [None, *(version for _, version in told[:-1])]


def test_each_release_left_a_database_to_upgrade() -> None:
    assert {path.stem for path in RELEASED.glob("*.sql")} >= FROZEN.keys()


# What a version left


class Left:
    """The rows of a version's database, by the first name of the customer."""

    def __init__(self, version: str) -> None:
        self.sql = (RELEASED / f"{version}.sql").read_text(encoding="utf-8")
        made = re.match(r"-- Made at (\S+)", self.sql)
        assert made
        self.made_at = datetime.fromisoformat(made[1])
        with closing(sqlite3.connect(":memory:")) as db:
            db.executescript(self.sql)
            self.rows = {name: rows_of(db, name) for name in ("bookings", "moves", "payments", "refunds", "history")}
        self.bookings = by_name(self.rows)

    def session(self, name: str) -> str:
        """The Checkout Session that a customer was last sent to."""
        return str(theirs(self.rows, "payments", self.bookings[name]["id"])[-1]["session_id"])

    def studio(self, stack: Stack) -> dict[str, str]:
        """The ids of the studio then → its ids now."""
        now = {"Portrait session": stack.portrait_id, "Headshot express": stack.headshot_id}
        now |= {"Planning call": stack.planning_id, **stack.ids.resources}
        found = {}
        for row in [*self.rows["bookings"], *self.rows["moves"]]:
            found[row.get("location_id", "")] = stack.ids.location
            found[row["service_id"]] = now[row["service_name"]]
            found[row["resource_id"]] = now[row["resource_name"]]
        del found[""]
        return found


def rows_of(db: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """All rows, in the order in which they were made."""
    db.row_factory = sqlite3.Row
    return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY rowid")]  # noqa: S608


def by_name(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    return {row["customer_email"].partition("@")[0]: row for row in rows["bookings"] if row["customer_email"]}


def theirs(rows: Mapping[str, list[dict[str, Any]]], table: str, booking_id: str) -> list[dict[str, Any]]:
    return [row for row in rows[table] if row["booking_id"] == booking_id]


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
#: Those of `play_on`: how they stood, and how they end by themselves.
STOOD_TOO = {
    "twice": (Status.CONFIRMED, Status.CONFIRMED),
    "calendar": (Status.CONFIRMED, Status.CONFIRMED),
    "refused": (Status.CONFIRMED, Status.CONFIRMED),
    "lapsed": (Status.CONFIRMED, Status.CONFIRMED),
    "offmoved": (Status.CANCELED, Status.CONFIRMED),  # its customer takes the cancellation back
    "late": (Status.PAID, Status.CONFIRMED),
    "restoring": (Status.PAID, Status.CONFIRMED),
    "unheard": (Status.CANCELED, Status.CANCELED),
    "givenup": (Status.EXPIRED, Status.EXPIRED),
    "unsure": (Status.EXPIRED, Status.EXPIRED),
    "crashed": (Status.HELD, Status.EXPIRED),
    "shifting": (Status.CONFIRMED, Status.CONFIRMED),
    "leaving": (Status.CONFIRMED, Status.CONFIRMED),
    "mislaid": (Status.CONFIRMED, Status.CONFIRMED),
}
PLAYS = {"0001": [play], "0004": [play, play_on]}


@pytest.mark.parametrize("version", PLAYS)
async def test_a_database_of_an_earlier_version_is_upgraded_and_everything_in_it_goes_on(
    tmp_path: Path, version: str
) -> None:
    left = Left(version)
    async with open_stack(tmp_path, widget=WIDGET, settings={"staff_emails": ("owner@studio.example",)}) as stack:
        stack.hapio.state.switches.rate_limit_per_minute = 10_000
        for part in PLAYS[version]:
            await part(stack)
        assert stack.clock() == left.made_at
        names = same_things(database(stack), left)
        await stack.stop()
        put(renamed(left.sql, left.studio(stack)), database(stack))
        rename_at_the_providers(stack, names)
        await stack.start()

        assert copies(database(stack), left) == [(f"before-{versions()[-1]}", 0o600, version)]
        stood = STOOD | ({name: then for name, (then, _) in STOOD_TOO.items()} if play_on in PLAYS[version] else {})
        assert {name: await stack.status(await at(stack, left, name)) for name in left.bookings} == stood
        if play_on in PLAYS[version]:
            await what_is_due_to_the_scheduler_is_done(stack, left)

        for name in ("awaiting", "moving"):
            await stack.stripe.pay(left.session(name))
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
        assert await stack.mail("awaiting@customer.example")

        for name in ("over", "moved"):
            found = await stack.parts.staff.search(f"{name[1:]}@customer")
            assert (await at(stack, left, name)).id in {one.id for one in found}
        assert await forget(stack.parts, asked("over@customer.example")) == 0
        assert (await at(stack, left, "over")).customer is None
        assert (await at(stack, left, "moved")).customer is not None
        assert await stack.parts.health.money_without_booking() == []
        await assert_nothing_is_due_to_the_scheduler(stack)
        await everything_was_done(stack, left)


async def what_is_due_to_the_scheduler_is_done(stack: Stack, left: Left) -> None:
    """What `play_on` left open, as soon as Hapio answers."""
    store = stack.parts.store
    due = {name: (await at(stack, left, name)).reservation.due for name in STOOD_TOO}
    assert {name: due for name, due in due.items() if due} == {
        "late": Due.FIRM_UP,
        "restoring": Due.FIRM_UP,
        "unheard": Due.LET_GO,
        "givenup": Due.LET_GO,
        "unsure": Due.FIND_OUT,
        "crashed": Due.MAKE,
    }
    [shifting] = theirs(left.rows, "moves", left.bookings["shifting"]["id"])
    [leaving] = theirs(left.rows, "moves", left.bookings["leaving"]["id"])
    [mislaid] = theirs(left.rows, "moves", left.bookings["mislaid"]["id"])
    old = await store.reservation(leaving["booking_id"])
    assert old
    assert (old.due, old.occupies, old.reference) == (Due.LET_GO, True, leaving["hapio_booking_id"])
    open_move = await store.open_move(shifting["booking_id"])
    assert open_move
    assert open_move.reservation.due is Due.FIRM_UP
    lock = await store.reservation(mislaid["id"])
    assert lock
    assert (lock.due, lock.occupies) == (Due.FIND_OUT, False)

    taken_back = await stack.parts.cancel.undo(left.bookings["offmoved"]["id"])
    assert taken_back.starts_at == moment(left.bookings["offmoved"]["starts_at"])
    await stack.tick(times=3)
    assert (await at(stack, left, "shifting")).starts_at == moment(shifting["starts_at"])
    done = await store.move(shifting["id"])
    assert done
    assert (done.state, done.starts_at) == (MoveState.DONE, moment(shifting["starts_at"]))
    again = await stack.in_days(15)
    moved = await stack.move(await at(stack, left, "calendar"), again, by=Actor.OWNER)
    assert moved.booking.starts_at == again


async def everything_was_done(stack: Stack, left: Left) -> None:
    """Hapio has one booking for each that stands, and none for any other."""
    has = Counter((one.metadata or {}).get("holdfast_id") for one in stack.hapio_bookings())
    del has[None]  # someone else's
    stands = {}
    for name, row in left.bookings.items():
        booking = await stack.parts.bookings.get(row["id"])
        stands[booking.id] = booking.status is Status.CONFIRMED
        if name in STOOD_TOO:
            assert booking.status is STOOD_TOO[name][1], name
    assert has == {booking_id: 1 for booking_id, stood in stands.items() if stood}
    assert not any(one.is_temporary for one in stack.hapio_bookings())


# Row by row


@pytest.mark.parametrize("version", PLAYS)
async def test_every_time_of_an_earlier_version_has_a_row_of_its_own(tmp_path: Path, version: str) -> None:
    left = Left(version)
    async with upgraded(left, tmp_path / "holdfast.sqlite3"):
        pass
    with closing(sqlite3.connect(tmp_path / "holdfast.sqlite3")) as db:
        now = {name: rows_of(db, name) for name in ("bookings", "moves", "reservations")}
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    times = {row["id"]: row for row in now["reservations"]}
    assert len(times) == len(left.rows["bookings"]) + len(left.rows["moves"]) + (version == "0004")
    for then, after in zip(left.rows["bookings"], now["bookings"], strict=True):
        has = times[after["reservation_id"]]
        assert {name: has[name] for name in TIME} == {name: then[name] for name in TIME}
        assert held(has) == (then["occupies"], then["hapio_booking_id"], then["hapio_unsure"], then["hapio_canceled"])
        kept = after.keys() & then.keys()
        assert {name: after[name] for name in kept} == {name: then[name] for name in kept}
    for then, after in zip(left.rows["moves"], now["moves"], strict=True):
        done = then["state"] == "done"
        there = times[after["from_reservation_id" if done else "reservation_id"]]
        assert {name: there[name] for name in MOVED} == {name: then[name] for name in MOVED}
        assert held(there)[:3] == (then["occupies"], then["hapio_booking_id"], then["hapio_unsure"])
        assert after["from_amount" if done else "amount"] == then["amount"]
        assert after["reservation_id"] == after["id"]
    for line in left.rows["history"]:
        if line["what"] == "moved" and "in" not in line["detail"]:
            told = json.loads(line["detail"])
            assert told in [
                {
                    "from": iso(times[move["from_reservation_id"]]),
                    "to": iso(times[move["reservation_id"]]),
                    "by": move["by"],
                }
                for move in now["moves"]
                if (move["booking_id"], move["state"]) == (line["booking_id"], "done")
            ]


async def test_an_upgrade_leaves_no_names_in_the_files_free_pages(tmp_path: Path) -> None:
    left = Left("0004")
    file, whole = tmp_path / "holdfast.sqlite3", tmp_path / "without-free-pages.sqlite3"
    put(left.sql, file)
    multiply_bookings(file, by=20)  # more than the new tables find room for in what the old ones leave
    store = Store(f"sqlite:///{file}", now=lambda: left.made_at)

    def as_elsewhere(connection: Any, _record: object) -> None:
        """Debian's SQLite wipes what it frees by itself; others do not."""
        connection.execute("PRAGMA secure_delete = OFF")

    event.listen(store.engine.sync_engine, "connect", as_elsewhere)
    await store.migrate()
    await store.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        assert db.execute("PRAGMA freelist_count").fetchone()[0] > 0
        db.execute("VACUUM INTO ?", (str(whole),))
    for name in ("Shifting Now", "Unsure Answer"):
        assert file.read_bytes().count(name.encode()) == whole.read_bytes().count(name.encode()) > 0


async def test_a_time_that_the_owner_wrote_over_in_the_calendar_is_told_by_the_history(tmp_path: Path) -> None:
    left = Left("0004")
    [move] = theirs(left.rows, "moves", left.bookings["calendar"]["id"])
    async with upgraded(left, tmp_path / "holdfast.sqlite3") as store:
        booking, moved = await store.booking(move["booking_id"]), await store.move(move["id"])
    assert booking
    assert moved
    told = [json.loads(line["detail"]) for line in theirs(left.rows, "history", booking.id) if line["what"] == "moved"]
    assert moved.starts_at.isoformat() == told[0]["to"] == told[1]["from"]
    assert moved.ends_at - moved.starts_at == booking.ends_at - booking.starts_at
    assert booking.starts_at.isoformat() == told[1]["to"]
    assert booking.reservation.id == f"{booking.id}.2"


async def test_each_move_tells_its_prices_before_and_after(tmp_path: Path) -> None:
    left = Left("0004")
    prices = {}
    async with upgraded(left, tmp_path / "holdfast.sqlite3") as store:
        for name, row in left.bookings.items():
            moves = [await store.move(move["id"]) for move in theirs(left.rows, "moves", row["id"])]
            if moves:
                prices[name] = [(move.from_price.amount, move.price.amount) for move in moves if move]
    assert prices == {
        "moved": [(120_000, 120_000)],
        "moving": [(65_000, 120_000)],
        "twice": [(120_000, 120_000), (120_000, 65_000)],
        "calendar": [(120_000, 120_000)],
        "refused": [(120_000, 120_000)],
        "lapsed": [(65_000, 120_000)],
        "offmoved": [(120_000, 120_000)],
        "shifting": [(120_000, 120_000)],
        "leaving": [(65_000, 120_000)],
        "mislaid": [(65_000, 120_000)],
    }


@asynccontextmanager
async def upgraded(left: Left, path: Path) -> AsyncIterator[Store]:
    """The database as a version left it, after the upgrade and before anything else."""
    put(left.sql, path)
    store = Store(f"sqlite:///{path}", now=lambda: left.made_at)
    try:
        await store.migrate()
        yield store
    finally:
        await store.close()


MOVED = (
    "service_id",
    "service_name",
    "resource_id",
    "resource_name",
    "starts_at",
    "ends_at",
    "buffer_starts_at",
    "buffer_ends_at",
)
TIME = (*MOVED, "location_id", "location_name", "time_zone")


def held(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["occupies"], row["reference"], row["unsure"], row["canceled"]


def iso(row: Mapping[str, Any]) -> str:
    return moment(row["starts_at"]).isoformat()


def put(sql: str, path: Path) -> None:
    """The database as the release left it, in the place of the one that is there."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(sql)


def multiply_bookings(path: Path, *, by: int) -> None:
    """The same bookings again and again, under other ids."""
    with closing(sqlite3.connect(path)) as db, db:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(bookings)")]
        again = ", ".join("id || '-' || ?" if name == "id" else name for name in columns)
        copied = f"INSERT INTO bookings SELECT {again} FROM bookings WHERE id NOT LIKE '%-%'"  # noqa: S608 - our own names
        db.executemany(copied, [(number,) for number in range(1, by)])


def copies(path: Path, left: Left) -> list[tuple[str, int, str]]:
    """The copies next to a database: how each is called, who may read it, of which version it is."""
    found = []
    for copy in path.parent.glob(f"{path.name}.before-*"):
        with closing(sqlite3.connect(copy)) as db:
            [(version,)] = db.execute("SELECT version_num FROM alembic_version")
            assert db.execute("SELECT count(*) FROM bookings").fetchone() == (len(left.rows["bookings"]),)
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


def same_things(path: Path, left: Left) -> dict[str, str]:
    """What was played once more has other names now; its ids → those in the rows."""
    with closing(sqlite3.connect(path)) as db:
        now = {name: rows_of(db, name) for name in ("bookings", "moves", "payments", "refunds", "reservations")}
    references = {row["id"]: row["reference"] for row in now["reservations"]}
    played = by_name(now)
    assert played.keys() == left.bookings.keys()
    pairs: list[tuple[object, object]] = []
    for name, then in left.bookings.items():
        mine = played[name]
        pairs += [(mine["id"], then["id"]), (references[mine["reservation_id"]], then["hapio_booking_id"])]
        for table, ids in (
            ("payments", ("id", "session_id", "payment_intent_id")),
            ("refunds", ("id", "stripe_refund_id")),
            ("moves", ("id",)),
        ):
            for one, before in zip(theirs(now, table, mine["id"]), theirs(left.rows, table, then["id"]), strict=True):
                pairs += [(one[column], before[column]) for column in ids]
                if table == "moves":
                    other = one["from_reservation_id" if before["state"] == "done" else "reservation_id"]
                    pairs.append((references[other], before["hapio_booking_id"]))
    return {str(one): str(then) for one, then in pairs if one and then}


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
