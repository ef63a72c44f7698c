"""`python -m app doctor` at Cal.com: a good set-up passes, and each of these broken ones is told with its fix."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.doctor import line
from app.environment import Environment
from app.operations.setup_check import Doctor, Finding, Level, Wires
from app.operations.setup_check.calcom import CalcomLook
from app.settings import Settings
from app.widgets_file import load_widgets
from sandbox.faults import Fault
from tests.support.calcom_coach import URL, CalcomCoach, open_coach
from tests.support.hapio_studio import MONDAY
from tests.support.stack import PUBLIC_URL, make_settings

HOOK = f"{PUBLIC_URL}/api/webhooks/calcom"
SECRET = "a secret of thirty-two characters"
TRIGGERS = [f"BOOKING_{name}" for name in ("CREATED", "RESCHEDULED", "REQUESTED", "CANCELLED", "REJECTED")]
WIDGETS = """\
[coach]
services = [{{ id = "{session}", price = "65.00" }}, {{ id = "{call}", price = "0" }}]
currency = "gbp"
"""


@dataclass
class SetUp:
    """What the doctor is shown."""

    coach: CalcomCoach
    settings: Settings
    widgets: Path
    answers: Callable[[httpx.Response], None] | None = None
    hook: str = ""

    async def findings(self) -> list[Finding]:
        transport = _Wire(self)
        widgets = load_widgets(self.widgets, ("calcom",))
        return await CalcomLook(self.settings, widgets, now=self.coach.clock(), transport=transport).findings()

    async def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The owner changes something."""
        headers = {"authorization": f"Bearer {self.coach.sandbox.token}", "cal-api-version": "2024-06-11"}
        transport = self.coach.sandbox.transport()
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as api:
            return (await api.request(method, path, json=body)).raise_for_status().json()["data"]

    def write(self, old: str, new: str) -> None:
        """Change the widgets file."""
        text = self.widgets.read_text()
        assert old in text
        self.widgets.write_text(text.replace(old, new))


class _Wire(httpx.AsyncBaseTransport):
    """Cal.com tells the time with every answer, and a test may change what it answers."""

    def __init__(self, set_up: SetUp) -> None:
        self._set_up = set_up
        self._inner = set_up.coach.sandbox.transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        response.headers["date"] = format_datetime(self._set_up.coach.clock(), usegmt=True)
        if self._set_up.answers:
            self._set_up.answers(response)
        return response


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[SetUp]:
    """The coach as she should be."""
    async with open_coach() as coach:
        settings = make_settings(
            tmp_path,
            hapio_api_token=None,
            calcom_api_key=coach.sandbox.token,
            calcom_base_url=URL,
            calcom_webhook_secret=SECRET,
        )
        widgets = tmp_path / "widgets.toml"
        widgets.write_text(WIDGETS.format(session=coach.session, call=coach.call))
        made = SetUp(coach, settings, widgets)
        body = {"active": True, "subscriberUrl": HOOK, "triggers": TRIGGERS, "secret": SECRET}
        made.hook = (await made.api("POST", "/webhooks", body))["id"]
        coach.sandbox.calls.clear()
        yield made


async def test_a_good_set_up_has_nothing_to_complain_about(set_up: SetUp) -> None:
    findings = await set_up.findings()
    assert [line(one) for one in findings if one.level is not Level.OK] == []
    assert {one.about for one in findings} == {"calcom", "clock", "ids", "widget coach", "webhook"}
    assert f"event type Coaching session: {set_up.coach.session}" in {one.says for one in findings}


async def test_the_doctor_changes_nothing_at_cal_com(set_up: SetUp) -> None:
    await set_up.findings()
    assert {call.method for call in set_up.coach.sandbox.calls} == {"GET"}
    assert {call.status for call in set_up.coach.sandbox.calls} == {200}


async def an_expired_key(set_up: SetUp) -> None:
    set_up.coach.sandbox.expire_key()


async def cal_com_out_of_reach(set_up: SetUp) -> None:
    set_up.coach.sandbox.faults.append(Fault("drop_before", times=None))


async def cal_com_that_fails(set_up: SetUp) -> None:
    set_up.coach.sandbox.faults.append(Fault("error_before", times=None, status=503))


async def cal_com_that_fails_in_the_middle(set_up: SetUp) -> None:
    set_up.coach.sandbox.faults.append(Fault("error_before", times=None, status=503, path="/event-types$"))


async def cal_com_that_fails_where_a_version_is_asked_for(set_up: SetUp) -> None:
    set_up.coach.sandbox.faults.append(Fault("error_before", times=None, status=503, path="/bookings$"))


async def a_server_that_is_no_cal_com(set_up: SetUp) -> None:
    set_up.coach.sandbox.faults.append(Fault("truncated_json", times=None, path="/event-types$"))


async def a_minute_used_up(set_up: SetUp) -> None:
    set_up.coach.sandbox.switches.rate_limit_per_minute = 3


async def an_address_without_the_version(set_up: SetUp) -> None:
    set_up.settings = set_up.settings.model_copy(update={"calcom_base_url": URL.removesuffix("/v2")})


def version_gone(resource: str) -> Callable[[SetUp], Awaitable[None]]:
    async def gone(set_up: SetUp) -> None:
        set_up.coach.sandbox.faults.append(Fault("refuse", times=None, status=404, path=f"/v2/{resource}$"))

    gone.__name__ = f"a_version_of_{resource}_that_is_gone"
    return gone


async def a_clock_ten_minutes_off(set_up: SetUp) -> None:
    def off(response: httpx.Response) -> None:
        response.headers["date"] = format_datetime(MONDAY + timedelta(minutes=10), usegmt=True)

    set_up.answers = off


async def an_event_type_with_a_slip_in_its_id(set_up: SetUp) -> None:
    set_up.write(set_up.coach.session, "999999")


async def a_payment_app(set_up: SetUp) -> None:
    set_up.coach.sandbox.set_price(int(set_up.coach.session), 6500)


async def a_confirmation(set_up: SetUp) -> None:
    set_up.coach.sandbox.set_confirmation(int(set_up.coach.session), True)


async def cancelling_disabled(set_up: SetUp) -> None:
    set_up.coach.sandbox.set_cancelling(int(set_up.coach.session), False)


async def rescheduling_disabled(set_up: SetUp) -> None:
    set_up.coach.sandbox.set_rescheduling(int(set_up.coach.session), False)


async def a_required_question(set_up: SetUp) -> None:
    await set_up.coach.set_type(bookingFields=[{"type": "text", "slug": "dog", "required": True}])


async def a_teams_template(set_up: SetUp) -> None:
    set_up.coach.sandbox.set_managed_parent(int(set_up.coach.session), True)


async def no_working_hours(set_up: SetUp) -> None:
    set_up.coach.sandbox.change_hours([{"days": ["Saturday"], "startTime": "09:00", "endTime": "09:05"}], overrides=[])


async def no_price(set_up: SetUp) -> None:
    set_up.write(', price = "65.00"', "")


async def a_price_below_what_stripe_charges(set_up: SetUp) -> None:
    set_up.write('"65.00"', '"0.10"')


async def no_services(set_up: SetUp) -> None:
    set_up.widgets.write_text('[coach]\ncurrency = "gbp"\n')


async def a_location(set_up: SetUp) -> None:
    set_up.write("[coach]", '[coach]\nlocation = "nowhere"')


async def no_webhook_secret(set_up: SetUp) -> None:
    set_up.settings = set_up.settings.model_copy(update={"calcom_webhook_secret": None})


async def no_webhook(set_up: SetUp) -> None:
    await set_up.api("DELETE", f"/webhooks/{set_up.hook}")


async def a_webhook_to_another_address(set_up: SetUp) -> None:
    await set_up.api("PATCH", f"/webhooks/{set_up.hook}", {"subscriberUrl": "https://old.example/hook"})


async def a_webhook_that_is_off(set_up: SetUp) -> None:
    await set_up.api("PATCH", f"/webhooks/{set_up.hook}", {"active": False})


async def a_webhook_without_an_event(set_up: SetUp) -> None:
    await set_up.api("PATCH", f"/webhooks/{set_up.hook}", {"triggers": ["BOOKING_CREATED"]})


async def a_webhook_with_another_secret(set_up: SetUp) -> None:
    await set_up.api("PATCH", f"/webhooks/{set_up.hook}", {"secret": "marked-secret"})


async def a_webhook_with_a_template(set_up: SetUp) -> None:
    await set_up.api("PATCH", f"/webhooks/{set_up.hook}", {"payloadTemplate": '{"a": "{{title}}"}'})


async def webhooks_that_the_key_may_not_list(set_up: SetUp) -> None:
    set_up.coach.sandbox.faults.append(Fault("refuse", times=None, status=403, path="/webhooks$"))


BROKEN = [
    (an_expired_key, Level.FAIL, "calcom", "has expired"),
    (cal_com_out_of_reach, Level.FAIL, "calcom", "does not answer (ReadError)"),
    (cal_com_that_fails, Level.FAIL, "calcom", "answers 503"),
    (cal_com_that_fails_in_the_middle, Level.FAIL, "calcom", "answers 503"),
    (cal_com_that_fails_where_a_version_is_asked_for, Level.FAIL, "calcom", "answers 503"),
    (a_server_that_is_no_cal_com, Level.FAIL, "calcom", "does not answer as Cal.com does"),
    (a_minute_used_up, Level.WARN, "calcom", "429"),
    (an_address_without_the_version, Level.FAIL, "calcom", "answers 404"),
    (version_gone("slots"), Level.FAIL, "calcom", "slots 2024-09-04"),
    (version_gone("bookings"), Level.FAIL, "calcom", "bookings 2024-08-13"),
    (version_gone("event-types"), Level.FAIL, "calcom", "event-types 2024-06-14"),
    (version_gone("schedules"), Level.FAIL, "calcom", "schedules 2024-06-11"),
    (a_clock_ten_minutes_off, Level.FAIL, "clock", "600 seconds off from Cal.com's"),
    (an_event_type_with_a_slip_in_its_id, Level.FAIL, "widget coach", "999999 is not in Cal.com"),
    (a_payment_app, Level.FAIL, "widget coach", "Coaching session cannot be sold: it has a payment app"),
    (a_confirmation, Level.FAIL, "widget coach", "wait for your confirmation"),
    (cancelling_disabled, Level.FAIL, "widget coach", "cancelling is disabled"),
    (rescheduling_disabled, Level.WARN, "widget coach", "rescheduling is disabled"),
    (a_required_question, Level.FAIL, "widget coach", "required questions (dog)"),
    (a_teams_template, Level.FAIL, "widget coach", "gives no times for Coaching session"),
    (no_working_hours, Level.WARN, "widget coach", "no free time within 31 days"),
    (no_price, Level.FAIL, "widget coach", "has no price in widgets.toml"),
    (a_price_below_what_stripe_charges, Level.FAIL, "widget coach", "less than Stripe charges"),
    (no_services, Level.FAIL, "widget coach", "offers no service"),
    (a_location, Level.FAIL, "widget coach", "location nowhere"),
    (no_webhook_secret, Level.WARN, "webhook", "a quarter of an hour late"),
    (no_webhook, Level.WARN, "webhook", f"no webhook for {HOOK}"),
    (a_webhook_to_another_address, Level.WARN, "webhook", f"no webhook for {HOOK}"),
    (a_webhook_that_is_off, Level.WARN, "webhook", "switched off"),
    (a_webhook_without_an_event, Level.WARN, "webhook", "BOOKING_CANCELLED"),
    (a_webhook_with_another_secret, Level.WARN, "webhook", "another secret"),
    (a_webhook_with_a_template, Level.WARN, "webhook", "template"),
    (webhooks_that_the_key_may_not_list, Level.WARN, "webhook", "may not list"),
]


@pytest.mark.parametrize(
    ("broken", "level", "about", "says"), BROKEN, ids=[broken.__name__.replace("_", " ") for broken, *_ in BROKEN]
)
async def test_each_fault_is_named_with_its_fix(
    set_up: SetUp, broken: Callable[[SetUp], Awaitable[None]], level: Level, about: str, says: str
) -> None:
    await broken(set_up)
    findings = await set_up.findings()
    bad = [one for one in findings if one.level is not Level.OK]
    assert any(one.level is level and one.about == about and says in one.says and one.fix for one in bad), bad
    told = "\n".join(map(line, findings))
    for secret in (SECRET, "marked-secret", set_up.coach.sandbox.token):
        assert secret not in told


async def test_disabled_rescheduling_matters_only_where_customers_may_move(set_up: SetUp) -> None:
    await rescheduling_disabled(set_up)
    set_up.write("[coach]", "[coach]\nreschedule = { at_most = 0 }")
    assert [one for one in await set_up.findings() if one.level is not Level.OK] == []


async def test_the_doctor_looks_at_cal_com_where_its_key_is_set(set_up: SetUp) -> None:
    nobody = httpx.MockTransport(lambda request: httpx.Response(401, request=request))
    wires = Wires({"hapio": nobody, "calcom": set_up.coach.sandbox.transport()}, stripe=nobody, web=nobody)
    environ = {
        "CALCOM_API_KEY": set_up.coach.sandbox.token,
        "CALCOM_BASE_URL": URL,
        "CALCOM_WEBHOOK_SECRET": SECRET,
        "SECRET_KEYS": "an-old-secret-key-of-32-characters!!",
        "PUBLIC_URL": PUBLIC_URL,
        "DATABASE_URL": set_up.settings.database_url,
        "WIDGETS_FILE": str(set_up.widgets),
        "MAIL_FROM": "Maya <maya@book.example>",
    }
    findings = await Doctor(Environment(environ, None), now=set_up.coach.clock, wires=wires).findings()
    assert "answers, and accepts the key of Maya Collins" in {one.says for one in findings}
