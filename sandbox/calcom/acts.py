"""What owners, attendees and strangers do outside of the API: on the public page, in the mail's links, in the web app.

None of it is a call of ours. Each obeys the rules of the service; what they refuse is a BadControl with the reason.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sandbox.calcom import answers, booking_rules, fields, schedules, views
from sandbox.calcom.errors import Refusal
from sandbox.calcom.fields import FieldError, WrongFields
from sandbox.calcom.state import Block, Booking, EventType, Json, Key, State, User
from sandbox.calcom.times import iso
from sandbox.faults import BadControl


class Acts:
    """The acts on one installation. Bookings are named by uid, event types by id or by their owner's slug."""

    def __init__(self, state: State) -> None:
        """Act on `state`."""
        self._state = state

    # strangers

    def book_as_stranger(
        self,
        event_type: int | str,
        start: datetime,
        *,
        name: str = "Sam Stranger",
        email: str = "stranger@example.test",
        minutes: int | None = None,
    ) -> Json:
        """Book on the owner's public page, past every reservation; return the booking."""
        kind = self._type(event_type)
        body: Json = {
            "eventTypeId": kind.id,
            "start": iso(start),
            "attendee": {"name": name, "email": email, "timeZone": "Europe/Paris"},
            "bookingFieldsResponses": {
                field["slug"]: "As you like" for field in kind.fields["bookingFields"] if not field["isDefault"]
            },
        }
        if minutes is not None:
            body["lengthInMinutes"] = minutes
        with _refusals():
            asked = fields.read(body, answers.BODY)
            plan = booking_rules.plan_create(self._state, None, asked, on_the_page=True)
            return self._shown(booking_rules.store(self._state, plan))

    # attendees, with the links in Cal.com's own mail

    def cancel_as_attendee(self, uid: str, reason: str | None = None) -> Json:
        """Cancel with the link in the mail; `cancelledByEmail` is the attendee's."""
        booking = self._booking(uid)
        with _refusals():
            by = booking.attendees[0].email
            return self._shown(booking_rules.cancel(self._state, None, booking, reason, by=by))

    def move_as_attendee(self, uid: str, start: datetime, reason: str | None = None) -> Json:
        """Move with the link in the mail, or pick the time that the host asked for; return the new booking."""
        booking = self._booking(uid)
        with _refusals():
            by = booking.attendees[0].email
            new = booking_rules.plan_reschedule(self._state, None, booking, start, by=by, by_link=True)
            return self._shown(booking_rules.store_move(self._state, booking, new, reason))

    def pay_at_calcom(self, uid: str) -> Json:
        """Pay with Cal.com's own payment app, where the type has a price there."""
        booking = self._booking(uid)
        with _refusals():
            return self._shown(booking_rules.pay(self._state, booking))

    # owners, in the web app

    def cancel_as_owner(self, uid: str, reason: str = "Something came up") -> Json:
        """Cancel; `cancelledByEmail` is the host's, as it is for our own call with the host's key."""
        booking = self._booking(uid)
        with _refusals():
            return self._shown(booking_rules.cancel(self._state, self._host(booking), booking, reason))

    def move_as_owner(self, uid: str, start: datetime, reason: str | None = None) -> Json:
        """Move; return the new booking, which has another uid."""
        booking, host = self._booking(uid), self._host(self._booking(uid))
        with _refusals():
            new = booking_rules.plan_reschedule(self._state, host, booking, start, by=host.email)
            return self._shown(booking_rules.store_move(self._state, booking, new, reason))

    def ask_for_new_time(self, uid: str, reason: str = "Please pick another time") -> Json:
        """Cancel and ask the attendee for another time; no successor until `move_as_attendee`."""
        booking = self._booking(uid)
        with _refusals():
            return self._shown(booking_rules.ask_for_new_time(self._state, booking, reason))

    def confirm(self, uid: str) -> Json:
        """Say yes to a pending booking."""
        booking = self._booking(uid)
        with _refusals():
            return self._shown(booking_rules.confirm(self._state, booking))

    def decline(self, uid: str, reason: str | None = None) -> Json:
        """Say no to a pending booking."""
        booking = self._booking(uid)
        with _refusals():
            return self._shown(booking_rules.decline(self._state, booking, reason))

    def add_calendar_block(self, start: datetime, end: datetime, *, username: str | None = None) -> int:
        """Put an entry into a host's calendar, over whatever is booked there; return its id."""
        if end <= start:
            raise BadControl("a block ends after it starts")
        block = Block(self._state.new_number(), self._user(username).id, start, end)
        self._state.blocks[block.id] = block
        return block.id

    def remove_calendar_block(self, block_id: int) -> None:
        """Take it out again."""
        if self._state.blocks.pop(block_id, None) is None:
            raise BadControl(f"there is no block {block_id}")

    def change_hours(
        self,
        availability: list[Json] | None = None,
        *,
        overrides: list[Json] | None = None,
        time_zone: str | None = None,
        username: str | None = None,
    ) -> Json:
        """Change a host's default schedule, in the words of `PATCH /v2/schedules/{id}`; return it."""
        state = self._state
        present = state.schedules.get(self._user(username).default_schedule_id or 0)
        if present is None:
            raise BadControl("this user has no default schedule")
        with _refusals():
            changed = replace(
                present,
                availability=present.availability if availability is None else schedules.HOURS(availability),
                overrides=present.overrides if overrides is None else schedules.OVERRIDES(overrides),
                time_zone=present.time_zone if time_zone is None else fields.zone(time_zone),
            )
        state.schedules[changed.id] = changed
        return views.schedule(state, changed)

    # settings of an event type, which the API has no input for or which the owner changes behind our back

    def set_price(self, event_type: int | str, price: int, currency: str = "gbp") -> Json:
        """Put a payment app on a type, or take it off with 0; `price` is in minor units. New bookings are pending."""
        if price < 0:
            raise BadControl("a price is at least 0")
        return self._changed(replace(self._type(event_type), price=price, currency=currency))

    def set_confirmation(self, event_type: int | str, on: bool) -> Json:
        """Let new bookings wait for the owner's yes, or not."""
        policy: Json = {"type": "always", "blockUnconfirmedBookingsInBooker": False} if on else {"disabled": True}
        return self._set(event_type, confirmationPolicy=policy)

    def set_cancelling(self, event_type: int | str, allowed: bool) -> Json:
        """Allow cancelling, or disable it for everyone: the owner's own call is refused, too."""
        return self._set(event_type, disableCancelling=None if allowed else {"disabled": True})

    def set_rescheduling(self, event_type: int | str, allowed: bool, *, minutes_before: int | None = None) -> Json:
        """Allow moving, or disable it, wholly or this close to the start."""
        rule: Json = {"disabled": not allowed}
        return self._set(
            event_type, disableRescheduling=rule | ({"minutesBefore": minutes_before} if minutes_before else {})
        )

    def set_managed_parent(self, event_type: int | str, on: bool) -> Json:
        """Make a type a team's template, whose slots and bookings are refused, or an ordinary one again."""
        return self._changed(replace(self._type(event_type), managed_parent=on))

    # accounts

    def expire_key(self, token: str | None = None) -> None:
        """End a key now (the owner's, unless another is named): 401 on every call."""
        token = token or self._state.token
        if token not in self._state.keys:
            raise BadControl("there is no such key")
        self._state.keys[token] = replace(self._state.keys[token], expires_at=self._state.stamp())

    def renew_key(self, token: str | None = None) -> None:
        """Make a key valid again, for ever."""
        token = token or self._state.token
        present = self._state.keys.get(token)
        self._state.keys[token] = Key(present.user_id if present else self._state.owner_id)

    def block_attendee(self, email: str) -> None:
        """Let this address book nothing any more: 403, or the switched decoy."""
        self._state.blocked_emails.add(email.lower())

    def _booking(self, uid: str) -> Booking:
        booking = self._state.bookings.get(uid)
        if booking is None:
            raise BadControl(f"there is no booking {uid!r}")
        return booking

    def _host(self, booking: Booking) -> User:
        return self._state.users[booking.host_id]

    def _user(self, username: str | None) -> User:
        if username is None:
            return self._state.owner
        found = next((one for one in self._state.users.values() if one.username == username), None)
        if found is None:
            raise BadControl(f"there is no user {username!r}")
        return found

    def _type(self, event_type: int | str) -> EventType:
        kinds = self._state.event_types.values()
        found = next((one for one in kinds if event_type in (one.id, one.slug)), None)
        if found is None:
            raise BadControl(f"there is no event type {event_type!r}")
        return found

    def _set(self, event_type: int | str, **settings: Any) -> Json:
        kind = self._type(event_type)
        return self._changed(replace(kind, fields=kind.fields | settings))

    def _changed(self, kind: EventType) -> Json:
        self._state.event_types[kind.id] = kind
        return views.event_type(self._state, kind)

    def _shown(self, booking: Booking) -> Json:
        return views.booking(self._state, booking, "2024-08-13")


@contextmanager
def _refusals() -> Iterator[None]:
    """What the service would refuse is a BadControl here."""
    try:
        yield
    except Refusal as refusal:
        raise BadControl(f"{refusal.status}: {refusal.message}") from refusal
    except (FieldError, WrongFields) as error:
        raise BadControl(str(error)) from error


def _time(raw: Json, name: str = "start") -> datetime:
    value = raw.get(name)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadControl(f"{name} is an ISO 8601 time with an offset")
    return at


def _text(raw: Json, name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise BadControl(f"{name} is text")
    return value


def _reason(raw: Json) -> Json:
    return {"reason": _text(raw, "reason")} if raw.get("reason") else {}


def _flag(raw: Json, name: str) -> bool:
    value = raw.get(name)
    if value not in (True, False, "true", "false"):
        raise BadControl(f"{name} is true or false")
    return value in (True, "true")


def _number(raw: Json, name: str) -> int:
    value = raw.get(name)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadControl(f"{name} is an integer")
    return value


def _kind(raw: Json) -> int | str:
    value = raw.get("event_type")
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadControl("event_type is an id or a slug")
    return value


def _stranger(raw: Json) -> Json:
    return {name: _text(raw, name) for name in ("name", "email") if raw.get(name)}


def _who(raw: Json) -> Json:
    return {"username": _text(raw, "username")} if raw.get("username") else {}


def _hours(acts: Acts, raw: Json) -> Json:
    """`availability` and `overrides` as the API has them; the form of the page has one pair of times for all days."""
    availability = raw.get("availability")
    if raw.get("opens"):
        days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
        availability = [{"days": days, "startTime": _text(raw, "opens"), "endTime": _text(raw, "closes")}]
    return acts.change_hours(availability, overrides=raw.get("overrides"), time_zone=raw.get("time_zone"), **_who(raw))


def _key(raw: Json) -> str | None:
    return _text(raw, "token") if raw.get("token") else None


#: The acts over HTTP, by name: `POST /_sandbox/acts/{name}` with a JSON object or a form.
BY_NAME: dict[str, Callable[[Acts, Json], Any]] = {
    "book_as_stranger": lambda acts, raw: acts.book_as_stranger(_kind(raw), _time(raw), **_stranger(raw)),
    "cancel_as_attendee": lambda acts, raw: acts.cancel_as_attendee(_text(raw, "uid"), **_reason(raw)),
    "move_as_attendee": lambda acts, raw: acts.move_as_attendee(_text(raw, "uid"), _time(raw), **_reason(raw)),
    "pay_at_calcom": lambda acts, raw: acts.pay_at_calcom(_text(raw, "uid")),
    "cancel_as_owner": lambda acts, raw: acts.cancel_as_owner(_text(raw, "uid"), **_reason(raw)),
    "move_as_owner": lambda acts, raw: acts.move_as_owner(_text(raw, "uid"), _time(raw), **_reason(raw)),
    "ask_for_new_time": lambda acts, raw: acts.ask_for_new_time(_text(raw, "uid"), **_reason(raw)),
    "confirm": lambda acts, raw: acts.confirm(_text(raw, "uid")),
    "decline": lambda acts, raw: acts.decline(_text(raw, "uid"), **_reason(raw)),
    "add_calendar_block": lambda acts, raw: acts.add_calendar_block(_time(raw), _time(raw, "end"), **_who(raw)),
    "remove_calendar_block": lambda acts, raw: acts.remove_calendar_block(_number(raw, "block_id")),
    "change_hours": _hours,
    "set_price": lambda acts, raw: acts.set_price(_kind(raw), _number(raw, "price")),
    "set_confirmation": lambda acts, raw: acts.set_confirmation(_kind(raw), _flag(raw, "on")),
    "set_cancelling": lambda acts, raw: acts.set_cancelling(_kind(raw), _flag(raw, "allowed")),
    "set_rescheduling": lambda acts, raw: acts.set_rescheduling(_kind(raw), _flag(raw, "allowed")),
    "set_managed_parent": lambda acts, raw: acts.set_managed_parent(_kind(raw), _flag(raw, "on")),
    "expire_key": lambda acts, raw: acts.expire_key(_key(raw)),
    "renew_key": lambda acts, raw: acts.renew_key(_key(raw)),
    "block_attendee": lambda acts, raw: acts.block_attendee(_text(raw, "email")),
}
