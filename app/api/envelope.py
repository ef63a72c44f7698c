"""The one envelope that every error under /api comes in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse

from app.errors import (
    ChallengeNeeded,
    HoldfastError,
    InvalidDetails,
    InvalidRequest,
    KeyInUse,
    MethodRefused,
    PolicyRefused,
    RateLimited,
    SlotTaken,
    Unauthorized,
)
from app.errors.after_paying import is_failure, sentences_after_paying
from app.msgid import N_
from app.protection.proof_of_work import Challenge


class Malformed(InvalidRequest):
    """A request that does not have the form that the OpenAPI document asks for; `fields` say where and why."""

    sentence = N_("The request is not in the form that this route expects.")

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(", ".join(sorted(fields)))
        self.fields = dict(fields)

    @classmethod
    def because(cls, error: ValidationError) -> Malformed:
        """The fields that pydantic minds. What was sent is not repeated: it may be anyone's."""
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return cls({_path(item["loc"]): str(item["msg"]).removeprefix("Value error, ") for item in found[:20]})


def envelope(error: HoldfastError, *, may_have_paid: bool = False) -> JSONResponse:
    """An error as JSON, with the headers that belong to it. `may_have_paid` says whether it is about a booking for
    which someone may have paid; then a failure is told in the words of the page about it."""
    message = " ".join(sentences_after_paying(error)) if may_have_paid and is_failure(error) else error.sentence
    body = {"code": error.code, "message": message, "details": _details(error)}
    headers = {"Cache-Control": "no-store"}
    wait = _wait(error)
    if wait:
        headers["Retry-After"] = str(wait)
    if isinstance(error, MethodRefused):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"success": False, "error": body}, status_code=error.status, headers=headers)


def _wait(error: HoldfastError) -> int:
    """Seconds after which trying again can help; 0 where nobody knows."""
    if isinstance(error, KeyInUse):
        return 1
    wait = getattr(error, "retry_after", 0)
    return max(1, ceil(wait)) if wait else 0


def _details(error: HoldfastError) -> dict[str, Any]:
    match error:
        case InvalidDetails() | Malformed():
            return dict(error.fields)
        case SlotTaken():
            return {"nearest": [start.isoformat() for start in error.nearest]}
        case PolicyRefused():
            return {"reason": error.refusal.upper()}
        case ChallengeNeeded():
            return {"retryAfter": error.retry_after, "challenge": _challenge(error.challenge)}
        case RateLimited():
            return {"retryAfter": error.retry_after}
        case _:
            return {}


def _challenge(challenge: object) -> dict[str, Any]:
    """What to prove, and how; the lock takes it as `proof`."""
    assert isinstance(challenge, Challenge)  # noqa: S101 - made by the hold limits
    return {
        "token": challenge.token,
        "salt": challenge.salt,
        "bits": challenge.bits,
        "parts": challenge.parts,
        "rounds": challenge.rounds,
    }


def _path(location: Iterable[int | str]) -> str:
    return ".".join(to_camel(part) if isinstance(part, str) else str(part) for part in location) or "body"
