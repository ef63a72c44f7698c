"""What connecting to a scheduler takes, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

import httpx

from app.scheduling.availability import CallBudget
from app.scheduling.creates import CreateBudget
from app.scheduling.port import Scheduler, SchedulerCall, SchedulerWebhooks
from app.store.scheduler_tokens import SchedulerTokenRows


@dataclass(frozen=True, slots=True)
class Connected:
    """A scheduler with what belongs to it. `webhooks` is None where no secret is set to check them with, `creates`
    where it makes any number of bookings."""

    scheduler: Scheduler
    budget: CallBudget
    webhooks: SchedulerWebhooks | None
    creates: CreateBudget | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What tests own, and where the tokens of owners are kept. `transports` has the wires to providers, by name, where
    they are not the network. `called` hears of every request, with the scheduler's name. `patience` is how many seconds
    a call may wait for a limit by the minute to pass: not long while a visitor waits, too."""

    now: Callable[[], datetime]
    random: Random
    sleep: Callable[[float], Awaitable[None]]
    transports: Mapping[str, httpx.AsyncBaseTransport]
    called: Callable[[str, SchedulerCall], None]
    tokens: SchedulerTokenRows
    patience: float = 2.0

    def counting(self, name: str, budget: CallBudget) -> Callable[[SchedulerCall], None]:
        """Who hears of each request to this scheduler: its budget, and the figures."""

        def hear(call: SchedulerCall) -> None:
            budget.record(call)
            self.called(name, call)

        return hear
