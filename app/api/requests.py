"""The requests of the JSON API. The same models read requests and make the OpenAPI document, so the two always
agree."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from app.api.fields import Address, Day, Id, In, Moment, Name, Token


class ServicesQuery(In):
    """Which widget's services; without one, those of all widgets."""

    widget: Name = ""
    """The widget's name in widgets.toml, such as `studio`."""


class AvailabilityQuery(In):
    """The free times of one service. Days are those of `timeZone`, from the first to the last, both included."""

    service_id: Id
    """The service's id, from `/api/services`."""
    resource_id: Id = ""
    """Only the times of this person or room; without it, those of everyone."""
    from_: Annotated[Day, Field(alias="from")]
    """The first day (`2026-12-03`), or a moment with its offset (`2026-12-03T10:00:00+01:00`)."""
    to: Day
    """The last day, itself included, or a moment with its offset, before which a time must start. At most 62 days
    after `from`."""
    time_zone: Name = ""
    """The time zone that days and answers are in, such as `Europe/Stockholm`; without it, the place's."""
    widget: Name = ""
    """The widget's name; needed only where several offer the service."""


class TokenQuery(In):
    """The booking's token, if it is not sent as `Authorization: Bearer`."""

    token: Annotated[Token, Field(json_schema_extra={"deprecated": True})] = ""
    """The booking's token. Send it as `Authorization: Bearer` instead: addresses end up in logs."""


class CustomerIn(In):
    """Who comes. `answers` and `consent` where the widget's form asks for them."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The full name."""
    email: Annotated[str, Field(min_length=3, max_length=254)]
    """Where the confirmation goes."""
    phone: Annotated[str, Field(max_length=40)] = ""
    """With the country code, or as the widget's country writes it."""
    notes: Annotated[str, Field(max_length=1000)] = ""
    """A message to the owner."""
    answers: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=2000)]], Field(max_length=50)
    ] = Field(default_factory=dict)
    """The answers to the widget's own questions, by the question's name."""
    consent: bool = False
    """Whether the customer agreed to the widget's consent text."""


class ProofIn(In):
    """The answer to a challenge that came with a 429: `solution`, or the sum as `answer`."""

    token: Annotated[str, Field(max_length=300)] = ""
    """The challenge's `token`."""
    solution: Annotated[str, Field(max_length=100)] = ""
    """What the calculation gave."""
    answer: Annotated[str, Field(max_length=10)] = ""
    """The answer to `question`, in its place."""


class LockRequest(In):
    """Hold a time for a customer. `widget` is needed only where several offer the service."""

    service_id: Id
    """The service's id, from `/api/services`."""
    resource_id: Id = ""
    """With this person or room; without it, anyone who is free."""
    start: Moment
    """When it starts: one of the free times."""
    end: Moment
    """When it ends. It must fit the service's duration."""
    customer: CustomerIn
    reference: Annotated[str, Field(max_length=200)] = ""
    """Your own number for the booking; it comes back with it."""
    metadata: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]], Field(max_length=20)
    ] = Field(default_factory=dict)
    """Your own notes, by name; they come back with the booking."""
    utm: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]], Field(max_length=20)
    ] = Field(default_factory=dict)
    """The campaign's parameters, `utm_source` and so on."""
    widget: Name = ""
    """The widget's name; needed only where several offer the service."""
    proof: ProofIn = ProofIn()


def _by_either_id(schema: dict[str, Any]) -> None:
    # As a condition: generators lose the type of the whole body where alternatives stand next to its properties.
    schema["if"] = {"not": {"required": ["bookingId"]}}
    schema["then"] = {"required": ["hapioBookingId"]}


class Named(In):
    """Which booking: `bookingId` or `hapioBookingId` is needed, and the `token` if it is not sent as
    `Authorization: Bearer`."""

    model_config = ConfigDict(json_schema_extra=_by_either_id)

    booking_id: Id = ""
    """Our id of the booking, such as `bk_0123456789abcdef0123`."""
    hapio_booking_id: Id = ""
    """Hapio's id of the booking."""
    token: Token = ""
    """The token that the lock gave."""

    @model_validator(mode="after")
    def _one_is_named(self) -> Self:
        if not (self.booking_id or self.hapio_booking_id):
            raise ValueError("bookingId or hapioBookingId is required")
        return self


class CheckoutRequest(Named):
    """Start paying. `bookingId` or `hapioBookingId` is needed. Both addresses must be on an allowed origin."""

    return_url: Address = ""
    """Where Stripe sends the customer after paying; without it, to the booking's page."""
    cancel_url: Address = ""
    """Where Stripe sends the customer who goes back; without it, to the booking's page."""


class CancelRequest(Named):
    """Which booking to cancel: `bookingId` or `hapioBookingId` is needed."""

    reason: Annotated[str, Field(max_length=500)] = ""
    """Why, for the booking's history."""
    refund_requested: bool = True
    """False leaves the money where it is."""
    dry_run: bool = False
    """True changes nothing, and tells what would come back."""


class RescheduleRequest(Named):
    """Which booking to move, and where to: `bookingId` or `hapioBookingId` is needed."""

    new_start: Moment
    """When it starts: one of the free times."""
    new_end: Moment
    """When it ends. It must fit the service's duration."""
    service_id: Id = ""
    """Another service; without it, the same."""
    resource_id: Id = ""
    """Another person or room; without it, the same where possible."""
    dry_run: bool = False
    """True changes nothing, and tells what it would cost."""


class ChooseRequest(Named):
    """Which booking, and which of its offered times: `bookingId` or `hapioBookingId` is needed."""

    time_id: Id
    """The time's `timeId`, from the booking's `offered`."""


class NoShowRequest(Named):
    """Which booking was missed: `bookingId` or `hapioBookingId` is needed."""

    no_show: bool = True
    """False takes it back."""


def _whole(value: object) -> object:
    """To JSON Schema 5.0 is an integer; so it is here, and below 2^53 exactly."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class RefundRequest(Named):
    """Which booking to refund: `bookingId` or `hapioBookingId` is needed."""

    amount: Annotated[int, Field(ge=1, le=10**12), BeforeValidator(_whole)] = 0
    """How much, in the currency's smallest unit, and a whole step of it; without it, all that is left."""


class ReceiptRequest(In):
    """A receipt that a page was handed with `holdfast:confirmed`."""

    receipt: str
    """The receipt, to the letter."""


class PaidAnotherWayRequest(Named):
    """Which refund, by Stripe's id or ours; it may be left out where one refund only has failed or is refused."""

    refund_id: Id = ""
    """The refund; without it, the only one that has failed or is refused."""


class CorrectRequest(Named):
    """The customer's correct details. What is left out, or empty, stays as it is."""

    name: Annotated[str, Field(max_length=100)] = ""
    """Who comes."""
    email: Annotated[str, Field(max_length=254)] = ""
    """Where emails go from now on."""
    phone: Annotated[str, Field(max_length=40)] = ""
    """With its country code, or as it is dialled in the widget's country."""
    remove_phone: bool = False
    """Whether the phone number goes."""


class CorrectEmailRequest(Named):
    """The customer's correct address."""

    email: Annotated[str, Field(min_length=3, max_length=254)]
    """Where emails go from now on. What could not be delivered is sent there."""
