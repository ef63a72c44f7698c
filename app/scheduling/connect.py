"""Connecting to the schedulers whose credentials are set: the one place outside their folders that knows them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

import httpx

from app.scheduling.availability import CallBudget
from app.scheduling.hapio.client import HapioClient
from app.scheduling.hapio.scheduler import HapioScheduler
from app.scheduling.hapio.webhook import HapioWebhooks
from app.scheduling.port import Scheduler, SchedulerCall, SchedulerWebhooks
from app.settings import Settings, WebhookScheme


@dataclass(frozen=True, slots=True)
class Connected:
    """A scheduler with what belongs to it. `webhooks` is None where no secret is set to check them with."""

    scheduler: Scheduler
    budget: CallBudget
    webhooks: SchedulerWebhooks | None


@dataclass(frozen=True, slots=True)
class World:
    """What tests own. `transports` has the wires to schedulers, by name, where they are not the network. `called` hears
    of every request, with the scheduler's name."""

    now: Callable[[], datetime]
    random: Random
    sleep: Callable[[float], Awaitable[None]]
    transports: Mapping[str, httpx.AsyncBaseTransport]
    called: Callable[[str, SchedulerCall], None]


def connect(settings: Settings, world: World) -> dict[str, Connected]:
    """Every scheduler of `settings.schedulers`, by name."""
    makers = {"hapio": _hapio}
    return {name: makers[name](settings, world) for name in settings.schedulers}


def _hapio(settings: Settings, world: World) -> Connected:
    budget = CallBudget(calls_per_month=settings.hapio_calls_per_month, counter="hapio_calls", now=world.now)

    def called(call: SchedulerCall) -> None:
        budget.record(call)
        world.called("hapio", call)

    client = HapioClient(
        base_url=settings.hapio_base_url,
        token=settings.hapio_api_token.get_secret_value(),
        now=world.now,
        random=world.random,
        sleep=world.sleep,
        transport=world.transports.get("hapio"),
        on_call=called,
    )
    secret = settings.hapio_webhook_secret.get_secret_value() if settings.hapio_webhook_secret else ""
    scheme = WebhookScheme.read(settings.hapio_webhook_scheme)
    webhooks = HapioWebhooks(secret=secret, scheme=scheme, now=world.now) if secret else None
    return Connected(HapioScheduler(client), budget, webhooks)
