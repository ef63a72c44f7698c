"""The operator's side of the Hapio sandbox over HTTP: switches, tokens, bookings, and what all sandboxes have."""

import re
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import BadControl
from sandbox.hapio.state import ALL_ABILITIES, State
from sandbox.operating import common_routes, read_json, strict


def control_routes(state: State) -> list[Route]:
    """Return the routes below /_sandbox."""

    async def get_switches(request: Request) -> Response:
        return JSONResponse(asdict(state.switches))

    async def patch_switches(request: Request) -> Response:
        state.switches.update(await read_json(request))
        return JSONResponse(asdict(state.switches))

    async def post_tokens(request: Request) -> Response:
        raw = await read_json(request)
        if not isinstance(raw, dict) or set(raw) != {"token", "abilities"}:
            raise BadControl("a token is an object with token and abilities")
        token, abilities = raw["token"], raw["abilities"]
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise BadControl("token is printable text without spaces")
        if not isinstance(abilities, list) or not all(a in ALL_ABILITIES for a in abilities):
            raise BadControl(f"abilities is an array of {sorted(ALL_ABILITIES)}")
        state.tokens[token] = frozenset(abilities)
        return Response(status_code=204)

    async def get_bookings(request: Request) -> Response:
        state.expire_temporary()
        return JSONResponse([state.booking_json(booking, ALL_ABILITIES) for booking in state.bookings.values()])

    return [
        *common_routes(state),
        Route("/switches", strict(get_switches), methods=["GET"]),
        Route("/switches", strict(patch_switches), methods=["PATCH"]),
        Route("/tokens", strict(post_tokens), methods=["POST"]),
        Route("/bookings", strict(get_bookings), methods=["GET"]),
    ]
