"""A strict, stateful stand-in for Hapio's project API v1.7, for tests and the demo. Imports nothing from the product.

What Hapio documents is done as documented; what it leaves open is a switch, or the strictest reading.
"""

from collections.abc import Callable
from datetime import datetime

import httpx

from sandbox.faults import BadControl, Call, ConnectionDropped, Fault, InProcess, RequestHangs
from sandbox.hapio.app import create_app
from sandbox.hapio.control import Switches
from sandbox.hapio.state import ALL_ABILITIES, Booking, State

__all__ = [
    "ALL_ABILITIES",
    "BadControl",
    "Booking",
    "Call",
    "ConnectionDropped",
    "Fault",
    "HapioSandbox",
    "RequestHangs",
    "Switches",
]


class HapioSandbox:
    """One Hapio project that lives in memory.

    `app` serves /v1 and /_sandbox; `switches`, `faults`, `calls` and `state` are the live objects, and stay the same
    ones through `reset()`. The default `token` has every ability; `state.tokens` takes more.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        seed: int = 0,
        token: str = "hapio-sandbox-token",  # noqa: S107 - published on purpose
    ) -> None:
        """Start empty at `now` (aware UTC); the same `seed` gives the same ids in the same order of requests."""
        self.token = token
        self.state = State(now, seed, token)
        self.switches: Switches = self.state.switches
        self.faults: list[Fault] = self.state.faults
        self.calls: list[Call] = self.state.calls
        self.app = create_app(self.state)

    def reset(self) -> None:
        """Become a new project again: no objects, faults or calls, default switches, the same ids to come."""
        self.state.clear()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for httpx clients in process; dropped and hanging calls are httpx errors there."""
        return InProcess(self.app)
