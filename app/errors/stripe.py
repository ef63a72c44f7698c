"""What Stripe did not do."""

from __future__ import annotations

from app.errors.base import HoldfastError
from app.msgid import N_


class StripeError(HoldfastError):
    """Stripe did not do what was asked. `stripe_code` and `param` are its own words for why, `request_id` is for its
    dashboard."""

    status = 503
    code = "STRIPE_API_ERROR"
    sentence = N_("The payment page cannot be reached right now. Nothing was charged.")
    retry = False

    def __init__(
        self,
        message: str,
        *,
        stripe_code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.stripe_code = stripe_code
        self.param = param
        self.request_id = request_id


class StripeUnreachable(StripeError):
    """No answer, a conflict of keys in use, or 5xx: the outcome is unknown; repeat under the same key."""

    retry = True


class StripeDown(StripeError):
    """Stripe has failed repeatedly, so nothing was sent; `retry_after` in seconds."""

    retry = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StripeRateLimited(StripeError):
    """429: not processed; back off."""

    retry = True


class StripeRefused(StripeError):
    """400, 402 or 404: a fact about the object's state, or a mistake of ours; read the object."""


class PaymentRefused(StripeError):
    """Stripe does not open a payment page for this amount, account or key, however often it is asked."""

    sentence = N_(
        "We cannot take this payment, and trying again will not help. You have not been charged. Please contact us."
    )


class AddressRefused(PaymentRefused):
    """Stripe does not take the email address of a booking that is made, whose form is no longer open."""

    sentence = N_(
        "The payment page does not accept the email address of this booking. Please contact us so that we can correct "
        "it."
    )


class StripeMisconfigured(StripeError):
    """401 or 403: the key is wrong, or lacks a permission."""
