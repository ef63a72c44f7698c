"""Every error that a visitor, a program or an operator can meet, as one tree. One file, though a long one: who adds
an error, or asks what an answer means, needs the whole tree at once.

    HoldfastError                      500 INTERNAL_ERROR
    ├── StorageError                   503 INTERNAL_ERROR, the disk refuses to read or write
    │   ├── StorageBusy                    another program has locked the database for too long
    │   ├── StorageFull                    no space is left
    │   └── StorageReadOnly                the file, or its disk, may not be written
    ├── InvalidRequest                 400 INVALID_REQUEST
    │   ├── InvalidDetails             422 INVALID_REQUEST, one sentence per field
    │   ├── NotTakenIn                 422 INVALID_REQUEST, of the scheduler's own page; `reason` says why
    │   ├── TooLarge                   413 INVALID_REQUEST
    │   ├── TooSlow                    408 INVALID_REQUEST
    │   ├── NotJson                    415 INVALID_REQUEST
    │   ├── NotAForm                   415 INVALID_REQUEST
    │   ├── CrossSite                  403 INVALID_REQUEST
    │   ├── MethodRefused              405 INVALID_REQUEST, `allowed` says which methods there are
    │   ├── KeyReused                  422 INVALID_REQUEST, an idempotency key under which something else was asked
    │   └── KeyInUse                   409 INVALID_REQUEST, an idempotency key whose first call still runs
    ├── Unauthorized                   401 UNAUTHORIZED
    ├── NotYours                       403 UNAUTHORIZED
    ├── LinkRefused                    403 UNAUTHORIZED
    │   └── LinkExpired                410 UNAUTHORIZED
    │       └── ReturnExpired              the way back from a payment page, some hours after that has closed
    ├── NotFound                       404 BOOKING_NOT_FOUND
    ├── SlotTaken                      409 BOOKING_CONFLICT, with the nearest free times
    │   ├── TimePassed                     nobody took it: it has begun
    │   └── TooSoon                        nobody took it: it is within the notice that the service asks for
    ├── BookingConflict                409 BOOKING_CONFLICT
    │   ├── TooManyFree                    as many free bookings stand under this mail address as may
    │   └── TooManyFreeToday               as many free bookings were made from this address today as may be
    ├── PolicyRefused                  409 POLICY_REFUSED, `refusal` says which rule
    │   └── NotBegun                       a no-show before the visit
    ├── HoldExpired                    410 HOLD_EXPIRED
    │   └── SessionExpired             410 SESSION_EXPIRED
    ├── PaymentFailed                  409 PAYMENT_FAILED
    ├── RefundFailed                   409 REFUND_FAILED
    ├── WebhookRefused                 400 WEBHOOK_VERIFICATION_FAILED
    ├── RateLimited                    429 RATE_LIMITED
    │   ├── TooManyHolds                   as many times are held unpaid as one visitor may hold at once
    │   │   └── WidgetFull                     the same for all visitors of a widget together
    │   └── ChallengeNeeded                a small proof of work comes first; `challenge` says which
    ├── DatabaseUnusable               500 INTERNAL_ERROR, for the operator: why no process can start on this file
    │   └── DatabaseBusy                   503 INTERNAL_ERROR: the same start may work later
    ├── MailError                      503 INTERNAL_ERROR, `permanent` says whether trying again can help
    ├── SchedulerError                     503 HAPIO_API_ERROR, CALCOM_API_ERROR or CALENDLY_API_ERROR
    │   ├── SchedulerUnreachable               no answer: the outcome is unknown
    │   ├── TimesNotRead                   the month's calls for looking are used up, and this month was never read
    │   ├── SchedulerDown                      the circuit breaker is open: nothing was sent
    │   ├── SchedulerFailed               5xx, or an answer that cannot be read: the outcome is unknown
    │   ├── SchedulerRateLimited               429: nothing was done
    │   ├── SchedulerUnauthorized              401 ┐
    │   ├── SchedulerForbidden                 403 │ not mended by trying again
    │   ├── SchedulerNotFound                  404 │
    │   └── SchedulerRefused             422 ┘ the time is taken or not bookable
    └── StripeError                    503 STRIPE_API_ERROR
        ├── StripeUnreachable              no answer, or 5xx: the outcome is unknown
        ├── StripeDown                     the circuit breaker is open: nothing was sent
        ├── StripeRateLimited              429: nothing was done
        ├── StripeRefused                  400, 402, 404: a fact about the object's state, or our mistake
        ├── PaymentRefused                 no payment page for this: the owner is told, the visitor need not try again
        └── StripeMisconfigured            401, 403: the key is wrong or lacks a permission

`status` and `code` are the HTTP status and the stable code of design section 9; `sentence` is what the
visitor reads (an English msgid, translated where it is shown); `retry` says whether trying again can help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final, Self

from app.msgid import N_

#: The code of whatever a scheduler does not do, by the provider's name.
SCHEDULER_CODES: Final[Mapping[str, str]] = {
    "hapio": "HAPIO_API_ERROR",
    "calcom": "CALCOM_API_ERROR",
    "calendly": "CALENDLY_API_ERROR",
}


class HoldfastError(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500
    #: The class's, except where one scheduler's error has another than the next one's.
    code: str = "INTERNAL_ERROR"
    sentence: ClassVar[str] = N_("Something went wrong on our side. Nothing was charged in this step.")
    retry: ClassVar[bool] = True


class StorageError(HoldfastError):
    """The database cannot be read or written right now. `retry_after` in seconds; `state` is one word or two for
    those who run the server."""

    status = 503
    sentence = N_("Our booking system cannot save anything right now. Nothing was charged in this step.")
    retry_after: ClassVar[int] = 60
    state: ClassVar[str] = "down"


class StorageBusy(StorageError):
    """Somebody else has been writing for longer than we wait."""

    sentence = N_("Our booking system is busy and could not save this step. Nothing was charged in this step.")
    retry_after = 5
    state = "busy"


class StorageFull(StorageError):
    """No space is left on the disk."""

    state = "full"


class StorageReadOnly(StorageError):
    """The database file, or the disk that it lies on, may not be written."""

    state = "read only"


class InvalidRequest(HoldfastError):
    """The request is malformed; the text says what."""

    status = 400
    code = "INVALID_REQUEST"
    sentence = N_("We could not read that request. Please go back and try again.")
    retry = False


class InvalidDetails(InvalidRequest):
    """Fields of the details form that need mending: `fields` maps a field's name to its sentence."""

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
    """The address that a payment page led back to, past its time. Whoever opens it may have paid."""

    sentence = N_("This page only worked for a few hours after payment. Use the link in our email to see your booking.")


class NotFound(HoldfastError):
    """No such widget, service, person or booking."""

    status = 404
    code = "BOOKING_NOT_FOUND"
    sentence = N_("We could not find what you were looking for.")
    retry = False


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
    """The terms, or the time of day, do not allow this; `refusal` is the value of an app.booking.offer.Refusal."""

    status = 409
    code = "POLICY_REFUSED"
    sentence = N_("This booking can no longer be changed here.")
    retry = False

    def __init__(self, refusal: str) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class NotBegun(PolicyRefused):
    """The visit is still to come: nobody can have missed it."""

    sentence = N_("The visit has not begun yet, so it cannot be marked as missed.")

    def __init__(self) -> None:
        super().__init__("not_begun")


class HoldExpired(HoldfastError):
    """The hold's time is over; the slot was, or is being, released."""

    status = 410
    code = "HOLD_EXPIRED"
    sentence = N_("Your hold on this time has ended. You have not been charged.")
    retry = False


class SessionExpired(HoldExpired):
    """The payment page was closed before anybody paid, and the hold has ended with it."""

    code = "SESSION_EXPIRED"
    sentence = N_("The time to pay has run out, and the hold has ended. Nothing was charged.")


class PaymentFailed(HoldfastError):
    """The bank said no in the end, and the hold has ended."""

    status = 409
    code = "PAYMENT_FAILED"
    sentence = N_("The payment did not go through, and the hold has ended. Nothing was charged.")
    retry = False


class RefundFailed(HoldfastError):
    """Nothing could be given back: nothing is left of the payments, or Stripe refused."""

    status = 409
    code = "REFUND_FAILED"
    sentence = N_("The refund could not be made.")
    retry = False


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
    sentence = N_("There were too many requests. Please wait a moment and try again.")

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
        "So many people are booking right now that we cannot hold another time. Please wait a few minutes. Nothing "
        "was charged."
    )


class ChallengeNeeded(RateLimited):
    """Many holds come at once: first a small proof that somebody's own machine, or somebody, is there.

    `challenge` is an `app.protection.proof_of_work.Challenge`, left open here because errors know no other module;
    `wrong` says whether this follows a proof that did not do.
    """

    sentence = N_(
        "Many times are on hold right now, so we are checking that no program is blocking them. Nothing was charged."
    )

    def __init__(self, challenge: object, *, wrong: bool) -> None:
        super().__init__(1)
        self.challenge = challenge
        self.wrong = wrong


class SchedulerError(HoldfastError):
    """The scheduler did not do what was asked. `http_status` is None without an answer; `body` is kept for logs."""

    status = 503
    code = SCHEDULER_CODES["hapio"]
    #: Whether the call may have taken effect all the same.
    outcome_unknown = False
    sentence = N_("The calendar cannot be reached right now. You have not been charged in this step.")
    retry = False

    def __init__(self, message: str, *, http_status: int | None = None, body: str = "") -> None:
        super().__init__(message)
        self.http_status = http_status
        self.body = body

    def at(self, scheduler: str) -> Self:
        """The same error, with the code of the scheduler of this name; owners' accounts have their provider's. A name
        that no scheduler has, which an old row may hold, changes nothing."""
        self.code = SCHEDULER_CODES.get(scheduler.partition(":")[0], self.code)
        return self


class SchedulerUnreachable(SchedulerError):
    """No answer from the scheduler: whether the call took effect is unknown."""

    outcome_unknown = True
    retry = True


class TimesNotRead(SchedulerError):
    """Nobody has read these times yet, and reading them now would spend calls that bookings need. Nothing was sent."""

    sentence = N_(
        "We have not loaded the times of this month yet, and cannot do so right now. Please try again later today."
    )
    retry = True


class SchedulerDown(SchedulerError):
    """The scheduler has failed repeatedly, so nothing was sent; `retry_after` in seconds."""

    retry = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SchedulerFailed(SchedulerError):
    """5xx, or an answer that is not what the API promises: the outcome is unknown."""

    outcome_unknown = True
    retry = True


class SchedulerRateLimited(SchedulerError):
    """429: not processed. `retry_after` in seconds."""

    retry = True

    def __init__(self, message: str, *, retry_after: float, body: str = "") -> None:
        super().__init__(message, http_status=429, body=body)
        self.retry_after = retry_after


class SchedulerFull(SchedulerError):
    """The scheduler makes no more bookings today; `retry_after` in seconds. Nothing was sent."""

    sentence = N_("The calendar takes no more bookings today. Please try again tomorrow. You have not been charged.")
    retry = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SchedulerNotConnected(SchedulerError):
    """The settings have no credentials for the scheduler that a booking was made at, or its owner has not connected an
    account. Nothing was sent."""


class SchedulerUnauthorized(SchedulerError):
    """401: the API token is missing or wrong."""


class SchedulerForbidden(SchedulerError):
    """403: the API token lacks the ability for this operation."""


class SchedulerNotFound(SchedulerError):
    """404: no such object."""


class SchedulerRefused(SchedulerError):
    """422: the time is taken or not bookable. `errors` are by field, where the scheduler names fields."""

    def __init__(
        self,
        message: str,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message, http_status=422, body=body)
        self.errors = dict(errors or {})


class StripeError(HoldfastError):
    """Stripe did not do what was asked. `stripe_code` and `param` are its own words for why, `request_id` is for its
    dashboard."""

    status = 503
    code = "STRIPE_API_ERROR"
    sentence = N_("The payment page cannot be reached right now. You have not been charged in this step.")
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


class StripeMisconfigured(StripeError):
    """401 or 403: the key is wrong, or lacks a permission."""


class DatabaseUnusable(HoldfastError):
    """The file that DATABASE_URL names is missing, damaged, not writable, or of another version. The text is for the
    operator: it names the file, and `fix` says what to do."""

    retry = False

    def __init__(self, says: str, fix: str) -> None:
        super().__init__(f"{says} {fix}")
        self.says = says
        self.fix = fix


class DatabaseBusy(DatabaseUnusable):
    """Another process is writing to the database, or the disk is full: the same start may work later."""

    status = 503
    retry = True


class MailError(HoldfastError):
    """The mail server did not take a message; `permanent` when it said so for good.

    `reason` is for logs and for the operator: the server, the step that failed and its SMTP code. It names nobody."""

    status = 503
    code = "INTERNAL_ERROR"
    sentence = N_("The email could not be sent yet.")

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
