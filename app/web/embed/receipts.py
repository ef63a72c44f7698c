"""Checks whether a receipt that a host page was given is ours."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import InvalidRequest
from app.parts import parts_of
from app.protection.rate_limits import API, client_address


async def verify_receipt(request: Request) -> Response:
    """POST /api/receipts/verify {"receipt": "…"}: whether we signed it, and what it says. For a host's server, so
    that a conversion need not be believed because a browser reports it."""
    parts = parts_of(request)
    await parts.rate_limits.check(API, client_address(request.scope))
    facts = parts.links.read_receipt(await _asked_receipt(request))
    if facts is None:
        return JSONResponse({"success": True, "valid": False})
    return JSONResponse({"success": True, "valid": True, "receipt": dict(facts)})


async def _asked_receipt(request: Request) -> str:
    try:
        body: Any = json.loads(await request.body())
    except (ValueError, RecursionError) as error:  # besides bad JSON: text that is no UTF-8, numbers of 5,000 digits
        raise InvalidRequest("not JSON") from error
    if not isinstance(body, dict) or set(body) != {"receipt"} or not isinstance(body["receipt"], str):
        raise InvalidRequest("a receipt, and nothing else")
    return str(body["receipt"])


routes = [Route("/api/receipts/verify", verify_receipt, methods=["POST"])]
