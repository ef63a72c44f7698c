"""Every HTML door, as data."""

from __future__ import annotations

from app.web.embed import loader, snippets
from app.web.manage import manage_pages
from app.web.shared import static_files
from app.web.shared.cross_site import only_from_our_pages
from app.web.staff import feeds, staff_pages
from app.web.visitor import booking, widget

routes = only_from_our_pages(
    [
        *widget.routes,
        *booking.routes,
        *manage_pages.routes,
        *loader.routes,
        *snippets.routes,
        *feeds.routes,
        *staff_pages.routes,
        *static_files.routes,
    ]
)
