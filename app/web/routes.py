"""Every HTML door, as data."""

from __future__ import annotations

from app.web import booking, embed, files, manage, snippets, staff, staff_feeds, widget
from app.web.cross_site import only_from_our_pages

routes = only_from_our_pages(
    [
        *widget.routes,
        *booking.routes,
        *manage.routes,
        *embed.routes,
        *snippets.routes,
        *staff_feeds.routes,
        *staff.routes,
        *files.routes,
    ]
)
