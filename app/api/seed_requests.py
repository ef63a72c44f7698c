"""What goes in at the routes that go by other programs' names. What is not needed may be left out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.api.fields import Address, Id, In, Moment
from app.protection.signed_links import LONGEST_FLOW

_ID_IN_URI = "[A-Za-z0-9_-]{1,64}"
FlowId = Annotated[str, Field(min_length=1, max_length=LONGEST_FLOW)]
EventUri = Annotated[str, Field(max_length=500, pattern=rf"^https?://[^/]+/scheduled_events/{_ID_IN_URI}$")]
InviteeUri = Annotated[
    str, Field(max_length=500, pattern=rf"^https?://[^/]+/scheduled_events/{_ID_IN_URI}/invitees/{_ID_IN_URI}$")
]
Email = Annotated[str, Field(min_length=3, max_length=254)]
FullName = Annotated[str, Field(min_length=1, max_length=100)]
Notes = Annotated[str, Field(max_length=1000)]
Reference = Annotated[str, Field(max_length=100)]
Utm = Annotated[str, Field(max_length=200)]


class NothingQuery(In):
    """No parameters."""


class UtmIn(In):
    """The campaign."""

    source: Utm = ""
    """`utm_source`."""
    medium: Utm = ""
    """`utm_medium`."""
    campaign: Utm = ""
    """`utm_campaign`."""


class InitiateBookingRequest(In):
    """Begin a booking, before a time is chosen."""

    session_type_id: Id
    """The service's id, from `/api/services`."""
    client_id: Reference = ""
    """Your own number for the client; it comes back as the booking's `reference`."""
    builder_profile_id: Reference = ""
    """Your own number for the profile; it comes back in the booking's `metadata`."""
    utm_params: UtmIn = UtmIn()


class ClientInfoIn(In):
    """Who comes."""

    name: FullName
    """The full name."""
    email: Email
    """Where the confirmation goes."""
    phone_number: Annotated[str, Field(max_length=40)] = ""
    """With the country code, or as the widget's country writes it."""
    notes: Notes = ""
    """A message to the owner."""


class StoreEventRequest(In):
    """What the client has booked on the scheduler's own page."""

    booking_flow_id: FlowId
    """From the beginning of this booking; it is the credential of this call."""
    calendly_event_uri: EventUri
    """The event's address in Calendly's API, as its page reports it."""
    calendly_invitee_uri: InviteeUri
    """The invitee's address in Calendly's API, as its page reports it."""
    scheduled_time: Moment
    """When it starts. It must be the event's own start."""
    client_info: ClientInfoIn


class CreateCheckoutSessionRequest(In):
    """Start paying. Both addresses must be on an allowed origin."""

    booking_id: Id
    """The booking's id."""
    return_url: Address = ""
    """Where Stripe sends the customer after paying; without it, to the booking's page."""
    cancel_url: Address = ""
    """Where Stripe sends the customer who goes back; without it, to the booking's page."""


class CancelBookingRequest(In):
    """Which booking to cancel."""

    booking_id: Id
    """The booking's id."""
    reason: Annotated[str, Field(max_length=500)] = ""
    """Why, for the booking's history."""
    refund_requested: bool = True
    """False leaves the money where it is."""


class TimeSlotIn(In):
    """One of the free times."""

    start_time: Moment
    """When it starts."""
    end_time: Moment
    """When it ends. It must fit the service's duration."""
    scheduling_url: Address = ""
    """The time's address on the scheduler's own page. It is not needed here."""


class ClientDetailsIn(In):
    """Who comes."""

    name: FullName
    """The full name."""
    email: Email
    """Where the confirmation goes."""
    timezone: Annotated[str, Field(max_length=64)] = ""
    """The client's time zone, such as `Europe/Stockholm`."""


class ConfirmBookingRequest(In):
    """Book a free time."""

    session_type_id: Id
    """The service's id, from `/api/services`."""
    time_slot: TimeSlotIn
    client_details: ClientDetailsIn
    notes: Notes = ""
    """A message to the owner."""
