"""Holding a time, extending it, holding it again after it ended, giving it up; and what is shown where it is gone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.customer_form import typed_details
from app.domain.attribution import campaign
from app.domain.booking import Booking, Status, Visitor
from app.domain.money import Money
from app.errors import (
    BookingConflict,
    ChallengeNeeded,
    HoldExpired,
    InvalidDetails,
    NotFound,
    RateLimited,
    SchedulerError,
    SlotTaken,
    StripeError,
)
from app.parts import parts_of
from app.text import languages, zones
from app.web.shared.addresses import kept_style, times_address, visitor_token
from app.web.shared.render import Shell, render, trusted_host, wants_block, widget_shell
from app.web.shared.request_input import read_form
from app.web.shared.theme import asked_style
from app.web.shared.time_step import find_scene, read_asked_times, read_start
from app.web.shared.time_step_words import taken_words, times_screen
from app.web.visitor.booking_access import read_booking, read_view, to_booking
from app.web.visitor.carried import (
    LONGEST,
    asked_widget,
    carried_pairs,
    chosen_service,
    is_prefill,
    own_hold,
    own_hold_line,
)
from app.web.visitor.proof_of_work import read_client
from app.web.visitor.screens import details_screen, pay_screen

_AMOUNT = re.compile(r"[0-9]{1,12}")


async def hold(request: Request) -> Response:
    """POST /w/{widget}/hold: lock the time, and on to the details. A time that is gone shows the times again."""
    widget = asked_widget(request)
    form = await read_form(request)
    shell = request.state.shell = widget_shell(request, widget)
    if "lang" in form:
        language = languages.negotiate(form["lang"], request.headers.get("accept-language"), widget.languages)
        shell = request.state.shell = Shell(widget, language, asked_style(form), form.get("host", ""))
    wanted = read_asked_times(form, shell.language)
    starts_at = read_start(form.get("start", ""))
    carried = carried_pairs(form, widget)
    parts = parts_of(request)
    visitor = Visitor(
        key=parts.links.read_visitor_key(form.get("key", "")),
        time_zone=wanted.zone or "",
        language=shell.language,
        host=trusted_host(form.get("host", "")[:LONGEST], widget),
        place=dict(carried).get("place", ""),
        utm=campaign(carried),
    )
    catalogue = await parts.availability.catalogue(widget)
    service = chosen_service(catalogue, wanted.service)
    if service is None:
        raise NotFound(wanted.service)
    mine = await own_hold(request, form.get("mine", ""), widget)
    try:
        # An older page may still offer what this visitor holds.
        booking = _same(mine, service.id, starts_at, wanted.resource) or await parts.hold.take(
            widget,
            service_id=service.id,
            starts_at=starts_at,
            resource_id=wanted.resource or None,
            visitor=visitor,
            customer=mine.customer if mine else None,
            client=read_client(request, form, instead=mine),
            shown=_shown_price(form, service.price),
        )
    except ChallengeNeeded:
        raise
    except (SlotTaken, SchedulerError, RateLimited) as error:
        return await show_refusal(request, shell, form, starts_at, error)
    token = parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    passed_on = {name: value for name, value in carried if is_prefill(name)}
    passed_on |= wanted.style
    if widget.review or booking.customer:
        passed_on["step"] = "details"
    return RedirectResponse(f"/b/{token}" + (f"?{urlencode(passed_on)}" if passed_on else ""), status_code=303)


def _same(mine: Booking | None, service_id: str, starts_at: datetime, resource_id: str) -> Booking | None:
    """The visitor's own hold, if it is of the time that is asked for."""
    if mine is None or (mine.service_id, mine.starts_at) != (service_id, starts_at):
        return None
    return mine if resource_id in {"", mine.resource_id} else None


# When it does not work


async def show_refusal(
    request: Request,
    shell: Shell,
    asked: Mapping[str, str],
    starts_at: datetime,
    error: SlotTaken | SchedulerError | RateLimited,
) -> Response:
    """The times again, in place, with what happened and the nearest times, or the same one to try again."""
    response = await _times_around(request, shell, asked, starts_at, error)
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def _times_around(
    request: Request,
    shell: Shell,
    asked: Mapping[str, str],
    starts_at: datetime,
    error: SlotTaken | SchedulerError | RateLimited | None = None,
) -> Response:
    widget, parts = shell.widget, parts_of(request)
    catalogue = await parts.availability.catalogue(widget)
    wanted = read_asked_times(asked, shell.language)
    service = chosen_service(catalogue, wanted.service)
    if service is None:
        raise NotFound(wanted.service)
    zone = wanted.zone or catalogue.location.time_zone
    day = zones.local(starts_at, zone).date()
    scene = await find_scene(request, widget, catalogue, service, wanted.on(day))
    taken = taken_words(error, starts_at, zone, shell.language, scene.today, parts.now()) if error else None
    filling = {"carried": carried_pairs(asked, widget), "key": (("key", parts.links.visitor_key()),)}
    screen = times_screen(scene, widget, shell.language, taken=taken, filling=filling)
    mine = await own_hold(request, asked.get("mine", ""), widget)
    if mine:
        screen = replace(screen, mine=own_hold_line(request, mine, zone, shell.language))
    return render(request, "shared/times.html", screen.context, shell=shell, status=error.status if error else 200)


async def _show_gone(
    request: Request, booking: Booking, typed: Mapping[str, str], error: SlotTaken | SchedulerError | RateLimited
) -> Response:
    """The times around one that is gone, with what was typed carried along."""
    return await show_refusal(
        request, request.state.shell, _asked_again(request, booking, typed), booking.starts_at, error
    )


def _asked_again(request: Request, booking: Booking, typed: Mapping[str, str]) -> dict[str, str]:
    """What the booking's visitor had asked for, as a form has it, with what was typed."""
    visitor = booking.visitor
    wanted = {
        "service": booking.service_id,
        "resource": "" if booking.any_resource else booking.resource_id,
        "tz": visitor.time_zone,
        **kept_style(request),
    }
    carried = {name: value for name, value in typed.items() if is_prefill(name)}
    asked = {**wanted, **carried, **visitor.utm, "host": visitor.host, "place": visitor.place}
    asked["visitor"] = visitor_token(request, booking)
    return asked


def _shown_price(form: Mapping[str, str], price: Money) -> Money:
    """The price on the page that was sent; the present one where it does not say."""
    amount = form.get("price", "")
    return replace(price, amount=int(amount)) if _AMOUNT.fullmatch(amount) else price


# A hold that is there already


async def extend(request: Request) -> Response:
    """POST /b/{token}/extend: hold the time longer. What is typed in the form around the button stays typed."""
    booking = await read_booking(request)
    form = await read_form(request)
    reported = ""
    try:
        await parts_of(request).hold.extend(booking.id)
    except HoldExpired:
        pass
    except BookingConflict:
        reported = "kept"
    view = await read_view(request)
    if view.booking.status in {Status.HELD, Status.EXPIRED}:
        if "email" in form:
            return details_screen(request, view, form, reported=reported)
        if wants_block(request) and view.booking.customer:
            return pay_screen(request, view, reported=reported)
    return to_booking(request, {"told": reported} if reported else {})


async def release(request: Request) -> Response:
    """POST /b/{token}/release: another time, please. If Stripe does not answer, the hold ends by itself."""
    booking = await read_booking(request)
    form = await read_form(request)
    with suppress(SchedulerError, StripeError):
        booking = await parts_of(request).hold.give_up(booking.id)
    if booking.status in {Status.PAID, Status.OFFERED, Status.CONFIRMED}:
        return to_booking(request, {})
    address = times_address(request, booking)
    typed = {name: value for name, value in form.items() if is_prefill(name) and value}
    if not typed or booking.starts_at <= parts_of(request).now():
        return RedirectResponse(address, status_code=303)
    response = await _times_around(
        request, request.state.shell, _asked_again(request, booking, typed), booking.starts_at
    )
    response.headers["HX-Push-Url"] = address
    return response


async def hold_again(request: Request) -> Response:
    """POST /b/{token}/hold-again: the same time once more, with everything that was typed."""
    return await hold_afresh(request, await read_booking(request), None)


async def hold_afresh(request: Request, booking: Booking, form: Mapping[str, str] | None) -> Response:
    """Hold an ended hold's time again, for the same customer or the one just typed; else offer the nearest."""
    parts = parts_of(request)
    try:
        # The ended booking's id as the key: a doubled click is one new hold.
        client = read_client(request, await read_form(request), booking)
        again = await parts.hold.again(booking.id, booking.id, form, client=client)
    except InvalidDetails as error:
        return details_screen(request, await read_view(request), form or {}, errors=error.fields)
    except ChallengeNeeded:
        raise
    except (SlotTaken, SchedulerError, RateLimited) as error:
        typed = form if form is not None else typed_details(booking.customer) if booking.customer else {}
        return await _show_gone(request, booking, typed, error)
    except BookingConflict:
        return to_booking(request, {})
    except StripeError as error:
        return pay_screen(request, await read_view(request), error=error)
    token = parts.links.booking_token(again.id, ends_at=again.ends_at)
    return RedirectResponse(f"/b/{token}?{urlencode({'told': 'again', **kept_style(request)})}", status_code=303)
