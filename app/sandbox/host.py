"""A small studio's own website, on an origin of its own, with the booking widget in a plain iframe.

It stands for the pages that embed the product: no script, and nothing known of the product but its address.
"""

from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

TEMPLATES = Jinja2Templates(Path(__file__).parents[2] / "templates" / "sandbox")


class HostSandbox:
    """Studio Nord, portrait photographers in Stockholm; `app` serves the pages."""

    def __init__(self, *, widget_origin: str, widget: str = "studio") -> None:
        """Embed `widget` as served at `widget_origin`, for example "http://127.0.0.1:8000"."""
        self._widget_url = f"{widget_origin.rstrip('/')}/w/{widget}"
        self.app = Starlette(routes=[Route("/", self._home), Route("/about", self._about)])

    async def _home(self, request: Request) -> Response:
        own_address = str(request.url.replace(query="", fragment=""))
        widget_src = f"{self._widget_url}?{urlencode({'host': own_address})}"
        return TEMPLATES.TemplateResponse(request, "host.html", {"widget_src": widget_src})

    async def _about(self, request: Request) -> Response:
        return TEMPLATES.TemplateResponse(request, "host_about.html")
