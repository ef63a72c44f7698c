"""The acts that only look: services, free times. No decision is made here."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from app.api import answers, requests
from app.api.asked import asked_language, asked_widgets, find_offer, months_of, read_span
from app.api.door import Call
from app.domain.catalogue import Service, Slot
from app.errors import InvalidDetails, NotFound
from app.msgid import N_
from app.text import zones
from app.widgets import Widget

_NO_SUCH_ZONE = N_("There is no such time zone.")


async def show_services(call: Call, asked: requests.ServicesQuery) -> answers.ServicesAnswer:
    """GET /api/services"""
    offered = []
    for widget in asked_widgets(call, asked.widget):
        catalogue = await call.parts.availability.catalogue(widget)
        language = asked_language(call, widget)
        offered += [_service(service, widget, language) for service in catalogue.services]
    return answers.ServicesAnswer(services=offered)


def _service(service: Service, widget: Widget, language: str) -> answers.ServiceOut:
    return answers.ServiceOut(
        id=service.id,
        name=service.name_in(language),
        description=service.description_in(language),
        duration=round(service.duration.total_seconds() / 60),
        price=service.price.amount,
        currency=service.price.currency,
        widget=widget.name,
        resources=[answers.ResourceOut(id=resource.id, name=resource.name) for resource in service.resources],
    )


async def show_availability(call: Call, asked: requests.AvailabilityQuery) -> answers.AvailabilityAnswer:
    """GET /api/availability"""
    widget, service = await find_offer(call, asked.widget, asked.service_id)
    if asked.resource_id and service.resource(asked.resource_id) is None:
        raise NotFound(asked.resource_id)
    location = (await call.parts.availability.catalogue(widget)).location
    zone_name = zones.valid_zone(asked.time_zone) if asked.time_zone else location.time_zone
    if zone_name is None:
        raise InvalidDetails({"timeZone": _NO_SUCH_ZONE})
    zone = ZoneInfo(zone_name)
    start, end = read_span(asked.from_, asked.to, zone)
    slots: dict[datetime, Slot] = {}
    now = call.parts.now()
    oldest = now
    reader = "" if call.caller.key else call.caller.address
    for month in months_of(start, end):
        times = await call.parts.availability.times(
            widget, service, month=month, resource_id=asked.resource_id or None, reader=reader
        )
        oldest = min(oldest, times.as_of)
        slots |= {slot.starts_at: slot for slot in times.slots if start <= slot.starts_at < end}
    return answers.AvailabilityAnswer.at(
        now,
        [
            answers.SlotOut(
                start=slot.starts_at.astimezone(zone),
                end=slot.ends_at.astimezone(zone),
                resource_ids=list(slot.resource_ids),
            )
            for _, slot in sorted(slots.items())
        ],
        as_of=oldest,
        time_zone=zone_name,
    )
