"""A request that is wrong, may not be made, or comes too often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.errors.base import HoldfastError
from app.msgid import N_


class InvalidRequest(HoldfastError):
    """The request is malformed; the text says what."""

    status = 400
    code = "INVALID_REQUEST"
    sentence = N_("We could not read that request. Please go back and try again.")
    retry = False


class InvalidDetails(InvalidRequest):
    """Fields of the details form that need correcting: `fields` maps a field's name to its sentence."""

    status = 422
    sentence = N_("Please check the marked fields.")

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(", ".join(sorted(fields)))
        self.fields = dict(fields)


class NotTakenIn(InvalidRequest):
    """What was booked on the scheduler's own page is not taken in; `reason` is the value of an
    app.booking.own_page.Unfit."""

    status = 422
    sentence = N_("This booking does not fit what was asked for.")

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HoursRefused(InvalidRequest):
    """Someone's hours cannot be changed so; `reason` is the value of an app.operations.working_hours.Unfit."""

    status = 422
    sentence = N_("These hours cannot be set like this.")

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooLarge(InvalidRequest):
    """The body is beyond the limit."""

    status = 413
    sentence = N_("This is too long. Please shorten your text and try again.")


class TooSlow(InvalidRequest):
    """The body did not arrive in time."""

    status = 408
    sentence = N_("Your request took too long to arrive. Please try again.")
    retry = True


class NotJson(InvalidRequest):
    """A program sent something else than JSON, or does not say that it is JSON."""

    status = 415
    sentence = N_("Please send JSON, with the header Content-Type: application/json.")


class NotAForm(InvalidRequest):
    """A page's form came in another encoding than forms of ours have."""

    status = 415
    sentence = N_("We could not read that form. Please go back and send it again.")


class CrossSite(InvalidRequest):
    """A form that a page of another site sent."""

    status = 403
    sentence = N_("This form was sent from another website, so we did nothing. Please open our own page and try again.")


class MethodRefused(InvalidRequest):
    """The address is right, the method is not; `allowed` lists those that are."""

    status = 405
    sentence = N_("This address does not support that method.")

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = tuple(allowed)


class KeyReused(InvalidRequest):
    """Something else was asked under this idempotency key before."""

    status = 422
    sentence = N_("This Idempotency-Key was used for a different request. Please choose a new key for a new request.")


class KeyInUse(InvalidRequest):
    """The first request under this idempotency key has not been answered yet."""

    status = 409
    sentence = N_("A request with this Idempotency-Key is still being processed. Please try again in a moment.")
    retry = True


class Unauthorized(HoldfastError):
    """Neither an API key nor a booking's token came with the request, or none that we know."""

    status = 401
    code = "UNAUTHORIZED"
    sentence = N_("This needs the booking's token, or an API key.")
    retry = False


class NotYours(HoldfastError):
    """The token is good, but for another booking, or for less than this."""

    status = 403
    code = "UNAUTHORIZED"
    sentence = N_("This token does not allow that.")
    retry = False


class LinkRefused(HoldfastError):
    """A signed link that is not ours, was changed on the way, or was made for another purpose."""

    status = 403
    code = "UNAUTHORIZED"
    sentence = N_("This link is not valid. Please use the newest link that we sent you.")
    retry = False


class LinkExpired(LinkRefused):
    """A signed link past its time."""

    status = 410
    sentence = N_("This link has expired.")


class ReturnExpired(LinkExpired):
    """The address that a payment page led back to, past its time. Anyone who opens it may have paid."""

    sentence = N_("This page only worked for a few hours after payment. Use the link in our email to see your booking.")


class WebhookRefused(HoldfastError):
    """A webhook whose signature, age, mode or form is wrong."""

    status = 400
    code = "WEBHOOK_VERIFICATION_FAILED"
    sentence = N_("Webhook refused.")
    retry = False


class RateLimited(HoldfastError):
    """Too many requests from one client; `retry_after` in seconds."""

    status = 429
    code = "RATE_LIMITED"
    sentence = N_("Too many tries in a short time. Please wait a moment and try again.")

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


class TooManyHolds(RateLimited):
    """One visitor holds as many times, unpaid, as one may; `retry_after` until the first of them ends."""

    sentence = N_(
        "You, or others on your network, are already holding several times. Please pay for one of them, or wait a "
        "few minutes. Nothing was charged."
    )


class WidgetFull(TooManyHolds):
    """All visitors together hold as many times of a widget as may be held without far more work, which this one's
    browser cannot do."""

    sentence = N_(
        "Too many people are booking right now for us to hold another time. Please wait a few minutes. Nothing was "
        "charged."
    )


class ChallengeNeeded(RateLimited):
    """Many holds come at once: first a small proof that someone's own machine, or someone, is there.

    `challenge` is an `app.protection.proof_of_work.Challenge`, left open here because errors know no other module;
    `wrong` says whether this follows a proof that did not do.
    """

    sentence = N_(
        "A lot of times are on hold right now, so we are checking that you are not a robot. Nothing was charged."
    )

    def __init__(self, challenge: object, *, wrong: bool) -> None:
        super().__init__(1)
        self.challenge = challenge
        self.wrong = wrong
