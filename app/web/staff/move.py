"""Moving by the owner: the calendar, with everyone and everything in the same currency, and the act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.booking.bookings import BookingView
from app.domain.booking import Actor
from app.domain.move import MoveState
from app.errors import HoldfastError, NotFound, SchedulerError, SlotTaken, StripeError
from app.parts import parts_of
from app.text import catalogues, zones
from app.web.shared.booking_summary import at_place, visit_line
from app.web.shared.render import Shell, make_page, policy, render_text
from app.web.shared.request_input import read_form
from app.web.shared.reschedule_calendar import (
    LONGEST_ID,
    find_reschedule_scene,
    move_act,
    move_as_quoted,
    quote_asked_move,
    reschedule_screen,
)
from app.web.shared.time_step import read_asked_times, read_start
from app.web.shared.time_step_words import taken_words
from app.web.shared.time_words import long_when, start_value
from app.web.shared.times_screen import Paths
from app.web.staff.before_act import NOT_DONE, BeforeAct, before_act, mailed_line
from app.web.staff.booking import allowed_now, booking_path, booking_screen, read_view, to_booking
from app.web.staff.staff_words import moves_money


async def show_times(request: Request, view: BookingView) -> Response:
    """GET …/move: the calendar, with the booking's own time in it."""
    if allowed_now(request, view).not_moved(Actor.OWNER):
        return to_booking(request)
    return await _times(request, view, request.query_params)


async def show_move(request: Request, view: BookingView) -> Response:
    """GET …/move/preview: from when to when, and what it does to the money. Nothing happens yet."""
    if allowed_now(request, view).not_moved(Actor.OWNER):
        return to_booking(request)
    return await _before_moving(request, view, request.query_params)


async def move(request: Request, view: BookingView) -> Response:
    """POST …/move: as the page showed it."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    if (form.get("service"), form.get("person")) == (booking.service_id, booking.resource_id) and read_start(
        form.get("start", "")
    ) == booking.starts_at:
        return to_booking(request, reported="moved")  # a second click
    try:
        quote = await quote_asked_move(request, view, form, by=Actor.OWNER)
        revision, _shown_at = parts.links.read_page_token(form.get("page", ""), booking.id, f"staff {move_act(quote)}")
        moved = await move_as_quoted(request, booking.id, quote, by=Actor.OWNER, revision=revision)
    except SlotTaken as error:
        return await _times(request, await read_view(request), form, error=error)
    except NOT_DONE as error:
        view = await read_view(request)
        if allowed_now(request, view).not_moved(Actor.OWNER):
            return await booking_screen(request, view, error=error)
        return await _before_moving(request, view, form, problem=error)
    words = {MoveState.DONE: "moved", MoveState.HELD: "held"}
    return to_booking(request, reported=words.get(moved.move.state, "moving"))


async def give_up_move(request: Request, view: BookingView) -> Response:
    """POST …/move/give-up: leave the difference unpaid, and the booking where it is."""
    try:
        await parts_of(request).reschedule.give_up(view.booking.id)
    except (SchedulerError, StripeError) as error:
        return await booking_screen(request, await read_view(request), error=error)
    return to_booking(request, reported="left")


# The calendar


async def _times(
    request: Request, view: BookingView, asked: Mapping[str, str], *, error: SlotTaken | None = None
) -> Response:
    """The customer's time step, with everyone and everything that is offered in the same currency."""
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    services = await parts.reschedule.services(booking, Actor.OWNER)
    if not services:
        raise NotFound(booking.service_id)
    wanted = read_asked_times(asked, language)
    chosen = wanted.service or booking.service_id
    service = next((one for one in services if one.id == chosen), services[0])
    resource = wanted.resource if "resource" in asked else booking.resource_id
    lost = read_start(asked.get("start", "")) if error else None
    wanted = replace(wanted, resource=resource, zone=wanted.zone or booking.time_zone)
    opens = lost is None and wanted.month is None
    if lost or opens:
        wanted = wanted.on(zones.local(lost or max(booking.starts_at, parts.now()), wanted.zone or "UTC").date())
    scene = await find_reschedule_scene(request, view, service, wanted, service.resources, opens=opens)
    path = f"{booking_path(request)}/move"
    taken = taken_words(error, lost, scene.zone, language, scene.today) if error and lost else None
    paths = Paths(path, path, f"{path}/preview", posts=False, back=booking_path(request))
    screen = reschedule_screen(request, view, scene, services, paths=paths, taken=taken, staff=True)
    # Without htmx: what it swaps in would be a page of another make.
    shell = Shell(view.widget, language)
    page = replace(make_page(request, shell, fragment=False, framed=False), htmx_url="")
    text = render_text(parts.templates, "shared/times.html", {**screen.context, "page": page})
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy(parts.settings, view.widget, shell.theme, framed=False),
    }
    return HTMLResponse(text, status_code=error.status if error else 200, headers=headers)


# Before moving


async def _before_moving(
    request: Request, view: BookingView, asked: Mapping[str, str], *, problem: HoldfastError | None = None
) -> Response:
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    try:
        quote = await quote_asked_move(request, view, asked, by=Actor.OWNER)
    except SlotTaken as error:
        return await _times(request, view, asked, error=error)
    zone = zones.valid_zone(asked.get("tz")) or booking.time_zone
    _ = catalogues.translator(language).gettext
    after = booking.elsewhere(starts_at=quote.slot.starts_at, ends_at=quote.slot.ends_at)
    here = at_place(after)
    there = long_when(after.starts_at, after.ends_at, here, parts.now(), language)
    to = visit_line(quote.service.name, quote.resource.name, there, language)
    head, lines = moves_money(quote, view, language)
    act = f"staff {move_act(quote)}"
    page = BeforeAct(
        heading=_("Move this booking?"),
        to=to,
        sum=head,
        lines=[*lines, mailed_line(request, view)],
        fields=[
            ("service", quote.service.id),
            ("resource", asked.get("resource", "")[:LONGEST_ID]),
            ("person", quote.resource.id),
            ("start", start_value(quote.slot.starts_at)),
            ("tz", zone),
            ("page", parts.links.page_token(booking.id, act, booking.revision)),
        ],
        button=_("Move the booking") if quote.difference <= 0 else _("Hold the new time"),
        action="move",
    )
    return before_act(request, view, page, problem=problem)
