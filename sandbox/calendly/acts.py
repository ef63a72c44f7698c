"""What owners and strangers do in Calendly's own pages: book, cancel, move, change settings, take rights away.

Every act raises BadControl, with a sentence, where the page would not offer it. Objects are named by id, by URI, or by
one of their links, of which the last part is the id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, TypeVar, get_args
from urllib.parse import urlsplit

from sandbox.calendly import bookings
from sandbox.calendly.availability import Opening, opening_at
from sandbox.calendly.bookings import Canceler, Guest
from sandbox.calendly.fields import email as is_email
from sandbox.calendly.fields import zone
from sandbox.calendly.records import (
    ASKING_KINDS,
    LOCATION_KINDS,
    OFFICE_HOURS,
    WEEKDAYS,
    BusyTime,
    Event,
    EventType,
    Hours,
    Invitee,
    Json,
    Question,
    QuestionType,
    Role,
    Token,
    User,
)
from sandbox.calendly.state import ALL_SCOPES, State
from sandbox.faults import BadControl

T = TypeVar("T")

_FIXED: Final = frozenset({"id", "hosts", "created_at", "updated_at", "deleted_at"})


def find(table: Mapping[str, T], ref: str, noun: str) -> T:
    """Return what an id, a URI or a link names."""
    id_ = urlsplit(ref).path.rpartition("/")[2]
    if id_ not in table:
        raise BadControl(f"there is no {noun} {ref}")
    return table[id_]


def _opening(state: State, event_type: EventType, start: datetime, ignoring: Event | None = None) -> Opening:
    opening = opening_at(state, event_type, start, ignoring=ignoring)
    if opening is None:
        raise BadControl(f"{event_type.name} is not free at {start.isoformat()}")
    return opening


# Strangers


def book(
    state: State,
    event_type: str,
    start: datetime,
    *,
    name: str = "Sam Rivers",
    email: str = "sam@rivers.example",
    tracking: Mapping[str, str] | None = None,
    answers: Mapping[str, str] | None = None,
) -> Invitee:
    """Book on Calendly's page. Required questions without an answer get one, as a person would give."""
    found = find(state.event_types, event_type, "event type")
    if not is_email(email) or not name.strip():
        raise BadControl("a booking needs a name and an email")
    given = dict(answers or {})
    said = []
    for question in found.custom_questions:
        answer = given.get(question.name) or (_any_answer(question) if question.required else "")
        if question.enabled and answer:
            said.append({"question": question.name, "answer": answer, "position": question.position})
    split = found.name_form == "split"
    first, _, last = name.partition(" ")
    guest = Guest(
        email=email,
        name=name,
        timezone=state.users[found.hosts[0]].timezone,
        first_name=first if split else None,
        last_name=(last or None) if split else None,
        location=_any_location(found),
        answers=tuple(said),
        tracking=dict(tracking or {}),
    )
    return bookings.book(state, found, _opening(state, found, start), guest)


def _any_answer(question: Question) -> str:
    if question.answer_choices:
        return question.answer_choices[0]
    return "+1 212 555 0100" if question.type == "phone_number" else "I will tell you then."


def _any_location(event_type: EventType) -> Json | None:
    if not event_type.locations:
        return None
    place = dict(event_type.locations[0])
    return place | ({"location": "+1 212 555 0100"} if place["kind"] in ASKING_KINDS else {})


def cancel_as_invitee(state: State, invitee: str, reason: str | None = None) -> Invitee:
    """Cancel by the link in Calendly's mail."""
    found = _active(state, invitee)
    bookings.cancel_invitee(state, found, reason)
    return state.invitees[found.id]


def reschedule(state: State, invitee: str, start: datetime, *, by: Canceler = "invitee") -> Invitee:
    """Move by the link in Calendly's mail, or as the host on Calendly's page; return the new invitee."""
    found = _active(state, invitee)
    event = state.events[found.event]
    event_type = state.event_types[event.event_type]
    if start == event.start:
        raise BadControl("it is at that time already")
    ignoring = event if state.places_taken(event) == 1 else None
    return bookings.reschedule(state, found, _opening(state, event_type, start, ignoring), by=by)


def _active(state: State, invitee: str) -> Invitee:
    found = find(state.invitees, invitee, "invitee")
    if found.cancellation is not None:
        raise BadControl("this invitee is cancelled already")
    if bookings.is_past(state, state.events[found.event].start):
        raise BadControl("this event has begun")
    return found


# The owner


def cancel_as_host(state: State, event: str, reason: str | None = None) -> Event:
    """Cancel an event, for all who come."""
    found = find(state.events, event, "event")
    if found.cancellation is not None:
        raise BadControl("this event is cancelled already")
    if bookings.is_past(state, found.start):
        raise BadControl("this event has begun")
    bookings.cancel_event(state, found, reason)
    return state.events[found.id]


def add_event_type(state: State, *, hosts: Sequence[str] = (), **settings: Any) -> EventType:
    """Make an event type, which the documented API cannot; `settings` are the fields of EventType."""
    now = state.now()
    if not settings.get("name") or not isinstance(settings.get("duration"), int):
        raise BadControl("an event type needs a name and a duration in minutes")
    settings.setdefault("slug", settings["name"].lower().replace(" ", "-"))
    made = EventType(
        id=state.new_id(),
        hosts=tuple(find(state.users, host, "user").id for host in hosts) or (state.owner_id,),
        created_at=now,
        updated_at=now,
        **_settings(settings),
    )
    state.event_types[made.id] = made
    return made


def change_event_type(state: State, event_type: str, **changes: Any) -> EventType:
    """Change settings of an event type: active, custom_questions, locations, buffers and so on."""
    found = find(state.event_types, event_type, "event type")
    changed = replace(found, **_settings(changes), updated_at=state.now())
    state.event_types[found.id] = changed
    return changed


def delete_event_type(state: State, event_type: str) -> EventType:
    """Delete an event type; its events stay, and it can still be read."""
    found = find(state.event_types, event_type, "event type")
    deleted = replace(found, active=False, deleted_at=state.now(), updated_at=state.now())
    state.event_types[found.id] = deleted
    return deleted


def _settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as EventType has them, from JSON too."""
    known = {one.name for one in fields_of(EventType)} - _FIXED
    if unknown := sorted(raw.keys() - known):
        raise BadControl(f"an event type has no {unknown}")
    read = dict(raw)
    if "custom_questions" in read:
        read["custom_questions"] = questions(read["custom_questions"])
    if "locations" in read:
        read["locations"] = tuple(dict(one) for one in read["locations"] or ())
        if not all(one.get("kind") in LOCATION_KINDS for one in read["locations"]):
            raise BadControl(f"kind is one of {sorted(LOCATION_KINDS)}")
    if "notice" in read and not isinstance(read["notice"], timedelta):
        raise BadControl("notice is a timedelta; over HTTP, leave it out")
    return read


def questions(raw: Sequence[Question | Mapping[str, Any]]) -> tuple[Question, ...]:
    """Return custom questions in order; positions count from 0."""
    read = []
    for position, one in enumerate(raw):
        given = one if isinstance(one, Question) else _question(one)
        read.append(replace(given, position=position))
    return tuple(read)


def _question(raw: Mapping[str, Any]) -> Question:
    if raw.get("type", "string") not in get_args(QuestionType) or not isinstance(raw.get("name"), str):
        raise BadControl(f"a question has a name and a type, one of {get_args(QuestionType)}")
    try:
        return Question(**{**raw, "answer_choices": tuple(raw.get("answer_choices") or ())})
    except TypeError as error:
        raise BadControl(str(error)) from error


def add_user(state: State, name: str, email: str, *, role: Role = "user", timezone: str = "America/New_York") -> User:
    """Take a colleague into the organization, with office hours."""
    if not name or not zone(timezone) or not is_email(email):
        raise BadControl("a user has a name, an email and an IANA time zone")
    now = state.now()
    user = replace(
        state.owner,
        id=state.new_id(),
        name=name,
        email=email,
        slug=name.lower().replace(" ", "-"),
        timezone=timezone,
        role=role,
        hours=OFFICE_HOURS,
        created_at=now,
        updated_at=now,
    )
    state.users[user.id] = user
    return user


def change_hours(state: State, user: str, hours: Hours) -> User:
    """Change working hours: weekday to spans of wall time, such as {"monday": [("09:00", "12:30")]}."""
    found = find(state.users, user, "user")
    try:
        read = {day: tuple(_span(span) for span in spans) for day, spans in hours.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise BadControl("hours are weekdays with spans of wall time, such as 09:00 to 12:30") from error
    if not set(read) <= set(WEEKDAYS):
        raise BadControl(f"weekdays are {WEEKDAYS}")
    changed = replace(found, hours=read, updated_at=state.now())
    state.users[found.id] = changed
    return changed


def _span(span: Sequence[str]) -> tuple[str, str]:
    opens, closes = span
    if time.fromisoformat(opens) >= time.fromisoformat(closes):
        raise ValueError(span)
    return opens, closes


def block_time(state: State, start: datetime, end: datetime, *, user: str | None = None) -> BusyTime:
    """Put an entry into a user's connected calendar, the owner's if none is named."""
    if end <= start:
        raise BadControl("a busy time ends after it starts")
    found = state.owner if user is None else find(state.users, user, "user")
    busy = BusyTime(found.id, start.astimezone(UTC), end.astimezone(UTC))
    state.busy_times.append(busy)
    return busy


# Tokens


def add_token(
    state: State, value: str, scopes: Sequence[str] = tuple(sorted(ALL_SCOPES)), *, user: str | None = None
) -> Token:
    """Make a personal access token."""
    found = state.owner if user is None else find(state.users, user, "user")
    token = Token(value, found.id, _scopes(scopes))
    state.tokens[value] = token
    return token


def set_scopes(state: State, value: str, scopes: Sequence[str]) -> Token:
    """Give a token other scopes."""
    return _change_token(state, value, scopes=_scopes(scopes))


def revoke_token(state: State, value: str) -> Token:
    """Revoke an access token; the program that has it must connect again."""
    return _change_token(state, value, revoked=True)


def expire_token(state: State, value: str) -> Token:
    """Let an access token expire now; a refresh gives another."""
    return _change_token(state, value, expires_at=state.now())


def _change_token(state: State, value: str, **changes: Any) -> Token:
    if value not in state.tokens:
        raise BadControl("there is no such token")
    state.tokens[value] = replace(state.tokens[value], **changes)
    return state.tokens[value]


def _scopes(scopes: Sequence[str]) -> frozenset[str]:
    if not set(scopes) <= ALL_SCOPES:
        raise BadControl(f"scopes are some of {sorted(ALL_SCOPES)}")
    return frozenset(scopes)
