"""The widget's own sheet and script, kept in memory, ready compressed."""

from __future__ import annotations

import gzip
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.errors import NotFound
from app.web.shared.accepts import accepts_gzip
from app.web.shared.render import STATIC

_TYPES = {"css": "text/css", "js": "text/javascript"}


async def show_file(request: Request) -> Response:
    """GET /static/{name}. Our pages' addresses carry the content's hash, so browsers keep what they have permanently;
    what is asked for without one is kept for five minutes."""
    name = request.path_params["name"]
    if name not in _names():
        raise NotFound(name)
    kind = _TYPES[name.rpartition(".")[2]]
    plain, packed = _content(name)
    headers = {
        "Cache-Control": f"public, max-age={'31536000, immutable' if 'v' in request.query_params else '300'}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        # The loader imports the self-test into host pages, and browsers import across origins only with leave.
        "Access-Control-Allow-Origin": "*",
        "Vary": "Accept-Encoding",
    }
    if not accepts_gzip(request.headers.get("accept-encoding", "")):
        return Response(plain, media_type=kind, headers=headers)
    return Response(packed, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})


def file_paths() -> list[str]:
    """Where each file is."""
    return [f"/static/{name}" for name in _names()]


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in STATIC.iterdir() if path.suffix[1:] in _TYPES)


@cache
def _content(name: str) -> tuple[bytes, bytes]:
    plain = (STATIC / name).read_bytes()
    return plain, gzip.compress(plain, 9, mtime=0)


routes = [Route("/static/{name}", show_file)]
