"""The operations on bookings (calcom-api.md, sections 6 and 10). There is none that changes metadata or extends one."""

from dataclasses import replace
from typing import Final

from sandbox.calcom import answers, booking_list, booking_rules, events, fields, views
from sandbox.calcom.errors import bad_request
from sandbox.calcom.fields import Field
from sandbox.calcom.request import ApiRequest, Operation, Reply, success
from sandbox.calcom.state import Booking

VERSIONS: Final = ("2024-08-13", "2026-02-25")
_CANCEL: Final = {
    "cancellationReason": Field(fields.text),
    "cancelSubsequentBookings": Field(fields.boolean),
    "seatUid": Field(fields.text),
}
_RESCHEDULE: Final = {
    "start": Field(fields.instant, required=True),
    "rescheduledBy": Field(fields.email),
    "reschedulingReason": Field(fields.text),
    "emailVerificationCode": Field(fields.text),
    "seatUid": Field(fields.text),
}
_ABSENT: Final = {
    "host": Field(fields.boolean),
    "attendees": Field(
        fields.list_of(
            fields.object_of(
                {"email": Field(fields.email, required=True), "absent": Field(fields.boolean, required=True)}
            ),
            minimum=1,
        )
    ),
}


def _answer(request: ApiRequest, booking: Booking, status: int = 200) -> Reply:
    return success(views.booking(request.state, booking, request.version), status)


async def _post(request: ApiRequest) -> Reply:
    state = request.state
    plan = booking_rules.plan_create(state, request.caller, request.read(answers.BODY))
    await state.booking_gate.wait(state.switches)
    return _answer(request, booking_rules.store(state, plan), 201)


async def _list(request: ApiRequest) -> Reply:
    return booking_list.answer(request)


async def _get(request: ApiRequest) -> Reply:
    return _answer(request, request.booking())


async def _cancel(request: ApiRequest) -> Reply:
    booking, asked = request.booking(), request.read(_CANCEL)
    if "seatUid" in asked:
        return _answer(request, booking_rules.give_up_seat(request.state, booking, asked["seatUid"]))
    reason = asked.get("cancellationReason")
    return _answer(request, booking_rules.cancel(request.state, request.caller, booking, reason))


async def _reschedule(request: ApiRequest) -> Reply:
    state, old, asked = request.state, request.booking(), request.read(_RESCHEDULE)
    if "seatUid" in asked:
        raise bad_request("The sandbox moves a booking with all its seats, not one seat.")
    new = booking_rules.plan_reschedule(state, request.caller, old, asked["start"], by=asked.get("rescheduledBy"))
    await state.booking_gate.wait(state.switches)
    return _answer(request, booking_rules.store_move(state, old, new, asked.get("reschedulingReason")), 201)


async def _confirm(request: ApiRequest) -> Reply:
    return _answer(request, booking_rules.confirm(request.state, request.own_booking()))


async def _decline(request: ApiRequest) -> Reply:
    booking, asked = request.own_booking(), request.read({"reason": Field(fields.text)})
    return _answer(request, booking_rules.decline(request.state, booking, asked.get("reason")))


async def _mark_absent(request: ApiRequest) -> Reply:
    """After the start only."""
    state, booking, asked = request.state, request.own_booking(), request.read(_ABSENT)
    if state.now() < booking.start:
        raise bad_request("Bookings can only be marked as absent after their scheduled start time.")
    marked = {each["email"].lower(): each["absent"] for each in asked.get("attendees", [])}
    came = [replace(each, absent=marked.get(each.email.lower(), each.absent)) for each in booking.attendees]
    booking = state.change(booking, attendees=came, absent_host=asked.get("host", booking.absent_host))
    events.no_show(state, booking, [{"email": each.email, "noShow": each.absent} for each in came])
    return _answer(request, booking)


_ONE: Final = "/bookings/{bookingUid}"
OPERATIONS: Final = [
    Operation("POST", "/bookings", _post, VERSIONS, needs_credentials=False),
    Operation("GET", "/bookings", _list, VERSIONS),
    Operation("GET", _ONE, _get, VERSIONS, needs_credentials=False),
    Operation("POST", f"{_ONE}/cancel", _cancel, VERSIONS, needs_credentials=False),
    Operation("POST", f"{_ONE}/reschedule", _reschedule, VERSIONS, needs_credentials=False),
    Operation("POST", f"{_ONE}/confirm", _confirm, VERSIONS),
    Operation("POST", f"{_ONE}/decline", _decline, VERSIONS),
    Operation("POST", f"{_ONE}/mark-absent", _mark_absent, VERSIONS),
]
