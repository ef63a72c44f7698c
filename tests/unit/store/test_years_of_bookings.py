"""A studio with years behind it: no page and no act reads what is over. Every statement of a booking's life is
explained by the database, and each way into a large table leads by an index."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from app.domain.booking import Status, short_reference
from app.store.tables import metadata
from tests.support.stack import Stack, open_stack

pytestmark = pytest.mark.both_databases

#: Tables that grow with every booking.
LARGE = (
    "bookings",
    "reservations",
    "payments",
    "refunds",
    "moves",
    "history",
    "outbox",
    "inbox",
    "idempotency",
    "webhook_deliveries",
    "search_parts",
)
#: Indexes of what is open, or of what someone may have to look at: one that is read whole has nothing that is over.
OF_A_FEW = (
    "reservations_ahead",
    "payments_disputed",
    "refunds_failed",
    "outbox_given_up",
    "webhook_deliveries_due",
    "webhook_deliveries_given_up",
)
#: The newest lines, up to the first that is older than was asked.
_FROM_THE_END = "WHERE history.at < ? ORDER BY history.id DESC\n LIMIT"
_FEW = f"(?!.* USING (COVERING )?INDEX ({'|'.join(OF_A_FEW)}))"
_SQLITE_SCAN = re.compile(rf"^SCAN ({'|'.join(LARGE)}|other|live)\b{_FEW}")
#: All payments that were ever captured, by their state: as good as the whole table, and SQLite prefers it to what names
#: the booking, since it has no figures of how many there are.
_EVERY_CAPTURED = re.compile(r"^SEARCH payments USING (COVERING )?INDEX payments_due \(state=\?\)$")
#: All bookings that were ever confirmed, for the same reason.
_EVERY_CONFIRMED = re.compile(r"^SEARCH bookings USING (COVERING )?INDEX bookings_due \(status=\?\)$")
_POSTGRES_SCAN = re.compile(rf"Seq Scan on ({'|'.join(LARGE)})\b")


@pytest.fixture
async def stack(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, database=database) as stack:
        yield stack


async def test_no_statement_of_a_bookings_life_reads_what_is_over(stack: Stack) -> None:
    statements = await _statements_of_a_life(stack)
    assert len(statements) > 40
    faults = [f"{plan}\n    in {text}" for text in statements for plan in await _scans(stack, text, statements[text])]
    assert not faults, "\n".join(faults)


async def test_staff_find_customers_and_see_that_all_is_well_without_reading_every_booking(stack: Stack) -> None:
    """The list begins at the newest booking, and a search at what was typed; the rest reads what it asks for."""
    booking = await stack.confirmed()
    await stack.tick()
    with _hearing(stack) as first:
        await stack.parts.alerts.all()  # the first look at the money is at all of it, as one a day is, but only once
    of_all = [(plan, text) for text in first for plan in await _scans(stack, text, first[text])]
    assert [(plan, text) for plan, text in of_all if _EVERY_CAPTURED.match(plan) and "FROM bookings" in text] == []
    customers = stack.parts.customers
    with _hearing(stack) as heard:
        assert await customers.find(most=50)
        assert await customers.find("anna", most=50)
        assert await customers.find("nobody of that name", most=50) == []
        assert await stack.parts.staff.search("anna")
        assert await stack.parts.staff.search(short_reference(booking.id))
        await customers.view(booking.id, most=50)
        await customers.write_note(booking.id, "Prefers mornings", version=0, who="eva@studio.example")
        assert await stack.parts.alerts.all() == []
        # As the look at the money does where nothing has happened since.
        assert await stack.parts.store.money_without_booking(among=[]) == []
        assert await stack.parts.store.bookings_without_money(among=[]) == []
    assert len(heard) > 15
    newest_first = re.compile("SCAN bookings USING INDEX bookings_created")
    found = [(plan, text) for text in heard for plan in await _scans(stack, text, heard[text])]
    assert [(plan, text) for plan, text in found if not newest_first.match(plan)] == []
    if stack.parts.store.engine.dialect.name == "sqlite":
        assert [text for _, text in found if "LIMIT" not in text] == []
        assert len(found) == 1, "the list"


async def test_what_nearly_everybody_has_in_their_name_is_found_from_the_newest_booking_on(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.search.MOST_PARTS", 0)
    monkeypatch.setattr("app.store.desk.MOST_PARTS", 0)
    booking = await stack.confirmed()
    with _hearing(stack) as heard:
        assert await stack.parts.customers.find("anna", most=50)
        assert await stack.parts.customers.find("nobody of that name", most=50) == []
        assert await stack.parts.staff.search("anna")
        assert await stack.parts.staff.search(short_reference(booking.id))
    newest_first = re.compile("SCAN bookings USING INDEX bookings_created")
    found = [(plan, text) for text in heard for plan in await _scans(stack, text, heard[text])]
    assert [(plan, text) for plan, text in found if not newest_first.match(plan)] == []
    assert [text for _, text in found if "LIMIT" not in text] == []


async def test_a_week_is_not_looked_for_among_all_that_was_ever_booked(stack: Stack) -> None:
    await stack.confirmed()
    week = (stack.clock(), stack.clock() + timedelta(days=7))
    with _hearing(stack) as heard:
        assert await stack.parts.store.find(statuses=[Status.CONFIRMED], starts_from=week[0], starts_to=week[1])
        assert await stack.parts.store.on_the_desk(*week)
    faults = [plan for text in heard for plan in await _scans(stack, text, heard[text])]
    assert not faults, "\n".join(faults)


async def test_figures_do_not_read_what_is_over(stack: Stack) -> None:
    await stack.parts.health.exposition()  # the first one looks at everything, as one a day does
    await stack.confirmed()
    with _hearing(stack) as heard:
        await stack.tick(after=timedelta(hours=7))
        await stack.parts.health.exposition()
    assert any("stray_payments" in text for text in heard)
    faults = [f"{plan}\n    in {text}" for text in heard for plan in await _scans(stack, text, heard[text])]
    assert not faults, "\n".join(faults)


async def test_a_process_that_follows_another_reads_what_is_new_and_not_what_is_booked(stack: Stack) -> None:
    """Nor does a hold with anyone, who is asked by how busy they are that day, or a look at what the scheduler says has
    changed."""
    booking = await stack.confirmed()
    store = stack.parts.store
    with _hearing(stack) as heard:
        assert (await store.occupied_since(stack.clock())).rows
        assert await store.beginning_around(booking.starts_at, within=timedelta(hours=12))
        assert await store.standing_among("hapio", [booking.reservation.reference or ""])
    faults = [plan for text in heard for plan in await _scans(stack, text, heard[text])]
    assert not faults, "\n".join(faults)


@contextmanager
def _hearing(stack: Stack) -> Iterator[dict[str, object]]:
    """Every statement, with its parameters, the prepared ones too."""
    heard: dict[str, object] = {}

    def hear(_connection: object, _cursor: object, text: str, parameters: object, *_: object) -> None:
        if text.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            heard[text] = parameters

    engine = stack.parts.store.engine.sync_engine
    fetch = stack.parts.store.backend.fetch

    async def hear_prepared(query: object, values: object) -> object:
        worded = query.on(engine.dialect)  # type: ignore[attr-defined]
        heard[worded.text] = tuple(worded.parameters(values))
        return await fetch(query, values)  # type: ignore[arg-type]

    event.listen(engine, "before_cursor_execute", hear)
    stack.parts.store.backend.fetch = hear_prepared  # type: ignore[method-assign,assignment]
    try:
        yield heard
    finally:
        event.remove(engine, "before_cursor_execute", hear)
        stack.parts.store.backend.fetch = fetch  # type: ignore[method-assign]


async def _statements_of_a_life(stack: Stack) -> dict[str, object]:
    """From the hold to the refund, the worker's too."""
    with _hearing(stack) as heard:
        await _live(stack)
    return heard


async def _live(stack: Stack) -> None:
    booking = await stack.confirmed()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    assert (await stack.client.get(f"/b/{token}")).is_success
    moved = await stack.move(booking, await stack.in_days(5))
    await stack.tick(after=timedelta(minutes=1), times=3)
    assert (await stack.cancel(moved.booking)).status is Status.CANCELED
    await stack.tick(after=timedelta(minutes=20), times=3)


async def _scans(stack: Stack, text: str, parameters: object) -> list[str]:
    store = stack.parts.store
    async with store.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)  # type: ignore[arg-type]
            plans = [str(row["detail"]) for row in rows.mappings()]
            if _FROM_THE_END in text:
                plans.remove("SCAN history")
            captured = "captured" in str(parameters) or "'captured'" in text
            confirmed = "confirmed" in str(parameters) or "'confirmed'" in text
            every = [one for one, asked in ((_EVERY_CAPTURED, captured), (_EVERY_CONFIRMED, confirmed)) if asked]
            return [plan for plan in plans if any(one.match(plan) for one in (_SQLITE_SCAN, *every))]
        # On a small table PostgreSQL would rightly read all of it; here it says whether it could do without.
        await connection.exec_driver_sql("SET enable_seqscan = off")
        if text.lstrip().upper().startswith("INSERT") and "SELECT" not in text:
            return []
        try:
            rows = await connection.exec_driver_sql(f"EXPLAIN {text}", parameters)  # type: ignore[arg-type]
            return [row[0] for row in rows if _POSTGRES_SCAN.search(row[0])]
        finally:
            await connection.exec_driver_sql("RESET enable_seqscan")


def test_large_tables_are_those_with_a_row_for_each_booking() -> None:
    """A new table belongs into `LARGE`, or here."""
    small = {"stray_payments", "counters", "sign_ins", "scheduler_tokens", "readings", "webhook_endpoints"}
    small |= {"hours_changes", "known_hours", "service_versions"}
    # Read by its key alone, but when rows are pruned.
    small |= {"customer_notes", "search_texts"}
    assert {*LARGE} | small == {*metadata.tables}
