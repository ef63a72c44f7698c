"""What an operator or a test can turn on the Cal.com sandbox.

Everything here is invented for the sandbox; nothing of it exists at Cal.com. The switches cover what is not known of
the service, or known to differ between its versions, so that the product can be run against either answer.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args, get_type_hints

from sandbox.deliveries import Mode
from sandbox.faults import BadControl


@dataclass
class Switches:
    """The sandbox's open questions and their present answers; `#n` is an issue of Cal.com's."""

    race_mode: Literal["atomic", "gap"] = "atomic"  # gap: others get between the check and the insert (#13397)
    race_parties: int = 0  # gap: hold creates after their check until so many have passed it; 0 = only give way
    race_wait_seconds: int = 2  # gap with parties: give up waiting for the others after this
    reservation_enforced: bool = False  # a create that meets a reservation is a 409 with the seconds left (PR 24670)
    reservation_cap_minutes: int | None = None  # a longer reservation is a 400; None = no cap, as in the code
    taken_status: Literal[400, 409] = 400
    list_lag_seconds: int = 0  # the list of bookings is read from a replica that is this far behind
    decoy: bool = False  # a blocked attendee is told that all went well, with a booking that does not exist
    reschedule_webhook: Literal["BOOKING_RESCHEDULED", "BOOKING_REQUESTED"] = "BOOKING_RESCHEDULED"  # #21169
    cancel_webhook_metadata: bool = True  # #27783
    webhook_delivery: Mode = "once"
    webhook_lose: int = 0  # so many of the next webhooks are lost
    confirm_from_cancelled: Literal["refused", "resurrects"] = "refused"  # the code has no guard
    rate_reset: Literal["seconds", "unix"] = "seconds"
    retry_after_header: bool = False  # a 429 has Retry-After; not in the code, told by a third party
    rate_limit_per_minute: int = 120  # for a key, and for an address without credentials
    event_types_without_username: Literal["empty", "own"] = "empty"  # the code of 2025 / what clients of 2026 rely on
    slots_quirk: Literal["none", "outside_range", "empty"] = "none"  # #24260, #21729
    disabled_rescheduling_binds_owner: bool = False
    page_requires_authentication: bool = False  # whether the public page obeys bookingRequiresAuthentication

    def update(self, changes: object) -> None:
        """Apply a JSON object of changes, all or none. Raises BadControl."""
        if not isinstance(changes, dict):
            raise BadControl("switches are a JSON object")
        for name, value in changes.items():
            _check(name, value)
        for name, value in changes.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Put every switch back to its default."""
        for one in fields(self):
            setattr(self, one.name, one.default)


_TYPES: Final[dict[str, Any]] = get_type_hints(Switches)
_LEAST: Final = {"reservation_cap_minutes": 1, "rate_limit_per_minute": 1}


def choices(name: str) -> tuple[object, ...]:
    """What a switch can be set to; empty for a number."""
    if name not in _TYPES:
        raise BadControl(f"there is no switch {name!r}")
    if _TYPES[name] is bool:
        return (True, False)
    return () if _is_number(name) else get_args(_TYPES[name])


def _is_number(name: str) -> bool:
    return _TYPES[name] in (int, int | None)


def _check(name: str, value: object) -> None:
    if allowed := choices(name):
        if not any(value == one and type(value) is type(one) for one in allowed):
            raise BadControl(f"{name} is one of {allowed}")
        return
    least = _LEAST.get(name, 0)
    if value is None and _TYPES[name] == int | None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadControl(f"{name} is an integer of at least {least}")
