"""The widget's first screens: the list of services, and the times. Both are rendered once for many visitors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import ASGIApp

from app.parts import parts_of
from app.protection.rate_limits import SLOTS, client_address
from app.scheduling.availability import Catalogue
from app.text import formats
from app.web.shared.booking_summary import price
from app.web.shared.page_cache import HOLES, Pages, pages_in
from app.web.shared.render import follow, make_page, page_headers, render, render_text, wants_block, widget_shell
from app.web.shared.time_step import AskedTimes, find_scene, read_asked_times
from app.web.shared.time_step_words import filled_fields, times_screen
from app.web.visitor.carried import asked_widget, carried_pairs, chosen_service, own_hold, own_hold_line


async def show_widget(request: Request) -> ASGIApp:
    """GET /w/{widget}: the services, or the times where there is one service or one is chosen."""
    return await _show(request, "main")


async def show_slots(request: Request) -> ASGIApp:
    """GET /w/{widget}/slots: the month and the day's times, as a part of the page for htmx."""
    return await _show(request, "times")


async def _show(request: Request, block: str) -> ASGIApp:
    widget = asked_widget(request)
    shell = request.state.shell = widget_shell(request, widget)
    wanted = read_asked_times(request.query_params, shell.language)
    parts = parts_of(request)
    await parts.rate_limits.check(SLOTS, client_address(request.scope))
    # Before anything is read: what changes while it is being read has to count as a change.
    epoch = parts.availability.epoch()
    catalogue = await parts.availability.catalogue(widget)
    service = chosen_service(catalogue, wanted.service)
    mine = await own_hold(request, request.query_params.get("mine", ""), widget)
    part = (block if service else "main") if wants_block(request) else None
    page = make_page(request, shell, fragment=part is not None)
    own = (widget.name, shell.language, shell.style, page.back_to_host, page.alone, part, wanted.kept)
    headers: dict[str, str] = {}
    if part is None:
        headers = page_headers(parts.settings, widget, shell.theme, framed=True)
    if service is None:
        name, context = "visitor/services.html", _services_context(catalogue, wanted, shell.language)
        key: tuple[object, ...] = (*own, catalogue)
    else:
        scene = await find_scene(request, widget, catalogue, service, wanted)
        catalogue, service = scene.catalogue, scene.service
        name, context = "shared/times.html", {}
        key = (*own, catalogue.location, len(catalogue.services), service, scene.resource, wanted.choose_zone)
        key += (scene.month, scene.day, scene.opened, scene.today, scene.last_day)
        key += (scene.times.version, scene.following and scene.following.version)
        key += (scene.next_free and scene.next_free.starts_at,)
        key += (formats.all_whole(one.price for one in catalogue.services),)

    def draw() -> str:
        filled = context or times_screen(scene, widget, shell.language).context
        return render_text(parts.templates, name, {**filled, "page": page}, block=part)

    carried = carried_pairs(request.query_params, widget)
    if service and mine:  # what one visitor holds is drawn for them alone
        filling = {"carried": carried, "key": (("key", parts.links.visitor_key()),)}
        screen = times_screen(scene, widget, shell.language, filling=filling)
        screen = replace(screen, mine=own_hold_line(request, mine, scene.zone, shell.language))
        return render(request, "shared/times.html", screen.context, shell=shell, block=part)
    if part == "main":
        headers |= follow(request)
    elif part:
        asked = {name: value for name, value in request.query_params.items() if value and name != "zones"}
        headers["HX-Replace-Url"] = f"{page.path}?{urlencode(asked)}"
    pages: Pages = pages_in(request.scope)
    return pages.answer(request, key, draw, epoch=epoch, carried=carried, headers=headers)


def _services_context(catalogue: Catalogue, wanted: AskedTimes, language: str) -> dict[str, Any]:
    state = {"tz": wanted.zone or "", "lang": wanted.language, **dict(wanted.style)}
    whole = formats.all_whole(service.price for service in catalogue.services)
    return {
        "services": [
            {
                "id": service.id,
                "name": service.name_in(language),
                "description": service.description_in(language),
                "image": service.image,
                "duration": formats.format_duration(service.duration, language),
                "price": price(service.price, language, whole=whole),
            }
            for service in catalogue.services
        ],
        "zone": "" if wanted.zone else catalogue.location.time_zone,
        "times_fields": filled_fields(state),
        "carried": HOLES["carried"],
    }
