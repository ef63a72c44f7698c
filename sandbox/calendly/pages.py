"""The pages of the Calendly sandbox. They work without script and refuse framing."""

import secrets
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from sandbox.calendly.records import Json
from sandbox.pages import page_templates

TEMPLATES = page_templates()


def _local(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%a %-d %b %Y, %H:%M")


TEMPLATES.env.filters["local"] = _local


def render(request: Request, name: str, context: Json, status: int = 200) -> Response:
    """Return a page. `form-action` is left open, since browsers hold it against redirects too."""
    nonce = secrets.token_urlsafe(16)
    return TEMPLATES.TemplateResponse(
        request,
        name,
        {"business": "Calendly sandbox", **context, "nonce": nonce},
        status_code=status,
        headers={
            "X-Frame-Options": "DENY",
            "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; "
            f"frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
