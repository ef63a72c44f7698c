"""Faults that every sandbox can be given: calls that fail before or after their effect, and calls without an answer.

Nothing of it exists at the providers.
"""

import json
import re
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal, get_args

import httpx
from starlette.types import ASGIApp, Receive

FaultKind = Literal[
    "error_before",
    "error_after",
    "drop_before",
    "drop_after",
    "hang",
    "hang_after",
    "html_body",
    "truncated_json",
    "rate_limited",
    "refuse",
]
FAULT_KINDS: Final[tuple[str, ...]] = get_args(FaultKind)
GATEWAY_PAGE: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class BadControl(ValueError):
    """A control request that makes no sense; the text says why."""


class ConnectionDropped(Exception):
    """In process: the connection is lost without an answer. `InProcess` makes it a ReadError."""


class RequestHangs(Exception):
    """In process: no answer ever comes. `InProcess` makes it a ReadTimeout."""


@dataclass
class Fault:
    """A trouble that the next `times` matching requests meet (None: all until it is cleared), then used up.

    `method` and `path` (a regular expression searched in the path) select requests; None matches all.
    `status` is for error_before, error_after and refuse, `body` is what refuse answers, `retry_after` (seconds) is
    for rate_limited.
    """

    kind: FaultKind
    times: int | None = 1
    method: str | None = None
    path: str | None = None
    status: int = 500
    retry_after: int = 30
    body: dict[str, Any] = field(default_factory=lambda: {"message": "Refused by a fault."})

    def matches(self, method: str, path: str) -> bool:
        """Tell whether this fault waits for such a request."""
        return (
            self.times != 0
            and self.method in (None, method)
            and (self.path is None or re.search(self.path, path) is not None)
        )


def parse_fault(raw: object) -> Fault:
    """Return the fault that a JSON object describes; raises BadControl."""
    if not isinstance(raw, dict):
        raise BadControl("a fault is a JSON object")
    if unknown := set(raw) - {one.name for one in fields(Fault)}:
        raise BadControl(f"a fault has no {sorted(unknown)}")
    if raw.get("kind") not in FAULT_KINDS:
        raise BadControl(f"kind is one of {FAULT_KINDS}")
    bounds = {"times": (1, 10_000), "status": (400, 599), "retry_after": (0, 86_400)}
    for name, (low, high) in bounds.items():
        if name == "times" and raw.get(name, 1) is None:
            continue
        if name in raw and not (type(raw[name]) is int and low <= raw[name] <= high):
            raise BadControl(f"{name} is an integer between {low} and {high}")
    if not isinstance(raw.get("body", {}), dict):
        raise BadControl("body is a JSON object")
    for name in ("method", "path"):
        if not isinstance(raw.get(name), str | None):
            raise BadControl(f"{name} is a string")
    try:
        re.compile(raw.get("path") or "")
    except re.error as error:
        raise BadControl(f"path is not a regular expression: {error}") from error
    return Fault(**raw)


@dataclass
class Call:
    """One request to the provider's API as the sandbox saw it; `status` is None if it was never answered."""

    at: datetime
    method: str
    path: str
    query: str
    status: int | None
    body: Any = None


def take_fault(faults: list[Fault], method: str, path: str) -> Fault | None:
    """Return the first fault that waits for such a request, one time fewer; it leaves the list with its last."""
    fault = next((one for one in faults if one.matches(method, path)), None)
    if fault is not None and fault.times is not None:
        fault.times -= 1
        faults[:] = [one for one in faults if one.times != 0]
    return fault


def logged(body: bytes) -> Any:
    """A request's body for the call log; None where it is no JSON."""
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


async def silence(kind: FaultKind, receive: Receive) -> None:
    """Give no answer: close the connection (`drop_…`), or keep it open until the client goes away (`hang…`).

    Under uvicorn the connection belongs to the object whose method `receive` is. In process there is none, and the
    dedicated exceptions take its place: httpx.ASGITransport lets them through as they are.
    """
    connection = getattr(getattr(receive, "__self__", None), "transport", None)
    dropped = kind.startswith("drop")
    if connection is None:
        raise ConnectionDropped if dropped else RequestHangs
    if dropped:
        connection.abort()
    while (await receive())["type"] != "http.disconnect":
        continue


class InProcess(httpx.AsyncBaseTransport):
    """Carries httpx requests to a sandbox without sockets; dropped and hanging calls become httpx's errors."""

    def __init__(self, app: ASGIApp) -> None:
        """Carry everything to `app`."""
        self._inner = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the sandbox does. Raises httpx.ReadError and httpx.ReadTimeout."""
        try:
            return await self._inner.handle_async_request(request)
        except ConnectionDropped as error:
            raise httpx.ReadError("the sandbox dropped the connection", request=request) from error
        except RequestHangs as error:
            raise httpx.ReadTimeout("the sandbox never answers", request=request) from error
