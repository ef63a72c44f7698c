"""The loader: the one script that host pages name."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.msgid import N_
from app.text import catalogues, languages
from app.web.shared.render import STATIC

#: What the loader itself says, in every language that we speak: on the button, and as the frame's title.
_WORDS = N_("Book a time")
#: Stands in the loader where they belong.
_WORDS_MARK = "HOLDFAST_WORDS"


async def show_loader(request: Request) -> Response:
    """GET /embed.js: the one script that host pages name. A page that names it keeps it for five minutes, and shows
    what it has for a day while it asks behind the visitor's back whether there is a newer one."""
    plain, packed, tag = _loader()
    headers = {
        "Cache-Control": "public, max-age=300, stale-while-revalidate=86400",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(plain, media_type="text/javascript", headers=headers)
    return Response(packed, media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})


@cache
def _loader() -> tuple[bytes, bytes, str]:
    """(plain, compressed, entity tag) of the loader. The tag is weak, as both have it."""
    words = {language: catalogues.translator(language).gettext(_WORDS) for language in languages.LANGUAGES}
    source = (STATIC / "embed.min.js").read_text(encoding="utf-8")
    plain = source.replace(_WORDS_MARK, json.dumps(words, ensure_ascii=False, separators=(",", ":"))).encode()
    return plain, gzip.compress(plain, 9, mtime=0), f'W/"{hashlib.sha256(plain).hexdigest()[:16]}"'


routes = [Route("/embed.js", show_loader)]
