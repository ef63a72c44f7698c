"""`python -m app doctor` for the Calendly accounts of owners: which are connected, which are broken, what they lack."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.cli.doctor import line
from app.environment import Environment
from app.operations.setup_check import Doctor, Finding, Level, Wires
from sandbox.calendly import ALL_SCOPES, APP_SIGNING_KEY, CLIENT_ID, CLIENT_SECRET
from tests.support.browser import Browser
from tests.support.calendly_owners import Owners, open_owners, open_page

NORA, OMAR = "calendly:nora", "calendly:omar"


class _Nobody(httpx.AsyncBaseTransport):
    """Whatever else the doctor asks: nobody is there."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody is listening", request=request)


@pytest.fixture
async def owners(tmp_path: Path) -> AsyncIterator[Owners]:
    """Nora has connected her account, Omar has not."""
    async with open_owners(tmp_path) as owners:
        eva = Browser(owners.stack)
        await open_page(owners.stack, eva)
        await owners.connect(eva, "nora", owners.nora)
        yield owners


async def findings(owners: Owners, about: str, **environ: str) -> list[Finding]:
    """What is said of an account."""
    settings, nobody = owners.stack.settings, _Nobody()
    variables = {
        "CALENDLY_CLIENT_ID": CLIENT_ID,
        "CALENDLY_CLIENT_SECRET": CLIENT_SECRET,
        "CALENDLY_WEBHOOK_KEY": APP_SIGNING_KEY,
        "SECRET_KEYS": settings.keys[0],
        "PUBLIC_URL": settings.public_url,
        "DATABASE_URL": settings.database_url,
        "WIDGETS_FILE": str(settings.widgets_file),
    }
    wires = Wires(schedulers={"calendly": owners.calendly.transport()}, stripe=nobody, web=nobody)
    doctor = Doctor(Environment(variables | environ, None), now=owners.stack.clock, wires=wires)
    told = await doctor.findings()
    state = owners.calendly.state
    printed = "\n".join(map(line, told))
    assert not [token for token in [*state.tokens, *state.refresh_tokens, CLIENT_SECRET] if token in printed]
    return [one for one in told if one.about == about]


async def test_a_connected_account_is_looked_at_with_its_own_token(owners: Owners) -> None:
    told = await findings(owners, NORA)
    assert [line(one) for one in told if one.level is not Level.OK] == []
    assert "the token has all 7 scopes" in [one.says for one in told]
    assert "the webhook subscription is active" in [one.says for one in told]
    assert "Advice session can be sold" in [one.says for one in await findings(owners, "widget studio")]


async def test_an_account_that_nobody_has_connected_is_named(owners: Owners) -> None:
    [one] = await findings(owners, OMAR)
    assert (one.level, one.says) == (Level.FAIL, "nobody has connected a Calendly account as calendly:omar")
    assert one.fix == "Sign in at /staff, open Calendly, and press Connect."


async def test_a_look_hours_later_refreshes_the_token_as_the_server_does(owners: Owners) -> None:
    owners.stack.clock.advance(timedelta(hours=3))
    assert "answers, and accepts the token" in [one.says for one in await findings(owners, NORA)]
    [tokens] = await owners.stack.parts.store.all_scheduler_tokens()
    assert tokens.expires_at > owners.stack.clock()


async def test_a_broken_connection_is_to_be_made_again(owners: Owners) -> None:
    owners.calendly.state.refresh_tokens.clear()
    owners.stack.clock.advance(timedelta(hours=3))
    for _ in range(2):
        [one] = await findings(owners, NORA)
        assert "has to be connected again" in one.says
        assert one.fix == "Sign in at /staff, open Calendly, and press Connect again."


async def test_a_scope_that_the_app_lacks_is_named(owners: Owners) -> None:
    [token] = [one.value for one in owners.calendly.state.tokens.values() if one.app]
    owners.calendly.set_scopes(sorted(ALL_SCOPES - {"availability:read"}), token=token)
    [one] = [one for one in await findings(owners, NORA) if one.level is Level.FAIL]
    assert one.says == "the token lacks availability:read"
    assert "OAuth app" in one.fix


async def test_a_subscription_that_calendly_has_disabled_comes_back_with_the_account(owners: Owners) -> None:
    owners.calendly.switches.webhooks = "disabled"
    [one] = [one for one in await findings(owners, NORA) if one.level is Level.FAIL]
    assert "subscription is disabled" in one.says
    owners.calendly.switches.webhooks = "once"
    eva = Browser(owners.stack)
    owners.stack.clock.advance(timedelta(minutes=1))
    await open_page(owners.stack, eva)
    await owners.connect(eva, "nora", owners.nora)
    assert "the webhook subscription is active" in [one.says for one in await findings(owners, NORA)]


async def test_a_wrong_secret_of_the_app_is_named(owners: Owners) -> None:
    owners.stack.clock.advance(timedelta(hours=3))
    [one] = await findings(owners, NORA, CALENDLY_CLIENT_SECRET="wrong")
    assert "CALENDLY_CLIENT_ID or CALENDLY_CLIENT_SECRET is not accepted" in one.says
    assert one.fix == "Copy both from the OAuth app at Calendly."


async def test_another_key_says_so_and_ends_nothing(owners: Owners) -> None:
    [one] = await findings(owners, NORA, SECRET_KEYS="n" * 32)
    assert "sealed with a key that SECRET_KEYS does not have" in one.says
    assert "answers, and accepts the token" in [one.says for one in await findings(owners, NORA)]


async def test_without_a_database_nothing_is_known_of_accounts(owners: Owners, tmp_path: Path) -> None:
    [one] = await findings(owners, NORA, DATABASE_URL=f"sqlite:///{tmp_path / 'other.sqlite3'}")
    assert "whether it is connected cannot be seen" in one.says
    assert not (tmp_path / "other.sqlite3").exists()
