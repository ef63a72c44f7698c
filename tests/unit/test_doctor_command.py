"""`python -m app doctor`: a good set-up passes, and each of these broken ones is told by its fault and its fix."""

import argparse
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from app.commands.doctor import line, run_doctor
from app.doctor import Doctor, Finding, Level, Wires, worst
from app.payments import EVENT_TYPES
from app.sandbox.hapio import ALL_ABILITIES, Fault
from tests.stack import PUBLIC_URL, Stack, open_stack


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

    async def findings(self) -> list[Finding]:
        wires = Wires(
            hapio=_Dated(self.stack.hapio.transport(), self.hapio_clock),
            stripe=_Dated(self.stack.stripe.transport(), self.stripe_clock),
            web=self.web,
        )
        return await Doctor(self.environ, now=self.stack.clock, wires=wires).findings()


class _Dated(httpx.AsyncBaseTransport):
    """A provider tells the time with every answer, as HTTP servers do."""

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: Callable[[], datetime]) -> None:
        self._inner = inner
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        response.headers["date"] = format_datetime(self._clock(), usegmt=True)
        return response


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[SetUp]:
    """The studio as it should be, with a worker alive."""
    async with open_stack(tmp_path) as stack:
        await stack.tick()
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
        }
        yield SetUp(
            stack,
            environ,
            stack.hooks,
            stack.clock,
            stack.clock,
            tmp_path / "holdfast.sqlite3",
            tmp_path / "widgets.toml",
        )


async def test_a_good_set_up_has_nothing_to_complain_about(set_up: SetUp) -> None:
    findings = await set_up.findings()
    assert [line(one) for one in findings if one.level is not Level.OK] == []
    about = {one.about for one in findings}
    ours = {"settings", "widgets", "widget studio", "database", "worker", "address"}
    assert about == ours | {"hapio", "stripe", "mail", "clock", "webhook"}


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
    wrong = "00000000-0000-4000-8000-000000000001"
    set_up.widgets.write_text(set_up.widgets.read_text().replace(set_up.stack.portrait_id, wrong))


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
    (hapio_out_of_reach, Level.FAIL, "hapio", "gives no answer"),
    (a_location_that_is_disabled, Level.FAIL, "widget studio", "is disabled"),
    (a_service_with_a_slip_in_its_id, Level.FAIL, "widget studio", "is not in Hapio"),
    (a_service_that_nobody_offers, Level.FAIL, "widget studio", "nobody offers Portrait session"),
    (a_resource_without_a_limit, Level.WARN, "widget studio", "any number of people"),
    (a_rolled_stripe_key, Level.FAIL, "stripe", "key is not accepted"),
    (a_webhook_secret_that_is_none, Level.FAIL, "stripe", "no signing secret"),
    (no_webhook_endpoint, Level.FAIL, "webhook", "no endpoint for https://book.example/api/webhooks/stripe"),
    (a_disabled_endpoint, Level.FAIL, "webhook", "is disabled"),
    (an_endpoint_without_an_event, Level.FAIL, "webhook", "refund.failed"),
    (an_endpoint_of_an_old_version, Level.FAIL, "webhook", "2019-05-16"),
    (a_mail_server_that_is_not_there, Level.FAIL, "mail", "no mail server's answer"),
    (a_mail_server_that_refuses_the_owner, Level.FAIL, "mail", "refuses the owner's address"),
    (a_mail_login_that_nobody_asked_for, Level.FAIL, "mail", "mail server's answer"),
    (an_address_without_tls, Level.FAIL, "address", "is not https"),
    (an_address_that_leads_elsewhere, Level.FAIL, "address", "something else"),
    (a_clock_ten_minutes_off, Level.FAIL, "clock", "600 seconds"),
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


def test_programs_get_the_findings_as_json_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_doctor({}, argparse.Namespace(json=True)) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["worst"] == "FAIL"
    assert {"level": "FAIL", "about": "settings"}.items() <= told["findings"][0].items()
