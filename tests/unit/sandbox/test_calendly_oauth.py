"""The Calendly sandbox's OAuth: consent with PKCE, tokens for two hours, refresh tokens for one use."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from sandbox.calendly import CLIENT_ID, CLIENT_SECRET, CalendlySandbox, Fault
from sandbox.clock import Clock
from tests.contract.calendly_fixtures import Json

MONDAY = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
VERIFIER = "a-verifier-that-is-long-enough-for-the-standard-to-take"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
BACK = "https://shop.example/calendly/back"
ASKED = {
    "client_id": CLIENT_ID,
    "response_type": "code",
    "redirect_uri": BACK,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "abc",
}


@pytest.fixture
def clock() -> Clock:
    return Clock(MONDAY)


@pytest.fixture
def sandbox(clock: Clock) -> CalendlySandbox:
    sandbox = CalendlySandbox(now=clock)
    sandbox.seed_adviser()
    return sandbox


@pytest.fixture
async def client(sandbox: CalendlySandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A program that knows the app's secret."""
    auth, transport = (CLIENT_ID, CLIENT_SECRET), sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="https://auth.calendly.com", auth=auth) as client:
        yield client


async def consent(client: httpx.AsyncClient, decision: str = "allow", **changes: str) -> dict[str, str]:
    """Decide on the consent page and return what comes back to the shop."""
    response = await client.post("/oauth/authorize", data={**ASKED, "decision": decision, **changes})
    assert response.status_code == 303
    target = urlsplit(response.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == BACK
    return dict(parse_qsl(target.query))


async def exchange(client: httpx.AsyncClient, code: str, /, **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return await client.post("/oauth/token", data=form | changes)


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token})


async def connected(client: httpx.AsyncClient) -> Json:
    response = await exchange(client, (await consent(client))["code"])
    assert response.status_code == 200, response.text
    tokens: Json = response.json()
    return tokens


async def status_with(client: httpx.AsyncClient, token: str) -> int:
    response = await client.get("https://api.calendly.com/users/me", auth=bearer(token))
    return response.status_code


def bearer(token: str) -> Callable[[httpx.Request], httpx.Request]:
    """Return what puts an access token in the place of the app's secret."""

    def authorize(request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = f"Bearer {token}"
        return request

    return authorize


async def test_the_page_names_the_app_its_scopes_and_the_accounts(client: httpx.AsyncClient) -> None:
    page = await client.get("/oauth/authorize", params=ASKED)
    assert page.status_code == 200
    for words in (CLIENT_ID, "scheduled_events:write", "Nora Whitfield", "Allow", "Deny"):
        assert words in page.text
    assert page.headers["x-frame-options"] == "DENY"


async def test_consent_gives_a_code_and_a_code_gives_tokens(
    sandbox: CalendlySandbox, client: httpx.AsyncClient
) -> None:
    came_back = await consent(client)
    assert came_back["state"] == "abc"
    tokens = (await exchange(client, came_back["code"])).json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 7200)
    assert tokens["owner"] == sandbox.state.uri("users", sandbox.state.owner_id)
    assert tokens["organization"] == sandbox.state.uri("organizations", sandbox.state.organization)
    assert await status_with(client, tokens["access_token"]) == 200


async def test_a_refusal_comes_back_as_an_error(client: httpx.AsyncClient) -> None:
    assert await consent(client, "deny") == {"error": "access_denied", "state": "abc"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
async def test_consent_needs_pkce_with_s256(client: httpx.AsyncClient, change: dict[str, str], error: str) -> None:
    assert (await consent(client, **change))["error"] == error


@pytest.mark.parametrize("change", [{"client_id": "nobody"}, {"redirect_uri": "http://shop.example/back"}])
async def test_an_unknown_app_or_address_is_never_sent_back(client: httpx.AsyncClient, change: dict[str, str]) -> None:
    response = await client.post("/oauth/authorize", data={**ASKED, "decision": "allow", **change})
    assert response.status_code == 400
    assert "location" not in response.headers


async def test_a_code_works_once(client: httpx.AsyncClient) -> None:
    code = (await consent(client))["code"]
    assert (await exchange(client, code)).status_code == 200
    again = await exchange(client, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "change", [{"code_verifier": "another"}, {"redirect_uri": "https://shop.example/other"}, {"code": "made-up"}]
)
async def test_a_code_is_good_for_who_asked_for_it(client: httpx.AsyncClient, change: dict[str, str]) -> None:
    code = (await consent(client))["code"]
    assert (await exchange(client, code, **change)).json()["error"] == "invalid_grant"


async def test_a_code_lives_ten_minutes(client: httpx.AsyncClient, clock: Clock) -> None:
    code = (await consent(client))["code"]
    clock.advance(timedelta(minutes=10))
    assert (await exchange(client, code)).json()["error"] == "invalid_grant"


async def test_a_token_call_needs_the_secret_or_a_native_client(
    sandbox: CalendlySandbox, client: httpx.AsyncClient
) -> None:
    code = (await consent(client))["code"]
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="https://auth.calendly.com") as native:
        wrong = await native.post("/oauth/token", data={"grant_type": "refresh_token"}, auth=(CLIENT_ID, "guess"))
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        assert (await exchange(native, code, client_id=CLIENT_ID)).status_code == 200


async def test_a_token_call_takes_a_form_and_a_known_grant(client: httpx.AsyncClient) -> None:
    as_json = await client.post("/oauth/token", json={"grant_type": "refresh_token"})
    assert as_json.json()["error"] == "invalid_request"
    unknown = await client.post("/oauth/token", data={"grant_type": "password"})
    assert unknown.json()["error"] == "unsupported_grant_type"


async def test_an_access_token_lives_two_hours_and_a_refresh_gives_the_next(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    tokens = await connected(client)
    clock.advance(timedelta(hours=2))
    assert await status_with(client, tokens["access_token"]) == 401
    renewed = (await refresh(client, tokens["refresh_token"])).json()
    assert await status_with(client, renewed["access_token"]) == 200
    assert renewed["refresh_token"] != tokens["refresh_token"]


async def test_a_refresh_token_works_once_and_does_not_age(client: httpx.AsyncClient, clock: Clock) -> None:
    tokens = await connected(client)
    clock.advance(timedelta(days=400))
    assert (await refresh(client, tokens["refresh_token"])).status_code == 200
    again = await refresh(client, tokens["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_a_refresh_whose_answer_is_lost_has_used_up_the_token(
    sandbox: CalendlySandbox, client: httpx.AsyncClient
) -> None:
    tokens = await connected(client)
    sandbox.switches.token = "refresh_reply_lost"
    with pytest.raises(httpx.ReadError):
        await refresh(client, tokens["refresh_token"])
    sandbox.switches.token = "valid"
    assert (await refresh(client, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await status_with(client, tokens["access_token"]) == 200


async def test_a_user_gets_eight_tokens_a_minute(client: httpx.AsyncClient, clock: Clock) -> None:
    token = (await connected(client))["refresh_token"]
    for _ in range(7):
        token = (await refresh(client, token)).json()["refresh_token"]
    limited = await refresh(client, token)
    assert (limited.status_code, limited.headers["x-ratelimit-reset"]) == (429, "60")
    clock.advance(timedelta(minutes=1))
    assert (await refresh(client, token)).status_code == 200


async def test_token_calls_meet_faults_and_are_logged(sandbox: CalendlySandbox, client: httpx.AsyncClient) -> None:
    sandbox.faults.append(Fault("drop_before", path="/oauth/token"))
    with pytest.raises(httpx.ReadError):
        await refresh(client, "any")
    assert [(call.path, call.status) for call in sandbox.calls] == [("/oauth/token", None)]


async def test_webhooks_of_an_app_are_signed_with_its_own_key(
    sandbox: CalendlySandbox, client: httpx.AsyncClient
) -> None:
    tokens = await connected(client)
    body = {
        "url": "https://shop.example/hook",
        "events": ["invitee.created"],
        "organization": tokens["organization"],
        "user": tokens["owner"],
        "scope": "user",
        "signing_key": "ours",
    }
    url = "https://api.calendly.com/webhook_subscriptions"
    assert (await client.post(url, json=body, auth=bearer(tokens["access_token"]))).status_code == 201
    made = next(iter(sandbox.state.subscriptions.values()))
    assert made.endpoint.secret == sandbox.state.apps[CLIENT_ID].signing_key
