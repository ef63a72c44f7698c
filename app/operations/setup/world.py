"""What a set-up is given, and what it says where it cannot go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from app.operations.setup_check import Wires


class SetupRefused(Exception):
    """It cannot go on; the text has a line for each reason, with what to do. What was done before stays, and the next
    run finds it."""


@dataclass(frozen=True, slots=True)
class SetupWorld:
    """What tests own: the clock, chance, waiting, the wires, and where new keys come from."""

    now: Callable[[], datetime]
    random: Random
    sleep: Callable[[float], Awaitable[None]]
    new_secret: Callable[[], str]
    wires: Wires = field(default_factory=Wires)
