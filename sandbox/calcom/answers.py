"""What the body of a new booking must hold: attendee, answers, location (calcom-api.md, section 10.1)."""

from typing import Any, Final

from sandbox.calcom import fields
from sandbox.calcom.errors import bad_request, deeper_invalid
from sandbox.calcom.fields import Field
from sandbox.calcom.state import Attendee, EventType, Json

LOCATION_TYPES: Final = (
    *("address", "attendeeAddress", "attendeeDefined", "attendeePhone", "integration", "link", "phone"),
    "organizersDefaultApp",
)
#: Locations that the attendee must complete, with the field that does it.
_ASKS_FOR: Final = {"attendeeAddress": "address", "attendeeDefined": "location", "attendeePhone": "phone"}

BODY: Final = {
    "start": Field(fields.instant, required=True),
    "eventTypeId": Field(fields.integer(1)),
    "eventTypeSlug": Field(fields.text),
    "username": Field(fields.text),
    "attendee": Field(
        fields.object_of(
            {
                "name": Field(fields.filled, required=True),
                "timeZone": Field(fields.zone, required=True),
                "email": Field(fields.email),
                "phoneNumber": Field(fields.text),
                "language": Field(fields.one_of(*fields.LANGUAGES)),
            }
        ),
        required=True,
    ),
    "bookingFieldsResponses": Field(fields.mapping),
    "location": Field(
        fields.object_of(
            {
                "type": Field(fields.one_of(*LOCATION_TYPES), required=True),
                **{name: Field(fields.text) for name in ("address", "location", "phone", "integration")},
            }
        )
    ),
    "guests": Field(fields.list_of(fields.email)),
    "metadata": Field(fields.metadata),
    "lengthInMinutes": Field(fields.integer(1)),
    "emailVerificationCode": Field(fields.text),
}


def attendee(kind: EventType, asked: Json) -> Attendee:
    """Who books, with an email address unless the type takes a phone number in its place; raises Refusal 400."""
    given = asked["attendee"]
    phone = given.get("phoneNumber")
    if phone is not None and not fields.is_phone(phone):
        raise deeper_invalid("responses", "{attendeePhoneNumber}invalid_number")
    own = {field["slug"]: field for field in kind.fields["bookingFields"]}
    if own.get("attendeePhoneNumber", {}).get("required") and phone is None:
        raise bad_request(
            'Missing attendee phone number - it is required by the event type. Pass it as "attendee.phoneNumber" '
            "string in the request."
        )
    if "email" not in given and not (phone and own.get("email", {}).get("required") is False):
        raise deeper_invalid("responses", "{email}error_required_field")
    email = given.get("email") or f"{str(phone).removeprefix('+')}@sms.example"
    return Attendee(given["name"], email, given["timeZone"], given.get("language", "en"), phone)


def responses(kind: EventType, asked: Json, who: Attendee) -> Json:
    """The answers by field, attendee's included, as the booking keeps them; raises Refusal 400."""
    given: Json = asked.get("bookingFieldsResponses", {})
    for field in kind.fields["bookingFields"]:
        slug = field["slug"]
        if field.get("isDefault") or slug == "attendeePhoneNumber":
            continue  # answered by the attendee's own fields
        if given.get(slug) is None:
            if field.get("required"):
                raise bad_request(
                    f"Missing required booking field response: {slug} - it is required by the event type booking "
                    f"fields, but missing in the bookingFieldsResponses. You can fetch the event type with ID "
                    f"{kind.id} to see the required fields."
                )
            continue
        _check_answer(field, given[slug])
    kept = {"name": who.name, "email": who.email, **given}
    if who.phone is not None:
        kept["attendeePhoneNumber"] = who.phone
    return kept | ({"guests": asked["guests"]} if asked.get("guests") else {})


def _check_answer(field: Json, value: Any) -> None:
    kind, slug = field["type"], field["slug"]
    wanted: tuple[type, ...] = {
        "number": (int, float),
        "boolean": (bool,),
        "multiemail": (list,),
        "multiselect": (list,),
        "checkbox": (list,),
        "select": (str, int),
    }.get(kind, (str,))
    if not isinstance(value, wanted):
        raise bad_request(f"Invalid type for booking field '{slug}'. Expected type {kind}.")
    options = field.get("options")
    if options and any(one not in options for one in (value if isinstance(value, list) else [value])):
        allowed = ", ".join(map(str, options))
        raise bad_request(f"Invalid option '{value}' for booking field '{slug}'. Allowed options are: {allowed}.")


def location(kind: EventType, asked: Json, uid: str) -> str:
    """Where it takes place. Left out, it is the first of the type's places that needs no input; raises Refusal 400."""
    offered: list[Json] = kind.fields["locations"]
    wanted = asked.get("location")
    if wanted is None:
        place = next((one for one in offered if one["type"] not in _ASKS_FOR), None)
        if place is None:
            raise bad_request(f"Booking location is required by event type with id={kind.id}.")
        return _address(place, uid)
    place = next((one for one in offered if one["type"] == wanted["type"]), None)
    if place is None:
        types = ", ".join(one["type"] for one in offered)
        raise bad_request(
            f"Booking location with type {wanted['type']} not valid for event type with id={kind.id}. "
            f"The event type has following location types: {types}"
        )
    needed = _ASKS_FOR.get(place["type"])
    if needed and not wanted.get(needed):
        raise bad_request(f"Booking location with type {place['type']} needs '{needed}'.")
    return str(wanted[needed]) if needed else _address(place, uid)


def _address(place: Json, uid: str) -> str:
    if place["type"] == "integration" and place["integration"] == "cal-video":
        return f"https://app.cal.com/video/{uid}"
    return str(place.get(place["type"], f"integrations:{place.get('integration', 'default')}"))
