"""One booking with all that belongs to it, and the acts that charge and refund nothing: missed, a new link, mails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.bookings import BookingView
from app.booking.manage_links import MANAGED
from app.booking.policy import Allowed
from app.booking.take_payment import UNPAID
from app.domain.booking import Actor, Status
from app.domain.money import Money
from app.errors import BookingConflict, HoldfastError, InvalidDetails, NotFound, PolicyRefused
from app.parts import parts_of
from app.text import catalogues, formats, languages
from app.web.shared.booking_summary import at_place, summarize
from app.web.shared.offered_words import held_lines
from app.web.shared.request_input import read_form
from app.web.shared.status_words import paying
from app.web.staff.new_words import link_choices
from app.web.staff.page import base_path, render_staff
from app.web.staff.sign_in import Door, signed_in
from app.web.staff.staff_words import (
    answers,
    given_up,
    history_rows,
    link_words,
    mail_row,
    money_left,
    not_done,
    owner_status_words,
    payment_rows,
    refund_rows,
    reported_words,
)

View = Callable[[Request, BookingView], Awaitable[Response]]


def of_booking(door: View) -> Door:
    """A door to one booking."""

    @signed_in
    @wraps(door)
    async def open_door(request: Request) -> Response:
        return await door(request, await read_view(request))

    return open_door


async def read_view(request: Request) -> BookingView:
    """The booking in the address. Raises NotFound where nobody has put a name to it."""
    view = await parts_of(request).bookings.view(request.path_params["booking"])
    if view.booking.customer is None:
        raise NotFound("nobody has put a name to it")
    return view


# The page


async def show_booking(request: Request, view: BookingView) -> Response:
    """GET /staff/{token}/bookings/{booking}: everything about it, and what may be done."""
    return await booking_screen(request, view)


async def booking_screen(
    request: Request,
    view: BookingView,
    *,
    error: HoldfastError | None = None,
    wrong_email: str | None = None,
    refused: str = "",
) -> Response:
    """`error` is why an act came to nothing, or `refused` the msgid that says so; `wrong_email` is what was typed as
    the customer's new address and is none."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    booking, allowed = view.booking, allowed_now(request, view)
    here = replace(view, booking=at_place(booking))
    word, mark = owner_status_words(booking, view.move, now, language)
    customer = booking.customer
    mails = await parts.staff.mails_of(booking.id)
    begun = booking.status is Status.CONFIRMED and booking.starts_at <= now
    managed = booking.status in MANAGED
    unpaid = to_take(view)
    context = {
        "path": booking_path(request),
        "id": booking.id,
        "word": word,
        "mark": mark,
        "summary": summarize(here.booking, language=language, now=now),
        "customer": customer,
        "speaks": languages.LANGUAGES[languages.base_language(booking.visitor.language)].native_name,
        "answers": answers(booking, view.widget),
        "money": [*payment_rows(view, language), *refund_rows(view, now, language)],
        "money_left": formats.format_money(money_left(view), language) if view.payments else "",
        "paying": paying(here, now, language),
        "offered": held_lines(view, now, language),
        "link": link_words(view, parts.settings.public_url + _pay_path(request, view), now, language),
        "lasts": link_choices(booking.starts_at, now, "1440", language),
        "unpaid": formats.format_money(Money(unpaid, booking.terms.price.currency), language) if unpaid else "",
        "manage": _manage_address(request, view),
        "reported": reported_words(request.query_params.get("told", ""), language)
        if error is None and not refused
        else "",
        "problem": not_done(error, language)
        if error
        else [catalogues.translator(language).gettext(refused)]
        if refused
        else [],
        "may": {
            "move": allowed.not_moved(Actor.OWNER) is None,
            "cancel": allowed.not_canceled(Actor.OWNER) is None,
            "refund": view.left > 0,
            "take": bool(unpaid),
            "miss": begun and not booking.no_show,
            "come": begun and booking.no_show,
            "resend": managed and bool(customer and customer.email),
            "mail_again": any(given_up(mail) for mail in mails),
        },
        "mail_problem": view.mail_problem,
        "note": (await parts.customers.note_of(booking)).text,
        "wrong_email": wrong_email,
        "history": history_rows(view, now, language),
        "mails": [mail_row(mail, booking.time_zone, now, language) for mail in mails],
    }
    status = error.status if error else 422 if wrong_email is not None or refused else 200
    return render_staff(request, "staff/booking.html", context, status=status)


def to_take(view: BookingView) -> int:
    """What the owner may still take in person, in smallest units: at the visit, or in place of a payment by link."""
    booking = view.booking
    waits = booking.pay_link and booking.status in UNPAID
    return view.funds.to_pay_at_visit(booking) if waits or booking.status is Status.CONFIRMED else 0


def _pay_path(request: Request, view: BookingView) -> str:
    """The page on which the customer pays by the link."""
    token = parts_of(request).links.booking_token(view.booking.id, ends_at=view.booking.ends_at)
    return f"/b/{token}"


def _manage_address(request: Request, view: BookingView) -> str:
    """The link that a customer without a mail address is given by hand; empty for others, who are mailed it."""
    parts, booking = parts_of(request), view.booking
    if booking.customer is None or booking.customer.email or not parts.manage_links.may_have(booking):
        return ""
    return f"{parts.settings.public_url}/manage/{parts.links.manage_token(booking.id, booking.link_version)}"


# What needs no page before it


async def mark_missed(request: Request, view: BookingView) -> Response:
    """POST …/no-show: nobody came, or someone did after all. No money moves."""
    no_show = (await read_form(request)).get("came") != "1"
    try:
        await parts_of(request).corrections.mark_no_show(view.booking.id, no_show=no_show)
    except (BookingConflict, PolicyRefused) as error:
        return await booking_screen(request, await read_view(request), error=error)
    return to_booking(request, reported="missed" if no_show else "came")


async def resend(request: Request, view: BookingView) -> Response:
    """POST …/resend: a new link for the customer, which retires the ones before."""
    await parts_of(request).manage_links.renew(view.booking.id, Actor.OWNER)
    after = await read_view(request)
    return to_booking(request, reported="sent" if after.booking.link_version != view.booking.link_version else "waits")


async def resend_mails(request: Request, view: BookingView) -> Response:
    """POST …/mails: send again what was given up."""
    await parts_of(request).corrections.resend_mails(view.booking.id, who=request.state.staff.email)
    return to_booking(request, reported="again")


async def correct_email(request: Request, view: BookingView) -> Response:
    """POST …/email: the customer's right address. No money moves."""
    typed = (await read_form(request)).get("email", "").strip()[:254]
    try:
        after = await parts_of(request).corrections.correct_email(view.booking.id, typed, who=request.state.staff.email)
    except InvalidDetails:
        return await booking_screen(request, view, wrong_email=typed)
    except BookingConflict as error:
        return await booking_screen(request, await read_view(request), error=error)
    return to_booking(request, reported="same" if after == view.booking else "corrected")


# Leading on


def booking_path(request: Request) -> str:
    """Where the booking's pages live."""
    return f"{base_path(request)}/bookings/{request.path_params['booking']}"


def to_booking(request: Request, *, reported: str = "") -> Response:
    """On to the booking's page, with GET."""
    return RedirectResponse(booking_path(request) + (f"?told={reported}" if reported else ""), status_code=303)


def allowed_now(request: Request, view: BookingView) -> Allowed:
    """What may be done with it now."""
    return parts_of(request).policy.of(view)
