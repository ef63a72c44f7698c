"""The widget's own sheet and script, kept in memory, ready compressed."""

from __future__ import annotations

import gzip
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.errors import NotFound
from app.web.render import STATIC

_TYPES = {"css": "text/css", "js": "text/javascript"}


async def show_file(request: Request) -> Response:
    """GET /static/{name}. Addresses carry the content's hash, so browsers keep what they have for good."""
    name = request.path_params["name"]
    kind = _TYPES.get(name.rpartition(".")[2])
    if kind is None or name not in _names():
        raise NotFound(name)
    plain, packed = _content(name)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Vary": "Accept-Encoding",
    }
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(plain, media_type=kind, headers=headers)
    return Response(packed, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in STATIC.iterdir())


@cache
def _content(name: str) -> tuple[bytes, bytes]:
    plain = (STATIC / name).read_bytes()
    return plain, gzip.compress(plain, 9, mtime=0)


routes = [Route("/static/{name}", show_file)]
