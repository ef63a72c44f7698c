"""The page between a click and a hold when many holds come at once: the browser works for a second and goes on by
itself, or a person answers a question. Whatever was sent is sent again, with the proof."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.domain.booking import Booking
from app.errors import ChallengeNeeded, WidgetFull
from app.msgid import N_
from app.parts import parts_of
from app.protection.hold_limits import Client
from app.protection.proof_of_work import Challenge, Proof
from app.protection.rate_limits import client_address
from app.text import catalogues
from app.web.shared.render import error_shell, render
from app.web.shared.request_input import asked_address, read_form

log = structlog.get_logger()

#: The fields of a proof, and the one that names the visitor.
_PROOF = ("proof_token", "proof_solution", "proof_answer")
_HEADING = N_("One moment, please")


def read_client(
    request: Request, form: Mapping[str, str], booking: Booking | None = None, instead: Booking | None = None
) -> Client:
    """Who asks to hold a time. `booking` is an ended hold of theirs, whose name goes on; `instead` is a live one, whose
    place the new one takes."""
    parts = parts_of(request)
    token, solution, answer = (form.get(name, "")[:400] for name in _PROOF)
    name = parts.links.read_visitor_token(form.get("visitor", "")) or form.get("key", "")[:40]
    address = client_address(request.scope)
    if address not in request.headers.get("x-forwarded-for", address):
        _tell_of_proxy()
    if booking:
        name = parts.hold_limits.holder(booking.id) or booking.visitor.key
    return Client(
        name=name or parts.links.visitor_key(),
        address=address,
        proof=Proof(token, solution, answer),
        instead=instead.id if instead else "",
    )


@cache
def _tell_of_proxy() -> None:
    """Once: all that come through this proxy are counted as one visitor."""
    log.warning("proxy headers not believed", hint="name the proxy's address with serve --proxy")


async def show_challenge(request: Request, error: Exception) -> Response:
    """The exception handler for ChallengeNeeded."""
    assert isinstance(error, ChallengeNeeded)  # noqa: S101 - registered for nothing else
    challenge = error.challenge
    assert isinstance(challenge, Challenge)  # noqa: S101 - made by the hold limits
    shell = error_shell(request)
    _ = catalogues.translator(shell.language).gettext
    context: dict[str, Any] = {
        "heading": _(_HEADING),
        "sentence": _(error.sentence),
        "wrong": error.wrong,
        "action": asked_address(request),
        "fields": [(name, value) for name, value in (await read_form(request)).items() if name not in _PROOF],
        "challenge": challenge,
        # Without a script there is no work, and a full widget takes no answer in its place.
        "full": _(WidgetFull.sentence),
    }
    response = render(request, "visitor/proof_of_work.html", context, shell=shell, status=error.status)
    response.headers["Retry-After"] = str(error.retry_after)
    return response
