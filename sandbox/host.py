"""Small businesses' own websites, on an origin of their own, with the booking widget embedded in every way there is.

They stand for the pages that embed the product, and know nothing of it but its address: `/` has the script tag,
`/plain` a bare iframe, and the others what owners' sites do to a widget besides. `/coach` and `/advice` are two more
businesses, of one page each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.pages import page_templates

TEMPLATES = page_templates()

#: The businesses of one page: each is served below the name of its widget.
ONE_PAGE: Final = ("coach", "advice")

_LONG = (
    "M62 190c-10-54-8-144 58-144s68 90 58 144c-10 2-20 0-26-6 6-40 4-74"
    "-14-92-20 14-44 20-56 22-4 24-2 46 4 70-6 6-16 8-24 6z"
)
_SHORT = "M74 112c-2-36 18-56 46-56s48 20 46 54c-8-18-22-28-46-28s-38 12-46 30z"
#: A wall, a skin, a cloth and hair each; a telephone has none of them.
PICTURES: Final[Mapping[str, Mapping[str, str]]] = {
    "astrid": {"wall": "#a9b6bb", "skin": "#e0b293", "cloth": "#2f5246", "hair": "#b98a4e", "cut": _LONG},
    "jonas": {"wall": "#d3b596", "skin": "#dba580", "cloth": "#4a5661", "hair": "#3b2a22", "cut": _SHORT},
    "portrait": {"wall": "#c9aa9b", "skin": "#e0b293", "cloth": "#8a4436", "hair": "#2a2523", "cut": _LONG},
    "headshot": {"wall": "#9fb3a6", "skin": "#7d4f37", "cloth": "#c98f3f", "hair": "#1d1a19", "cut": _SHORT},
    "planning": {"wall": "#cdd8d2", "skin": "", "cloth": "#2b4a40", "hair": "", "cut": ""},
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the site: how it embeds the widget (`kind`), and the headers that it comes with."""

    kind: str
    title: str = "Book a time"
    headers: Mapping[str, str] = field(default_factory=dict)


class HostSandbox:
    """Studio Nord, portrait photographers in Stockholm, a coach in London and an adviser in New York; `app` serves
    their pages."""

    def __init__(self, *, widget_origin: str, widget: str = "studio") -> None:
        """Embed what is served at `widget_origin`, for example "http://127.0.0.1:8000"; `widget` is the studio's."""
        self._origin = widget_origin.rstrip("/")
        self._widget = widget
        #: Pages that a test writes, by their names: whole documents, served below `/written/`.
        self.written: dict[str, str] = {}
        self.pages = {
            "/popup": Page("popup", "A dialog from any element"),
            "/float": Page("float", "A floating button"),
            "/ten": Page("ten", "Ten on one page"),
            # What docs/embed.md documents for a site that allows nothing it does not name.
            "/strict": Page(
                "inline",
                "The strictest policy",
                {
                    "Content-Security-Policy": f"default-src 'none'; img-src data:; script-src {self._origin}; "
                    f"frame-src {self._origin}; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
                },
            ),
            "/isolated": Page(
                "inline",
                "Isolated from other origins",
                {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"},
            ),
            "/walled": Page(
                "inline",
                "A policy that refuses the frame",
                {
                    "Content-Security-Policy": "default-src 'none'; img-src data:; frame-src 'self';"
                    f" script-src {self._origin}"
                },
            ),
        }
        self.app = Starlette(
            routes=[
                Route("/", self._home),
                Route("/plain", self._home),
                Route("/about", self._about),
                Route("/written/{name}", self._written),
                Route("/pictures/{name}.svg", self._picture),
                *(Route(path, self._page) for path in self.pages),
                *(Route(f"/{name}", self._one_page) for name in ONE_PAGE),
            ]
        )

    async def _home(self, request: Request) -> Response:
        own_address = str(request.url.replace(query="", fragment=""))
        address = f"{self._origin}/w/{self._widget}"
        context = {
            **self._embed(self._widget),
            "plain": request.url.path == "/plain",
            "widget_src": f"{address}?{urlencode({'host': own_address})}",
        }
        return TEMPLATES.TemplateResponse(request, "host.html", context)

    async def _about(self, request: Request) -> Response:
        return TEMPLATES.TemplateResponse(request, "host_about.html")

    async def _picture(self, request: Request) -> Response:
        """What the widget shows of people and services, in the colours of the gallery."""
        drawn = PICTURES.get(request.path_params["name"])
        text = TEMPLATES.get_template("host_picture.svg").render(drawn) if drawn else ""
        headers = {"Cache-Control": "max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}
        return Response(text, media_type="image/svg+xml", headers=headers, status_code=200 if drawn else 404)

    async def _written(self, request: Request) -> Response:
        text = self.written.get(request.path_params["name"])
        return HTMLResponse(text or "", status_code=404 if text is None else 200)

    async def _page(self, request: Request) -> Response:
        page = self.pages[request.url.path]
        context = {**self._embed(self._widget), "page": page}
        name = "host_opened.html" if page.kind in {"popup", "float"} else "host_embed.html"
        return TEMPLATES.TemplateResponse(request, name, context, headers=dict(page.headers))

    async def _one_page(self, request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        return TEMPLATES.TemplateResponse(request, f"host_{name}.html", self._embed(name))

    def _embed(self, widget: str) -> dict[str, str]:
        return {"widget": widget, "loader": f"{self._origin}/embed.js", "link": f"{self._origin}/w/{widget}"}
