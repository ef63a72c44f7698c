"""An owner's tokens: sealed, refreshed by one process at a time, and given up where Calendly gives them up."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx
import pytest

from app.domain.scheduler_tokens import Broken
from app.errors import SchedulerDown, SchedulerNotConnected, SchedulerRateLimited, SchedulerUnauthorized
from app.protection.sealing import NotSealedHere, Sealer
from app.scheduling.calendly.tokens import LEASE
from sandbox.calendly import Fault
from tests.support.calendly_owners import BACK, KEY, VERIFIER, Server, agree, open_server

NORA = "calendly:nora"
#: An access token lives two hours, and is replaced five minutes earlier.
NEARLY_OVER = timedelta(minutes=116)
OVER = timedelta(hours=2, minutes=1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server to which Nora has connected her account."""
    async with open_server(tmp_path) as server:
        assert await server.connect() == "connected"
        yield server


async def row(server: Server) -> Any:
    return await server.store().scheduler_tokens(NORA)


# Agreeing


async def test_the_consent_page_is_asked_as_the_standard_says(server: Server) -> None:
    oauth = server.oauth()
    url = oauth.consent_url(back=BACK, state="the state", verifier=VERIFIER)
    query = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith("https://auth.calendly.com/oauth/authorize?")
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert (query["redirect_uri"], query["state"]) == (BACK, "the state")
    assert VERIFIER not in url
    await oauth.aclose()


async def test_a_code_is_good_once_and_with_its_verifier_only(server: Server) -> None:
    oauth = server.oauth()
    back = await agree(server.sandbox, oauth.consent_url(back=BACK, state="s", verifier=VERIFIER))
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    assert await oauth.exchange(code, back=BACK, verifier="another" * 8) is None
    grant = await oauth.exchange(code, back=BACK, verifier=VERIFIER)
    assert grant
    assert grant.expires_at == server.clock() + timedelta(hours=2)
    assert await oauth.exchange(code, back=BACK, verifier=VERIFIER) is None
    assert grant.access not in repr(grant)
    await oauth.aclose()


async def test_a_wrong_secret_of_the_app_is_told_and_ends_no_connection(server: Server) -> None:
    server.clock.advance(OVER)
    with pytest.raises(SchedulerUnauthorized, match="CALENDLY_CLIENT_SECRET is not accepted"):
        await server.process(secret="wrong").read_account()
    assert (await row(server)).broken is None
    assert (await server.process().read_account()).name == "Nora Whitfield"


# Refreshing


async def test_a_token_serves_until_five_minutes_before_its_end(server: Server) -> None:
    nora = server.process()
    server.clock.advance(timedelta(minutes=114))
    assert (await nora.read_account()).name == "Nora Whitfield"
    assert server.refreshes == 0
    server.clock.advance(timedelta(minutes=2))
    assert (await nora.read_account()).name == "Nora Whitfield"
    assert server.refreshes == 1
    assert (await row(server)).expires_at == server.clock() + timedelta(hours=2)


async def test_a_connection_lasts_for_days(server: Server) -> None:
    nora = server.process()
    for _ in range(30):
        server.clock.advance(OVER)
        await nora.read_account()
    assert server.refreshes == 30


class Gate(httpx.AsyncBaseTransport):
    """A wire on which a refresh waits until it is let through."""

    def __init__(self, server: Server) -> None:
        self.reached, self.open = anyio.Event(), anyio.Event()
        self._inner = server.sandbox.transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.reached.set()
        await self.open.wait()
        return await self._inner.handle_async_request(request)


async def test_two_processes_need_a_token_at_once_and_one_asks_for_it(server: Server) -> None:
    gate = Gate(server)

    async def until_the_other_is_done(_seconds: float) -> None:
        gate.open.set()
        await finished.wait()

    first, second = server.process(transport=gate), server.process(sleep=until_the_other_is_done)
    finished, names = anyio.Event(), []
    server.clock.advance(OVER)

    async def ask_first() -> None:
        names.append((await first.read_account()).name)
        finished.set()

    async with anyio.create_task_group() as group:
        group.start_soon(ask_first)
        await gate.reached.wait()
        names.append((await second.read_account()).name)
        gate.open.set()
    assert names == ["Nora Whitfield"] * 2
    assert server.refreshes == 1


async def test_a_call_during_a_renewal_uses_the_token_that_still_works(server: Server) -> None:
    gate = Gate(server)
    first, second = server.process(transport=gate), server.process()
    server.clock.advance(NEARLY_OVER)
    async with anyio.create_task_group() as group:
        group.start_soon(first.read_account)
        await gate.reached.wait()
        assert (await second.read_account()).name == "Nora Whitfield"
        gate.open.set()
    assert server.refreshes == 1


async def test_a_visitor_who_leaves_during_a_refresh_does_not_end_the_connection(server: Server) -> None:
    gate = Gate(server)
    server.clock.advance(OVER)
    async with anyio.create_task_group() as group:
        group.start_soon(server.process(transport=gate).read_account)
        await gate.reached.wait()
        group.cancel_scope.cancel()
        gate.open.set()
    assert (await server.process().read_account()).name == "Nora Whitfield"
    assert server.refreshes == 1


async def test_a_process_that_died_with_the_lease_keeps_the_others_out_for_a_minute(server: Server) -> None:
    server.clock.advance(OVER)
    assert await server.store().lease_refresh(NORA, until=server.clock() + LEASE)
    nora = server.process()
    with pytest.raises(SchedulerDown):
        await nora.read_account()
    server.clock.advance(LEASE)
    assert (await nora.read_account()).name == "Nora Whitfield"


async def test_who_refreshed_too_late_does_not_overwrite_a_newer_token(server: Server) -> None:
    store = server.store()
    slow = await store.lease_refresh(NORA, until=server.clock() + LEASE)
    assert slow
    server.clock.advance(OVER)
    await server.process().read_account()
    newer = await row(server)
    assert not await store.break_scheduler_tokens(slow, Broken.REFUSED)
    assert not await store.keep_refreshed(slow, access="a", refresh="r", expires_at=server.clock())
    assert await row(server) == newer


async def test_a_token_that_is_refused_is_replaced_and_the_call_made_again(server: Server) -> None:
    nora = server.process()
    await nora.read_account()
    server.clock.advance(timedelta(minutes=10))
    for token in list(server.sandbox.state.tokens.values()):
        server.sandbox.expire_token(token.value)
    assert (await nora.read_account()).name == "Nora Whitfield"
    assert server.refreshes == 1


@pytest.mark.parametrize("switch", ["expired", "revoked"])
async def test_tokens_that_are_all_refused_are_not_asked_for_again_and_again(server: Server, switch: Any) -> None:
    nora = server.process()
    server.clock.advance(timedelta(minutes=10))
    server.sandbox.switches.token = switch
    for _ in range(5):
        with pytest.raises(SchedulerUnauthorized):
            await nora.read_account()
    assert server.refreshes == 1
    assert (await row(server)).broken is None


async def test_a_refused_token_is_replaced_although_the_clock_was_set_back_since_it_was_made(server: Server) -> None:
    nora = server.process()
    await nora.read_account()
    server.clock.advance(timedelta(minutes=-30))
    for token in list(server.sandbox.state.tokens.values()):
        server.sandbox.expire_token(token.value)
    assert (await nora.read_account()).name == "Nora Whitfield"


# What goes wrong


async def test_a_lost_answer_to_a_refresh_ends_the_connection(server: Server) -> None:
    server.clock.advance(OVER)
    server.sandbox.faults.append(Fault("drop_after", path="/oauth/token"))
    with pytest.raises(SchedulerUnauthorized, match="has to be connected again"):
        await server.process().read_account()
    assert (await row(server)).broken is Broken.ANSWER_LOST
    asked = server.refreshes
    with pytest.raises(SchedulerUnauthorized, match="has to be connected again"):
        await server.process().read_account()
    assert server.refreshes == asked, "nobody asks again with a token that is used up"
    assert await server.connect() == "connected"
    assert (await server.process().read_account()).name == "Nora Whitfield"


async def test_answers_that_stay_lost_end_it_once_one_arrives(server: Server) -> None:
    server.clock.advance(OVER)
    server.sandbox.switches.token = "refresh_reply_lost"
    with pytest.raises(SchedulerDown):
        await server.process().read_account()
    assert (await row(server)).broken is None, "Calendly may be down, with the refresh token as good as before"
    server.sandbox.switches.token = "valid"
    with pytest.raises(SchedulerUnauthorized, match="has to be connected again"):
        await server.process().read_account()


async def test_an_owner_who_withdraws_access_has_to_connect_again(server: Server) -> None:
    server.clock.advance(OVER)
    server.sandbox.state.refresh_tokens.clear()
    with pytest.raises(SchedulerUnauthorized, match="has to be connected again"):
        await server.process().read_account()
    assert (await row(server)).broken is Broken.REFUSED
    assert [one.name for one in await server.store().broken_to_tell()] == [NORA]


async def test_a_request_that_was_lost_before_it_arrived_is_made_again(server: Server) -> None:
    server.clock.advance(OVER)
    server.sandbox.faults.append(Fault("drop_before", path="/oauth/token"))
    assert (await server.process().read_account()).name == "Nora Whitfield"


@pytest.mark.parametrize("kind", ["drop_before", "error_before", "html_body"])
async def test_an_outage_of_the_tokens_address_ends_no_connection(server: Server, kind: Any) -> None:
    nora = server.process()
    server.clock.advance(OVER)
    server.sandbox.faults.append(Fault(kind, times=2, path="/oauth/token"))
    with pytest.raises(SchedulerDown):
        await nora.read_account()
    with pytest.raises(SchedulerDown):
        await nora.read_account()
    assert server.refreshes == 2, "its address is left alone for a moment"
    server.clock.advance(timedelta(seconds=11))
    assert (await nora.read_account()).name == "Nora Whitfield"
    assert (await row(server)).broken is None


async def test_an_outage_is_not_noticed_while_the_token_still_works(server: Server) -> None:
    server.clock.advance(NEARLY_OVER)
    server.sandbox.faults.append(Fault("error_before", times=2, path="/oauth/token"))
    assert (await server.process().read_account()).name == "Nora Whitfield"


async def test_too_many_token_requests_are_waited_out(server: Server) -> None:
    server.clock.advance(OVER)
    server.sandbox.faults.append(Fault("rate_limited", path="/oauth/token", retry_after=20))
    nora = server.process()
    with pytest.raises(SchedulerRateLimited):
        await nora.read_account()
    assert (await nora.read_account()).name == "Nora Whitfield"


async def test_nobody_has_connected_yet(server: Server) -> None:
    with pytest.raises(SchedulerNotConnected, match="nobody has connected a Calendly account as calendly:omar"):
        await server.process("calendly:omar").read_account()


# Connecting


async def test_an_account_is_connected_under_one_name(server: Server) -> None:
    assert await server.connect("calendly:omar") == "other_name"
    assert await server.store().scheduler_tokens("calendly:omar") is None


async def test_a_name_keeps_its_account_until_it_is_disconnected(server: Server) -> None:
    omar = server.sandbox.add_user("Omar Diaz", "omar@diaz.example")["uri"].rpartition("/")[2]
    server.clock.advance(timedelta(minutes=1))
    nora = server.process()
    assert (await nora.account()).name == "Nora Whitfield"
    assert await server.connect(user=omar) == "other_account"
    await server.store().disconnect_scheduler(NORA)
    with pytest.raises(SchedulerNotConnected):
        await nora.read_account()
    assert await server.connect(user=omar) == "connected"
    assert (await nora.account()).name == "Omar Diaz"
    assert await nora.event_types() == []


async def test_an_answer_that_was_asked_for_before_the_last_one_came_is_not_taken(server: Server) -> None:
    before, known = server.clock(), await row(server)
    server.clock.advance(timedelta(minutes=1))
    assert await server.connect() == "connected"
    newer = await row(server)
    said = await server.store().connect_scheduler(
        NORA,
        account=known.account,
        account_name=known.account_name,
        access=known.access,
        refresh=known.refresh,
        expires_at=known.expires_at,
        asked_at=before,
    )
    assert said == "used"
    assert await row(server) == newer


# Sealing


async def test_nothing_in_the_database_can_be_read(server: Server) -> None:
    await server.process().read_account()
    server.clock.advance(OVER)
    await server.process().read_account()
    said, state = server.said(), server.sandbox.state
    assert "Nora Whitfield" in said, "what is no secret can be seen there"
    assert len(state.tokens) > 2
    assert not [token for token in [*state.tokens, *state.refresh_tokens] if token in said]


async def test_a_rolled_key_opens_what_the_old_one_sealed_and_seals_it_again(server: Server) -> None:
    new = "n" * 32
    nora = server.process(keys=(new, KEY))
    assert (await nora.read_account()).name == "Nora Whitfield"
    server.clock.advance(OVER)
    await nora.read_account()
    assert (await server.process(keys=(new,)).read_account()).name == "Nora Whitfield"


async def test_without_its_key_a_connection_has_to_be_made_again_but_is_not_ended(server: Server) -> None:
    with pytest.raises(SchedulerUnauthorized, match="sealed with a key that SECRET_KEYS does not have"):
        await server.process(keys=("n" * 32,)).read_account()
    assert (await row(server)).broken is None
    assert (await server.process().read_account()).name == "Nora Whitfield"


async def test_what_is_sealed_for_one_purpose_opens_for_no_other(server: Server) -> None:
    tokens, states = (Sealer([KEY], purpose, now=server.clock) for purpose in ("scheduler-tokens", "calendly-state"))
    sealed = tokens.seal("a secret")
    assert "secret" not in sealed
    assert tokens.open(sealed) == "a secret"
    for other, text in ((states, sealed), (tokens, sealed[:-4]), (tokens, "å"), (tokens, "")):
        with pytest.raises(NotSealedHere):
            other.open(text)
