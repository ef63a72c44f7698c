"""What an operator or a test can turn on the Hapio sandbox: switches, faults, the race gate, the call log.

Everything here is invented for the sandbox; nothing of it exists at Hapio. The switches cover the questions that
Hapio's documentation leaves open, so that the product can be run against either answer.
"""

import re
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal, get_args

import anyio
import anyio.lowlevel

FaultKind = Literal[
    "error_before",
    "error_after",
    "drop_before",
    "drop_after",
    "hang",
    "hang_after",
    "html_body",
    "truncated_json",
    "rate_limited",
    "refuse",
]
FAULT_KINDS: Final[tuple[str, ...]] = get_args(FaultKind)
RACE_CHECKPOINTS: Final = 50


class BadControl(ValueError):
    """A control request that makes no sense; the text says why."""


class ConnectionDropped(Exception):
    """In process: the connection is lost without an answer. `HapioSandbox.transport()` makes it a ReadError."""


class RequestHangs(Exception):
    """In process: no answer ever comes. `HapioSandbox.transport()` makes it a ReadTimeout."""


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


@dataclass
class Fault:
    """A trouble that the next `times` matching requests meet (None: all until it is cleared), then used up.

    `method` and `path` (a regular expression searched in the path) select requests; None matches all.
    `status` is for error_before, error_after and refuse, `body` is what refuse answers, `retry_after` (seconds) is
    for rate_limited.
    """

    kind: FaultKind
    times: int | None = 1
    method: str | None = None
    path: str | None = None
    status: int = 500
    retry_after: int = 30
    body: dict[str, Any] = field(default_factory=lambda: {"message": "Refused by a fault."})

    def matches(self, method: str, path: str) -> bool:
        """Tell whether this fault waits for such a request."""
        return (
            self.times != 0
            and self.method in (None, method)
            and (self.path is None or re.search(self.path, path) is not None)
        )


def parse_fault(raw: object) -> Fault:
    """Return the fault that a JSON object describes; raises BadControl."""
    if not isinstance(raw, dict):
        raise BadControl("a fault is a JSON object")
    if unknown := set(raw) - {one.name for one in fields(Fault)}:
        raise BadControl(f"a fault has no {sorted(unknown)}")
    if raw.get("kind") not in FAULT_KINDS:
        raise BadControl(f"kind is one of {FAULT_KINDS}")
    bounds = {"times": (1, 10_000), "status": (400, 599), "retry_after": (0, 86_400)}
    for name, (low, high) in bounds.items():
        if name == "times" and raw.get(name, 1) is None:
            continue
        if name in raw and not (type(raw[name]) is int and low <= raw[name] <= high):
            raise BadControl(f"{name} is an integer between {low} and {high}")
    if not isinstance(raw.get("body", {}), dict):
        raise BadControl("body is a JSON object")
    for name in ("method", "path"):
        if not isinstance(raw.get(name), str | None):
            raise BadControl(f"{name} is a string")
    try:
        re.compile(raw.get("path") or "")
    except re.error as error:
        raise BadControl(f"path is not a regular expression: {error}") from error
    return Fault(**raw)


@dataclass
class Call:
    """One request to /v1 as the sandbox saw it; `status` is None if it was never answered."""

    at: datetime
    method: str
    path: str
    query: str
    status: int | None
    body: Any = None


class RaceGate:
    """The gap between the availability check and the insert of Hapio's non-atomic create."""

    def __init__(self) -> None:
        self._waiting = 0
        self._open = anyio.Event()

    async def wait(self, switches: Switches) -> None:
        """Let other creates pass their own check before this one inserts; returns at once when atomic."""
        if switches.race_mode == "atomic":
            return
        if switches.race_parties == 0:
            for _ in range(RACE_CHECKPOINTS):
                await anyio.lowlevel.checkpoint()
            return
        self._waiting += 1
        hold_limits = self._open
        if self._waiting >= switches.race_parties:
            self._waiting, self._open = 0, anyio.Event()
            hold_limits.set()
            return
        with anyio.move_on_after(switches.race_wait_seconds):
            await hold_limits.wait()
        if hold_limits is self._open:
            self._waiting -= 1
