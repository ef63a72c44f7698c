"""Every HTML door, as data."""

from __future__ import annotations

from app.web.embed import loader, receipts, snippets
from app.web.manage import routes as manage
from app.web.shared import static_files
from app.web.shared.cross_site import only_from_our_pages
from app.web.staff import routes as staff
from app.web.visitor import routes as visitor

routes = only_from_our_pages(
    [
        *visitor.routes,
        *manage.routes,
        *loader.routes,
        *receipts.routes,
        *snippets.routes,
        *staff.routes,
        *static_files.routes,
    ]
)
