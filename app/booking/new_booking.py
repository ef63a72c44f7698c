"""The row of a new booking: held, and not paid."""

from __future__ import annotations

from datetime import datetime

from app.domain.booking import Booking, Customer, Status, Visitor
from app.domain.catalogue import Location, Resource, Service, Slot
from app.domain.reservation import Reservation
from app.errors import ServiceOff
from app.widgets import Widget


def must_be_on_offer(service: Service) -> None:
    """Refuse to hold a service that the owner has switched off. Raises ServiceOff."""
    if not service.on_offer:
        raise ServiceOff(service.id)


def new_reservation(
    booking_id: str, scheduler: str, service: Service, slot: Slot, resource: Resource, location: Location, now: datetime
) -> Reservation:
    """A reservation of a slot with this person, before the scheduler is asked for it."""
    return Reservation(
        id=booking_id,
        booking_id=booking_id,
        scheduler=scheduler,
        service_id=service.id,
        service_name=service.name,
        resource_id=resource.id,
        resource_name=resource.name,
        location_id=location.id,
        location_name=location.name,
        time_zone=location.time_zone,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        buffer_starts_at=slot.buffer_starts_at,
        buffer_ends_at=slot.buffer_ends_at,
        unsure=True,
        created_at=now,
        updated_at=now,
    )


def another_reservation(
    of: Reservation,
    ident: str,
    service: Service,
    slot: Slot,
    resource: Resource,
    now: datetime,
    *,
    unsure: bool,
    offered_until: datetime | None = None,
) -> Reservation:
    """A claim of the same booking on another time, at the same place. It is one of the slots that the calendar offers,
    whether or not the first one was. `unsure`: the scheduler is about to be asked for a lock."""
    return Reservation(
        id=ident,
        booking_id=of.booking_id,
        scheduler=of.scheduler,
        service_id=service.id,
        service_name=service.name,
        resource_id=resource.id,
        resource_name=resource.name,
        location_id=of.location_id,
        location_name=of.location_name,
        time_zone=of.time_zone,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        buffer_starts_at=slot.buffer_starts_at,
        buffer_ends_at=slot.buffer_ends_at,
        created_at=now,
        updated_at=now,
        places=of.places,
        unsure=unsure,
        offered_until=offered_until,
    )


def new_booking(
    reservation: Reservation,
    widget: Widget,
    service: Service,
    *,
    visitor: Visitor,
    customer: Customer | None,
    any_resource: bool,
    deadline: datetime,
) -> Booking:
    """A hold on that time under the widget's terms, until `deadline`."""
    return Booking(
        id=reservation.booking_id,
        widget=widget.name,
        status=Status.HELD,
        reservation=reservation,
        any_resource=any_resource,
        terms=widget.terms(service.price),
        deadline=deadline,
        extensions=0,
        was_expired=False,
        payment_id=None,
        end_reason=None,
        customer=customer,
        visitor=visitor,
        revision=0,
        created_at=reservation.created_at,
        updated_at=reservation.created_at,
        confirmed_at=None,
        next_try_at=None,
        tries=0,
    )
