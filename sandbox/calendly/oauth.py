"""OAuth: consent with PKCE, access tokens for two hours, refresh tokens for one use (Calendly API v2, tokens).

At Calendly this lives at auth.calendly.com. Errors are those of RFC 6749; `owner`, `organization` and `created_at` in
the answer were seen in third-party code.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.calendly import limits
from sandbox.calendly.errors import Refusal
from sandbox.calendly.pages import render
from sandbox.calendly.records import Grant, Json, OAuthApp, Token
from sandbox.calendly.state import State
from sandbox.faults import Fault

CODE_LIFE: Final = timedelta(minutes=10)
TOKEN_LIFE: Final = timedelta(hours=2)
TOKEN_PATH: Final = "/oauth/token"

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})


def routes(state: State) -> list[BaseRoute]:
    """Return the consent page; the token call is answered like an API call, with faults and the call log."""

    async def show(request: Request) -> Response:
        return _consent(state, request, dict(request.query_params))

    async def decide(request: Request) -> Response:
        async with request.form() as form:
            given = {name: str(value) for name, value in form.items()}
        return _consent(state, request, given, decision=given.get("decision", "deny"))

    return [
        Route("/oauth/authorize", show, methods=["GET"]),
        Route("/oauth/authorize", decide, methods=["POST"]),
    ]


def _consent(state: State, request: Request, given: dict[str, str], decision: str | None = None) -> Response:
    """Show the page, or send the browser back with a code or an error. A wrong client or address is never sent back."""
    app = state.apps.get(given.get("client_id", ""))
    if app is None or not _may_redirect(app, given.get("redirect_uri", "")):
        context: Json = {"problem": "This app is unknown, or the address to return to is not registered for it."}
        return render(request, "calendly_consent.html", context, 400)
    if given.get("response_type") != "code":
        return _back(given, error="unsupported_response_type")
    if given.get("code_challenge_method") != "S256" or not given.get("code_challenge"):
        return _back(given, error="invalid_request", error_description="PKCE with S256 is required.")
    user = state.users.get(given.get("user", state.owner_id))
    if decision is None or user is None:
        context = {"app": app, "given": given, "users": list(state.users.values()), "scopes": sorted(app.scopes)}
        return render(request, "calendly_consent.html", context)
    if decision != "allow":
        return _back(given, error="access_denied")
    code = state.new_secret()
    state.codes[code] = Grant(
        app=app.client_id,
        user=user.id,
        scopes=app.scopes,
        redirect_uri=given["redirect_uri"],
        challenge=given["code_challenge"],
        expires_at=state.now() + CODE_LIFE,
    )
    return _back(given, code=code)


def _may_redirect(app: OAuthApp, uri: str) -> bool:
    if app.redirect_uris:
        return uri in app.redirect_uris
    parts = urlsplit(uri)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _back(given: dict[str, str], **answer: str) -> Response:
    uri = given["redirect_uri"]
    query = answer | ({"state": given["state"]} if "state" in given else {})
    return RedirectResponse(f"{uri}{'&' if '?' in uri else '?'}{urlencode(query)}", status_code=303)


def loses_reply(state: State, path: str, body: bytes) -> Fault | None:
    """Return the fault that the token switch stands for: the refresh happens, its answer is lost."""
    refreshes = path == TOKEN_PATH and ("grant_type", "refresh_token") in parse_qsl(body.decode("latin-1"))
    return Fault("drop_after") if refreshes and state.switches.token == "refresh_reply_lost" else None


def token(state: State, authorization: str, content_type: str, body: bytes) -> Response:
    """Answer a token call: a code or a refresh token for an access token and the next refresh token."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return _error("invalid_request", "The body must be a form.")
    given = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
    app = _client(state, authorization, given)
    if app is None:
        return _error("invalid_client", "Client authentication failed.", 401)
    match given.get("grant_type"):
        case "authorization_code":
            grant = _redeem(state, app, given)
        case "refresh_token":
            grant = state.refresh_tokens.get(given.get("refresh_token", ""))
        case _:
            return _error("unsupported_grant_type", "The grant type is not supported.")
    if grant is None or grant.app != app.client_id:
        return _error("invalid_grant", "The grant is invalid, expired, used or revoked.")
    try:
        limits.count_token_request(state, grant.user)
    except Refusal as refusal:
        return JSONResponse(refusal.body, refusal.status, refusal.headers)
    state.codes.pop(given.get("code", ""), None)
    state.refresh_tokens.pop(given.get("refresh_token", ""), None)
    return JSONResponse(_issue(state, grant), headers={"Cache-Control": "no-store"})


def _client(state: State, authorization: str, given: dict[str, str]) -> OAuthApp | None:
    """Return the app: by Basic authentication, or by the body's client_id for native clients, which have no secret."""
    scheme, _, encoded = authorization.partition(" ")
    if not authorization:
        return state.apps.get(given.get("client_id", "")) if "client_secret" not in given else None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    app = state.apps.get(unquote(client_id))
    known = app is not None and hmac.compare_digest(app.client_secret.encode(), unquote(secret).encode())
    return app if scheme.lower() == "basic" and known else None


def _redeem(state: State, app: OAuthApp, given: dict[str, str]) -> Grant | None:
    """Return what a code stands for, if it is this app's, in time, and its verifier and address fit."""
    grant = state.codes.get(given.get("code", ""))
    if grant is None or grant.expires_at is None or grant.expires_at <= state.now():
        return None
    digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    fits = challenge == grant.challenge and given.get("redirect_uri") == grant.redirect_uri
    return grant if fits and grant.app == app.client_id else None


def _issue(state: State, grant: Grant) -> Json:
    now = state.now()
    access, refresh = state.new_secret(), state.new_secret()
    state.tokens[access] = Token(access, grant.user, grant.scopes, now + TOKEN_LIFE, app=grant.app)
    state.refresh_tokens[refresh] = replace(grant, redirect_uri="", challenge="", expires_at=None)
    user = state.users[grant.user]
    return {
        "token_type": "Bearer",
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": int(TOKEN_LIFE.total_seconds()),
        "created_at": int(now.timestamp()),
        "scope": " ".join(sorted(grant.scopes)),
        "owner": state.uri("users", user.id),
        "organization": state.uri("organizations", user.organization),
    }


def _error(code: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": code, "error_description": description}, status)
