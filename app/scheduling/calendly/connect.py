"""Connecting to Calendly by the settings."""

from __future__ import annotations

from app.scheduling.availability import CallBudget
from app.scheduling.calendly.client import CalendlyClient
from app.scheduling.calendly.dialect import PAID_CALLS
from app.scheduling.calendly.scheduler import CalendlyScheduler
from app.scheduling.calendly.webhook import CalendlyWebhooks
from app.scheduling.connected import Connected, World
from app.scheduling.creates import CreateBudget
from app.settings import Settings, opened

#: There is no limit by the month; this is what the one by the minute comes to (Calendly API v2, rate limits).
_CALLS_PER_MONTH = PAID_CALLS * 60 * 24 * 30


def connect_calendly(settings: Settings, world: World) -> Connected:
    """Calendly, as `CALENDLY_…` say."""
    creates = CreateBudget(per_day=settings.calendly_creates_per_day, counter="calendly_creates", now=world.now)
    budget = CallBudget(calls_per_month=_CALLS_PER_MONTH, counter="calendly_calls", now=world.now)
    client = CalendlyClient(
        base_url=settings.calendly_base_url,
        token=opened(settings.calendly_token),
        now=world.now,
        random=world.random,
        sleep=world.sleep,
        transport=world.transports.get("calendly"),
        on_call=world.counting("calendly", budget),
        on_create=creates.record,
    )
    scheduler = CalendlyScheduler(client, now=world.now)
    key = opened(settings.calendly_webhook_key)
    webhooks = CalendlyWebhooks(key=key, now=world.now) if key else None
    return Connected(scheduler, budget, webhooks, creates)
