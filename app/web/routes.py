"""Every HTML door, as data."""

from __future__ import annotations

from app.web import booking, files, manage, widget

routes = [*widget.routes, *booking.routes, *manage.routes, *files.routes]
