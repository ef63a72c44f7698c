"""What is needed to connect to a scheduler, and the result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

import httpx

from app.scheduling.availability import CallBudget
from app.scheduling.connection import ClientOptions
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
    """What tests replace, and where the tokens of owners are stored. `transports` has a transport for each provider, by
    name, that is not reached over the network. `called` is called for every request, with the scheduler's name.
    `patience` is how many seconds a call may wait for a limit by the minute to pass: not long, since a visitor waits,
    too."""

    now: Callable[[], datetime]
    random: Random
    sleep: Callable[[float], Awaitable[None]]
    transports: Mapping[str, httpx.AsyncBaseTransport]
    called: Callable[[str, SchedulerCall], None]
    tokens: SchedulerTokenRows
    patience: float = 2.0

    def options(self, base_url: str, provider: str, *, on_call: Callable[[SchedulerCall], None]) -> ClientOptions:
        """The options of a client that reaches a provider there."""
        return ClientOptions(
            base_url=base_url,
            now=self.now,
            random=self.random,
            sleep=self.sleep,
            transport=self.transports.get(provider),
            on_call=on_call,
            patience=self.patience,
        )

    def counting(self, name: str, budget: CallBudget) -> Callable[[SchedulerCall], None]:
        """Counts each request to this scheduler, in its budget and in the metrics."""

        def hear(call: SchedulerCall) -> None:
            budget.record(call)
            self.called(name, call)

        return hear
