"""`python -m app doctor`: a good set-up passes, and each of these broken ones is told by its fault and its fix."""

import argparse
import asyncio
import json
import os
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from app.cli.doctor import line, run_doctor
from app.environment import Environment
from app.operations.setup_check import Doctor, Finding, Level, Wires, next_step, worst
from app.operations.setup_check.stripe import PERMISSIONS, StripeLook
from app.payments.events import EVENT_TYPES
from app.store.backup import back_up
from sandbox.hapio import ALL_ABILITIES, Fault
from tests.support.stack import PUBLIC_URL, Stack, open_stack

#: The id of nothing.
NOBODY = "00000000-0000-4000-8000-000000000001"
#: A server's key and certificate, signed by itself; it is nobody's and opens nothing.
SELF_SIGNED = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkhPzbfe6WbZ7+FQb
T3z8aAMc1A0ziPAQjKxixNic4cihRANCAARiIvJkleFKC9ZxtTWZzg0xjrqKz2q/
AIBGIBks8jCZqt95jFD2gQTpXj8R1rQwzI3qWQqFxCpq0hR7fyy05QJP
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBhDCCASugAwIBAgIUJOrYCOOlNQ2ajBqtycLIJ8tknwcwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMbWFpbC5leGFtcGxlMCAXDTI2MTEyNjA3MzE0OVoYDzIxMjYx
MTAyMDczMTQ5WjAXMRUwEwYDVQQDDAxtYWlsLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARiIvJkleFKC9ZxtTWZzg0xjrqKz2q/AIBGIBks8jCZqt95
jFD2gQTpXj8R1rQwzI3qWQqFxCpq0hR7fyy05QJPo1MwUTAdBgNVHQ4EFgQUIAR1
XNUmKOJqPgTxBBo/DZhdq3UwHwYDVR0jBBgwFoAUIAR1XNUmKOJqPgTxBBo/DZhd
q3UwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBicT/HxpKTIS4a
9Fpqosgkr5qNkIHDrCRVi+FcGmhP3QIgSX8CP/wIhoQInLMa0v3B3FX6xNDGFj1f
yTiQXpWItjk=
-----END CERTIFICATE-----
"""


@dataclass
class SetUp:
    """What the doctor is shown."""

    stack: Stack
    environ: dict[str, str]
    web: httpx.AsyncBaseTransport
    hapio_clock: Callable[[], datetime]
    stripe_clock: Callable[[], datetime]
    database: Path
    widgets: Path
    free_bytes: int = 50_000_000_000
    stripe_refuses: str = ""
    #: What a provider answers instead under a path: the path, the status and the body.
    stripe_answers: tuple[str, int, str] | None = None
    hapio_answers: tuple[str, int, str] | None = None
    env_file: Path | None = None

    async def findings(self) -> list[Finding]:
        wires = Wires(
            schedulers={
                "hapio": _Dated(_Restricted(self.stack.hapio.transport(), "", self.hapio_answers), self.hapio_clock)
            },
            stripe=_Dated(
                _Restricted(self.stack.stripe.transport(), self.stripe_refuses, self.stripe_answers), self.stripe_clock
            ),
            web=self.web,
            free_bytes=lambda folder: self.free_bytes,
        )
        environment = Environment(self.environ, self.env_file)
        return await Doctor(environment, now=self.stack.clock, wires=wires).findings()


class _Dated(httpx.AsyncBaseTransport):
    """A provider tells the time with every answer, as HTTP servers do."""

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: Callable[[], datetime]) -> None:
        self._inner = inner
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        response.headers["date"] = format_datetime(self._clock(), usegmt=True)
        return response


class _Restricted(httpx.AsyncBaseTransport):
    """A provider, with a restricted key that lacks the permission for one path, or with another answer under one."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, refused: str, answers: tuple[str, int, str] | None = None
    ) -> None:
        self._inner = inner
        self._refused = refused
        self._answers = answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._refused and request.url.path == self._refused:
            return httpx.Response(403, json={"error": {"type": "invalid_request_error"}}, request=request)
        if self._answers and request.url.path == self._answers[0]:
            return httpx.Response(self._answers[1], text=self._answers[2], request=request)
        return await self._inner.handle_async_request(request)


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[SetUp]:
    """The studio as it should be, with a worker alive and a copy of last night."""
    async with open_stack(tmp_path) as stack:
        stack.hapio.state.switches.rate_limit_per_minute = 1000
        await stack.tick()
        database = tmp_path / "holdfast.sqlite3"
        database.chmod(0o600)
        back_up(database, tmp_path / "backups", at=stack.clock())
        assert stack.settings.smtp_url
        environ = {
            "HAPIO_API_TOKEN": "hapio-sandbox-token",
            "HAPIO_BASE_URL": "http://hapio.sandbox/v1",
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": "whsec_sandbox",
            "STRIPE_API_BASE": "http://stripe.sandbox",
            "SECRET_KEYS": "an-old-secret-key-of-32-characters!!",
            "PUBLIC_URL": PUBLIC_URL,
            "DATABASE_URL": stack.settings.database_url,
            "WIDGETS_FILE": str(tmp_path / "widgets.toml"),
            "SMTP_URL": stack.settings.smtp_url.get_secret_value(),
            "MAIL_FROM": "Studio Nord <book@book.example>",
            "STAFF_EMAILS": "owner@studio.example",
            "HAPIO_WEBHOOK_SECRET": "a-secret-of-hapio",
        }
        yield SetUp(
            stack,
            environ,
            stack.hooks,
            stack.clock,
            stack.clock,
            database,
            tmp_path / "widgets.toml",
        )


async def test_a_good_set_up_has_nothing_to_complain_about(set_up: SetUp) -> None:
    findings = await set_up.findings()
    assert [line(one) for one in findings if one.level is not Level.OK] == []
    about = {one.about for one in findings}
    ours = {"settings", "widgets", "widget studio", "database", "worker", "address"}
    assert about == ours | {"hapio", "ids", "stripe", "mail", "clock", "webhook", "backup", "disk"}


async def test_the_doctor_changes_nothing_at_the_providers(set_up: SetUp) -> None:
    await set_up.findings()
    assert set_up.stack.hapio_bookings() == []
    assert not set_up.stack.stripe.state.sessions
    assert not set_up.stack.mailbox.messages


def a_short_key(set_up: SetUp) -> None:
    set_up.environ["SECRET_KEYS"] = "short"


def mail_without_a_sender(set_up: SetUp) -> None:
    del set_up.environ["MAIL_FROM"]


def a_slip_in_the_widgets_file(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace("cancellation", "cancelation"))


def a_database_in_no_folder(set_up: SetUp) -> None:
    set_up.environ["DATABASE_URL"] = f"sqlite:///{set_up.database.parent / 'gone' / 'holdfast.sqlite3'}"


def another_programs_database(set_up: SetUp) -> None:
    other = set_up.database.with_name("other.sqlite3")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES ('f00d')")
        connection.commit()
    set_up.environ["DATABASE_URL"] = f"sqlite:///{other}"


def a_damaged_database(set_up: SetUp) -> None:
    other = set_up.database.with_name("damaged.sqlite3")
    other.write_bytes(b"SQLite format 3\0" + b"rubbish " * 2000)
    set_up.environ["DATABASE_URL"] = f"sqlite:///{other}"


def no_worker(set_up: SetUp) -> None:
    set_up.stack.clock.advance(timedelta(minutes=10))


def another_projects_hapio_token(set_up: SetUp) -> None:
    set_up.environ["HAPIO_API_TOKEN"] = "another-token"


def a_hapio_token_that_may_not_delete(set_up: SetUp) -> None:
    set_up.stack.hapio.state.tokens["hapio-sandbox-token"] = ALL_ABILITIES - {"booking:delete"}


def hapio_out_of_reach(set_up: SetUp) -> None:
    set_up.stack.hapio.faults.append(Fault("drop_before", times=1000))


def a_location_that_is_disabled(set_up: SetUp) -> None:
    locations, place = set_up.stack.hapio.state.locations, set_up.stack.ids.location
    locations[place] = replace(locations[place], enabled=False)


def a_service_with_a_slip_in_its_id(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace(set_up.stack.portrait_id, NOBODY))


def a_service_that_nobody_offers(set_up: SetUp) -> None:
    associations = set_up.stack.hapio.state.associations
    for pair in [pair for pair in associations if pair[1] == set_up.stack.portrait_id]:
        del associations[pair]


def a_resource_without_a_limit(set_up: SetUp) -> None:
    resources = set_up.stack.hapio.state.resources
    for resource_id, resource in resources.items():
        resources[resource_id] = replace(resource, max_simultaneous_bookings=None)


def a_rolled_stripe_key(set_up: SetUp) -> None:
    set_up.environ["STRIPE_SECRET_KEY"] = "sk_test_rolled"


def a_webhook_secret_that_is_none(set_up: SetUp) -> None:
    set_up.environ["STRIPE_WEBHOOK_SECRET"] = "we_1Sandbox"


def no_webhook_endpoint(set_up: SetUp) -> None:
    set_up.stack.stripe.webhook_endpoints.clear()


def a_disabled_endpoint(set_up: SetUp) -> None:
    set_up.stack.stripe.webhook_endpoints["we_1Sandbox"]["status"] = "disabled"


def an_endpoint_without_an_event(set_up: SetUp) -> None:
    events = [name for name in EVENT_TYPES if name != "refund.failed"]
    set_up.stack.stripe.webhook_endpoints["we_1Sandbox"]["enabled_events"] = events


def an_endpoint_of_an_old_version(set_up: SetUp) -> None:
    set_up.stack.stripe.webhook_endpoints["we_1Sandbox"]["api_version"] = "2019-05-16"


def a_mail_server_that_is_not_there(set_up: SetUp) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    set_up.environ["SMTP_URL"] = f"smtp://127.0.0.1:{port}"


def a_mail_server_that_refuses_the_owner(set_up: SetUp) -> None:
    set_up.stack.mailbox.refuse = "permanent"


def a_mail_login_that_nobody_asked_for(set_up: SetUp) -> None:
    set_up.environ["SMTP_URL"] = set_up.environ["SMTP_URL"].replace("smtp://", "smtp://user:marked-password@")


def an_address_without_tls(set_up: SetUp) -> None:
    set_up.environ["PUBLIC_URL"] = "http://book.example"


def an_address_that_leads_elsewhere(set_up: SetUp) -> None:
    set_up.web = httpx.ASGITransport(app=PlainTextResponse("It works!"))


def a_clock_ten_minutes_off(set_up: SetUp) -> None:
    real = set_up.stack.clock()
    set_up.stripe_clock = lambda: real + timedelta(minutes=10)


def a_token_that_may_not_overrule_the_booking_window(set_up: SetUp) -> None:
    set_up.stack.hapio.state.tokens["hapio-sandbox-token"] = ALL_ABILITIES - {"booking:ignore_booking_window"}


def a_token_that_may_not_overrule_the_cancelation_threshold(set_up: SetUp) -> None:
    set_up.stack.hapio.state.tokens["hapio-sandbox-token"] = ALL_ABILITIES - {"booking:ignore_cancelation_threshold"}


def hapios_minute_used_up(set_up: SetUp) -> None:
    set_up.stack.hapio.state.switches.rate_limit_per_minute = 1


def hapios_minute_used_up_in_the_middle(set_up: SetUp) -> None:
    set_up.stack.hapio.state.switches.rate_limit_per_minute = set_up.stack.hapio.state.window_used + 16


def hapios_month_used_up(set_up: SetUp) -> None:
    set_up.stack.hapio.state.switches.monthly_quota = 1


def a_server_that_is_no_hapio(set_up: SetUp) -> None:
    set_up.stack.hapio.faults.append(Fault("truncated_json", path="/locations", times=100))


def hapio_that_fails_in_the_middle(set_up: SetUp) -> None:
    set_up.stack.hapio.faults.append(Fault("error_before", path="/bookable-slots$", times=100))


def hapio_that_fails_where_an_ability_is_asked_for(set_up: SetUp) -> None:
    set_up.stack.hapio.faults.append(Fault("error_before", method="DELETE", times=100))


def hapio_with_rows_that_are_none(set_up: SetUp) -> None:
    set_up.hapio_answers = ("/v1/services", 200, '{"data": [null], "meta": {"last_page": 1}}')


def an_empty_project(set_up: SetUp) -> None:
    state = set_up.stack.hapio.state
    for rows in (state.associations, state.recurring_blocks, state.recurring_schedules, state.schedule_blocks):
        rows.clear()
    for things in (state.locations, state.services, state.resources):
        things.clear()


def a_person_without_hours(set_up: SetUp) -> None:
    state, jonas = set_up.stack.hapio.state, set_up.stack.ids.resources["Jonas Berg"]
    schedules = state.recurring_schedules
    for schedule in [one.id for one in schedules.values() if one.resource_id == jonas]:
        for block in [one.id for one in state.recurring_blocks.values() if one.recurring_schedule_id == schedule]:
            del state.recurring_blocks[block]
        del schedules[schedule]


def nobody_with_a_schedule(set_up: SetUp) -> None:
    set_up.stack.hapio.state.recurring_blocks.clear()
    set_up.stack.hapio.state.recurring_schedules.clear()


def schedules_without_blocks(set_up: SetUp) -> None:
    set_up.stack.hapio.state.recurring_blocks.clear()


def a_booking_window_that_never_opens(set_up: SetUp) -> None:
    services = set_up.stack.hapio.state.services
    portrait = services[set_up.stack.portrait_id]
    services[portrait.id] = replace(portrait, booking_window_start="P50D")


def no_hours_and_a_token_that_may_not_read_schedules(set_up: SetUp) -> None:
    schedules_without_blocks(set_up)
    hidden = {"recurring_schedule:view", "recurring_schedule_block:view"}
    set_up.stack.hapio.state.tokens["hapio-sandbox-token"] = ALL_ABILITIES - hidden


def a_location_that_is_not_there_beside_a_wrong_service(set_up: SetUp) -> None:
    a_service_with_a_slip_in_its_id(set_up)
    set_up.widgets.write_text(set_up.widgets.read_text().replace("[studio]", f'[studio]\nlocation = "{NOBODY}"'))


def a_price_below_what_stripe_charges(set_up: SetUp) -> None:
    services = set_up.stack.hapio.state.services
    services[set_up.stack.portrait_id] = replace(services[set_up.stack.portrait_id], price="2.000")


def no_site_that_may_embed(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace("allowed_origins", "# "))


def no_address_of_the_owner(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace("owner_email", "# "))


def no_cancellation_terms(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace("cancellation", "# "))


def no_staff_page(set_up: SetUp) -> None:
    del set_up.environ["STAFF_EMAILS"]


def no_webhook_secret_of_hapio(set_up: SetUp) -> None:
    del set_up.environ["HAPIO_WEBHOOK_SECRET"]


def a_sender_that_is_no_address(set_up: SetUp) -> None:
    set_up.environ["MAIL_FROM"] = "nonsense"


def a_public_address_with_a_path(set_up: SetUp) -> None:
    set_up.environ["PUBLIC_URL"] = "https://www.example.com/booking"


def a_mail_server_without_starttls(set_up: SetUp) -> None:
    set_up.environ["SMTP_URL"] = set_up.environ["SMTP_URL"].replace("smtp://", "smtp+starttls://")


def a_mail_server_without_tls(set_up: SetUp) -> None:
    set_up.environ["SMTP_URL"] = set_up.environ["SMTP_URL"].replace("smtp://", "smtps://")


def a_mail_server_without_a_name(set_up: SetUp) -> None:
    set_up.environ["SMTP_URL"] = "smtp://mail.invalid:25"


def change_of_the_database(statement: str) -> Callable[[SetUp], None]:
    def change(set_up: SetUp) -> None:
        with closing(sqlite3.connect(set_up.database)) as connection:
            connection.execute(statement)
            connection.commit()

    return change


a_column_that_is_missing = change_of_the_database("ALTER TABLE bookings DROP COLUMN any_resource")
an_index_that_is_missing = change_of_the_database("DROP INDEX moves_open")
a_table_that_is_missing = change_of_the_database("DROP TABLE sign_ins")
a_newer_database = change_of_the_database("UPDATE alembic_version SET version_num = '9999'")
a_payment_with_real_money = change_of_the_database(
    "UPDATE payments SET session_id = 'cs_live_' || substr(session_id, 9)"
)


def a_database_that_all_may_read(set_up: SetUp) -> None:
    set_up.database.chmod(0o644)


def settings_that_all_may_read(set_up: SetUp) -> None:
    set_up.env_file = set_up.database.with_name("env")
    set_up.env_file.write_text("")
    set_up.env_file.chmod(0o644)


def no_copy_for_nine_days(set_up: SetUp) -> None:
    set_up.stack.clock.advance(timedelta(days=9))


def never_a_copy(set_up: SetUp) -> None:
    change_of_the_database("DELETE FROM counters WHERE name = 'last_backup'")(set_up)


def a_copy_of_long_before(set_up: SetUp) -> None:
    copy = set_up.database.with_name("holdfast.sqlite3.before-0002")
    copy.touch()
    long_ago = set_up.stack.clock().timestamp() - 40 * 86_400
    os.utime(copy, (long_ago, long_ago))


def a_disk_that_is_nearly_full(set_up: SetUp) -> None:
    set_up.free_bytes = 40_000_000


def a_key_without(path: str) -> Callable[[SetUp], None]:
    def without(set_up: SetUp) -> None:
        set_up.stripe_refuses = path

    return without


BROKEN: list[tuple[Callable[[SetUp], None], Level, str, str]] = [
    (a_short_key, Level.FAIL, "settings", "SECRET_KEYS"),
    (mail_without_a_sender, Level.FAIL, "settings", "MAIL_FROM is missing"),
    (a_slip_in_the_widgets_file, Level.FAIL, "widgets", "cancelation"),
    (a_database_in_no_folder, Level.FAIL, "database", "does not exist"),
    (another_programs_database, Level.FAIL, "database", "another program"),
    (a_damaged_database, Level.FAIL, "database", "cannot be read"),
    (no_worker, Level.WARN, "worker", "no worker is running"),
    (another_projects_hapio_token, Level.FAIL, "hapio", "token is not accepted"),
    (a_hapio_token_that_may_not_delete, Level.FAIL, "hapio", "lacks booking:delete"),
    (hapio_out_of_reach, Level.FAIL, "hapio", "does not answer ("),
    (a_location_that_is_disabled, Level.FAIL, "widget studio", "is disabled"),
    (a_service_with_a_slip_in_its_id, Level.FAIL, "widget studio", "is not in Hapio"),
    (a_service_that_nobody_offers, Level.FAIL, "widget studio", "no person or room offers Portrait session"),
    (a_resource_without_a_limit, Level.WARN, "widget studio", "any number of people"),
    (a_rolled_stripe_key, Level.FAIL, "stripe", "key is not accepted"),
    (a_webhook_secret_that_is_none, Level.FAIL, "stripe", "is not a signing secret"),
    (no_webhook_endpoint, Level.FAIL, "webhook", "no endpoint for https://book.example/api/webhooks/stripe"),
    (a_disabled_endpoint, Level.FAIL, "webhook", "is disabled"),
    (an_endpoint_without_an_event, Level.FAIL, "webhook", "refund.failed"),
    (an_endpoint_of_an_old_version, Level.FAIL, "webhook", "2019-05-16"),
    (a_mail_server_that_is_not_there, Level.FAIL, "mail", "refuses the connection"),
    (a_mail_server_that_refuses_the_owner, Level.FAIL, "mail", "refuses the owner's address"),
    (a_mail_login_that_nobody_asked_for, Level.FAIL, "mail", "offers no login"),
    (an_address_without_tls, Level.FAIL, "address", "is not https"),
    (an_address_that_leads_elsewhere, Level.FAIL, "address", "something other than Holdfast"),
    (a_clock_ten_minutes_off, Level.FAIL, "clock", "600 seconds"),
    (a_token_that_may_not_overrule_the_booking_window, Level.FAIL, "hapio", "lacks booking:ignore_booking_window"),
    (
        a_token_that_may_not_overrule_the_cancelation_threshold,
        Level.FAIL,
        "hapio",
        "lacks booking:ignore_cancelation_threshold",
    ),
    (hapios_minute_used_up, Level.WARN, "hapio", "too many requests this minute; try again in 60 s"),
    (hapios_minute_used_up_in_the_middle, Level.WARN, "hapio", "too many requests this minute"),
    (hapios_month_used_up, Level.FAIL, "hapio", "this month's calls have been used up"),
    (a_server_that_is_no_hapio, Level.FAIL, "hapio", "does not answer as Hapio does"),
    (hapio_that_fails_in_the_middle, Level.FAIL, "hapio", "answers 500"),
    (hapio_that_fails_where_an_ability_is_asked_for, Level.FAIL, "hapio", "answers 500"),
    (hapio_with_rows_that_are_none, Level.FAIL, "hapio", "does not answer as Hapio does"),
    (an_empty_project, Level.FAIL, "hapio", "the project has no location"),
    (a_person_without_hours, Level.WARN, "widget studio", "Jonas Berg can be chosen for Portrait session"),
    (nobody_with_a_schedule, Level.FAIL, "widget studio", "no person or room has a schedule"),
    (schedules_without_blocks, Level.FAIL, "widget studio", "have no blocks"),
    (a_booking_window_that_never_opens, Level.FAIL, "widget studio", "its booking window excludes all"),
    (no_hours_and_a_token_that_may_not_read_schedules, Level.WARN, "widget studio", "no opening hours"),
    (a_location_that_is_not_there_beside_a_wrong_service, Level.FAIL, "widget studio", f"location {NOBODY}"),
    (a_location_that_is_not_there_beside_a_wrong_service, Level.FAIL, "widget studio", f"service {NOBODY}"),
    (
        a_price_below_what_stripe_charges,
        Level.FAIL,
        "widget studio",
        "2.00 SEK is less than Stripe charges, which is 3.00",
    ),
    (no_site_that_may_embed, Level.WARN, "widget studio", "no site is allowed to embed it"),
    (no_address_of_the_owner, Level.WARN, "widget studio", "no one is emailed"),
    (no_cancellation_terms, Level.WARN, "widget studio", "gets no refund"),
    (no_staff_page, Level.WARN, "settings", "staff page is off"),
    (no_webhook_secret_of_hapio, Level.WARN, "settings", "noticed only hours later"),
    (a_sender_that_is_no_address, Level.FAIL, "settings", "MAIL_FROM must be an address"),
    (a_public_address_with_a_path, Level.FAIL, "settings", "PUBLIC_URL must have no path"),
    (a_mail_server_without_starttls, Level.FAIL, "mail", "offers no STARTTLS"),
    (a_mail_server_without_tls, Level.FAIL, "mail", "does not speak TLS"),
    (a_mail_server_without_a_name, Level.FAIL, "mail", "is not a known host name"),
    (a_column_that_is_missing, Level.FAIL, "database", "bookings.any_resource is missing"),
    (an_index_that_is_missing, Level.FAIL, "database", "index moves_open is missing"),
    (a_table_that_is_missing, Level.FAIL, "database", "table sign_ins is missing"),
    (a_newer_database, Level.FAIL, "database", "a newer version of Holdfast (9999;"),
    (a_database_that_all_may_read, Level.WARN, "database", "every user of this machine can read"),
    (settings_that_all_may_read, Level.WARN, "settings", "every user of this machine can read"),
    (no_copy_for_nine_days, Level.WARN, "backup", "9 days old"),
    (never_a_copy, Level.WARN, "backup", "no copy"),
    (a_copy_of_long_before, Level.WARN, "backup", "before-0002 is more than 30 days old"),
    (a_disk_that_is_nearly_full, Level.FAIL, "disk", "40 MB free on the disk"),
    (a_key_without("/v1/checkout/sessions"), Level.FAIL, "stripe", "lacks Checkout Sessions: Write"),
    (a_key_without("/v1/payment_intents/pi_nobody/cancel"), Level.FAIL, "stripe", "lacks PaymentIntents: Write"),
    (a_key_without("/v1/refunds"), Level.FAIL, "stripe", "lacks Charges and Refunds: Write"),
    (a_key_without("/v1/disputes"), Level.FAIL, "stripe", "lacks Disputes: Read"),
    (a_key_without("/v1/events"), Level.FAIL, "stripe", "lacks Events: Read"),
]


@pytest.mark.parametrize(
    ("broken", "level", "about", "says"), BROKEN, ids=[broken.__name__.replace("_", " ") for broken, *_ in BROKEN]
)
async def test_each_fault_is_named_with_its_fix(
    set_up: SetUp, broken: Callable[[SetUp], None], level: Level, about: str, says: str
) -> None:
    broken(set_up)
    findings = await set_up.findings()
    bad = [one for one in findings if one.level is not Level.OK]
    assert any(one.level is level and one.about == about and says in one.says and one.fix for one in bad), bad
    assert worst(findings) is level
    told = "\n".join(map(line, findings))
    for secret in ("marked-password", "hapio-sandbox-token", "sk_test", "whsec_sandbox", "an-old-secret-key"):
        assert secret not in told


#: Each look at Stripe that needs an answer of its own.
ASKED = (
    "/v1/checkout/sessions",
    *(path for _, _, path, _ in PERMISSIONS[1:]),
    "/v1/webhook_endpoints",
    "/v1/checkout/sessions/cs_test_of_ours",
)


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize(("status", "level"), [(429, Level.WARN), (500, Level.FAIL), (503, Level.FAIL)])
async def test_what_stripe_does_not_answer_is_not_taken_for_a_yes_or_a_no(
    set_up: SetUp, path: str, status: int, level: Level
) -> None:
    stripe = StripeLook(
        set_up.stack.settings,
        ["cs_test_of_ours"],
        now=set_up.stack.clock(),
        transport=_Restricted(set_up.stack.stripe.transport(), "", (path, status, "{}")),
    )
    said = "answers 429: too many requests right now" if status == 429 else f"answers {status}"
    [found] = [one for one in await stripe.findings() if one.level is not Level.OK]
    assert (found.level, found.about, found.says) == (level, "stripe", said)
    assert "run the set-up check again: the rest of Stripe was not checked." in found.fix


@pytest.mark.parametrize(
    "body", ["{}", "[]", "null", '{"data": null}', '{"data": [null]}', '{"data": [{"url": null}]}', "not JSON"]
)
async def test_endpoints_that_stripe_would_not_list_like_that_are_named(set_up: SetUp, body: str) -> None:
    set_up.stripe_answers = ("/v1/webhook_endpoints", 200, body)
    [found] = [one for one in await set_up.findings() if one.level is not Level.OK]
    assert (found.level, found.about) == (Level.FAIL, "stripe")
    assert found.says == "http://stripe.sandbox does not answer as Stripe does"


async def test_a_key_that_may_not_list_endpoints_is_told_to_check_them(set_up: SetUp) -> None:
    set_up.stripe_refuses = "/v1/webhook_endpoints"
    [found] = [one for one in await set_up.findings() if one.level is not Level.OK]
    assert (found.level, found.says) == (Level.WARN, "the key is not allowed to list webhook endpoints")


async def test_the_next_step_is_about_what_fails_before_what_is_worth_knowing(set_up: SetUp) -> None:
    assert next_step(await set_up.findings()) == ""
    no_staff_page(set_up)
    assert next_step(await set_up.findings()) == "Set STAFF_EMAILS to your address to sign in at /staff."
    an_empty_project(set_up)
    assert next_step(await set_up.findings()).startswith("Create a location in Hapio's portal")
    another_projects_hapio_token(set_up)
    assert next_step(await set_up.findings()).startswith("Create a token for this project")


async def test_payments_with_real_money_are_not_refunded_with_a_test_key(set_up: SetUp) -> None:
    await set_up.stack.confirmed()
    await set_up.stack.confirmed()
    assert [one for one in await set_up.findings() if "another key" in one.says] == []
    a_payment_with_real_money(set_up)
    [told] = [one for one in await set_up.findings() if "another key" in one.says]
    assert told.level is Level.FAIL
    assert told.says.startswith("2 payments belong to another key (cs_live_… under a test key)")


async def test_payments_of_another_account_are_noticed_by_the_newest(set_up: SetUp) -> None:
    await set_up.stack.confirmed()
    set_up.stack.stripe.state.sessions.clear()
    [told] = [one for one in await set_up.findings() if one.level is Level.FAIL]
    assert "belongs to a different account" in told.says
    assert "new database" in told.fix


async def test_a_wrong_certificate_of_the_mail_server_is_told_as_such(set_up: SetUp, tmp_path: Path) -> None:
    (tmp_path / "mail.pem").write_text(SELF_SIGNED)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "mail.pem")
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context) as server:
        set_up.environ["SMTP_URL"] = f"smtps://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        [told] = [one for one in await set_up.findings() if one.level is Level.FAIL]
    assert "has a certificate that is not trusted" in told.says


async def test_the_ids_that_the_files_ask_for_are_listed_by_name(set_up: SetUp) -> None:
    told = [one.says for one in await set_up.findings() if one.about == "ids"]
    ids = set_up.stack.ids
    assert f"location Studio Nord, Hornsgatan 12: {ids.location}" in told
    assert f"service Planning call: {set_up.stack.planning_id}" in told
    assert f"person Jonas Berg: {ids.resources['Jonas Berg']}" in told


def spent(set_up: SetUp) -> int:
    """This month's calls to Hapio as all processes count them."""
    with closing(sqlite3.connect(set_up.database)) as connection:
        query = "SELECT coalesce(sum(value), 0) FROM counters WHERE name = 'hapio_calls:2026-11'"
        return int(connection.execute(query).fetchone()[0])


async def test_a_look_counts_against_the_months_calls(set_up: SetUp) -> None:
    before, asked = spent(set_up), len(set_up.stack.hapio.calls)
    await set_up.findings()
    took = len(set_up.stack.hapio.calls) - asked
    assert 20 < took < 40
    assert spent(set_up) == before + took


def test_programs_get_the_findings_as_json_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_doctor(Environment({}, None), argparse.Namespace(json=True)) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["worst"] == "FAIL"
    assert {"level": "FAIL", "about": "settings"}.items() <= told["findings"][0].items()
