"""A copy of the database while it is in use, and customers who are forgotten when their time is over."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.cli.forget import forget
from app.domain.booking import Actor, Customer, Status
from app.errors import LinkRefused
from app.store.backup import BackupError, back_up
from sandbox.hapio import Fault
from tests.support.backups import asked, database
from tests.support.json_door import KEY, SERVER, post
from tests.support.stack import MONDAY, Stack, open_stack

YEARS = timedelta(days=500)


def words(path: Path) -> bytes:
    """Everything that the database's files hold, free pages and log included."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


# Backup


async def test_a_copy_made_amid_bookings_starts_a_server_that_knows_them(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    copy = back_up(database(stack), tmp_path / "backups", at=stack.clock())
    after = await stack.hold(await stack.free_slot(nth=9))
    assert copy.name == "holdfast-20261123T080000Z.sqlite3"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in copy.parent.iterdir()] == [copy.name]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT id, status FROM bookings").fetchall() == [(booking.id, "confirmed")]
    assert await stack.status(after) is Status.HELD


async def test_only_the_newest_copies_are_kept(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    for day in range(4):
        back_up(database(stack), folder, at=stack.clock() + timedelta(days=day), keep=2)
    assert sorted(file.name[9:17] for file in folder.iterdir()) == ["20261125", "20261126"]


def test_without_a_database_there_is_no_empty_copy(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no database"):
        back_up(tmp_path / "none.sqlite3", tmp_path / "backups", at=MONDAY)
    assert not (tmp_path / "backups").exists()


def test_a_damaged_database_makes_no_copy(tmp_path: Path) -> None:
    (tmp_path / "damaged.sqlite3").write_bytes(b"SQLite format 3\0" + b"rubbish " * 2000)
    with pytest.raises(BackupError, match="could not be written"):
        back_up(tmp_path / "damaged.sqlite3", tmp_path / "backups", at=MONDAY)
    assert list((tmp_path / "backups").iterdir()) == []


# Forget


async def test_a_customer_whose_visit_is_over_is_forgotten_and_the_books_stay(stack: Stack) -> None:
    booking = await stack.hold(customer=stack.customer("Markedname Ek"))
    session = await stack.paid(booking)
    await stack.tick()
    token = stack.parts.links.manage_token(booking.id, 0)
    stack.clock.advance(YEARS)
    await stack.tick()
    assert b"markedname" in words(database(stack)).lower()
    assert await forget(stack.parts, asked("MARKEDNAME@customer.example")) == 0
    view = await stack.parts.bookings.view(booking.id)
    assert view.booking.customer is None
    assert (view.booking.status, view.booking.terms.price.amount) == (Status.CONFIRMED, 120_000)
    assert (view.payments[0].captured, view.payments[0].session_id) == (120_000, session)
    assert [entry.what for entry in view.history][-1] == "forgotten"
    with pytest.raises(LinkRefused):
        await stack.parts.manage_links.open(token)
    [there] = stack.hapio_bookings()
    assert there.metadata["holdfast_id"] == booking.id
    assert there.metadata["paid_amount"] == "1200.00"
    assert "markedname" not in str(there.metadata).lower()
    assert await stack.parts.health.money_without_booking() == []
    await stack.stop()
    assert b"markedname" not in words(database(stack)).lower()
    await stack.start()


async def test_what_a_customer_wrote_as_the_reason_is_forgotten_with_them(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"api_keys": (KEY,)}) as stack:
        booking = await stack.confirmed()
        asked_for = {"bookingId": booking.id, "reason": "Anna Ek is ill"}
        assert (await post(stack, "bookings/cancel", asked_for, **SERVER)).status_code == 200
        assert "Anna Ek is ill" in [entry.detail.get("note") for entry in await stack.parts.store.history(booking.id)]
        stack.clock.advance(YEARS)
        await stack.until_quiet()
        before = await stack.parts.store.history(booking.id)
        assert await forget(stack.parts, asked("anna@customer.example")) == 0
        after = await stack.parts.store.history(booking.id)
        assert b"Anna Ek" not in words(database(stack))
        assert [entry.what for entry in after] == [*(entry.what for entry in before), "forgotten"]
        assert [entry.detail.get("back") for entry in after[:-1]] == [entry.detail.get("back") for entry in before]


async def test_the_same_name_at_another_domain_is_another_customer(stack: Stack) -> None:
    eve = await stack.confirmed(await stack.in_days(2), customer=Customer(name="Eve", email="ada@strasse.example"))
    ada = await stack.confirmed(await stack.in_days(5), customer=Customer(name="Ada", email="ada@straße.example"))
    await stack.until_quiet()
    sent = len(stack.mailbox.messages)
    await stack.client.post("/manage/resend", data={"email": "ada@xn--strae-oqa.example"})
    await stack.until_quiet()
    assert [mail.recipients for mail in stack.mailbox.messages[sent:]] == [("ada@xn--strae-oqa.example",)]
    stack.clock.advance(YEARS)
    await stack.until_quiet()
    assert await forget(stack.parts, asked("ada@strasse.example")) == 0
    assert (await stack.now(eve)).customer is None
    assert (await stack.now(ada)).customer is not None
    assert await forget(stack.parts, asked("ADA@STRAßE.example")) == 0
    assert (await stack.now(ada)).customer is None


async def test_right_after_forgetting_no_file_of_the_database_has_the_customer(stack: Stack) -> None:
    booking = await stack.confirmed(customer=stack.customer("Markedname Ek"))
    stack.clock.advance(YEARS)
    await stack.tick()
    assert b"markedname" in words(database(stack)).lower()
    assert await forget(stack.parts, asked("markedname@customer.example")) == 0
    assert b"markedname" not in words(database(stack)).lower()
    assert (await stack.now(booking)).forgotten


async def test_where_another_process_reads_the_log_is_left_and_the_next_run_empties_it(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    await stack.confirmed(customer=stack.customer("Markedname Ek"))
    stack.clock.advance(YEARS)
    await stack.tick()
    with closing(sqlite3.connect(database(stack), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM bookings").fetchone()
        assert await forget(stack.parts, asked("markedname@customer.example")) == 1
    assert "another process" in capsys.readouterr().err
    assert await forget(stack.parts, asked("markedname@customer.example")) == 0
    assert b"markedname" not in words(database(stack)).lower()


async def test_none_of_the_links_of_a_forgotten_customer_opens_any_more(stack: Stack) -> None:
    # Cancelled and over at once, while every one of the links would still open for weeks.
    booking = await stack.confirmed()
    await stack.cancel(booking, by=Actor.OWNER)
    links = stack.parts.links
    pages = [
        f"/b/{links.booking_token(booking.id, ends_at=booking.ends_at)}",
        f"/b/{links.booking_token(booking.id, ends_at=booking.ends_at)}/calendar.ics",
        f"/r/{links.result_token(booking.id)}",
        f"/r/{links.result_token(booking.id)}/calendar.ics",
        f"/manage/{links.manage_token(booking.id, 0)}",
        f"/api/bookings/{booking.id}",
    ]
    bearer = {"Authorization": f"Bearer {links.api_token(booking.id)}"}

    async def opened() -> dict[str, int]:
        answers = {page: await stack.client.get(page, headers=bearer if "/api/" in page else {}) for page in pages}
        return {page: answer.status_code for page, answer in answers.items()}

    assert set((await opened()).values()) == {200}
    await stack.until_quiet()
    pages[2:4] = [f"/r/{links.result_token(booking.id)}", f"/r/{links.result_token(booking.id)}/calendar.ics"]
    assert await forget(stack.parts, asked("anna@customer.example")) == 0
    refused = await opened()
    assert not [page for page, status in refused.items() if status not in {401, 403, 410}], refused
    acts = {
        f"{pages[0]}/release": {},
        f"{pages[0]}/details": {"name": "Anna Ek", "email": "anna@customer.example"},
    }
    for page, form in acts.items():
        assert (await stack.client.post(page, data=form)).status_code == 410
    assert (await stack.now(booking)).customer is None


async def test_nobody_is_mailed_a_fresh_link_to_a_forgotten_booking(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking, by=Actor.OWNER)
    await stack.until_quiet()
    assert await forget(stack.parts, asked("anna@customer.example")) == 0
    version = (await stack.now(booking)).link_version
    await stack.parts.manage_links.renew(booking.id)
    assert (await stack.now(booking)).link_version == version


async def test_a_booking_that_is_still_to_come_is_left_and_told(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    booking = await stack.hold(await stack.free_slot(nth=30))
    await stack.paid(booking)
    await stack.tick()
    assert await forget(stack.parts, asked("anna@customer.example")) == 1
    assert "1 booking not over yet" in capsys.readouterr().err
    assert (await stack.parts.bookings.get(booking.id)).customer


async def test_a_cancellation_whose_refund_is_on_its_way_is_left(stack: Stack) -> None:
    booking = await stack.hold(await stack.free_slot(nth=30))
    await stack.paid(booking)
    await stack.tick()
    await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER)
    assert await forget(stack.parts, asked("anna@customer.example")) == 1
    await stack.until_quiet()
    assert await forget(stack.parts, asked("anna@customer.example")) == 0
    assert (await stack.parts.bookings.get(booking.id)).customer is None


async def test_only_bookings_older_than_so_many_days_are_forgotten(stack: Stack) -> None:
    old = await stack.hold()
    await stack.paid(old)
    await stack.tick()
    stack.clock.advance(timedelta(days=40))
    await stack.tick()
    recent = await stack.hold()
    await stack.paid(recent)
    await stack.tick(after=timedelta(days=10))
    assert await forget(stack.parts, asked(days=30)) == 0
    assert (await stack.parts.bookings.get(old.id)).customer is None
    assert (await stack.parts.bookings.get(recent.id)).customer


async def test_without_yes_it_is_only_counted(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick()
    stack.clock.advance(YEARS)
    assert await forget(stack.parts, asked("anna@customer.example", yes=False)) == 0
    assert "would be removed from 1 booking." in capsys.readouterr().out
    assert (await stack.parts.bookings.get(booking.id)).customer


async def test_where_hapio_gives_no_answer_the_booking_is_left_for_the_next_run(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick()
    stack.clock.advance(YEARS)
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=3))
    assert await forget(stack.parts, asked("anna@customer.example")) == 1
    assert (await stack.parts.bookings.get(booking.id)).customer
    assert await forget(stack.parts, asked("anna@customer.example")) == 0
    assert (await stack.parts.bookings.get(booking.id)).customer is None


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_where_the_scheduler_cannot_forget_the_owner_is_told_so(
    scheduler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed()
        stack.clock.set(booking.ends_at + timedelta(days=2))
        assert await forget(stack.parts, asked("anna@customer.example")) == 0
        assert (await stack.now(booking)).customer is None
    assert f"1 booking at {scheduler} still name" in capsys.readouterr().out
