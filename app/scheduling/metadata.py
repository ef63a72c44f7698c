"""The metadata that goes to the scheduler with a booking: who comes, how it was paid, where it came from."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain import attribution
from app.domain.booking import Booking, Customer
from app.domain.payment import Payment
from app.scheduling.port import SchedulerBooking


def scheduler_metadata(booking: Booking, payment: Payment | None) -> dict[str, str]:
    """The whole metadata of a final booking; our id is what finds it again."""
    customer = booking.customer
    known = {
        "customer_name": customer.name if customer else "",
        "customer_email": customer.email if customer else "",
        "customer_phone": customer.phone if customer else "",
        "customer_notes": customer.notes if customer else "",
        "paid_amount": str(booking.terms.price.to_decimal()),
        "paid_currency": booking.terms.price.currency,
        "payment_intent": payment.payment_intent_id if payment and payment.payment_intent_id else "",
        **{f"answer_{name}": answer for name, answer in (customer.answers.items() if customer else ())},
        "reference": booking.visitor.reference,
        **attribution.metadata(booking.visitor),
    }
    return {"holdfast_id": booking.id, **{key: value for key, value in known.items() if value}}


def customer_of(there: SchedulerBooking) -> Customer | None:
    """Who comes, as a final booking tells: by its metadata, or, where the scheduler keeps none, by its customer's name
    and address. None where it names nobody, or someone who was forgotten."""
    if there.name and "@" in there.email:
        return Customer(name=there.name, email=there.email)
    return _customer_in(there.metadata)


def _customer_in(metadata: Mapping[str, str]) -> Customer | None:
    name, email = metadata.get("customer_name", ""), metadata.get("customer_email", "")
    if not name or "@" not in email:
        return None
    return Customer(
        name=name,
        email=email,
        phone=metadata.get("customer_phone", ""),
        notes=metadata.get("customer_notes", ""),
        answers={key.removeprefix("answer_"): answer for key, answer in metadata.items() if key.startswith("answer_")},
    )
