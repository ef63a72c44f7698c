"""A booking as it stands in most examples: Ada's portrait session with Maja, confirmed and paid in Stockholm."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.booking import Booking, Customer, Status, Visitor
from app.domain.money import Money
from app.domain.payment import Payment, PaymentState
from app.domain.reservation import Reservation
from app.domain.terms import Capture, Terms, Tier

#: A Friday in Stockholm, 10:00; the session is on the Tuesday after, at the same time.
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_OF_RESERVATION = {field.name for field in fields(Reservation)} - {field.name for field in fields(Booking)}


def a_booking(**changes: Any) -> Booking:
    """The booking, with `changes` of its fields, or of its reservation's."""
    starts_at = NOW + timedelta(days=4)
    ends_at = starts_at + timedelta(hours=1)
    reservation = Reservation(
        id="bk_1",
        booking_id="bk_1",
        scheduler="hapio",
        service_id="service",
        service_name="Portrait session",
        resource_id="resource",
        resource_name="Maja Lind",
        location_id="location",
        location_name="Studio Nord, Götgatan 1",
        time_zone="Europe/Stockholm",
        starts_at=starts_at,
        ends_at=ends_at,
        buffer_starts_at=starts_at,
        buffer_ends_at=ends_at,
        reference="there",
        created_at=NOW,
        updated_at=NOW,
    )
    booking = Booking(
        id="bk_1",
        widget="studio",
        status=Status.CONFIRMED,
        reservation=reservation,
        any_resource=False,
        terms=Terms(Money(12000, "eur"), (Tier(24, 100), Tier(2, 50))),
        deadline=NOW + timedelta(minutes=10),
        extensions=0,
        was_expired=False,
        payment_id=None,
        end_reason=None,
        customer=Customer("Ada Example", "ada@example.test", "+46701234567"),
        visitor=Visitor("visitor"),
        revision=1,
        created_at=NOW,
        updated_at=NOW,
        confirmed_at=NOW,
        next_try_at=None,
        tries=0,
    )
    of_time = {name: changes.pop(name) for name in {*changes} & _OF_RESERVATION}
    return replace(booking.elsewhere(**of_time), **changes)


def a_payment(payment_id: str = "pay_1", captured: int = 120_000, **changes: Any) -> Payment:
    """A payment of kronor that was captured, with `changes` of its fields."""
    payment = Payment(
        id=payment_id,
        booking_id="bk_1",
        attempt=1,
        state=PaymentState.CAPTURED,
        price=Money(captured, "sek"),
        capture=Capture.AUTOMATIC,
        params={},
        session_id=f"cs_{payment_id}",
        session_url=None,
        payment_intent_id=f"pi_{payment_id}",
        expires_at=NOW,
        captured=captured,
        looks=0,
        created_at=NOW,
    )
    return replace(payment, **changes)
