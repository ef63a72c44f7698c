"""The widget's first screens: the list of services, the times, and the act of holding one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.booking.customer_form import ANSWER, clean
from app.domain.attribution import campaign
from app.domain.booking import Visitor
from app.domain.catalogue import Resource, Service, Slot
from app.domain.money import Money
from app.errors import InvalidRequest, NotFound, RateLimited, SchedulerError, SlotTaken, TimesNotRead, TooManyHolds
from app.parts import Parts, parts_of
from app.protection.rate_limits import SLOTS, client_address
from app.scheduling.availability import Catalogue, Times
from app.text import i18n
from app.web.shared import host_events
from app.web.shared.booking_summary import price
from app.web.shared.page_cache import HOLES, Pages, Pairs, hidden_fields, pages_in
from app.web.shared.render import (
    Shell,
    follow,
    make_page,
    page_headers,
    render,
    render_text,
    trusted_host,
    wants_block,
    widget_shell,
)
from app.web.shared.request_input import read_form
from app.web.shared.theme import Style, asked_style
from app.web.visitor.calendar import DayView, MonthView, day_view, month_view
from app.web.visitor.proof_of_work import read_client
from app.widgets import Widget

#: What the host page may fill into the details form.
PREFILL = ("name", "email", "phone", "notes")
_LONGEST = 500
#: What a visitor's signed name looks like; it is read where it counts, at the hold.
_VISITOR = re.compile(r"[\w.-]{1,200}", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,12}")
#: Near the ends of the calendar there is no month before or after, and another zone's clock cannot be shown.
_YEARS = range(1901, 3000)
#: Where in the host page our loader put the frame: inline, popup or floating, and the how-manieth of those.
_PLACE = re.compile(r"[ipf][0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Look:
    """What an address, or a posted form, asks to see. `day` None with a `month` is that month's first free day; both
    None open on the first free day there is. `zone` None is the place's own. `language` is empty where none is asked
    for."""

    service: str
    resource: str
    month: date | None
    day: date | None
    zone: str | None
    language: str
    style: Style
    choose_zone: bool

    @property
    def kept(self) -> tuple[str, str, Style]:
        """What every next step is asked for as well."""
        return self.zone or "", self.language, self.style

    @property
    def date(self) -> str:
        """The day or month as it stands in an address."""
        if self.day:
            return self.day.isoformat()
        return f"{self.month:%Y-%m}" if self.month else ""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the time step shows, read and settled: the day it is open on and the times around it. `people`
    are those whom one may choose."""

    catalogue: Catalogue
    service: Service
    people: tuple[Resource, ...]
    resource: str
    look: Look
    zone: str
    month: date
    day: date | None
    times: Times
    next_free: Slot | None
    today: date
    last_day: date | None
    opened: bool


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the time step's forms go: another look as a page, as a part of it, and with a chosen time, which is
    posted where that already takes it."""

    look: str
    slots: str
    choose: str
    posts: bool = True


async def show_widget(request: Request) -> ASGIApp:
    """GET /w/{widget}: the services, or the times where there is one service or one is chosen."""
    return await _show(request, "main")


async def show_slots(request: Request) -> ASGIApp:
    """GET /w/{widget}/slots: the month and the day's times, as a part of the page for htmx."""
    return await _show(request, "times")


async def _show(request: Request, block: str) -> ASGIApp:
    widget = _widget(request)
    shell = request.state.shell = widget_shell(request, widget)
    look = read_look(request.query_params, shell.language)
    parts = parts_of(request)
    parts.rate_limits.check(SLOTS, client_address(request.scope))
    # Before anything is read: what changes while it is being read has to count as a change.
    epoch = parts.availability.epoch()
    catalogue = await parts.availability.catalogue(widget)
    service = _chosen_service(catalogue, look.service)
    part = (block if service else "main") if wants_block(request) else None
    page = make_page(request, shell, fragment=part is not None)
    own = (widget.name, shell.language, shell.style, page.back_to_host, page.alone, part, look.kept)
    headers: dict[str, str] = {}
    if part is None:
        headers = page_headers(parts.settings, widget, shell.theme, framed=True)
    if service is None:
        name, context = "visitor/services.html", _services_context(catalogue, look, shell.language)
        key: tuple[object, ...] = (*own, catalogue)
    else:
        scene = await find_scene(request, widget, catalogue, service, look)
        name, context = "shared/times.html", {}
        key = (*own, catalogue.location, len(catalogue.services), service, scene.resource, look.choose_zone)
        key += (scene.month, scene.day, scene.opened, scene.today, scene.last_day)
        key += (scene.times.version, scene.next_free and scene.next_free.starts_at)

    def draw() -> str:
        filled = context or times_context(scene, widget, shell.language)
        return render_text(parts.templates, name, {**filled, "page": page}, block=part)

    carried = _carried(request.query_params, widget)
    if part == "main":
        headers |= follow(request)
    elif part:
        asked = {name: value for name, value in request.query_params.items() if value and name != "zones"}
        headers["HX-Replace-Url"] = f"{page.path}?{urlencode(asked)}"
    pages: Pages = pages_in(request.scope)
    return pages.answer(request, key, draw, epoch=epoch, carried=carried, headers=headers)


async def hold(request: Request) -> Response:
    """POST /w/{widget}/hold: lock the time, and on to the details. A time that is gone shows the times again."""
    widget = _widget(request)
    form = await read_form(request)
    shell = request.state.shell = widget_shell(request, widget)
    if "lang" in form:
        language = i18n.negotiate(form["lang"], request.headers.get("accept-language"), widget.languages)
        shell = request.state.shell = Shell(widget, language, asked_style(form), form.get("host", ""))
    look = read_look(form, shell.language)
    starts_at = read_start(form.get("start", ""))
    carried = _carried(form, widget)
    parts = parts_of(request)
    visitor = Visitor(
        key=parts.links.read_visitor_key(form.get("key", "")),
        time_zone=look.zone or "",
        language=shell.language,
        host=trusted_host(form.get("host", "")[:_LONGEST], widget),
        place=dict(carried).get("place", ""),
        utm=campaign(carried),
    )
    catalogue = await parts.availability.catalogue(widget)
    service = _chosen_service(catalogue, look.service)
    if service is None:
        raise NotFound(look.service)
    try:
        booking = await parts.hold.take(
            widget,
            service_id=service.id,
            starts_at=starts_at,
            resource_id=look.resource or None,
            visitor=visitor,
            client=read_client(request, form),
            shown=_shown_price(form, service.price),
        )
    except (SlotTaken, SchedulerError, TooManyHolds) as error:
        return await show_refusal(request, shell, form, starts_at, error)
    token = parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    passed_on = {name: value for name, value in carried if _fills(name)}
    passed_on |= look.style
    return RedirectResponse(f"/b/{token}" + (f"?{urlencode(passed_on)}" if passed_on else ""), status_code=303)


async def show_refusal(
    request: Request,
    shell: Shell,
    asked: Mapping[str, str],
    starts_at: datetime,
    error: SlotTaken | SchedulerError | TooManyHolds,
) -> Response:
    """The times again, in place, with what happened and the nearest times, or the same one to try again."""
    widget, parts = shell.widget, parts_of(request)
    catalogue = await parts.availability.catalogue(widget)
    look = read_look(asked, shell.language)
    service = _chosen_service(catalogue, look.service)
    if service is None:
        raise NotFound(look.service)
    zone = look.zone or catalogue.location.time_zone
    day = i18n.local(starts_at, zone).date()
    scene = await find_scene(request, widget, catalogue, service, replace(look, month=day.replace(day=1), day=day))
    gone = isinstance(error, SlotTaken)
    taken = {
        "sentence": error.sentence,
        "code": error.code,
        "gone": gone,
        "times": [
            {"value": value_of(start), "label": moment_words(start, zone, shell.language, scene.today)}
            for start in (error.nearest if isinstance(error, SlotTaken) else (starts_at,))
        ],
    }
    filling = {"carried": _carried(asked, widget), "key": (("key", parts.links.visitor_key()),)}
    context = times_context(scene, widget, shell.language, taken=taken, filling=filling)
    response = render(request, "shared/times.html", context, shell=shell, status=error.status)
    if isinstance(error, TooManyHolds):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


# Reading what is asked


def _shown_price(form: Mapping[str, str], price: Money) -> Money:
    """The price on the page that was sent; the present one where it does not say."""
    amount = form.get("price", "")
    return replace(price, amount=int(amount)) if _AMOUNT.fullmatch(amount) else price


def _widget(request: Request) -> Widget:
    name = request.path_params["widget"]
    widget = parts_of(request).widgets.get(name)
    if not isinstance(widget, Widget):
        raise NotFound(name)
    return widget


def read_look(query: Mapping[str, str], language: str) -> Look:
    """What an address or a form asks to see; what cannot be read asks for nothing."""
    month, day = _asked_date(query.get("date", ""))
    return Look(
        service=query.get("service", "")[:100],
        resource=query.get("resource", "")[:100],
        month=month,
        day=day,
        zone=i18n.valid_zone(query.get("tz")),
        language=language if query.get("lang") else "",
        style=asked_style(query),
        choose_zone="zones" in query,
    )


def _asked_date(text: str) -> tuple[date | None, date | None]:
    """A day ("2026-11-24") or a month ("2026-11"); what is neither asks for nothing."""
    try:
        day = date.fromisoformat(f"{text}-01" if len(text) == 7 else text)
    except ValueError:
        return None, None
    if day.year not in _YEARS:
        return None, None
    return day.replace(day=1), None if len(text) == 7 else day


def read_start(text: str) -> datetime:
    """The time that a form names. Raises InvalidRequest."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest("start is not a time") from error
    if start.tzinfo is None:
        raise InvalidRequest("start has no offset")
    if start.year not in _YEARS:
        raise InvalidRequest("nothing is booked so far away")
    return start


def _chosen_service(catalogue: Catalogue, service_id: str) -> Service | None:
    """The service that is asked for, or the only one. Raises NotFound for one that the widget does not offer."""
    if not service_id:
        return catalogue.services[0] if len(catalogue.services) == 1 else None
    for service in catalogue.services:
        if service.id == service_id:
            return service
    raise NotFound(service_id)


def _fills(name: str) -> bool:
    """Whether the field is one of the details form's, which a host page may fill in beforehand."""
    return name in PREFILL or name.startswith(ANSWER)


def _carried(query: Mapping[str, str], widget: Widget) -> Pairs:
    """What passes through from step to step untouched: the host page, what it fills in, its campaign."""
    host = trusted_host(query.get("host", "")[:_LONGEST], widget)
    pairs = [("host", host)] if host else []
    pairs += [("place", place)] if host and _PLACE.fullmatch(place := query.get("place", "")) else []
    pairs += [("visitor", visitor)] if _VISITOR.fullmatch(visitor := query.get("visitor", "")) else []
    pairs += [
        (name, clean(value, most=_LONGEST, lines=True)) for name, value in query.items() if _fills(name) and value
    ]
    return [*pairs, *campaign((name, clean(value, most=_LONGEST)) for name, value in query.items()).items()]


async def find_scene(
    request: Request,
    widget: Widget,
    catalogue: Catalogue,
    service: Service,
    look: Look,
    people: tuple[Resource, ...] | None = None,
) -> Scene:
    """Find the day to open on: the one asked for, else the first with free times, in this month or a later one.

    `people` are those whom one may choose; None leaves it to the widget.
    """
    parts = parts_of(request)
    now = parts.now()
    zone = look.zone or catalogue.location.time_zone
    today = i18n.local(now, zone).date()
    if people is None:
        people = service.resources if widget.choose_resource else ()
    resource = look.resource if any(one.id == look.resource for one in people) else ""
    month = max(look.month or today, today).replace(day=1)
    day = look.day if look.day and look.day >= today else None

    reader = client_address(request.scope)

    async def read(month: date) -> Times:
        try:
            return await parts.availability.times(
                widget, service, month=month, resource_id=resource or None, reader=reader
            )
        except TimesNotRead:
            return Times((), now, False, "not read", read=False)

    times = await read(month)
    next_free: Slot | None = None
    free = True
    if day is None:
        day = _first_day(times.slots, zone, month)
    elif times.read:
        free = any(i18n.local(slot.starts_at, zone).date() == day for slot in times.slots)
    if times.read and (day is None or not free):
        next_free = await _next_free(parts, widget, service, max(day or month, today), resource, reader)
        if next_free and look.month is None:
            day = i18n.local(next_free.starts_at, zone).date()
            month, next_free = day.replace(day=1), None
            times = await read(month)
    window = service.booking_window_end
    return Scene(
        catalogue=catalogue,
        service=service,
        people=people,
        resource=resource,
        look=look,
        zone=zone,
        month=month,
        day=day,
        times=times,
        next_free=next_free,
        today=today,
        last_day=i18n.local(now + window, zone).date() if window is not None else None,
        opened=look.day is None and day is not None,
    )


async def _next_free(
    parts: Parts, widget: Widget, service: Service, after: date, resource: str, reader: str
) -> Slot | None:
    """The first free time from a day on; None where the months after it have not been read."""
    try:
        found: Slot | None = await parts.availability.next_free(
            widget, service, after=after, resource_id=resource or None, reader=reader
        )
    except (TimesNotRead, RateLimited):
        return None
    return found


def _first_day(slots: Sequence[Slot], zone: str, month: date) -> date | None:
    """The month's first day with a time. Slots are in order, so the first that falls into the month has it."""
    days = (i18n.local(slot.starts_at, zone).date() for slot in slots)
    return next((day for day in days if (day.year, day.month) == (month.year, month.month)), None)


# Putting it into words


def _services_context(catalogue: Catalogue, look: Look, language: str) -> dict[str, Any]:
    state = {"tz": look.zone or "", "lang": look.language, **dict(look.style)}
    return {
        "services": [
            {
                "id": service.id,
                "name": service.name,
                "description": service.description,
                "image": service.image,
                "duration": i18n.format_duration(service.duration, language),
                "price": price(service.price, language),
            }
            for service in catalogue.services
        ],
        "zone": "" if look.zone else catalogue.location.time_zone,
        "look": _given(state),
        "carried": HOLES["carried"],
    }


def times_context(
    scene: Scene,
    widget: Widget,
    language: str,
    *,
    taken: Mapping[str, Any] | None = None,
    filling: Mapping[str, Pairs] | None = None,
    paths: Paths | None = None,
    own: Slot | None = None,
) -> dict[str, Any]:
    """What times.html shows. Without `filling` it has holes, to be kept; `paths` and `own` are for a booking that
    looks for another time than its own."""
    service, look, zone = scene.service, scene.look, scene.zone
    location = scene.catalogue.location
    slots = scene.times.slots
    month = month_view(
        slots,
        month=scene.month,
        zone=zone,
        location_zone=location.time_zone,
        language=language,
        today=scene.today,
        chosen=scene.day,
        last_day=scene.last_day,
        own=own,
    )
    day = None
    if scene.day:
        day = day_view(
            slots,
            day=scene.day,
            zone=zone,
            location_zone=location.time_zone,
            language=language,
            today=scene.today,
            own=own,
        )
    several = len(scene.catalogue.services) > 1
    state = {
        "service": service.id if several else "",
        "resource": scene.resource,
        "tz": look.zone or "",
        "lang": look.language,
        **dict(look.style),
    }
    shown = scene.day.isoformat() if scene.day else f"{scene.month:%Y-%m}"
    holes = {name: hidden_fields(pairs) for name, pairs in filling.items()} if filling else HOLES
    empty = _empty(scene, month, day, widget, language)
    path = f"/w/{widget.name}"
    # What a move costs is told before its button; a hold is told when it costs another price than was shown here.
    shown_price = {} if paths else {"price": str(service.price.amount)}
    return {
        "paths": paths or Paths(path, f"{path}/slots", f"{path}/hold"),
        "moving": None,
        "service": {
            "name": service.name,
            "duration": i18n.format_duration(service.duration, language),
            "price": price(service.price, language),
            "free": not service.price,
        },
        "several": several,
        "person": service.resources[0].name if len(service.resources) == 1 else "",
        "place": location.name,
        "people": _people(scene, language),
        "month": month,
        "day": day if day and day.count else None,
        "empty": empty,
        "opened": scene.opened and not empty,
        "zone": _zone(scene, language),
        "age": _age(scene, language),
        "say": empty["sentence"] if empty else _said(day, language),
        "taken": taken,
        "event": host_events.problem(taken["code"]) if taken else None,
        "look": _given({**state, "tz": "" if look.choose_zone else look.zone or "", "date": shown}),
        "look_services": _given({**state, "service": "", "resource": ""}),
        "hold": _given({**state, "service": service.id, "lang": language, **shown_price}),
        "carried": holes["carried"],
        "key": holes["key"],
    }


def _given(state: Mapping[str, str]) -> Pairs:
    return [(name, value) for name, value in state.items() if value]


def _people(scene: Scene, language: str) -> list[dict[str, Any]]:
    """Whom one may choose; nobody, where there is no choice."""
    if len(scene.people) < 2:
        return []
    anyone = {"id": "", "name": i18n.translator(language).gettext("Anyone"), "chosen": not scene.resource}
    return [
        anyone,
        *({"id": one.id, "name": one.name, "chosen": one.id == scene.resource} for one in scene.people),
    ]


def _zone(scene: Scene, language: str) -> dict[str, Any]:
    """The zone that the times are in, said in words, and all others if the visitor wants to choose."""
    at = scene.times.slots[0].starts_at if scene.times.slots else scene.times.as_of
    place = scene.catalogue.location.time_zone
    differs = not i18n.same_clock(scene.zone, place, at)
    return {
        "name": scene.zone,
        "chosen": scene.look.zone is not None,
        "label": i18n.zone_label(scene.zone, at, language),
        "place": i18n.zone_label(place, at, language) if differs else "",
        "choices": i18n.zone_choices(language, at, scene.zone) if scene.look.choose_zone else (),
    }


def _empty(scene: Scene, month: MonthView, day: DayView | None, widget: Widget, language: str) -> dict[str, Any] | None:
    """What to say, and where to go, when there is no time to show."""
    if day and day.count:
        return None
    _ = i18n.translator(language).gettext
    if not scene.times.read:
        return {"sentence": _(TimesNotRead.sentence), "next": None, "until": ""}
    if day and month.total:
        sentence = _("No times on %(day)s") % {"day": day.heading}
    else:
        sentence = _("No times in %(month)s") % {"month": month.heading}
    following = None
    if scene.next_free:
        start = scene.next_free.starts_at
        following = {
            "value": i18n.local(start, scene.zone).date().isoformat(),
            "label": moment_words(start, scene.zone, language, scene.today),
        }
    until = _("Later times cannot be booked yet.")
    if scene.last_day and scene.last_day < scene.today + timedelta(days=62):
        last = i18n.format_date(scene.last_day, language, today=scene.today)
        until = _("Bookings are open until %(day)s. Later times will follow.") % {"day": last}
    return {"sentence": sentence, "next": following, "until": until}


def _said(day: DayView | None, language: str) -> str:
    """What a screen reader hears when the times change."""
    if day is None:
        return ""
    said = i18n.translator(language)
    times = said.ngettext("%(num)s time", "%(num)s times", day.count) % {"num": day.count}
    return said.gettext("%(day)s, %(times)s") % {"day": day.heading, "times": times}


def _age(scene: Scene, language: str) -> str:
    if not scene.times.stale or not scene.times.read:
        return ""
    _ = i18n.translator(language).gettext
    return _("Times as of %(time)s; we check again when you choose.") % {
        "time": i18n.format_time(scene.times.as_of, scene.zone, language)
    }


def moment_words(start: datetime, zone: str, language: str, today: date) -> str:
    """ "Tue 2 Dec, 09:30"."""
    _ = i18n.translator(language).gettext
    return _("%(day)s, %(times)s") % {
        "day": i18n.format_day(start, zone, language, "medium", today=today),
        "times": i18n.format_time(start, zone, language),
    }


def value_of(start: datetime) -> str:
    """A start as forms carry it."""
    return start.isoformat().replace("+00:00", "Z")


routes = [
    Route("/w/{widget}", show_widget),
    Route("/w/{widget}/slots", show_slots),
    Route("/w/{widget}/hold", hold, methods=["POST"]),
]
