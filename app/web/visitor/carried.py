"""What a visitor brings along, and carries from step to step: the widget, the service, what the host page fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request

from app.booking.customer_form import ANSWER, clean
from app.domain.attribution import campaign
from app.domain.catalogue import Service
from app.errors import NotFound
from app.parts import parts_of
from app.scheduling.availability import Catalogue
from app.web.shared.page_cache import Pairs
from app.web.shared.render import trusted_host
from app.widgets import Widget

#: What the host page may fill into the details form.
_PREFILL = ("name", "email", "phone", "notes")
LONGEST = 500
#: What a visitor's signed name looks like; it is read where it counts, at the hold.
_VISITOR = re.compile(r"[\w.-]{1,200}", re.ASCII)
#: Where in the host page our loader put the frame: inline, popup or floating, and the how-manieth of those.
_PLACE = re.compile(r"[ipf][0-9]{1,3}")


def asked_widget(request: Request) -> Widget:
    """The widget in the address. Raises NotFound."""
    name = request.path_params["widget"]
    widget = parts_of(request).widgets.get(name)
    if widget is None:
        raise NotFound(name)
    return widget


def chosen_service(catalogue: Catalogue, service_id: str) -> Service | None:
    """The service that is asked for, or the only one. Raises NotFound for one that the widget does not offer."""
    if not service_id:
        return catalogue.services[0] if len(catalogue.services) == 1 else None
    for service in catalogue.services:
        if service.id == service_id:
            return service
    raise NotFound(service_id)


def is_prefill(name: str) -> bool:
    """Whether the field is one of the details form's, which a host page may fill in beforehand."""
    return name in _PREFILL or name.startswith(ANSWER)


def carried_pairs(query: Mapping[str, str], widget: Widget) -> Pairs:
    """What passes through from step to step untouched: the host page, what it fills in, its campaign."""
    host = trusted_host(query.get("host", "")[:LONGEST], widget)
    pairs = [("host", host)] if host else []
    pairs += [("place", place)] if host and _PLACE.fullmatch(place := query.get("place", "")) else []
    pairs += [("visitor", visitor)] if _VISITOR.fullmatch(visitor := query.get("visitor", "")) else []
    pairs += [
        (name, clean(value, most=LONGEST, lines=True)) for name, value in query.items() if is_prefill(name) and value
    ]
    return [*pairs, *campaign((name, clean(value, most=LONGEST)) for name, value in query.items()).items()]
