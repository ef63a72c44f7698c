"""Every error that a visitor, a program or an operator can meet, as one tree; the files have a branch each.

    HoldfastError                      500 INTERNAL_ERROR
    ├── StorageError                   503 INTERNAL_ERROR, the disk refuses to read or write
    │   ├── StorageBusy                    another program has locked the database for too long
    │   ├── StorageFull                    no space is left
    │   └── StorageReadOnly                the file, or its disk, may not be written
    ├── InvalidRequest                 400 INVALID_REQUEST
    │   ├── InvalidDetails             422 INVALID_REQUEST, one sentence per field
    │   ├── NotTakenIn                 422 INVALID_REQUEST, of the scheduler's own page; `reason` says why
    │   ├── HoursRefused               422 INVALID_REQUEST, of someone's hours; `reason` says why
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
    │   └── ServiceOff                     the owner has switched the service off
    ├── SlotTaken                      409 BOOKING_CONFLICT, with the nearest free times
    │   ├── TimePassed                     nobody took it: it has begun
    │   ├── TooSoon                        nobody took it: it is within the notice that the service asks for
    │   └── NotOffered                     the calendar offers no such time to the owner's desk
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
    │   ├── SchedulerFull                      it makes no more bookings today: nothing was sent
    │   ├── SchedulerNotConnected              its credentials are not set, or its owner has not connected it
    │   ├── SchedulerUnauthorized              401 ┐
    │   ├── SchedulerForbidden                 403 │ not fixed by trying again
    │   ├── SchedulerNotFound                  404 │
    │   └── SchedulerRefused             422 ┘ the time is taken or not bookable
    └── StripeError                    503 STRIPE_API_ERROR
        ├── StripeUnreachable              no answer, or 5xx: the outcome is unknown
        ├── StripeDown                     the circuit breaker is open: nothing was sent
        ├── StripeRateLimited              429: nothing was done
        ├── StripeRefused                  400, 402, 404: a fact about the object's state, or our mistake
        ├── PaymentRefused                 no payment page for this: the owner is told, the visitor need not try again
        │   └── AddressRefused                 none for this email address, of a booking whose form is no longer open
        └── StripeMisconfigured            401, 403: the key is wrong or lacks a permission

`status` is the HTTP status, `code` the word for programs that the API promises to keep; `sentence` is what the
visitor reads (an English msgid, translated where it is shown); `retry` says whether trying again can help.
"""

from app.errors.base import (
    UNREADABLE,
    HoldfastError,
)
from app.errors.bookings import (
    BookingConflict,
    HoldExpired,
    NotBegun,
    NotFound,
    NotOffered,
    PaymentFailed,
    PolicyRefused,
    RefundFailed,
    ServiceOff,
    SessionExpired,
    SlotTaken,
    TimePassed,
    TooManyFree,
    TooManyFreeToday,
    TooSoon,
)
from app.errors.mail import (
    MailError,
)
from app.errors.requests import (
    ChallengeNeeded,
    CrossSite,
    HoursRefused,
    InvalidDetails,
    InvalidRequest,
    KeyInUse,
    KeyReused,
    LinkExpired,
    LinkRefused,
    MethodRefused,
    NotAForm,
    NotJson,
    NotTakenIn,
    NotYours,
    RateLimited,
    ReturnExpired,
    TooLarge,
    TooManyHolds,
    TooSlow,
    Unauthorized,
    WebhookRefused,
    WidgetFull,
)
from app.errors.schedulers import (
    SCHEDULER_CODES,
    SchedulerDown,
    SchedulerError,
    SchedulerFailed,
    SchedulerForbidden,
    SchedulerFull,
    SchedulerNotConnected,
    SchedulerNotFound,
    SchedulerRateLimited,
    SchedulerRefused,
    SchedulerUnauthorized,
    SchedulerUnreachable,
    TimesNotRead,
)
from app.errors.storage import (
    DatabaseBusy,
    DatabaseUnusable,
    StorageBusy,
    StorageError,
    StorageFull,
    StorageReadOnly,
)
from app.errors.stripe import (
    AddressRefused,
    PaymentRefused,
    StripeDown,
    StripeError,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
    StripeUnreachable,
)

__all__ = [
    "SCHEDULER_CODES",
    "UNREADABLE",
    "AddressRefused",
    "BookingConflict",
    "ChallengeNeeded",
    "CrossSite",
    "DatabaseBusy",
    "DatabaseUnusable",
    "HoldExpired",
    "HoldfastError",
    "HoursRefused",
    "InvalidDetails",
    "InvalidRequest",
    "KeyInUse",
    "KeyReused",
    "LinkExpired",
    "LinkRefused",
    "MailError",
    "MethodRefused",
    "NotAForm",
    "NotBegun",
    "NotFound",
    "NotJson",
    "NotOffered",
    "NotTakenIn",
    "NotYours",
    "PaymentFailed",
    "PaymentRefused",
    "PolicyRefused",
    "RateLimited",
    "RefundFailed",
    "ReturnExpired",
    "SchedulerDown",
    "SchedulerError",
    "SchedulerFailed",
    "SchedulerForbidden",
    "SchedulerFull",
    "SchedulerNotConnected",
    "SchedulerNotFound",
    "SchedulerRateLimited",
    "SchedulerRefused",
    "SchedulerUnauthorized",
    "SchedulerUnreachable",
    "ServiceOff",
    "SessionExpired",
    "SlotTaken",
    "StorageBusy",
    "StorageError",
    "StorageFull",
    "StorageReadOnly",
    "StripeDown",
    "StripeError",
    "StripeMisconfigured",
    "StripeRateLimited",
    "StripeRefused",
    "StripeUnreachable",
    "TimePassed",
    "TimesNotRead",
    "TooLarge",
    "TooManyFree",
    "TooManyFreeToday",
    "TooManyHolds",
    "TooSlow",
    "TooSoon",
    "Unauthorized",
    "WebhookRefused",
    "WidgetFull",
]
