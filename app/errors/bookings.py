"""What a booking, a time or a payment does not allow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.errors.base import HoldfastError
from app.msgid import N_


class NotFound(HoldfastError):
    """No such widget, service, person or booking."""

    status = 404
    code = "BOOKING_NOT_FOUND"
    sentence = N_("We could not find what you were looking for.")
    retry = False


class ServiceOff(NotFound):
    """The owner has switched the service off. Nothing was held."""

    sentence = N_("This service cannot be booked at the moment.")


class SlotTaken(HoldfastError):
    """The time is no longer free; `nearest` holds the starts of the nearest free times."""

    status = 409
    code = "BOOKING_CONFLICT"
    sentence = N_("This time has just been taken.")
    retry = False

    def __init__(self, start: datetime, nearest: Sequence[datetime] = ()) -> None:
        super().__init__(start.isoformat())
        self.start = start
        self.nearest = tuple(nearest)


class TimePassed(SlotTaken):
    """The time has begun, so it can no longer be booked."""

    sentence = N_("This time has passed.")


class TooSoon(SlotTaken):
    """The service asks for more notice than is left."""

    sentence = N_("This is too soon to book here. Please choose a later time.")


class NotOffered(SlotTaken):
    """The calendar does not offer the time to the owner: it is off the hours, too soon or too far ahead, or taken."""

    sentence = N_("This time is taken, or the calendar does not offer it.")


class BookingConflict(HoldfastError):
    """The booking is in a state that does not allow this act (any more)."""

    status = 409
    code = "BOOKING_CONFLICT"
    sentence = N_("This booking has changed in the meantime.")
    retry = False


class TooManyFree(BookingConflict):
    """This customer has as many free bookings to come as the widget allows."""

    sentence = N_(
        "You already have as many upcoming free bookings as one person may have here. Please cancel one of them "
        "first, or get in touch with us."
    )


class TooManyFreeToday(BookingConflict):
    """As many free bookings were made from this network address today as the widget allows."""

    sentence = N_(
        "Several free bookings were made from your network today. Please make your next one tomorrow, or get in "
        "touch with us."
    )


class PolicyRefused(HoldfastError):
    """The terms, or the time of day, do not allow this; `refusal` is the value of an app.booking.policy.Refusal."""

    status = 409
    code = "POLICY_REFUSED"
    sentence = N_("This booking can no longer be changed here.")
    retry = False

    def __init__(self, refusal: str) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class NotBegun(PolicyRefused):
    """The visit is still to come: nobody can have missed it."""

    sentence = N_("The appointment has not started yet, so it cannot be marked as missed.")

    def __init__(self) -> None:
        super().__init__("not_begun")


class HoldExpired(HoldfastError):
    """The hold's time is over; the slot was, or is being, released."""

    status = 410
    code = "HOLD_EXPIRED"
    sentence = N_("Your hold on this time has ended. You have not been charged.")
    retry = False


class SessionExpired(HoldExpired):
    """The payment page was closed before anyone paid, and the hold has ended with it."""

    code = "SESSION_EXPIRED"
    sentence = N_("The time to pay has run out, and the hold has ended. Nothing was charged.")


class PaymentFailed(HoldfastError):
    """The bank said no in the end, and the hold has ended."""

    status = 409
    code = "PAYMENT_FAILED"
    sentence = N_("The payment did not go through, and the hold has ended. Nothing was charged.")
    retry = False


class RefundFailed(HoldfastError):
    """Nothing could be refunded: nothing is left of the payments, or Stripe refused."""

    status = 409
    code = "REFUND_FAILED"
    sentence = N_("The refund could not be made.")
    retry = False
