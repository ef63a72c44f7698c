"""`python -m app doctor` for Calendly: a good set-up passes, and each of these broken ones is told by its fault and
its fix."""

import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.cli.doctor import line
from app.environment import Environment
from app.operations.setup_check import Doctor, Finding, Level, Wires
from sandbox.calendly import ALL_SCOPES, Fault, Question
from tests.support.calendly_adviser import TEN, VISIT, CalendlyAdviser, open_adviser
from tests.support.once import empty_database

ROOT = Path(__file__).parents[3]
KEY = "calendly-webhook-key"
ADDRESS = "https://book.example/api/webhooks/calendly"
WIDGETS = """
[advice]
services = [
  {{ id = "{session}", price = "90.00" }},
  {{ id = "{review}", price = 0 }},
]
currency = "usd"
allowed_origins = ["https://adviser.example"]
cancellation = [{{ at_least_hours = 24, refund_percent = 100 }}]
owner_email = "nora@whitfield.example"
"""


class _Nobody(httpx.AsyncBaseTransport):
    """Whatever else the doctor asks: nobody is there."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody is listening", request=request)


@dataclass
class SetUp:
    """What the doctor is shown. Calendly is connected alone, unless a test says otherwise."""

    adviser: CalendlyAdviser
    folder: Path
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.widgets.write_text(WIDGETS.format(session=self.adviser.session, review=self.adviser.review))
        self.environ = {
            "CALENDLY_TOKEN": self.adviser.sandbox.token,
            "CALENDLY_WEBHOOK_KEY": KEY,
            "SECRET_KEYS": "an-old-secret-key-of-32-characters!!",
            "PUBLIC_URL": "https://book.example",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "WIDGETS_FILE": str(self.widgets),
        }

    @property
    def widgets(self) -> Path:
        return self.folder / "widgets.toml"

    @property
    def database(self) -> Path:
        return self.folder / "holdfast.sqlite3"

    async def findings(self) -> list[Finding]:
        """What is said of Calendly and of what is connected to it."""
        nobody = _Nobody()
        wires = Wires(
            schedulers={"calendly": self.adviser.sandbox.transport(), "hapio": nobody}, stripe=nobody, web=nobody
        )
        doctor = Doctor(Environment(self.environ, None), now=self.adviser.clock, wires=wires)
        about = {"calendly", "hapio", "ids", "widget advice"}
        told = await doctor.findings()
        return [one for one in told if one.about in about or "Calendly" in one.says or "Hapio" in one.says]


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[SetUp]:
    """The adviser as it should be."""
    async with open_adviser() as adviser:
        await adviser.subscribe(ADDRESS, KEY)
        set_up = SetUp(adviser, tmp_path)
        set_up.database.write_bytes(await empty_database())
        yield set_up


def bad(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.level is not Level.OK]


async def test_a_good_set_up_has_nothing_to_complain_about(set_up: SetUp) -> None:
    findings = await set_up.findings()
    assert [line(one) for one in bad(findings)] == []
    told = [one.says for one in findings]
    assert "the token has all 7 scopes" in told
    assert "the webhook subscription is active" in told
    assert "at most 100 bookings a day, moves included" in told
    assert "Advice session can be sold" in told
    assert f"service Intro call: {set_up.adviser.ids.event_types['Intro call']}" in told


async def test_the_doctor_books_nothing_and_changes_nothing(set_up: SetUp) -> None:
    state = set_up.adviser.sandbox.state
    await set_up.findings()
    assert (state.events, len(state.subscriptions)) == ({}, 1)
    assert set_up.adviser.orders() == []


async def test_a_look_counts_with_the_servers_calls(set_up: SetUp) -> None:
    asked = len(set_up.adviser.sandbox.calls)
    await set_up.findings()
    with closing(sqlite3.connect(set_up.database)) as connection:
        counters = dict(connection.execute("SELECT name, value FROM counters").fetchall())
    assert counters["calendly_calls:2026-11"] == len(set_up.adviser.sandbox.calls) - asked
    assert "hapio_calls:2026-11" not in counters


async def test_only_schedulers_that_are_connected_are_looked_at(set_up: SetUp) -> None:
    assert not [one for one in await set_up.findings() if one.about == "hapio" or "Hapio" in one.says]
    set_up.environ["HAPIO_API_TOKEN"] = "a-token"
    set_up.widgets.write_text(set_up.widgets.read_text() + 'scheduler = "calendly"\n')
    told = await set_up.findings()
    assert [one.level for one in told if one.about == "hapio"] == [Level.FAIL]
    assert "Advice session can be sold" in [one.says for one in told]
    del set_up.environ["CALENDLY_TOKEN"]
    set_up.widgets.write_text(set_up.widgets.read_text().replace("calendly", "hapio"))
    assert not [one for one in await set_up.findings() if one.about == "calendly"]


def a_token_that_was_revoked(set_up: SetUp) -> None:
    set_up.adviser.sandbox.revoke_token()


def calendly_out_of_reach(set_up: SetUp) -> None:
    set_up.adviser.sandbox.faults.append(Fault("drop_before", times=None))


def calendly_that_fails(set_up: SetUp) -> None:
    set_up.adviser.sandbox.faults.append(Fault("error_before", path="/users/me"))


def calendly_that_fails_where_a_scope_is_asked_for(set_up: SetUp) -> None:
    set_up.adviser.sandbox.faults.append(Fault("error_before", path="/cancellation"))


def another_server(set_up: SetUp) -> None:
    set_up.adviser.sandbox.faults.append(Fault("truncated_json", path="/users/me"))


def a_full_minute(set_up: SetUp) -> None:
    set_up.adviser.sandbox.faults.append(Fault("rate_limited", path="/webhook_subscriptions", retry_after=20))


def an_old_free_plan(set_up: SetUp) -> None:
    set_up.adviser.sandbox.switches.plan = "free_old"


def a_free_plan(set_up: SetUp) -> None:
    set_up.adviser.sandbox.switches.plan = "free"


def no_webhook_key(set_up: SetUp) -> None:
    del set_up.environ["CALENDLY_WEBHOOK_KEY"]


def a_subscription_for_another_address(set_up: SetUp) -> None:
    set_up.environ["PUBLIC_URL"] = "https://other.example"


def a_disabled_subscription(set_up: SetUp) -> None:
    set_up.adviser.sandbox.switches.webhooks = "disabled"


def an_id_with_a_slip(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace(set_up.adviser.session, "NOBODY"))


def a_service_without_a_price(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace(', price = "90.00"', ""))


def a_price_below_what_stripe_charges(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text().replace('"90.00"', '"0.10"'))


def a_widget_that_names_no_service(set_up: SetUp) -> None:
    set_up.widgets.write_text("[advice]\n")


def a_location_of_another_scheduler(set_up: SetUp) -> None:
    set_up.widgets.write_text(set_up.widgets.read_text() + 'location = "elsewhere"\n')


def an_account_without_event_types(set_up: SetUp) -> None:
    set_up.adviser.sandbox.state.event_types.clear()


def a_required_question(set_up: SetUp) -> None:
    set_up.adviser.sandbox.change_questions(set_up.adviser.session, [Question("Your age?", required=True)])


def a_place_that_asks(set_up: SetUp) -> None:
    set_up.adviser.sandbox.change_event_type(set_up.adviser.session, locations=[{"kind": "outbound_call"}])


def a_type_that_is_off(set_up: SetUp) -> None:
    set_up.adviser.sandbox.change_event_type(set_up.adviser.session, active=False)


BROKEN: list[tuple[Callable[[SetUp], None], Level, str, str]] = [
    (a_token_that_was_revoked, Level.FAIL, "calendly", "token is not accepted"),
    (calendly_out_of_reach, Level.FAIL, "calendly", "does not answer ("),
    (calendly_that_fails, Level.FAIL, "calendly", "answers 500"),
    (calendly_that_fails_where_a_scope_is_asked_for, Level.FAIL, "calendly", "answers 500"),
    (another_server, Level.FAIL, "calendly", "does not answer as Calendly does"),
    (a_full_minute, Level.WARN, "calendly", "try again in 20 s"),
    (an_old_free_plan, Level.FAIL, "calendly", "may not book by the API: Please upgrade"),
    (a_free_plan, Level.WARN, "calendly", "the plan is the free one"),
    (no_webhook_key, Level.WARN, "settings", "made in Calendly are noticed only"),
    (a_subscription_for_another_address, Level.FAIL, "calendly", "https://other.example/api/webhooks/calendly"),
    (a_disabled_subscription, Level.FAIL, "calendly", "subscription is disabled"),
    (an_id_with_a_slip, Level.FAIL, "widget advice", "service NOBODY is not in Calendly"),
    (a_service_without_a_price, Level.FAIL, "widget advice", "Advice session has no price"),
    (a_price_below_what_stripe_charges, Level.FAIL, "widget advice", "less than Stripe charges"),
    (a_widget_that_names_no_service, Level.FAIL, "widget advice", "names no services"),
    (a_location_of_another_scheduler, Level.FAIL, "widget advice", "location elsewhere"),
    (an_account_without_event_types, Level.FAIL, "calendly", "no event type"),
    (a_required_question, Level.FAIL, "widget advice", "has required questions: Your age?"),
    (a_place_that_asks, Level.FAIL, "widget advice", "asks the customer for a location"),
    (a_type_that_is_off, Level.FAIL, "widget advice", "is switched off"),
]


@pytest.mark.parametrize(
    ("broken", "level", "about", "says"), BROKEN, ids=[broken.__name__.replace("_", " ") for broken, *_ in BROKEN]
)
async def test_each_fault_is_named_with_its_fix(
    set_up: SetUp, broken: Callable[[SetUp], None], level: Level, about: str, says: str
) -> None:
    broken(set_up)
    findings = await set_up.findings()
    assert any(one.level is level and one.about == about and says in one.says and one.fix for one in bad(findings)), (
        findings
    )
    told = "\n".join(map(line, findings))
    assert set_up.adviser.sandbox.token not in told
    assert KEY not in told


@pytest.mark.parametrize(
    "scope",
    [
        "users:read",
        "event_types:read",
        "availability:read",
        "scheduled_events:write",
        "webhooks:write",
    ],
)
async def test_each_scope_that_is_missing_is_named(set_up: SetUp, scope: str) -> None:
    set_up.adviser.sandbox.set_scopes(sorted(ALL_SCOPES - {scope}))
    [told] = [one.says for one in bad(await set_up.findings()) if "lacks" in one.says]
    assert told == f"the token lacks {scope}"


async def test_all_scopes_are_named_of_a_token_that_has_none(set_up: SetUp) -> None:
    set_up.adviser.sandbox.set_scopes([])
    [told] = bad(await set_up.findings())
    scopes = "event_types:read, availability:read, scheduled_events:read, scheduled_events:write, webhooks:read"
    assert told.says == f"the token lacks users:read, {scopes}, webhooks:write"


async def test_the_scopes_that_the_guide_names_are_enough(set_up: SetUp) -> None:
    guide = (ROOT / "docs/schedulers.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+:(?:read|write))`", guide))
    set_up.adviser.sandbox.set_scopes(sorted(named))
    assert bad(await set_up.findings()) == []
    scheduler, starts_at = set_up.adviser.scheduler, TEN + timedelta(days=2)
    assert await scheduler.services()
    assert (await scheduler.lock(set_up.adviser.wanted(), until=TEN)).reference
    booked = await set_up.adviser.booked()
    moved = await scheduler.move(booked, set_up.adviser.wanted(starts_at), VISIT, lock=None)
    await scheduler.release(booked)
    await scheduler.cancel(moved.id)
    assert [one.is_canceled for one in await scheduler.coming(TEN - timedelta(days=1))] == [True, True]


async def test_a_webhook_that_misses_cancellations_is_noticed(set_up: SetUp) -> None:
    set_up.adviser.sandbox.state.subscriptions.clear()
    await set_up.adviser.subscribe(ADDRESS, KEY, events=["invitee.created"])
    [told] = bad(await set_up.findings())
    assert told.says == "the webhook subscription is not sent invitee.canceled"


async def test_a_subscription_of_the_whole_organization_will_do(set_up: SetUp) -> None:
    set_up.adviser.sandbox.state.subscriptions.clear()
    await set_up.adviser.subscribe(ADDRESS, KEY, scope="organization")
    assert bad(await set_up.findings()) == []


async def test_a_colleague_without_rights_in_the_organization_can_be_checked_too(set_up: SetUp) -> None:
    sandbox = set_up.adviser.sandbox
    colleague = sandbox.add_user("Lee Park", "lee@park.example")["uri"]
    sandbox.add_token("the-colleagues-token", user=colleague)
    set_up.environ["CALENDLY_TOKEN"] = "the-colleagues-token"
    told = [one.says for one in bad(await set_up.findings())]
    assert "Calendly has no webhook subscription for https://book.example/api/webhooks/calendly" in told
    assert not [says for says in told if "may not book" in says or "lacks" in says]


async def test_a_free_plan_whose_bookings_a_day_are_set_is_fine(set_up: SetUp) -> None:
    a_free_plan(set_up)
    set_up.environ["CALENDLY_CREATES_PER_DAY"] = "5"
    assert bad(await set_up.findings()) == []
