"""Moving by the customer: the calendar, what the new time costs, and moving, which may lead to Stripe's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.domain.booking import Actor
from app.domain.move import MoveState
from app.errors import (
    BookingConflict,
    HoldfastError,
    LinkRefused,
    NotFound,
    PolicyRefused,
    SchedulerError,
    SlotTaken,
    StripeError,
)
from app.parts import parts_of
from app.text import zones
from app.web.manage.link import allowed_now, manage_path, read_view, to_manage, to_stripe
from app.web.manage.manage import managed_screen_instead
from app.web.manage.move_words import afterwards, move_button, not_moved, price_difference
from app.web.shared.booking_summary import in_zone, summarize, visitor_zone
from app.web.shared.render import render, wants_block
from app.web.shared.request_input import read_form
from app.web.shared.reschedule_calendar import (
    LONGEST_ID,
    find_reschedule_scene,
    move_act,
    move_as_quoted,
    quote_asked_move,
    reschedule_screen,
)
from app.web.shared.time_step import AskedTimes, read_asked_times, read_start
from app.web.shared.time_step_words import taken_words
from app.web.shared.time_words import start_value
from app.web.shared.times_screen import Paths


async def show_reschedule(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/reschedule: the calendar again, with the booking's own time in it."""
    if allowed_now(request, view).move_refusal:
        return to_manage(request)
    return await _times(request, view, request.query_params)


async def show_slots(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/reschedule/slots: the month and the day's times, as a part of the page for htmx."""
    if not wants_block(request) or allowed_now(request, view).move_refusal:
        return await show_reschedule(request, view)
    response = await _times(request, view, request.query_params, block="times")
    asked = {name: value for name, value in request.query_params.items() if name != "zones"}
    response.headers["HX-Replace-Url"] = f"{manage_path(request)}/reschedule?{urlencode(asked)}"
    return response


async def show_preview(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/reschedule/preview: from when to when, and what it costs. Nothing happens yet."""
    if allowed_now(request, view).move_refusal:
        return to_manage(request)
    return await _before_moving(request, view, request.query_params)


async def reschedule(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/reschedule: as the page showed it; on to Stripe where there is more to pay."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    asked = (form.get("service", ""), form.get("person", ""), read_start(form.get("start", "")))
    if asked == (booking.service_id, booking.resource_id, booking.starts_at):
        return to_manage(request, reported="moved")  # a second click
    move = view.move
    if move and move.state is MoveState.HELD and asked == (move.service_id, move.resource_id, move.starts_at):
        return to_stripe(request, await parts.reschedule.difference_page(booking.id))
    try:
        quote = await quote_asked_move(request, view, form, by=Actor.CUSTOMER)
        revision, _ = parts.links.read_page_token(form.get("page", ""), booking.id, move_act(quote))
        moved = await move_as_quoted(request, booking.id, quote, by=Actor.CUSTOMER, revision=revision)
    except (LinkRefused, PolicyRefused, BookingConflict, SlotTaken, SchedulerError, StripeError) as error:
        view = await read_view(request)
        if allowed_now(request, view).move_refusal:
            return managed_screen_instead(request, view, error)
        if isinstance(error, SlotTaken):
            return await _times(request, view, form, error=error)
        return await _before_moving(request, view, form, problem=error)
    if moved.move.state is MoveState.HELD:
        return to_stripe(request, moved.checkout_url)
    return to_manage(request, reported="moved")


async def give_up_move(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/reschedule/give-up: leave the difference unpaid, and the booking where it is."""
    try:
        await parts_of(request).reschedule.give_up(view.booking.id)
    except (SchedulerError, StripeError) as error:
        return managed_screen_instead(request, await read_view(request), error)
    return to_manage(request, reported="left")


# The calendar


async def _times(
    request: Request,
    view: BookingView,
    asked: Mapping[str, str],
    *,
    error: SlotTaken | SchedulerError | StripeError | None = None,
    block: str | None = None,
) -> Response:
    """The time step for a booking that has a time already, which is shown among the others. With an `error`, around
    the time that could not be had."""
    booking, language = view.booking, request.state.shell.language
    services = await parts_of(request).reschedule.services(booking, Actor.CUSTOMER)
    if not services:
        raise NotFound(booking.service_id)
    lost = read_start(asked.get("start", "")) if error else None
    wanted = _read_wanted(view, asked, language, lost)
    service = next((one for one in services if one.id == wanted.service), services[0])
    people = parts_of(request).reschedule.people(booking, service, Actor.CUSTOMER)
    if people == service.resources and not view.widget.choose_resource:
        people = ()
    opens = "date" not in asked and error is None
    scene = await find_reschedule_scene(request, view, service, wanted, people, opens=opens)
    path = f"{manage_path(request)}/reschedule"
    taken = taken_words(error, lost, scene.zone, language, scene.today) if error and lost else None
    paths = Paths(path, f"{path}/slots", f"{path}/preview", posts=False, back=manage_path(request))
    screen = reschedule_screen(request, view, scene, services, paths=paths, taken=taken)
    status, shell = error.status if error else 200, request.state.shell
    return render(request, "shared/times.html", screen.context, shell=shell, block=block, status=status, framed=False)


def _read_wanted(view: BookingView, asked: Mapping[str, str], language: str, lost: datetime | None) -> AskedTimes:
    """As for new visitors, but what is not said is as the booking has it."""
    booking, wanted = view.booking, read_asked_times(asked, language)
    zone = wanted.zone or visitor_zone(booking)
    resource = wanted.resource
    if "resource" not in asked:
        resource = "" if booking.any_resource else booking.resource_id
    if not view.widget.reschedule.other_resource:
        resource = booking.resource_id
    if lost or not wanted.month:
        day = zones.local(lost or booking.starts_at, zone).date()
        wanted = wanted.on(day)
    return replace(wanted, resource=resource, zone=zone)


# Before moving


async def _before_moving(
    request: Request, view: BookingView, asked: Mapping[str, str], *, problem: HoldfastError | None = None
) -> Response:
    """From when to when, what it costs, and the form that does it."""
    parts, language = parts_of(request), request.state.shell.language
    try:
        quote = await quote_asked_move(request, view, asked, by=Actor.CUSTOMER)
    except SlotTaken as error:
        # What the scheduler gave no answer to is not offered for a while, but it is not taken either.
        down = problem if isinstance(problem, SchedulerError | StripeError) else None
        return await _times(request, view, asked, error=down or error)
    allowed = allowed_now(request, view)
    zone = zones.valid_zone(asked.get("tz")) or visitor_zone(view.booking)
    booking = in_zone(view.booking, zone)
    there = booking.elsewhere(
        service_name=quote.service.name_in(language),
        resource_name=quote.resource.name,
        starts_at=quote.slot.starts_at,
        ends_at=quote.slot.ends_at,
    )
    after = replace(there, terms=booking.terms.moved(quote.price, percent=quote.cap))
    kept = [("service", quote.service.id), ("resource", asked.get("resource", "")[:LONGEST_ID]), ("tz", zone)]
    day = zones.local(quote.slot.starts_at, zone).date()
    head, money = price_difference(quote, view, language)
    context = {
        "path": manage_path(request),
        "back": f"{manage_path(request)}/reschedule?{urlencode([*kept, ('date', day.isoformat())])}",
        "was": summarize(booking, language=language, now=allowed.at),
        "summary": summarize(after, language=language, now=allowed.at),
        "money_head": head,
        "money": money,
        "more": quote.difference > 0,
        "afterwards": afterwards(allowed, after, language),
        "button": move_button(quote, language),
        "fields": [
            *kept,
            ("person", quote.resource.id),
            ("start", start_value(quote.slot.starts_at)),
            ("page", parts.links.page_token(booking.id, move_act(quote), booking.revision)),
        ],
        "problem": not_moved(problem, language) if problem else [],
    }
    status, shell = problem.status if problem else 200, request.state.shell
    return render(request, "manage/move.html", context, shell=shell, status=status, framed=False)
