"""The services: what is on offer and in which order, and the form of one."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.errors import BookingConflict, NotFound, SchedulerError
from app.errors.after_paying import out_of_reach
from app.operations.services import Line, Saved, form_values
from app.parts import parts_of
from app.text import catalogues, formats, languages
from app.web.shared.booking_summary import price
from app.web.shared.render import picture_sources
from app.web.shared.request_input import read_form
from app.web.staff.page import base_path, place_zone, render_staff
from app.web.staff.service_words import (
    file_offers,
    history_lines,
    not_offered,
    saved_words,
    sources,
    worded_faults,
)
from app.web.staff.sign_in import signed_in

# The list


@signed_in
async def show_services(request: Request) -> Response:
    """GET /staff/{token}/services: every widget's services, with what each is."""
    return await _list_screen(request)


async def _list_screen(request: Request, *, problem: str = "", status: int = 200) -> Response:
    parts, language = parts_of(request), request.state.shell.language
    _ = catalogues.translator(language).gettext
    widgets = []
    for name, widget in parts.widgets.items():
        lines, down = [], ""
        try:
            lines = await parts.services.lines(name)
        except (SchedulerError, NotFound) as error:
            down = _(out_of_reach(error)) if isinstance(error, SchedulerError) else _(error.sentence)
        shown = [line for line in lines if line.service]
        widgets.append(
            {
                "name": name,
                "title": widget.heading(),
                "down": down,
                "rows": [
                    _row(request, name, line, first=number == 0, last=number == len(shown) - 1)
                    for number, line in enumerate(shown)
                ],
                "others": [_other(request, name, line) for line in lines if not line.service],
                "ordered": parts.services.is_ordered(name),
                "order": f"{base_path(request)}/services/{quote(name)}/order",
            }
        )
    told = request.query_params.get("told", "")
    context = {
        "widgets": widgets,
        "several": len(widgets) > 1,
        "problem": problem,
        "reported": _("The order of widgets.toml is back.") if told == "order" else "",
    }
    return _render(request, "staff/services.html", context, status)


def _row(request: Request, widget: str, line: Line, *, first: bool, last: bool) -> dict[str, Any]:
    language, service = request.state.shell.language, line.service
    assert service is not None  # noqa: S101 - the caller has asked
    people = [one.name for one in service.resources]
    return {
        "id": _anchor(widget, line.id),
        "path": service_path(request, widget, line.id),
        "name": service.name,
        "image": service.image,
        "on": line.on,
        "facts": [formats.format_duration(service.duration, language), price(service.price, language)],
        "people": formats.format_list(people, language) if people else "",
        "missing": formats.format_list(
            [languages.locale_of(language).languages.get(tag, tag) for tag in line.missing], language
        ),
        "first": first,
        "last": last,
    }


def _other(request: Request, widget: str, line: Line) -> dict[str, Any]:
    assert line.left_out is not None  # noqa: S101 - a line without a service says why
    return {
        "id": _anchor(widget, line.id),
        "path": service_path(request, widget, line.id),
        "name": line.name,
        "why": not_offered(line.left_out, request.state.shell.language),
        "can": line.can_be_offered,
        "opens": line.can_be_opened,
    }


def _anchor(widget: str, service_id: str) -> str:
    return f"s-{widget}-{service_id}"


@signed_in
async def switch(request: Request) -> Response:
    """POST …/switch: offer it, or stop that."""
    widget, service_id = _named(request)
    on = (await read_form(request)).get("on") == "1"
    return await _acted(
        request, parts_of(request).services.switch(widget, service_id, on=on, by=request.state.staff.email)
    )


@signed_in
async def put_in_order(request: Request) -> Response:
    """POST …/place: one place earlier or later."""
    widget, service_id = _named(request)
    earlier = (await read_form(request)).get("earlier") == "1"
    act = parts_of(request).services.put_in_order(widget, service_id, earlier=earlier, by=request.state.staff.email)
    return await _acted(request, act)


@signed_in
async def order_of_file(request: Request) -> Response:
    """POST /staff/{token}/services/{widget}/order: as widgets.toml has them."""
    await parts_of(request).services.order_of_file(request.path_params["widget"], by=request.state.staff.email)
    return RedirectResponse(f"{base_path(request)}/services?told=order", status_code=303)


async def _acted(request: Request, act: Awaitable[None]) -> Response:
    widget, service_id = _named(request)
    try:
        await act
    except (SchedulerError, BookingConflict) as error:
        _ = catalogues.translator(request.state.shell.language).gettext
        busy = _("Someone else is changing this. Please try again.")
        problem = _(out_of_reach(error)) if isinstance(error, SchedulerError) else busy
        return await _list_screen(request, problem=problem, status=error.status)
    return RedirectResponse(f"{base_path(request)}/services#{_anchor(widget, service_id)}", status_code=303)


# One service


@signed_in
async def show_service(request: Request) -> Response:
    """GET /staff/{token}/services/{widget}/{service}: its form, as the scheduler has it now."""
    view = await parts_of(request).services.open(*_named(request))
    told = request.query_params.get("told", "")
    return await _form_screen(request, Saved("saved" if told == "saved" else "same", view), reported=told)


@signed_in
async def save(request: Request) -> Response:
    """POST /staff/{token}/services/{widget}/{service}: keep what was typed. Whatever is not kept is shown again."""
    form = await read_form(request)
    saved = await parts_of(request).services.save(*_named(request), form, by=request.state.staff.email)
    if saved.state in {"saved", "same"}:
        told = urlencode({"told": saved.state})
        return RedirectResponse(f"{service_path(request, *_named(request))}?{told}", status_code=303)
    return await _form_screen(request, saved, typed=form)


async def _form_screen(
    request: Request, saved: Saved, *, typed: Mapping[str, str] | None = None, reported: str = ""
) -> Response:
    view, language, now = saved.view, request.state.shell.language, parts_of(request).now()
    zone = await place_zone(request)
    stands = form_values(view)
    values = {name: typed.get(name, "") for name in {*stands, *typed}} if typed is not None else stands
    # What another desk, or the scheduler, has put there meanwhile, where that is not what was typed.
    meanwhile = (
        {name: text for name, text in stands.items() if text != values.get(name, "").strip()}
        if saved.state == "overtaken"
        else {}
    )
    names = languages.locale_of(language).languages
    context = {
        "view": view,
        # What is only wrong was not compared with anything yet.
        "version": values.get("version", view.version) if saved.state in {"wrong", "down"} else view.version,
        "path": service_path(request, view.widget.name, view.id),
        "heading": view.names[view.first],
        "texts": [
            {
                "tag": tag,
                "language": names.get(tag, tag),
                "first": tag == view.first,
                "direction": languages.direction(tag),
                "open": any(
                    values[name] or name in saved.faults or name in meanwhile
                    for name in (f"name_{tag}", f"description_{tag}")
                ),
            }
            for tag in view.languages
        ],
        "values": values,
        "back": {name for name in values if name.startswith("back_") and values[name]},
        "meanwhile": meanwhile,
        "faults": worded_faults(saved.faults, language),
        "said": saved_words(saved, reported, typed or {}, zone, now, language),
        "sources": sources(view, language),
        "file": file_offers(view, language),
        "history": history_lines(view, zone, now, language),
        "currency": view.widget.currency.upper(),
    }
    status = {"wrong": 422, "overtaken": 409, "down": 503, "refused": 502}.get(saved.state, 200)
    return _render(request, "staff/service.html", context, status)


def service_path(request: Request, widget: str, service_id: str) -> str:
    """Where one service's pages live."""
    return f"{base_path(request)}/services/{quote(widget)}/{quote(service_id, safe='')}"


def _render(request: Request, name: str, context: Mapping[str, Any], status: int) -> Response:
    images = picture_sources(parts_of(request).widgets.values())
    return render_staff(request, name, context, screen="services", status=status, images=images)


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["widget"], request.path_params["service"]
