"""*Technical*: every problem in full, what waits and can be tried again by hand, the feeds, and the scheduler's
calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.domain.local_days import next_month
from app.errors import BookingConflict, NotFound
from app.operations.outgoing_webhooks import OutgoingWebhooks
from app.parts import parts_of
from app.text import zones
from app.web.shared.page_cache import pages_in
from app.web.shared.request_input import read_form
from app.web.staff.customers import read_page
from app.web.staff.dates import day_field
from app.web.staff.page import base_path, place_zone, read_well, render_staff
from app.web.staff.sign_in import signed_in
from app.web.staff.staff_words import event_row, mail_row
from app.web.staff.technical_words import delivery_row, figure_rows, overtaken, program_rows, reported_words

#: Rows of a table on one page.
PER_PAGE: Final = 50
#: Alerts that *Technical* shows; a server with more has one cause for most of them.
MOST_ALERTS: Final = 50
_ID: Final = 200


@signed_in
async def show_technical(request: Request) -> Response:
    """GET /staff/{token}/technical: whether all is well, in full, and below it the engineer's figures."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    settings, zone, base = parts.settings, await place_zone(request), base_path(request)
    request.state.well = await read_well(request, most=MOST_ALERTS)
    feed = f"{settings.public_url}/staff/feed/{await parts.staff.feed_token(request.state.staff.email)}/bookings"
    backlog = await parts.outgoing_webhooks.backlog()
    today = zones.local(now, zone).date()
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    context = {
        "events_waiting": len(await parts.inbox.events(waiting=True, most=PER_PAGE)),
        "mails_waiting": len(await parts.staff.unsent_mails(most=PER_PAGE)),
        "mail_on": parts.mailer.enabled,
        "programs": len(await parts.outgoing_webhooks.endpoints()),
        "messages_waiting": backlog.waiting + backlog.given_up,
        "per_page": PER_PAGE,
        "calls": parts.staff.calls(settings.availability_ttl),
        "asked_fresh": settings.availability_ttl,
        "kept": round(pages_in(request.scope).bytes_kept / 1024),
        "rows": figure_rows(await parts.health.facts(), zone=zone, now=now, language=language),
        "export_from": day_field("from", first, language, today=today),
        "export_to": day_field("to", next_month(first) - timedelta(days=1), language, today=today),
        "csv": f"{feed}.csv",
        "ics": f"{feed}.ics",
        "renewed": request.query_params.get("told") == "renewed",
    }
    return render_staff(request, "staff/technical.html", {**context, "base": base}, screen="technical")


@signed_in
async def show_old_address(request: Request) -> Response:
    """GET /staff/{token}/house: where this page was before."""
    return RedirectResponse(f"{base_path(request)}/technical", status_code=308)


@signed_in
async def renew_feed(request: Request) -> Response:
    """POST /staff/{token}/feed: other addresses for one's own feeds; those before stop working."""
    await parts_of(request).staff.renew_feed(request.state.staff.email)
    return RedirectResponse(f"{base_path(request)}/technical?told=renewed", status_code=303)


# Events


@signed_in
async def show_events(request: Request) -> Response:
    """GET /staff/{token}/technical/events: what providers have told and still awaits its effect, or all of it."""
    return await _events_page(request)


async def _events_page(request: Request, *, problem: str = "", status: int = 200) -> Response:
    every, page = "all" in request.query_params, read_page(request.query_params)
    found = await parts_of(request).inbox.events(waiting=not every, skip=(page - 1) * PER_PAGE, most=PER_PAGE + 1)
    zone, now, language = await place_zone(request), parts_of(request).now(), request.state.shell.language
    rows = [{**event_row(one, zone, now, language), "tries": one.tries, "act": True} for one in found[:PER_PAGE]]
    return _table(request, "events", rows, more=len(found) > PER_PAGE, problem=problem, status=status)


@signed_in
async def replay_event(request: Request) -> Response:
    """POST …/technical/events: let one have its effect now."""
    form = await read_form(request)
    try:
        after = await parts_of(request).inbox.replay(form.get("id", "")[:_ID], tries=_tries(form.get("tries", "")))
    except (BookingConflict, NotFound) as error:
        return await _events_page(request, problem=overtaken(request.state.shell.language), status=error.status)
    return _back(request, "events", "acted" if after.processed_at else "acted_in_vain")


# Mails


@signed_in
async def show_mails(request: Request) -> Response:
    """GET /staff/{token}/technical/emails: mails that are due and not sent, or that were given up."""
    return await _mails_page(request)


async def _mails_page(request: Request, *, problem: str = "", status: int = 200) -> Response:
    page = read_page(request.query_params)
    found = await parts_of(request).staff.unsent_mails(skip=(page - 1) * PER_PAGE, most=PER_PAGE + 1)
    zone, now, language = await place_zone(request), parts_of(request).now(), request.state.shell.language
    rows = [
        {**mail_row(one, zone, now, language), "id": one.id, "tries": one.tries, "act": bool(one.error)}
        for one in found[:PER_PAGE]
    ]
    return _table(request, "emails", rows, more=len(found) > PER_PAGE, problem=problem, status=status)


@signed_in
async def resend_mail(request: Request) -> Response:
    """POST …/technical/emails: send one again now, or with `all` every one that was given up."""
    parts, form, who = parts_of(request), await read_form(request), request.state.staff.email
    if form.get("all") == "1":
        again = await parts.staff.resend_all_mails(who=who)
        return _back(request, "emails", "all_sent" if again else "none_sent")
    try:
        await parts.corrections.resend_mail(form.get("id", "")[:_ID], tries=_tries(form.get("tries", "")), who=who)
    except BookingConflict as error:
        return await _mails_page(request, problem=overtaken(request.state.shell.language), status=error.status)
    return _back(request, "emails", "sent")


# The owner's programs


@signed_in
async def show_programs(request: Request) -> Response:
    """GET /staff/{token}/technical/programs: the owner's programs, and the messages that they have not taken, or
    all."""
    return await _programs_page(request)


async def _programs_page(request: Request, *, problem: str = "", status: int = 200) -> Response:
    every, page, webhooks = "all" in request.query_params, read_page(request.query_params), _webhooks(request)
    found = await webhooks.deliveries(waiting=not every, skip=(page - 1) * PER_PAGE, most=PER_PAGE + 1)
    zone, now, language = await place_zone(request), parts_of(request).now(), request.state.shell.language
    rows = [delivery_row(one, zone, now, language) for one in found[:PER_PAGE]]
    programs = program_rows(await webhooks.endpoints(), zone, now, language)
    more = len(found) > PER_PAGE
    return _table(request, "programs", rows, more=more, problem=problem, status=status, programs=programs)


@signed_in
async def resend_message(request: Request) -> Response:
    """POST …/technical/programs: send one message again; with `enable` or `all`, switch a program on again, or send all
    that it has not taken."""
    form, webhooks = await read_form(request), _webhooks(request)
    acts: Sequence[tuple[str, str, Callable[[str], Awaitable[Any]]]] = (
        ("enable", "enabled", webhooks.enable),
        ("all", "all_messages", webhooks.replay_waiting),
    )
    try:
        for field, told, act in acts:
            if name := form.get(field, "")[:_ID]:
                await act(name)
                return _back(request, "programs", told)
        tries, delivered = _tries(form.get("tries", "")), form.get("delivered") == "1"
        await webhooks.replay_one(form.get("id", "")[:_ID], tries=tries, delivered=delivered)
    except (BookingConflict, NotFound) as error:
        return await _programs_page(request, problem=overtaken(request.state.shell.language), status=error.status)
    return _back(request, "programs", "message")


def _webhooks(request: Request) -> OutgoingWebhooks:
    return parts_of(request).outgoing_webhooks


# The tables


def _table(
    request: Request,
    kind: str,
    rows: Sequence[dict[str, Any]],
    *,
    more: bool,
    problem: str,
    status: int,
    programs: Sequence[dict[str, Any]] = (),
) -> Response:
    every, page = "all" in request.query_params, read_page(request.query_params)
    path = f"{base_path(request)}/technical/{kind}"

    def address(number: int) -> str:
        pairs = [*([("all", "1")] if every else []), *([("page", str(number))] if number > 1 else [])]
        return f"{path}?{urlencode(pairs)}" if pairs else path

    told = request.query_params.get("told", "")
    context = {
        "kind": kind,
        "path": path,
        "rows": rows,
        "every": every,
        "page_number": page,
        "before": address(page - 1) if page > 1 else "",
        "after": address(page + 1) if more else "",
        "programs": programs,
        "problem": problem,
        "reported": "" if problem else reported_words(told, request.state.shell.language),
    }
    return render_staff(request, "staff/technical_table.html", context, screen="technical", status=status)


def _tries(text: str) -> int:
    """How often something had been tried when it was seen; never what a row has for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else -1


def _back(request: Request, kind: str, told: str) -> Response:
    return RedirectResponse(f"{base_path(request)}/technical/{kind}?told={told}", status_code=303)
