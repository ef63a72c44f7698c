"""What an operator or a test can turn on the Hapio sandbox: its switches.

Everything here is invented for the sandbox; nothing of it exists at Hapio. The switches cover the questions that
Hapio's documentation leaves open, so that the product can be run against either answer.
"""

from dataclasses import dataclass, fields
from typing import Final, Literal

from sandbox.faults import BadControl


@dataclass
class Switches:
    """The sandbox's open questions and their present answers."""

    race_mode: Literal["atomic", "non_atomic"] = "atomic"
    race_parties: int = 0  # non_atomic: hold creates after their check until so many have passed it; 0 = no gate
    race_wait_seconds: int = 2  # non_atomic with parties: give up waiting for the others after this
    temporary_expiry_minutes: int | None = None  # delete temporary bookings this old; None = never
    temporary_blocks_capacity: bool = True
    rule_error_shape: Literal["A", "B"] = "B"
    canceled_default: Literal["exclude", "include"] = "exclude"
    response_offset: Literal["location", "utc"] = "location"
    rate_limit_per_minute: int = 100  # Hapio's free plan
    monthly_quota: int | None = None  # Hapio's free plan has 2,500; None = unlimited

    def update(self, changes: object) -> None:
        """Apply a JSON object of changes, all or none; raises BadControl."""
        if not isinstance(changes, dict):
            raise BadControl("switches are a JSON object")
        for name, value in changes.items():
            _check_switch(name, value)
        for name, value in changes.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Put every switch back to its default."""
        for one in fields(self):
            setattr(self, one.name, one.default)


_CHOICES: Final[dict[str, tuple[object, ...]]] = {
    "race_mode": ("atomic", "non_atomic"),
    "temporary_blocks_capacity": (True, False),
    "rule_error_shape": ("A", "B"),
    "canceled_default": ("exclude", "include"),
    "response_offset": ("location", "utc"),
}
_MINIMUMS: Final = {
    "race_parties": 0,
    "race_wait_seconds": 0,
    "temporary_expiry_minutes": 1,
    "rate_limit_per_minute": 1,
    "monthly_quota": 0,
}


def _check_switch(name: str, value: object) -> None:
    if name in _CHOICES:
        if value not in _CHOICES[name] or (isinstance(value, int) and not isinstance(value, bool)):
            raise BadControl(f"{name} is one of {_CHOICES[name]}")
    elif name in _MINIMUMS:
        if value is None and name in ("temporary_expiry_minutes", "monthly_quota"):
            return
        if not isinstance(value, int) or isinstance(value, bool) or value < _MINIMUMS[name]:
            raise BadControl(f"{name} is an integer of at least {_MINIMUMS[name]}")
    else:
        raise BadControl(f"there is no switch {name!r}")
