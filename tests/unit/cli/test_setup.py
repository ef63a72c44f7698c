"""`python -m app setup`: a dozen answers make everything; broken off and run again there is one of everything."""

import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from app.cli.setup.asking import PromptAsker
from app.cli.setup.units import UNITS, write_units
from app.environment import read_environment
from app.payments.events import API_VERSION, EVENT_TYPES
from app.settings import opened
from app.widgets_file import load_widgets
from bench.stopwatch import MOST_ANSWERS, run
from sandbox.faults import Fault
from sandbox.hapio import ALL_ABILITIES
from sandbox.stripe.account import Fault as StripeFault
from tests.support.owner_setup import ANSWERS, PUBLIC_URL, TOKEN, OwnerSetup, everything, open_owner_setup

ONE_OF_EVERYTHING = {
    "places": 1,
    "services": ["Planning call", "Portrait"],
    "people": ["Jonas", "Maja"],
    "offers": 4,
    "hours": 6,
    "days": 2,
    "endpoints": [f"{PUBLIC_URL}/api/webhooks/stripe"],
}


STUDIO = f"""
name = "Studio Söder"
scheduler = "hapio"
time_zone = "Europe/Stockholm"
currency = "sek"
public_url = "{PUBLIC_URL}"
owner_email = "maja@studiosoder.example"

[[service]]
name = "Portrait"
minutes = 60
price = "1200"

[[person]]
name = "Maja"
hours = "Mon-Fri 9-17"
"""


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[OwnerSetup]:
    async with open_owner_setup(tmp_path) as owner:
        yield owner


async def test_from_nothing_to_a_paid_booking_with_twelve_answers_and_no_id_copied(tmp_path: Path) -> None:
    """The real commands over sockets; `make stopwatch` prints the same."""
    laps = await run(tmp_path)
    assert laps.status == "CONFIRMED"
    assert laps.answers <= MOST_ANSWERS


async def test_twelve_answers_make_the_calendar_the_endpoint_the_files_and_a_test_mail(owner: OwnerSetup) -> None:
    assert await owner.types() == 0, owner.told
    assert everything(owner.hapio, owner.stripe) == ONE_OF_EVERYTHING
    [endpoint] = owner.stripe.webhook_endpoints.values()
    assert (endpoint["api_version"], set(endpoint["enabled_events"])) == (API_VERSION, set(EVENT_TYPES))
    settings = read_environment(owner.environ, folder=owner.folder).settings()
    assert [secret.get_secret_value() for secret in settings.stripe_webhook_secret] == [secret_of(owner)]
    assert (opened(settings.hapio_api_token), settings.public_url) == (TOKEN, PUBLIC_URL)
    assert settings.staff_emails == ("maja@studiosoder.example",)
    widget = load_widgets(settings.widgets_file)["studio"]
    assert {one.id for one in widget.services} == set(owner.hapio.state.services)
    assert (widget.currency, widget.allowed_origins) == ("sek", ("https://www.studiosoder.example",))
    assert widget.tiers, "a customer who cancels gets a refund"
    for name in (".env", "widgets.toml", "studio.toml"):
        assert stat.S_IMODE((owner.folder / name).stat().st_mode) == 0o600
    assert [mail.parsed["subject"] for mail in owner.mailbox.messages] == ["Holdfast: a test mail"]
    assert '<div data-holdfast="studio">' in owner.told
    assert f"{PUBLIC_URL}/staff" in owner.told
    assert "12 answers." in owner.told
    assert "FAIL" not in owner.told
    assert "The server does not run yet" in owner.told
    for secret in (TOKEN, "sk_test_sandbox", secret_of(owner)):
        assert secret not in owner.told


async def test_run_twice_nothing_changes_and_that_is_said(owner: OwnerSetup) -> None:
    await owner.types()
    before = {path.name: path.read_bytes() for path in owner.folder.iterdir()}
    kept = "\n" * 11
    assert await owner.types_lines(kept.splitlines()) == 0
    assert "Nothing had to be changed: everything is as it should be." in owner.told
    assert {path.name: path.read_bytes() for path in owner.folder.iterdir()} == before
    assert everything(owner.hapio, owner.stripe) == ONE_OF_EVERYTHING


async def test_interrupted_after_each_step_and_run_again_there_is_one_of_everything(tmp_path: Path) -> None:
    """The process dies after the nth thing that was made or changed anywhere, before it hears of it."""
    number = finished = 0
    while not finished:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with open_owner_setup(folder) as owner:
            owner.hapio.switches.rate_limit_per_minute = 1000
            dying = Dying(number)
            owner.wire, owner.stripe_wire = dying.on(owner.hapio.transport()), dying.on(owner.stripe.transport())
            try:
                finished = not await owner.types(smtp="")
            except Died:
                owner.wire = owner.stripe_wire = None
                assert await owner.types(smtp="") == 0, owner.told
            assert everything(owner.hapio, owner.stripe) == ONE_OF_EVERYTHING, number
            settings = read_environment(owner.environ, folder=folder).settings()
            assert [one.get_secret_value() for one in settings.stripe_webhook_secret] == [secret_of(owner)], number
        number += 1
    assert number > 15


async def test_a_file_says_all_of_it_and_a_dry_run_does_none_of_it(owner: OwnerSetup) -> None:
    await owner.types(smtp="")
    typed = (owner.folder / "studio.toml").read_text()
    secrets = (owner.folder / ".env").read_text()
    owner.hapio.reset()
    owner.stripe.webhook_endpoints.clear()
    file = owner.folder / "other.toml"
    file.write_text(typed + 'closed = ["2026-12-31"]\n')  # Jonas, the last of the people
    (owner.folder / "studio.toml").unlink()
    assert await owner.types_lines([], "--from", str(file), "--dry-run") == 0
    assert "Hapio: create the place Studio Söder" in owner.told
    assert everything(owner.hapio, owner.stripe)["places"] == 0
    assert (owner.folder / ".env").read_text() == secrets
    assert await owner.types_lines([], "--from", str(file)) == 0
    assert {**everything(owner.hapio, owner.stripe), "days": 2} == ONE_OF_EVERYTHING
    assert everything(owner.hapio, owner.stripe)["days"] == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("minutes = 60", "minutes = 0"), "service 1.minutes must be 1 or more"),
        (('price = "1200"', 'price = "1.20"'), "Portrait: 1.20 SEK is less than Stripe charges"),
        (("Mon-Fri 9-17", "Mon-Fri 17-9"), "hours begin before they end"),
        (("Europe/Stockholm", "Europe/Stockholmen"), "time_zone must be a time zone such as Europe/Stockholm"),
        (('name = "Maja"', 'nam = "Maja"'), "person 1.nam is not a setting; did you mean name?"),
        (('currency = "sek"', "currency ="), "is not TOML"),
    ],
)
async def test_what_is_wrong_in_the_file_is_told_in_one_line_and_nothing_is_done(
    owner: OwnerSetup, capsys: pytest.CaptureFixture[str], change: tuple[str, str], says: str
) -> None:
    file = owner.folder / "studio.toml"
    file.write_text(STUDIO.replace(*change))
    assert await owner.types_lines([], "--from", str(file)) == 2
    error = capsys.readouterr().err
    assert says in error
    assert str(file) in error
    assert not owner.hapio.calls


async def test_each_ability_that_the_token_lacks_is_named_and_another_token_is_asked_for(owner: OwnerSetup) -> None:
    missing = {"recurring_schedule_block:create", "booking:ignore_booking_window"}
    owner.hapio.state.tokens["a-weak-token"] = ALL_ABILITIES - missing
    lines = ["nobodys-token", "a-weak-token", *ANSWERS.values()]
    assert await owner.types_lines(lines) == 0
    assert "Hapio does not accept the token." in owner.told
    assert "The token lacks 2 of 27 abilities." in owner.told
    assert all(f"  {ability}\n" in f"{owner.told}\n" for ability in missing)
    assert everything(owner.hapio, owner.stripe) == ONE_OF_EVERYTHING


async def test_a_wrong_answer_is_asked_again_and_one_may_go_back(owner: OwnerSetup) -> None:
    answers = list(ANSWERS.values())
    lines = [*answers[:2], "Europe/Nowhere", "Europe/Helsinki", "<", *answers[2:]]
    assert await owner.types_lines(lines) == 0
    assert "There is no such time zone" in owner.told
    assert owner.said.count("3/12  Its time zone") == 2
    [place] = owner.hapio.state.locations.values()
    assert place.time_zone == "Europe/Stockholm"


async def test_on_a_terminal_lines_are_edited_secrets_hidden_and_control_c_stops(owner: OwnerSetup) -> None:
    with create_pipe_input() as keys:
        asker = PromptAsker(owner.said.append, source=keys, screen=DummyOutput())
        # A slip in the zone is told at once, and the line is still there to be cleared (Ctrl-U) and typed again.
        keys.send_text(f"{TOKEN}\rStudio Söder\rMars\r\x15Europe/Oslo\r<\r<\rStudio Väst\r\x15Europe/Paris\r\x03")
        assert await owner.asks(asker) == 1
    assert [line.strip() for line in owner.said if "/12" in line] == [
        "1/12  The API token of your calendar",
        "2/12  The name of your business",
        "3/12  Its time zone",
        "4/12  The currency of your prices",
        "3/12  Its time zone",
        "2/12  The name of your business",
        "3/12  Its time zone",
        "4/12  The currency of your prices",
    ]
    assert "Stopped. Run this again to go on." in owner.told
    assert TOKEN not in owner.told
    assert list(owner.folder.iterdir()) == []


async def test_an_owner_who_says_no_has_changed_nothing(owner: OwnerSetup) -> None:
    assert await owner.types(go="no") == 1
    assert everything(owner.hapio, owner.stripe)["places"] == 0
    assert list(owner.folder.iterdir()) == []


async def test_what_an_owner_wrote_into_the_files_is_shown_before_it_is_replaced_and_the_rest_stays(
    owner: OwnerSetup,
) -> None:
    await owner.types()
    widgets, env = owner.folder / "widgets.toml", owner.folder / ".env"
    hand = widgets.read_text().replace('owner_name = "Studio Söder"', 'owner_name = "Ours" # by hand\nhold_minutes = 7')
    widgets.write_text(hand)
    env.write_text(env.read_text() + "\n# ours\nLOG_LEVEL=warning\n")
    kept = ["", "Studio Söder", *[""] * 9]
    assert await owner.types_lines([*kept, "yes", "no"]) == 0
    assert '-owner_name = "Ours" # by hand' in owner.told
    assert widgets.read_text() == hand
    assert await owner.types_lines([*kept, "yes", "yes"]) == 0
    assert "hold_minutes = 7" in widgets.read_text()
    assert 'owner_name = "Studio Söder"' in widgets.read_text()
    assert "# ours\nLOG_LEVEL=warning" in env.read_text()


async def test_a_file_stays_its_owners_and_its_groups_and_nobody_else_reads_it(owner: OwnerSetup) -> None:
    elsewhere = owner.folder / "settings"
    elsewhere.write_text("LOG_LEVEL=warning\n")
    elsewhere.chmod(0o644)
    (owner.folder / ".env").symlink_to(elsewhere)
    before = elsewhere.stat()
    await owner.types()
    assert (owner.folder / ".env").is_symlink()
    assert "LOG_LEVEL=warning\nSTRIPE" in elsewhere.read_text()
    after = elsewhere.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)


async def test_a_key_that_may_not_make_endpoints_is_told_what_to_do(owner: OwnerSetup) -> None:
    owner.stripe.faults.append(StripeFault(kind="forbidden", path="/v1/webhook_endpoints", times=None))
    owner.stripe.faults.append(StripeFault(kind="forbidden", path="/v1/disputes", times=None))
    assert await owner.types() == 0
    assert "Give it Webhook Endpoints: Write and run this again" in owner.told
    assert "Give the Stripe key these permissions: Disputes: Read." in owner.told
    assert not owner.stripe.webhook_endpoints


async def test_an_endpoint_of_an_old_version_is_replaced_and_one_without_an_event_completed(owner: OwnerSetup) -> None:
    await owner.types()
    [endpoint] = owner.stripe.webhook_endpoints.values()
    endpoint["enabled_events"] = ["refund.failed"]
    assert await owner.types_lines([*[""] * 11, "yes"]) == 0
    assert set(endpoint["enabled_events"]) == set(EVENT_TYPES)
    endpoint["api_version"] = "2019-05-16"
    assert await owner.types_lines([*[""] * 11, "yes", "yes"]) == 0
    [fresh] = owner.stripe.webhook_endpoints.values()
    assert fresh["api_version"] == API_VERSION
    settings = read_environment(owner.environ, folder=owner.folder).settings()
    assert [one.get_secret_value() for one in settings.stripe_webhook_secret] == [secret_of(owner)]


async def test_hapios_limit_by_the_minute_is_waited_for(owner: OwnerSetup) -> None:
    owner.hapio.switches.rate_limit_per_minute = 30
    assert await owner.types() == 0
    assert "since it takes no more requests this minute" in owner.told
    assert everything(owner.hapio, owner.stripe) == ONE_OF_EVERYTHING


async def test_a_provider_that_does_not_answer_is_told_and_the_next_run_goes_on(owner: OwnerSetup) -> None:
    owner.hapio.faults.append(
        Fault("drop_before", method="POST", path="^/v1/resources/(?!0000).*/recurring-schedules$", times=None)
    )
    assert await owner.types() == 1
    assert "Hapio does not answer" in owner.told
    owner.hapio.faults.clear()
    assert await owner.types_lines([TOKEN, *[""] * 8, "sk_test_sandbox", owner.smtp_url, "yes"]) == 0, owner.told
    assert everything(owner.hapio, owner.stripe) == ONE_OF_EVERYTHING


async def test_at_calcom_the_prices_stand_in_the_widgets_file(owner: OwnerSetup) -> None:
    people = "Maja: Mon-Fri 9-17"
    assert await owner.types(token=owner.calcom.token, people=people) == 0, owner.told
    titles = {one.fields["title"]: str(one.id) for one in owner.calcom.state.event_types.values()}
    widget = load_widgets(owner.folder / "widgets.toml", ("calcom",))["studio"]
    assert {one.id: str(one.price) for one in widget.services} == {
        titles["Portrait"]: "1200",
        titles["Planning call"]: "0",
    }
    assert widget.location == ""
    # A booking that the coach moves in Cal.com is heard of at once, and the secret is nobody's to copy.
    settings = read_environment(owner.environ, folder=owner.folder).settings()
    [webhook] = owner.calcom.state.webhooks.values()
    assert (webhook.endpoint.url, webhook.active) == (f"{PUBLIC_URL}/api/webhooks/calcom", True)
    assert webhook.endpoint.secret == opened(settings.calcom_webhook_secret)
    assert await owner.types_lines([""] * 11) == 0
    assert "Nothing had to be changed" in owner.told


async def test_systemd_units_are_filled_in_for_the_folder(owner: OwnerSetup) -> None:
    target = owner.folder / "units"
    target.mkdir()
    said: list[str] = []
    assert write_units(target, folder=owner.folder, env=owner.folder / ".env", say=said.append) == 0
    for name in UNITS:
        text = (target / name).read_text()
        assert "/opt/holdfast" not in text.replace("# /etc", "")
        assert "/etc/holdfast" not in text
    server = (target / "holdfast.service").read_text()
    assert f"ExecStart={sys.executable} -m app serve" in server
    assert f"WorkingDirectory={owner.folder}\nEnvironmentFile={owner.folder}/.env\n" in server
    assert f"ReadWritePaths={owner.folder}" in server
    assert "systemctl enable --now holdfast.service" in said[-1]
    assert write_units(owner.folder / "gone", folder=owner.folder, env=owner.folder / ".env", say=said.append) == 1


def secret_of(owner: OwnerSetup) -> str:
    """The signing secret of the one endpoint, which nobody but its maker was told."""
    [endpoint] = owner.stripe.webhook_endpoints
    return owner.stripe.endpoint_secrets[endpoint]


class Died(Exception):
    """The process ended."""


class Dying:
    """A process that ends when its nth change anywhere has taken effect."""

    def __init__(self, changes: int) -> None:
        self.left = changes

    def on(self, inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        return _DyingWire(self, inner)


class _DyingWire(httpx.AsyncBaseTransport):
    def __init__(self, process: Dying, inner: httpx.AsyncBaseTransport) -> None:
        self._process = process
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if request.method != "GET" and response.is_success:
            if not self._process.left:
                raise Died
            self._process.left -= 1
        return response
