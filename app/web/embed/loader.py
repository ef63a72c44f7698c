"""The loader: the one script that host pages name."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.msgid import N_
from app.parts import parts_of
from app.text import catalogues, languages
from app.web.shared.accepts import accepts_gzip, has_already
from app.web.shared.render import STATIC, asset

#: What the loader itself says, in the languages of the widgets: on the button, and as the frame's title.
_WORDS = N_("Book a time")
#: Stands in the loader where they belong.
_WORDS_MARK = "HOLDFAST_WORDS"
#: Stands in the loader where our own address belongs, for copies that were not fetched from here.
_BASE_MARK = "HOLDFAST_BASE"
#: Stands in the loader where the path of its second half belongs, which pages fetch when they first use it.
_MORE_MARK = "HOLDFAST_MORE"


async def show_loader(request: Request) -> Response:
    """GET /embed.js: the one script that host pages name. A page that names it keeps it for five minutes, and shows
    what it has for a day while it asks behind the visitor's back whether there is a newer one."""
    parts = parts_of(request)
    spoken = frozenset(language for widget in parts.widgets.values() for language in widget.languages)
    plain, packed, tag = _loader(parts.settings.public_url, spoken)
    headers = {
        "Cache-Control": "public, max-age=300, stale-while-revalidate=86400",
        "Cross-Origin-Resource-Policy": "cross-origin",
        # Modules, and tags with `crossorigin`, are fetched with leave only.
        "Access-Control-Allow-Origin": "*",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if has_already(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if not accepts_gzip(request.headers.get("accept-encoding", "")):
        return Response(plain, media_type="text/javascript", headers=headers)
    return Response(packed, media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})


@cache
def _loader(public_url: str, spoken: frozenset[str]) -> tuple[bytes, bytes, str]:
    """(plain, compressed, entity tag) of the loader. The tag is weak, as both have it.

    It has the words of the languages that a widget of ours speaks: those of all would be a tenth of it.
    """
    bases = sorted({"en", *map(languages.base_language, spoken)})
    words = {language: catalogues.translator(language).gettext(_WORDS) for language in bases}
    source = (STATIC / "embed.min.js").read_text(encoding="utf-8")
    source = source.replace(_BASE_MARK, json.dumps(public_url)).replace(
        _MORE_MARK, json.dumps(asset("embed-more.min.js"))
    )
    plain = source.replace(_WORDS_MARK, json.dumps(words, ensure_ascii=False, separators=(",", ":"))).encode()
    return plain, gzip.compress(plain, 9, mtime=0), f'W/"{hashlib.sha256(plain).hexdigest()[:16]}"'


async def tell_why(request: Request) -> Response:
    """GET /embed/why: why a frame stayed silent, as a module for the console of the page that asked; as JSON with a
    code for programs that set a site up. Names nothing that the widget's own page does not tell."""
    asked, widgets = request.query_params, parts_of(request).widgets
    name, origin = asked.get("widget", "")[:100], asked.get("origin", "")[:300]
    widget = widgets.get(name)
    if widget is None:
        code, told = "UNKNOWN_WIDGET", f"there is no widget called {name!r}"
    elif origin not in widget.allowed_origins:
        code, told = "ORIGIN_NOT_ALLOWED", f"add {origin} to allowed_origins of [{name}]"
    else:
        code = "OK"
        told = "the frame was loaded and does not answer: something between the browser and the server changes the page"
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Vary": "Accept",
    }
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"success": code == "OK", "code": code}, headers=headers)
    return Response(f"export default {json.dumps(told)};", media_type="text/javascript", headers=headers)


routes = [Route("/embed.js", show_loader), Route("/embed/why", tell_why)]
