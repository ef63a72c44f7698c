"""The operator's side that every sandbox has over HTTP: faults, clock, calls, reset.

Open to anyone who can reach it, and nothing that a provider has. A control request that makes no sense is a 400.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import Clock
from sandbox.faults import BadControl, Call, Fault, parse_fault

Endpoint = Callable[[Request], Awaitable[Response]]


class Operated(Protocol):
    """What a sandbox's state has for its operator."""

    now: Callable[[], datetime]
    faults: list[Fault]
    calls: list[Call]

    def clear(self) -> None:
        """Become new again."""


def common_routes(state: Operated) -> list[Route]:
    """Return the routes below /_sandbox that are the same in all sandboxes."""

    async def get_faults(request: Request) -> Response:
        return JSONResponse([asdict(fault) for fault in state.faults])

    async def post_faults(request: Request) -> Response:
        raw = await read_json(request)
        state.faults += [parse_fault(item) for item in (raw if isinstance(raw, list) else [raw])]
        return JSONResponse([asdict(fault) for fault in state.faults], 201)

    async def delete_faults(request: Request) -> Response:
        state.faults.clear()
        return Response(status_code=204)

    async def get_clock(request: Request) -> Response:
        return JSONResponse({"now": state.now().isoformat()})

    async def put_clock(request: Request) -> Response:
        if not isinstance(state.now, Clock):
            raise BadControl("this sandbox runs on a clock that cannot be set")
        set_clock(state.now, await read_json(request))
        return JSONResponse({"now": state.now().isoformat()})

    async def post_reset(request: Request) -> Response:
        state.clear()
        return Response(status_code=204)

    async def get_calls(request: Request) -> Response:
        return JSONResponse([{**asdict(call), "at": call.at.isoformat()} for call in state.calls])

    return [
        Route("/faults", strict(get_faults), methods=["GET"]),
        Route("/faults", strict(post_faults), methods=["POST"]),
        Route("/faults", strict(delete_faults), methods=["DELETE"]),
        Route("/clock", strict(get_clock), methods=["GET"]),
        Route("/clock", strict(put_clock), methods=["PUT"]),
        Route("/reset", strict(post_reset), methods=["POST"]),
        Route("/calls", strict(get_calls), methods=["GET"]),
    ]


def strict(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with BadControl answered as a 400."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BadControl as error:
            return JSONResponse({"message": str(error)}, 400)

    return answer


async def read_json(request: Request) -> Any:
    """The request's body. Raises BadControl where it is no JSON."""
    try:
        return await request.json()
    except ValueError as error:
        raise BadControl("the body is not JSON") from error


def set_clock(clock: Clock, raw: object) -> None:
    """Freeze the clock (`now`, ISO 8601 with offset) or advance it (`advance_seconds`)."""
    match raw:
        case {"now": str(text), **rest} if not rest:
            try:
                clock.set(datetime.fromisoformat(text))
            except ValueError as error:
                raise BadControl("now is an ISO 8601 time with an offset") from error
        case {"advance_seconds": int(seconds), **rest} if not rest and not isinstance(seconds, bool):
            clock.advance(timedelta(seconds=seconds))
        case _:
            raise BadControl("the body is {now} or {advance_seconds}")
