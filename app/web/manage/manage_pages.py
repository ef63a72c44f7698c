"""The pages behind the link in the mail: see the booking, cancel it, take that back, move it.

Looking changes nothing, because mail scanners open links. Each act has a page that says what it means in money and
dates, with a form that holds for what was said there. None of these pages is ever framed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.booking.bookings import BookingView
from app.booking.customer_form import read_address
from app.booking.moves import MoveQuote
from app.booking.offer import Offer, Refusal
from app.domain.booking import Actor, Booking, Status
from app.domain.catalogue import Service
from app.domain.move import MoveState
from app.errors import (
    BookingConflict,
    HoldfastError,
    LinkExpired,
    LinkRefused,
    NotFound,
    PolicyRefused,
    ReturnExpired,
    SchedulerError,
    SlotTaken,
    StripeError,
)
from app.parts import parts_of
from app.protection.rate_limits import MANAGE, MANAGE_ACT, RESEND, client_address
from app.text import i18n
from app.web.shared import booking_words
from app.web.shared.booking_summary import booking_card, sentence, visitor_zone
from app.web.shared.render import booking_shell, error_shell, render, wants_block
from app.web.shared.request_input import read_form
from app.web.shared.reschedule_calendar import in_zone, move_act, now_line, service_choices, taken_words
from app.web.visitor.booking import LOOKS, calendar_names, calendar_response, mail_problem, surely_unpaid, times_address
from app.web.visitor.widget import Look, Paths, Scene, find_scene, read_look, read_start, times_context, value_of

#: From this look on, a wait is longer than usual (see LOOKS).
_SLOW = 8
_LONGEST = 100

View = Callable[[Request, BookingView], Awaitable[Response]]
Door = Callable[[Request], Awaitable[Response]]


def _opened(door: View, *, may_return: bool = False) -> Door:
    """The one way in: a door for those whose link opens the booking. All others may ask for a fresh link. `may_return`
    says whether the way back from Stripe's page opens it too, which can only show."""

    @wraps(door)
    async def open_door(request: Request) -> Response:
        rate_limits = parts_of(request).rate_limits
        rate_limits.check(MANAGE, client_address(request.scope))
        try:
            view = await _returned(request) if may_return else None
            view = view or await _view(request)
        except (LinkRefused, NotFound) as error:
            return _link_page(request, error, genuine=await _named_booking(request))
        if request.method == "POST":
            rate_limits.check(MANAGE_ACT, view.booking.id)
        return await door(request, view)

    return open_door


# Showing


async def show_managed(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}: the booking as it stands, and what may be done with it."""
    told = request.query_params.get("told", "")
    if told == "back":
        view = await surely_unpaid(request, view)
    return _show(request, view, told=told)


async def show_return(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/return: the difference was paid on Stripe. Looks at the payment once, at its source."""
    if request.method == "GET":
        await parts_of(request).settle.booking(view.booking.id)
    return _to(request, told="moved")


async def show_back(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/back: left Stripe's page without paying. It stays open, and the new time held."""
    return _to(request, told="back")


async def calendar(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/calendar.ics"""
    url = parts_of(request).settings.public_url + _path(request)
    return calendar_response(request, view.booking, view.widget, url=url)


# Canceling


async def show_cancel(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/cancel: what canceling now gives back, and when. Nothing happens yet."""
    return _to(request) if _offer(request, view).cancel_bar else _before_canceling(request, view)


async def cancel(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/cancel: as the page showed it. A page that is old, or was overtaken, is shown anew."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    try:
        if booking.status is not Status.CANCELED:
            revision, shown_at = parts.links.read_page_token(form.get("page", ""), booking.id, "cancel")
            await parts.cancel.booking(booking.id, by=Actor.CUSTOMER, revision=revision, shown_at=shown_at)
    except (LinkRefused, PolicyRefused, BookingConflict, SchedulerError, StripeError) as error:
        view = await _view(request)
        if view.booking.status is not Status.CANCELED:
            if _offer(request, view).cancel_bar:
                return _show_instead(request, view, error)
            return _before_canceling(request, view, problem=error, shown=form.get("shown", ""))
    return _to(request)


async def undo(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/undo: take the cancellation back, if the time can still be had."""
    try:
        await parts_of(request).cancel.undo(view.booking.id)
    except (BookingConflict, SchedulerError, StripeError) as error:
        view = await _view(request)
        if view.booking.status is Status.CANCELED:
            language, now = request.state.shell.language, parts_of(request).now()
            problem = booking_words.not_undone(error, view.booking, now, language)
            return _show(request, view, problem=problem, status=error.status)
    return _to(request, told="undone")


# Moving


async def show_reschedule(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/reschedule: the calendar again, with the booking's own time in it."""
    if _offer(request, view).move_bar:
        return _to(request)
    return await _times(request, view, request.query_params)


async def show_slots(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/reschedule/slots: the month and the day's times, as a part of the page for htmx."""
    if not wants_block(request) or _offer(request, view).move_bar:
        return await show_reschedule(request, view)
    response = await _times(request, view, request.query_params, block="times")
    asked = {name: value for name, value in request.query_params.items() if name != "zones"}
    response.headers["HX-Replace-Url"] = f"{_path(request)}/reschedule?{urlencode(asked)}"
    return response


async def show_preview(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/reschedule/preview: from when to when, and what it costs. Nothing happens yet."""
    if _offer(request, view).move_bar:
        return _to(request)
    return await _before_moving(request, view, request.query_params)


async def reschedule(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/reschedule: as the page showed it; on to Stripe where there is more to pay."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    asked = (form.get("service", ""), form.get("person", ""), read_start(form.get("start", "")))
    if asked == (booking.service_id, booking.resource_id, booking.starts_at):
        return _to(request, told="moved")  # a second click
    move = view.move
    if move and move.state is MoveState.HELD and asked == (move.service_id, move.resource_id, move.starts_at):
        return _to_stripe(request, await parts.reschedule.difference_page(booking.id))
    try:
        quote = await _quote(request, view, form)
        revision, _ = parts.links.read_page_token(form.get("page", ""), booking.id, move_act(quote))
        moved = await parts.reschedule.booking(
            booking.id,
            starts_at=quote.slot.starts_at,
            service_id=quote.service.id,
            resource_id=quote.resource.id,
            by=Actor.CUSTOMER,
            revision=revision,
        )
    except (LinkRefused, PolicyRefused, BookingConflict, SlotTaken, SchedulerError, StripeError) as error:
        view = await _view(request)
        if _offer(request, view).move_bar:
            return _show_instead(request, view, error)
        if isinstance(error, SlotTaken):
            return await _times(request, view, form, error=error)
        return await _before_moving(request, view, form, problem=error)
    if moved.move.state is MoveState.HELD:
        return _to_stripe(request, moved.checkout_url)
    return _to(request, told="moved")


async def give_up_move(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/reschedule/give-up: leave the difference unpaid, and the booking where it is."""
    try:
        await parts_of(request).reschedule.give_up(view.booking.id)
    except (SchedulerError, StripeError) as error:
        return _show_instead(request, await _view(request), error)
    return _to(request, told="left")


# Links that do not open


async def resend(request: Request) -> Response:
    """POST /manage/{token}/resend: a fresh link, to the address on the booking."""
    parts_of(request).rate_limits.check(RESEND, client_address(request.scope))
    try:
        await parts_of(request).manage_links.resend(request.path_params["token"])
    except LinkRefused as error:
        return _link_page(request, error, genuine=False)
    return RedirectResponse(f"{_path(request)}/sent", status_code=303)


async def resend_to_address(request: Request) -> Response:
    """POST /manage/resend: fresh links for whatever is booked under an address. They are made after the answer, so that
    the time it takes does not tell whether there are any."""
    parts = parts_of(request)
    parts.rate_limits.check(RESEND, client_address(request.scope))
    typed = (await read_form(request)).get("email", "").strip()[:254]
    address = read_address(typed)
    if address is None:
        return _link_page(request, None, genuine=False, typed=typed)
    task = BackgroundTask(parts.manage_links.resend_all, address)
    return RedirectResponse("/manage/sent", status_code=303, background=task)


async def show_sent(request: Request) -> Response:
    """GET /manage/sent, /manage/{token}/sent: what happens now, said alike whether there is a booking or not."""
    await _named_booking(request)
    shell = error_shell(request)
    _ = i18n.translator(shell.language).gettext
    named = "token" in request.path_params
    lines = [
        _("If we find a booking, a new link is on its way to the address used for it."),
        _("This can take a few minutes. Older links then no longer work.")
        if named
        else _("This can take a few minutes. Older links keep working until you use the new one."),
    ]
    context = {"heading": _("Check your email"), "mark": "mail", "lines": lines, "form": None}
    return render(request, "manage/link.html", context, shell=shell, framed=False)


def _link_page(
    request: Request, error: LinkRefused | NotFound | None, *, genuine: bool, typed: str | None = None
) -> Response:
    """What is wrong with a link, and how to get a fresh one: with a genuine link at a click, else for an address.
    `typed` is what was given for one and is none."""
    shell, parts = error_shell(request), parts_of(request)
    _ = i18n.translator(shell.language).gettext
    heading, line = _("This link does not work"), _("Part of it may be missing.")
    if isinstance(error, ReturnExpired):
        heading, line = _("This link has expired"), _(error.sentence)
    elif isinstance(error, LinkExpired):
        heading = _("This link has expired")
        line = _("It worked until a month after the visit. If you have another booking, we can email you its link.")
    elif genuine:
        heading, line = (
            _("This link was replaced"),
            _("We have sent you a newer link since, and only the newest one works."),
        )
    elif typed is not None:
        heading, line = _("Get a new link"), ""
    form = None
    if parts.mailer.enabled:
        one_click = genuine and not isinstance(error, LinkExpired)  # what is long over has no link any more
        form = {
            "action": f"{_path(request)}/resend" if one_click else "/manage/resend",
            "typed": None if one_click else typed or "",
            "wrong": typed is not None,
        }
    context = {"heading": heading, "mark": "problem", "lines": [line] if line else [], "form": form}
    status = error.status if error else 422
    return render(request, "manage/link.html", context, shell=shell, status=status, framed=False)


async def _named_booking(request: Request) -> bool:
    """Whether the link was once ours, although it does not open; then the page looks and speaks as its booking's."""
    parts = parts_of(request)
    try:
        booking_id, _version = parts.links.read_manage_token(request.path_params.get("token", ""))
        booking: Booking = await parts.bookings.get(booking_id)
    except (LinkRefused, NotFound):
        return False
    request.state.shell = booking_shell(request, booking, parts.bookings.widget_of(booking))
    return True


# Reading


async def _view(request: Request) -> BookingView:
    """The booking that the link leads to; from here on, errors speak its language."""
    parts = parts_of(request)
    booking: Booking = await parts.manage_links.open(request.path_params["token"])
    request.state.is_return = False
    return await _view_of(request, booking.id)


async def _returned(request: Request) -> BookingView | None:
    """The booking whose difference was to be paid, if the address is the way back from Stripe's page. Raises
    ReturnExpired, NotFound."""
    try:
        booking_id = parts_of(request).links.read_return_token(request.path_params["token"], "move")
    except LinkExpired:
        raise
    except LinkRefused:
        return None
    request.state.is_return = True
    return await _view_of(request, booking_id)


async def _view_of(request: Request, booking_id: str) -> BookingView:
    view: BookingView = await parts_of(request).bookings.view(booking_id)
    request.state.shell = booking_shell(request, view.booking, view.widget)
    return view


def _path(request: Request) -> str:
    return f"/manage/{request.path_params['token']}"


def _to(request: Request, *, told: str = "") -> Response:
    """On to the booking's page, with GET."""
    return RedirectResponse(_path(request) + (f"?told={told}" if told else ""), status_code=303)


def _to_stripe(request: Request, url: str | None) -> Response:
    """On to Stripe's page. A form that htmx sent cannot follow to another site by itself."""
    if url is None:
        return _to(request)
    if wants_block(request):
        return Response(headers={"HX-Redirect": url})
    return RedirectResponse(url, status_code=303)


def _offer(request: Request, view: BookingView) -> Offer:
    return parts_of(request).offers.of(view)


async def _quote(request: Request, view: BookingView, asked: Mapping[str, str]) -> MoveQuote:
    """What the time that is asked for would mean. `resource` is whom the visitor chose, `person` who was shown."""
    quote: MoveQuote = await parts_of(request).reschedule.quote(
        view.booking.id,
        starts_at=read_start(asked.get("start", "")),
        service_id=asked.get("service", "")[:_LONGEST],
        resource_id=(asked.get("person") or asked.get("resource") or "")[:_LONGEST] or None,
    )
    return quote


# The booking's page

#: What the way back from Stripe's page leaves out. Its calendar entry would name an address that ends soon.
_NO_ACTS: Mapping[str, Any] = {"undo": "", "move": [], "cancel": [], "calendar": "", "calendar_links": []}


def _show(
    request: Request, view: BookingView, *, told: str = "", problem: Sequence[str] = (), status: int = 200
) -> Response:
    """The booking as it stands. While Hapio is being asked, the page looks again by itself, ever more seldom."""
    booking, offer, language = view.booking, _offer(request, view), request.state.shell.language
    now, path = offer.at, _path(request)
    word, mark = booking_words.standing(view, now, language)
    to_come = booking_words.stands(booking, now)
    look = _asked_look(request)
    wait = _wait(request, view, look or 0)
    context = {
        "path": path,
        "heading": word,
        "mark": mark,
        "lines": [*booking_words.news(view, now, language), *filter(None, [mail_problem(view, language)])],
        "told": booking_words.told(told, view, language),
        "problem": problem,
        "card": booking_card(booking, language=language, now=now),
        "money": booking_words.money_rows(view, now, language),
        "undo": booking_words.undo_line(offer, booking, language),
        "gives_back": booking_words.gives_back(view),
        "paying": booking_words.paying(view, now, language),
        "begun": to_come and offer.cancel_bar is Refusal.BEGUN,
        "move": booking_words.may_move(offer, booking, language) if to_come and not view.move else [],
        "movable": offer.move_bar is None,
        "cancel": booking_words.may_cancel(offer, booking, language) if to_come or offer.cancel_bar is None else [],
        "cancelable": offer.cancel_bar is None,
        "again": "" if to_come or booking.status is Status.PAID else times_address(request, booking),
        "calendar": f"{path}/calendar.ics" if to_come else "",
        "calendar_links": calendar_names(booking, view.widget) if to_come else [],
        "history": booking_words.history_lines(view, now, language),
        "wait": wait,
        "first": look is None,
        "is_return": request.state.is_return,
        "mailed": parts_of(request).mailer.enabled,
    }
    nothing_new = look is not None and wait is not None and request.query_params.get("seen") == wait["seen"]
    block = "wait" if nothing_new and wants_block(request) else None
    shell = request.state.shell
    if request.state.is_return:
        context |= _NO_ACTS
    response = render(request, "manage/manage.html", context, shell=shell, block=block, status=status, framed=False)
    if block:
        response.headers["HX-Retarget"] = "#hf-wait"  # focus stays where it is
    elif look is not None and wants_block(request):
        response.headers["HX-Replace-Url"] = path
    return response


def _show_instead(request: Request, view: BookingView, error: HoldfastError) -> Response:
    """The booking as it stands, where an act came to nothing."""
    return _show(
        request, view, problem=booking_words.not_done(error, request.state.shell.language), status=error.status
    )


def _asked_look(request: Request) -> int | None:
    look = request.query_params.get("look", "")
    return int(look) if look.isdecimal() and len(look) < 4 else None


def _wait(request: Request, view: BookingView, look: int) -> dict[str, Any] | None:
    """When to look again; None where nothing is awaited."""
    moving = view.move is not None and view.move.state is MoveState.MOVING
    if not moving and view.booking.status is not Status.PAID:
        return None
    _ = i18n.translator(request.state.shell.language).gettext
    seen = f"{view.booking.status}-{view.booking.revision}"
    query = urlencode({"look": look + 1, "seen": seen})
    return {
        "seen": seen,
        "path": f"{_path(request)}?{query}" if look < len(LOOKS) else "",
        "seconds": LOOKS[min(look, len(LOOKS) - 1)],
        "slow": _("This is taking longer than usual. You can close this page and check again later.")
        if look >= _SLOW
        else "",
    }


def _before_canceling(
    request: Request, view: BookingView, *, problem: HoldfastError | None = None, shown: str = ""
) -> Response:
    """What canceling means: the amount, when it goes out, the terms, what else happens."""
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    offer = _offer(request, view)
    card = booking_card(booking, language=language, now=offer.at)
    context = {
        "path": _path(request),
        "sentence": sentence(card, language),
        "free": booking.terms.free,
        "refund": i18n.format_money(offer.refund, language) if offer.refund and not offer.uncharged else "",
        "uncharged": offer.uncharged,
        "share": booking_words.share_line(offer, booking, language),
        "disputed": booking_words.disputed(view),
        "goes_out": booking_words.clock(offer.refund_at, booking, language) if offer.refund_at > offer.at else "",
        "steps": [] if offer.uncharged else booking_words.steps(offer, booking, language),
        "mailed": parts.mailer.enabled,
        "move": booking_words.may_move(offer, booking, language) if offer.move_bar is None else [],
        "percent": offer.percent,
        "page_token": parts.links.page_token(booking.id, "cancel", booking.revision),
        "problem": booking_words.not_canceled(problem, offer, view, shown, language) if problem else [],
    }
    status, shell = problem.status if problem else 200, request.state.shell
    return render(request, "manage/cancel.html", context, shell=shell, status=status, framed=False)


# The calendar of a move


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
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    services = await parts.reschedule.options(booking)
    if not services:
        raise NotFound(booking.service_id)
    lost = read_start(asked.get("start", "")) if error else None
    look = _read_move_look(view, asked, language, lost)
    service = next((one for one in services if one.id == look.service), services[0])
    scene = await _find_scene(request, view, service, look, opens="date" not in asked and error is None)
    path, zone = f"{_path(request)}/reschedule", scene.zone
    same = service.id == booking.service_id and scene.resource in {"", booking.resource_id}
    context = times_context(
        scene,
        view.widget,
        language,
        filling={"carried": (), "key": ()},
        paths=Paths(path, f"{path}/slots", f"{path}/preview", posts=False),
        own=booking.slot if same else None,
        taken=taken_words(error, lost, zone, language, scene.today) if error and lost else None,
    )
    # An empty resource is kept: it says "anyone", where none at all says "the one it is".
    kept = [("service", service.id), ("resource", scene.resource)]
    shown = ("date", scene.day.isoformat() if scene.day else f"{scene.month:%Y-%m}")
    context |= {
        "look": [*kept, shown] if look.choose_zone else [*kept, ("tz", zone), shown],
        "hold": [*kept, ("tz", zone)],
        "moving": {
            "back": _path(request),
            "now": now_line(view, zone, language, parts.now()),
            "staff": False,
            "services": service_choices(services, service, language) if len(services) > 1 else [],
        },
    }
    status, shell = error.status if error else 200, request.state.shell
    return render(request, "shared/times.html", context, shell=shell, block=block, status=status, framed=False)


def _read_move_look(view: BookingView, asked: Mapping[str, str], language: str, lost: datetime | None) -> Look:
    """As for new visitors, but what is not said is as the booking has it."""
    booking, look = view.booking, read_look(asked, language)
    zone = look.zone or visitor_zone(booking)
    resource = look.resource
    if "resource" not in asked:
        resource = "" if booking.any_resource else booking.resource_id
    if not view.widget.reschedule.other_resource:
        resource = booking.resource_id
    if lost or not look.month:
        day = i18n.local(lost or booking.starts_at, zone).date()
        look = replace(look, month=day.replace(day=1), day=day)
    return replace(look, resource=resource, zone=zone)


async def _find_scene(request: Request, view: BookingView, service: Service, look: Look, *, opens: bool) -> Scene:
    """The times to show. A calendar that `opens` does so on the booking's own day, or where that has no other time,
    on the first day of its month that has one."""
    widget = view.widget
    catalogue = await parts_of(request).availability.catalogue(widget)
    people = service.resources
    if not widget.reschedule.other_resource:
        people = tuple(one for one in people if one.id == view.booking.resource_id)
    elif not widget.choose_resource:
        people = ()
    scene = await find_scene(request, widget, catalogue, service, look, people)
    if opens and not any(i18n.local(slot.starts_at, scene.zone).date() == scene.day for slot in scene.times.slots):
        return await find_scene(request, widget, catalogue, service, replace(look, day=None), people)
    return scene


# Before moving


async def _before_moving(
    request: Request, view: BookingView, asked: Mapping[str, str], *, problem: HoldfastError | None = None
) -> Response:
    """From when to when, what it costs, and the form that does it."""
    parts, language = parts_of(request), request.state.shell.language
    try:
        quote = await _quote(request, view, asked)
    except SlotTaken as error:
        # What Hapio gave no answer to is not offered for a while, but it is not taken either.
        down = problem if isinstance(problem, SchedulerError | StripeError) else None
        return await _times(request, view, asked, error=down or error)
    offer = _offer(request, view)
    zone = i18n.valid_zone(asked.get("tz")) or visitor_zone(view.booking)
    booking = in_zone(view.booking, zone)
    after = replace(
        booking,
        service_name=quote.service.name,
        resource_name=quote.resource.name,
        starts_at=quote.slot.starts_at,
        ends_at=quote.slot.ends_at,
        terms=booking.terms.moved(quote.price, percent=quote.cap),
    )
    kept = [("service", quote.service.id), ("resource", asked.get("resource", "")[:_LONGEST]), ("tz", zone)]
    day = i18n.local(quote.slot.starts_at, zone).date()
    head, money = booking_words.price_difference(quote, booking, language)
    context = {
        "path": _path(request),
        "back": f"{_path(request)}/reschedule?{urlencode([*kept, ('date', day.isoformat())])}",
        "was": booking_card(booking, language=language, now=offer.at),
        "card": booking_card(after, language=language, now=offer.at),
        "money_head": head,
        "money": money,
        "more": quote.difference > 0,
        "afterwards": booking_words.afterwards(offer, after, language),
        "button": booking_words.move_button(quote, language),
        "fields": [
            *kept,
            ("person", quote.resource.id),
            ("start", value_of(quote.slot.starts_at)),
            ("page", parts.links.page_token(booking.id, move_act(quote), booking.revision)),
        ],
        "problem": booking_words.not_moved(problem, language) if problem else [],
    }
    status, shell = problem.status if problem else 200, request.state.shell
    return render(request, "manage/move.html", context, shell=shell, status=status, framed=False)


routes = [
    Route("/manage/resend", resend_to_address, methods=["POST"]),
    Route("/manage/sent", show_sent),
    Route("/manage/{token}", _opened(show_managed, may_return=True)),
    Route("/manage/{token}/cancel", _opened(show_cancel)),
    Route("/manage/{token}/cancel", _opened(cancel), methods=["POST"]),
    Route("/manage/{token}/undo", _opened(undo), methods=["POST"]),
    Route("/manage/{token}/reschedule", _opened(show_reschedule)),
    Route("/manage/{token}/reschedule", _opened(reschedule), methods=["POST"]),
    Route("/manage/{token}/reschedule/slots", _opened(show_slots)),
    Route("/manage/{token}/reschedule/preview", _opened(show_preview)),
    Route("/manage/{token}/reschedule/give-up", _opened(give_up_move), methods=["POST"]),
    Route("/manage/{token}/return", _opened(show_return, may_return=True)),
    Route("/manage/{token}/back", _opened(show_back, may_return=True)),
    Route("/manage/{token}/resend", resend, methods=["POST"]),
    Route("/manage/{token}/sent", show_sent),
    Route("/manage/{token}/calendar.ics", _opened(calendar)),
]
