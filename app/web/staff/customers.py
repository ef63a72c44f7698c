"""Customers: the list, a search, and a page for each with what is known and may be corrected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.corrections import Correction
from app.booking.customers import CustomerView
from app.domain.customer import LONGEST_NOTE, details_mark
from app.errors import BookingConflict, InvalidDetails, PolicyRefused
from app.parts import parts_of
from app.text import catalogues
from app.web.shared.request_input import read_form
from app.web.staff.customer_words import customer_rows, figures, note_row, reported_words
from app.web.staff.page import base_path, place_zone, render_staff
from app.web.staff.sign_in import signed_in
from app.web.staff.staff_words import visit

#: Customers, and bookings of one, on a page.
PER_PAGE: Final = 50
_LONGEST: Final = 100
_PAGE: Final = re.compile("[1-9][0-9]{0,3}")
_VERSION: Final = re.compile("[0-9]{1,9}")


@signed_in
async def show_customers(request: Request) -> Response:
    """GET /staff/{token}/customers: everyone who has booked."""
    return await _customers_page(request, "", read_page(request.query_params))


@signed_in
async def find_customers(request: Request) -> Response:
    """POST /staff/{token}/customers: those that a search finds. By POST, so that no name is in an address."""
    form = await read_form(request)
    return await _customers_page(request, " ".join(form.get("q", "").split())[:_LONGEST], read_page(form))


async def _customers_page(request: Request, text: str, page: int) -> Response:
    parts, language = parts_of(request), request.state.shell.language
    found = await parts.customers.find(text, skip=(page - 1) * PER_PAGE, most=PER_PAGE + 1)
    base = base_path(request)
    context = {
        "rows": customer_rows(found[:PER_PAGE], base, parts.now(), language),
        "wanted": text,
        "page_number": page,
        "before": page - 1,
        "after": page + 1 if len(found) > PER_PAGE else 0,
    }
    return render_staff(request, "staff/customers.html", context, screen="customers")


@signed_in
async def show_customer(request: Request) -> Response:
    """GET /staff/{token}/customers/{booking}: the customer of a booking, whose id names nobody."""
    return await _customer_page(request)


async def _customer_page(
    request: Request,
    *,
    problem: str = "",
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    typed_note: str | None = None,
    status: int = 200,
) -> Response:
    """`problem` is why an act came to nothing; `typed` what was typed in place of the details, `wrong` what of it
    cannot be read; `typed_note` a note that was not taken, so that it is not lost."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    booking_id, page = request.path_params["booking"], read_page(request.query_params)
    view = await parts.customers.view(booking_id, skip=(page - 1) * PER_PAGE, most=PER_PAGE + 1)
    base, path = base_path(request), customer_path(request)
    _ = catalogues.translator(language).gettext
    shown = {"name": view.customer.name, "email": view.customer.email, "phone": view.customer.phone}
    context = {
        "path": path,
        "customer": view.customer,
        "figures": figures(view.figures, language),
        "note": note_row(view.note, await place_zone(request), now, language),
        "note_text": view.note.text if typed_note is None else typed_note,
        "saved_note": "" if typed_note is None else view.note.text,
        "note_version": view.note.version,
        "longest_note": LONGEST_NOTE,
        "nameless": view.nameless,
        "fields": {**shown, **(typed or {})},
        "wrong": {name: _(sentence) for name, sentence in (wrong or {}).items()},
        "shown": details_mark(view.customer),
        "visits": [visit(one, parts.widgets, base, now, language) for one in view.bookings[:PER_PAGE]],
        "page_number": page,
        "before": _pages(path, page - 1) if page > 1 else "",
        "after": _pages(path, page + 1) if len(view.bookings) > PER_PAGE else "",
        "problem": problem,
        "reported": "" if problem or wrong else reported_words(request.query_params, language),
    }
    return render_staff(request, "staff/customer.html", context, screen="customers", status=status)


@signed_in
async def correct(request: Request) -> Response:
    """POST …/details: other details, in every booking of the customer's."""
    parts, form = parts_of(request), await read_form(request)
    typed = {name: form.get(name, "")[:254] for name in ("name", "email", "phone")}
    before = await parts.customers.view(request.path_params["booking"], most=1)
    try:
        changed, left = await parts.customers.correct(
            request.path_params["booking"],
            Correction(**typed),
            who=request.state.staff.email,
            shown=form.get("shown", "")[:64] or "-",
        )
    except InvalidDetails as error:
        return await _customer_page(request, typed=typed, wrong=error.fields, status=error.status)
    except BookingConflict as error:
        return await _customer_page(request, problem=_overtaken(request), status=error.status)
    after = await parts.customers.view(request.path_params["booking"], most=1)
    told = "same" if _same(before, after) else "corrected"
    query = urlencode({"told": told, "many": changed, **({"left": left} if left else {})})
    return RedirectResponse(f"{customer_path(request)}?{query}", status_code=303)


def _same(before: CustomerView, after: CustomerView) -> bool:
    return details_mark(before.customer) == details_mark(after.customer)


@signed_in
async def write_note(request: Request) -> Response:
    """POST …/note: what is written down about the customer."""
    form = await read_form(request)
    text, seen = form.get("note", "")[: 4 * LONGEST_NOTE], form.get("version", "")
    version = int(seen) if _VERSION.fullmatch(seen) else -1
    try:
        await parts_of(request).customers.write_note(
            request.path_params["booking"], text, version=version, who=request.state.staff.email
        )
    except (BookingConflict, PolicyRefused) as error:
        problem = _note_overtaken(request) if isinstance(error, BookingConflict) else error.sentence
        return await _customer_page(request, problem=problem, typed_note=text, status=error.status)
    return RedirectResponse(f"{customer_path(request)}?told=noted", status_code=303)


def _overtaken(request: Request) -> str:
    _ = catalogues.translator(request.state.shell.language).gettext
    return _(
        "These details have been changed in another window in the meantime. Nothing was changed here. Please check "
        "them again."
    )


def _note_overtaken(request: Request) -> str:
    _ = catalogues.translator(request.state.shell.language).gettext
    return _(
        "This note has been changed in another window in the meantime. Your text is below, and not saved yet: the "
        "saved note is above it."
    )


def customer_path(request: Request) -> str:
    """Where the customer's page lives."""
    return f"{base_path(request)}/customers/{request.path_params['booking']}"


def read_page(query: Mapping[str, str]) -> int:
    """Which page of a list is asked for; the first for anything else."""
    return int(text) if _PAGE.fullmatch(text := query.get("page", "1")) else 1


def _pages(path: str, page: int) -> str:
    return f"{path}?page={page}" if page > 1 else path
