"""The calendar in which a booking looks for another time, with its own time in it; for customers and for staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.requests import Request

from app.booking.bookings import BookingView
from app.booking.moves import MoveQuote
from app.booking.reschedule import Rescheduled, with_own
from app.domain.booking import Actor
from app.domain.catalogue import Resource, Service
from app.parts import parts_of
from app.text import catalogues, formats, zones
from app.web.shared.booking_summary import in_zone, price
from app.web.shared.time_step import AskedTimes, Scene, find_scene, read_start
from app.web.shared.time_step_words import times_screen
from app.web.shared.time_words import long_when, start_value
from app.web.shared.times_screen import Paths, RescheduleLine, ServiceChoice, Taken, TimesScreen

#: Longer than any id of a scheduler's.
LONGEST_ID: Final = 100


async def quote_asked_move(request: Request, view: BookingView, asked: Mapping[str, str], *, by: Actor) -> MoveQuote:
    """What the time that is asked for would mean. `resource` is whom the visitor chose, `person` who was shown."""
    return await parts_of(request).reschedule.quote(
        view.booking.id,
        starts_at=read_start(asked.get("start", "")),
        service_id=asked.get("service", "")[:LONGEST_ID],
        resource_id=(asked.get("person") or asked.get("resource") or "")[:LONGEST_ID] or None,
        by=by,
    )


async def move_as_quoted(
    request: Request, booking_id: str, quote: MoveQuote, *, by: Actor, revision: int
) -> Rescheduled:
    """Make the move that a page has shown, if the booking is still as it was then."""
    return await parts_of(request).reschedule.booking(
        booking_id,
        starts_at=quote.slot.starts_at,
        service_id=quote.service.id,
        resource_id=quote.resource.id,
        by=by,
        revision=revision,
    )


def move_act(quote: MoveQuote) -> str:
    """What a move's form stands for: should its price change before the click, the page is shown again."""
    return f"move {start_value(quote.slot.starts_at)} {quote.difference} {quote.price.currency}"


async def find_reschedule_scene(
    request: Request,
    view: BookingView,
    service: Service,
    wanted: AskedTimes,
    people: tuple[Resource, ...],
    *,
    opens: bool,
) -> Scene:
    """The times to show. A calendar that `opens` does so on the day that is wanted, or where that has no other time,
    on the first day of its month that has one."""
    widget = view.widget
    catalogue = await parts_of(request).availability.catalogue(widget)
    scene = await find_scene(request, widget, catalogue, service, wanted, people)
    around = await parts_of(request).reschedule.around_own(view.booking, service)
    if scene.resource not in {"", view.booking.resource_id} or view.booking.resource_id not in {
        one.id for one in people
    }:
        around = ()
    scene = replace(scene, times=replace(scene.times, slots=with_own(scene.times.slots, around)))
    if opens and not any(zones.local(slot.starts_at, scene.zone).date() == scene.day for slot in scene.times.slots):
        return await find_scene(request, widget, catalogue, service, replace(wanted, day=None), people)
    return scene


def reschedule_screen(
    request: Request,
    view: BookingView,
    scene: Scene,
    services: Sequence[Service],
    *,
    paths: Paths,
    taken: Taken | None,
    staff: bool = False,
) -> TimesScreen:
    """What times.html shows of a booking that has a time already, which is shown among the others."""
    booking, service, zone, language = view.booking, scene.service, scene.zone, request.state.shell.language
    same = service.id == booking.service_id and scene.resource in {"", booking.resource_id}
    screen = times_screen(
        scene,
        view.widget,
        language,
        filling={"carried": (), "key": ()},
        paths=paths,
        own=booking.slot if same else None,
        taken=taken,
    )
    # An empty resource is kept: it says "anyone", where none at all says "the one it is".
    kept = [("service", service.id), ("resource", scene.resource)]
    shown = ("date", scene.shown)
    return replace(
        screen,
        times_fields=[*kept, shown] if scene.wanted.choose_zone else [*kept, ("tz", zone), shown],
        hold_fields=[*kept, ("tz", zone)],
        reschedule=RescheduleLine(
            now=_now_line(request, view, zone),
            staff=staff,
            services=_service_choices(services, service, language) if len(services) > 1 else [],
        ),
    )


def _now_line(request: Request, view: BookingView, zone: str) -> str:
    booking, language = in_zone(view.booking, zone), request.state.shell.language
    return catalogues.translator(language).gettext("Now: %(service)s with %(person)s, %(when)s.") % {
        "service": booking.service_name,
        "person": booking.resource_name,
        "when": long_when(booking.starts_at, booking.ends_at, booking, parts_of(request).now(), language),
    }


def _service_choices(services: Sequence[Service], chosen: Service, language: str) -> list[ServiceChoice]:
    whole = formats.all_whole(one.price for one in services)
    return [
        ServiceChoice(
            id=one.id,
            name=one.name_in(language),
            facts=f"{formats.format_duration(one.duration, language)} · {price(one.price, language, whole=whole)}",
            chosen=one.id == chosen.id,
        )
        for one in services
    ]
