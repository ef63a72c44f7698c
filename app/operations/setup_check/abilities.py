"""What a token of Hapio may do, asked one by one by requests that change nothing.

What each would change does not exist, or it lacks every required field. Hapio answers 403 before it looks (hapio-api,
order of checks; seen in the sandbox only).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

#: Nobody's id, of the right form.
NOBODY: Final = "00000000-0000-4000-8000-000000000000"

_SCHEDULES: Final = f"/resources/{NOBODY}/recurring-schedules"
_WEEK_BLOCKS: Final = f"{_SCHEDULES}/{NOBODY}/schedule-blocks"
_DAY_BLOCKS: Final = f"/resources/{NOBODY}/schedule-blocks"
_ASSOCIATION: Final = f"/resources/{NOBODY}/services/{NOBODY}"

#: (ability, method, path, body) of what a server needs.
Ability = tuple[str, str, str, dict[str, Any]]
RUNNING: Final[tuple[Ability, ...]] = (
    ("location:view", "GET", "/locations", {}),
    ("resource:view", "GET", "/resources", {}),
    ("service:view", "GET", "/services", {}),
    ("resource_service:view", "GET", f"/services/{NOBODY}/resources", {}),
    ("bookable_slot:view", "GET", f"/services/{NOBODY}/bookable-slots", {}),
    ("booking:view", "GET", "/bookings", {}),
    ("booking:create", "POST", "/bookings", {}),
    ("booking:update", "PATCH", f"/bookings/{NOBODY}", {}),
    ("booking:delete", "DELETE", f"/bookings/{NOBODY}", {}),
    ("booking:ignore_cancelation_threshold", "POST", "/bookings", {"ignore_cancelation_threshold": True}),
    ("booking:ignore_booking_window", "POST", "/bookings", {"ignore_booking_window": True}),
)
#: What setting a project up needs in addition to those.
SETTING_UP: Final[tuple[Ability, ...]] = (
    ("location:create", "POST", "/locations", {}),
    ("location:update", "PATCH", f"/locations/{NOBODY}", {}),
    ("resource:create", "POST", "/resources", {}),
    ("resource:update", "PATCH", f"/resources/{NOBODY}", {}),
    ("service:create", "POST", "/services", {}),
    ("service:update", "PATCH", f"/services/{NOBODY}", {}),
    ("resource_service:create", "PUT", _ASSOCIATION, {}),
    ("resource_service:delete", "DELETE", _ASSOCIATION, {}),
    ("recurring_schedule:view", "GET", _SCHEDULES, {}),
    ("recurring_schedule:create", "POST", _SCHEDULES, {}),
    ("recurring_schedule_block:view", "GET", _WEEK_BLOCKS, {}),
    ("recurring_schedule_block:create", "POST", _WEEK_BLOCKS, {}),
    ("recurring_schedule_block:delete", "DELETE", f"{_WEEK_BLOCKS}/{NOBODY}", {}),
    ("schedule_block:view", "GET", _DAY_BLOCKS, {}),
    ("schedule_block:create", "POST", _DAY_BLOCKS, {}),
    ("schedule_block:delete", "DELETE", f"{_DAY_BLOCKS}/{NOBODY}", {}),
)
#: Which abilities the two flags need, besides; without it they cannot be asked about.
_FLAGS_NEED: Final = "booking:create"

#: Sends (method, path, body) and gives the answer's status.
Ask = Callable[[str, str, dict[str, Any] | None], Awaitable[int]]


async def lacking(abilities: Sequence[Ability], ask: Ask) -> list[str]:
    """Those of the abilities that the token does not have."""
    missing: list[str] = []
    for ability, method, path, body in abilities:
        if body and _FLAGS_NEED in missing:
            continue
        if await ask(method, path, None if method == "GET" else body) == 403:
            missing.append(ability)
    return missing
