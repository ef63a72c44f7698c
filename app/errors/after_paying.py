"""What is said instead of an error's own sentence wherever someone may have paid: most sentences say that nothing was
charged, which is true only of those who have not."""

from __future__ import annotations

from app.errors.base import HoldfastError
from app.errors.mail import MailError
from app.errors.requests import RateLimited
from app.errors.schedulers import SchedulerError
from app.errors.stripe import PaymentRefused, StripeError
from app.msgid import N_

DO_NOT_PAY_AGAIN = N_("If you have already paid, please do not pay again.")
_CANNOT_SHOW = N_("We cannot show this page right now.")
_LOOKED_UP = N_(
    "Your payment is not lost: we check it at Stripe ourselves. Open this page again in a few minutes to see your "
    "booking."
)


def sentences_after_paying(error: HoldfastError) -> list[str]:
    """What happened, and that nobody should pay again; msgids."""
    return [_what_happened(error), DO_NOT_PAY_AGAIN, _LOOKED_UP]


def is_failure(error: HoldfastError) -> bool:
    """Whether something did not answer, so that nobody knows here whether a payment has come in. What is refused is
    refused because of what is known."""
    return error.status >= 500 and not isinstance(error, PaymentRefused | MailError)


def out_of_reach(error: SchedulerError | StripeError) -> str:
    """Which provider does not answer; a msgid."""
    if isinstance(error, SchedulerError):
        return N_("The calendar cannot be reached right now.")
    return N_("Our payment service cannot be reached right now.")


def _what_happened(error: HoldfastError) -> str:
    if isinstance(error, RateLimited):
        return RateLimited.sentence
    if isinstance(error, SchedulerError | StripeError):
        return out_of_reach(error)
    return _CANNOT_SHOW
