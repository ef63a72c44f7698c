"""The operator's side of the Hapio sandbox over HTTP: switches, faults, clock, tokens, calls, bookings.

Open to anyone who can reach it, and nothing that Hapio has. A control request that makes no sense is a 400.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import Clock
from sandbox.hapio.control import BadControl, parse_fault
from sandbox.hapio.state import ALL_ABILITIES, State

Endpoint = Callable[[Request], Awaitable[Response]]


def control_routes(state: State) -> list[Route]:
    """Return the routes below /_sandbox."""

    async def get_switches(request: Request) -> Response:
        return JSONResponse(asdict(state.switches))

    async def patch_switches(request: Request) -> Response:
        state.switches.update(await _json(request))
        return JSONResponse(asdict(state.switches))

    async def get_faults(request: Request) -> Response:
        return JSONResponse([asdict(fault) for fault in state.faults])

    async def post_faults(request: Request) -> Response:
        raw = await _json(request)
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
        _set_clock(state.now, await _json(request))
        return JSONResponse({"now": state.now().isoformat()})

    async def post_tokens(request: Request) -> Response:
        raw = await _json(request)
        if not isinstance(raw, dict) or set(raw) != {"token", "abilities"}:
            raise BadControl("a token is an object with token and abilities")
        token, abilities = raw["token"], raw["abilities"]
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise BadControl("token is printable text without spaces")
        if not isinstance(abilities, list) or not all(a in ALL_ABILITIES for a in abilities):
            raise BadControl(f"abilities is an array of {sorted(ALL_ABILITIES)}")
        state.tokens[token] = frozenset(abilities)
        return Response(status_code=204)

    async def post_reset(request: Request) -> Response:
        state.clear()
        return Response(status_code=204)

    async def get_calls(request: Request) -> Response:
        return JSONResponse([{**asdict(call), "at": call.at.isoformat()} for call in state.calls])

    async def get_bookings(request: Request) -> Response:
        state.expire_temporary()
        return JSONResponse([state.booking_json(booking, ALL_ABILITIES) for booking in state.bookings.values()])

    return [
        Route("/switches", _strict(get_switches), methods=["GET"]),
        Route("/switches", _strict(patch_switches), methods=["PATCH"]),
        Route("/faults", _strict(get_faults), methods=["GET"]),
        Route("/faults", _strict(post_faults), methods=["POST"]),
        Route("/faults", _strict(delete_faults), methods=["DELETE"]),
        Route("/clock", _strict(get_clock), methods=["GET"]),
        Route("/clock", _strict(put_clock), methods=["PUT"]),
        Route("/tokens", _strict(post_tokens), methods=["POST"]),
        Route("/reset", _strict(post_reset), methods=["POST"]),
        Route("/calls", _strict(get_calls), methods=["GET"]),
        Route("/bookings", _strict(get_bookings), methods=["GET"]),
    ]


def _strict(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BadControl as error:
            return JSONResponse({"message": str(error)}, 400)

    return guarded


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError as error:
        raise BadControl("the body is not JSON") from error


def _set_clock(clock: Clock, raw: object) -> None:
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
