"""`POST /invitees`: one event and one invitee, at a time that is free (Calendly API v2, booking).

Nothing holds a time before this call, and no idempotency key makes it repeatable. Strict where Calendly's answer is
unknown: a field, question or choice that the event type does not have is a 400, and so is a type that collects
payments or polls.
"""

import re
from datetime import datetime
from typing import Any, Final

from sandbox.calendly import bookings, fields, limits
from sandbox.calendly.account import find_event_type
from sandbox.calendly.availability import Opening, is_taken, opening_at
from sandbox.calendly.errors import PLAN, Detail, Refusal, denied, detail, error, invalid, not_found
from sandbox.calendly.records import ASKING_KINDS, TRACKING_KEYS, EventType, Json, Question
from sandbox.calendly.render import invitee_json
from sandbox.calendly.request import ApiRequest, Operation, Reply
from sandbox.calendly.state import State

_FIELDS: Final = {
    "event_type",
    "start_time",
    "invitee",
    "location",
    "questions_and_answers",
    "tracking",
    "event_guests",
}
_INVITEE_FIELDS: Final = {"email", "name", "first_name", "last_name", "timezone", "text_reminder_number"}
_MOST_GUESTS: Final = 10
_LONGEST_TRACKING: Final = 255  # the true limit is unknown


async def _create(request: ApiRequest) -> Reply:
    state, user = request.state, request.user
    if state.switches.plan == "free_old":
        raise denied(PLAN)
    limits.check_creates(state, user)
    creates = state.usage[user.id].creates
    if state.switches.refused_creates_count:
        creates.append(state.now())
    event_type = _event_type(request)
    start, guest = _read(state, event_type, request.body)
    opening = _free(state, event_type, start)
    await state.race_gate.wait(state.switches)
    invitee = bookings.book(state, event_type, opening, guest)
    if not state.switches.refused_creates_count:
        creates.append(state.now())
    if state.switches.create_headers == "creates" and (allowance := limits.creates(state, user)):
        request.headers.update(allowance.headers())
    return 201, {"resource": invitee_json(state, invitee)}


def _event_type(request: ApiRequest) -> EventType:
    id_ = request.state.id_in("event_types", request.body.get("event_type"))
    if id_ is None:
        raise invalid(detail("event_type", "must be a URI of event_types"))
    event_type = find_event_type(request, id_)
    if event_type.deleted_at is not None:
        raise not_found()
    if not event_type.active:
        raise invalid(detail("event_type", "is not active"))
    if event_type.booking_method == "poll" or event_type.collects_payment:
        raise invalid(detail("event_type", "cannot be booked through the API"))
    return event_type


def _free(state: State, event_type: EventType, start: datetime) -> Opening:
    """Return the opening at a start; raises Refusal, of which one kind is a time that is taken."""
    opening = opening_at(state, event_type, start)
    if opening is not None:
        return opening
    if is_taken(state, event_type, start):
        raise _taken(state)
    raise invalid(detail("start_time", "must be one of the available times"))


def _taken(state: State) -> Refusal:
    match state.switches.taken_body:
        case "already_filled":
            return invalid(detail("start_time", "is no longer available", "already_filled"))
        case "start_time":
            return invalid(detail("start_time", "must be one of the available times"))
        case "conflict":
            return error(409, "Already Exists", "The resource already exists")


def _read(state: State, event_type: EventType, body: Json) -> tuple[datetime, bookings.Guest]:
    """Read the rest of the body; raises Refusal 400 that names all that is wrong."""
    problems = [detail(name, "is unknown") for name in sorted(body.keys() - _FIELDS)]
    start = fields.moment(body.get("start_time"))
    if start is None:
        problems.append(detail("start_time", "must be a time in UTC"))
    elif start <= state.now():
        problems.append(detail("start_time", "must be in the future"))
    person = _person(event_type, body.get("invitee"), problems)
    location = _location(state, event_type, body.get("location"), problems)
    answers = _answers(event_type, body.get("questions_and_answers"), problems)
    tracking = _tracking(body.get("tracking"), problems)
    guests = body.get("event_guests") or []
    if not isinstance(guests, list) or len(guests) > _MOST_GUESTS or not all(map(fields.email, guests)):
        problems.append(detail("event_guests", f"must be at most {_MOST_GUESTS} emails"))
    if problems or start is None:
        raise invalid(*problems)
    return start, bookings.Guest(
        **person, location=location, answers=tuple(answers), tracking=tracking, event_guests=tuple(guests)
    )


def _person(event_type: EventType, raw: object, problems: list[Detail]) -> dict[str, Any]:
    """Read who books. A name in the form that the type does not use is ignored; the API does not show the form."""
    if not isinstance(raw, dict):
        problems.append(detail("invitee", "must be filled"))
        return {}
    problems += [detail(f"invitee.{name}", "is unknown") for name in sorted(raw.keys() - _INVITEE_FIELDS)]
    if not fields.email(raw.get("email")):
        problems.append(detail("invitee.email", "must be an email"))
    if not fields.zone(raw.get("timezone")):
        problems.append(detail("invitee.timezone", "must be an IANA time zone"))
    number = raw.get("text_reminder_number")
    if number is not None and not fields.phone(number):
        problems.append(detail("invitee.text_reminder_number", "must be a phone number"))
    person = {"email": raw.get("email"), "timezone": raw.get("timezone"), "text_reminder_number": number}
    if event_type.name_form == "single":
        if not fields.text(raw.get("name"), 255):
            problems.append(detail("invitee.name", "must be filled"))
        return person | {"name": raw.get("name")}
    first, last = raw.get("first_name"), raw.get("last_name")
    if not fields.text(first, 255):
        problems.append(detail("invitee.first_name", "must be filled"))
    if last is not None and not fields.text(last, 255):
        problems.append(detail("invitee.last_name", "must be a text"))
    return person | {"name": f"{first} {last}" if last else first, "first_name": first, "last_name": last}


def _location(state: State, event_type: EventType, raw: object, problems: list[Detail]) -> Json | None:
    """Read where it takes place: one of the configured locations, with the invitee's words where the host asks."""
    offered = event_type.locations
    if raw is None:
        needed = len(offered) > 1 or any(one["kind"] in ASKING_KINDS for one in offered)
        if needed or (offered and state.switches.location_kind == "required"):
            problems.append(detail("location", "must be filled"))
        return dict(offered[0]) if offered else None
    if not isinstance(raw, dict) or raw.keys() - {"kind", "location"}:
        problems.append(detail("location", "must have kind and location"))
        return None
    alike = [one for one in offered if one["kind"] == raw.get("kind")]
    if not alike:
        problems.append(detail("location.kind", "must be one that the event type offers"))
        return None
    if alike[0]["kind"] in ASKING_KINDS:
        words = fields.text(raw.get("location"))
        if not words or (alike[0]["kind"] == "outbound_call" and not fields.phone(words)):
            problems.append(detail("location.location", "must be filled"))
        return {"kind": alike[0]["kind"], "location": raw.get("location")}
    if len(alike) > 1:
        alike = [one for one in alike if one.get("location") == raw.get("location")]
        if not alike:
            problems.append(detail("location.location", "must be one that the event type offers"))
            return None
    return dict(alike[0])


def _answers(event_type: EventType, raw: object, problems: list[Detail]) -> list[Json]:
    asked = {question.name: question for question in event_type.custom_questions if question.enabled}
    name = "questions_and_answers"
    given: list[Json] = []
    for item in raw if isinstance(raw, list) else []:
        question = asked.get(item.get("question", "")) if isinstance(item, dict) else None
        if question is None or item.keys() - {"question", "answer", "position"}:
            problems.append(detail(name, "must be question, answer and position of a question of the event type"))
        elif any(one["question"] == question.name for one in given):
            problems.append(detail(name, f"must answer once: {question.name}"))
        elif item.get("position") != question.position:
            problems.append(detail(name, f"must have the position of the question: {question.name}"))
        elif not isinstance(item.get("answer"), str) or (
            item["answer"].strip() and not _fits(question, item["answer"])
        ):
            problems.append(detail(name, f"must fit the question: {question.name}"))
        else:
            given.append({"question": question.name, "answer": item["answer"], "position": question.position})
    if raw is not None and not isinstance(raw, list):
        problems.append(detail(name, "must be a list"))
    answered = {one["question"] for one in given if one["answer"].strip()}
    problems += [
        detail(name, f"must answer the required question: {question.name}")
        for question in asked.values()
        if question.required and question.name not in answered
    ]
    return given


def _fits(question: Question, answer: str) -> bool:
    """Tell whether an answer has the question's type; several choices stand on lines of their own."""
    match question.type:
        case "phone_number":
            return fields.phone(answer) is not None
        case "single_select":
            return question.include_other or answer in question.answer_choices
        case "multi_select":
            return question.include_other or set(re.split(r"\n", answer)) <= set(question.answer_choices)
        case "string":
            return "\n" not in answer
        case "text":
            return True


def _tracking(raw: object, problems: list[Detail]) -> Json | None:
    if raw is None:
        return None
    if not isinstance(raw, dict) or raw.keys() != set(TRACKING_KEYS):
        problems.append(detail("tracking", f"must have all of: {', '.join(TRACKING_KEYS)}"))
        return None
    for name, value in raw.items():
        if value is not None and not (isinstance(value, str) and len(value) <= _LONGEST_TRACKING):
            problems.append(detail(f"tracking.{name}", f"must be a text of at most {_LONGEST_TRACKING} characters"))
    return raw


OPERATIONS: Final = [Operation("POST", "/invitees", ("scheduled_events:write",), _create)]
