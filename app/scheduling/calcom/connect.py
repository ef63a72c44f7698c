"""Connecting to Cal.com as the settings say."""

from __future__ import annotations

from typing import Final

from app.scheduling.availability import CallBudget
from app.scheduling.calcom.client import CalcomClient
from app.scheduling.calcom.scheduler import CalcomScheduler
from app.scheduling.calcom.webhook import CalcomWebhooks
from app.scheduling.connected import Connected, World
from app.settings import Settings, opened

#: What a key may ask in thirty days: 120 requests a minute (Cal.com code). There is no other bound.
CALLS_PER_MONTH: Final = 120 * 60 * 24 * 30


def connect_calcom(settings: Settings, world: World) -> Connected:
    """Cal.com, as the settings `CALCOM_…` say."""
    budget = CallBudget(calls_per_month=CALLS_PER_MONTH, counter="calcom_calls", now=world.now)
    options = world.options(settings.calcom_base_url, "calcom", on_call=world.counting("calcom", budget))
    client = CalcomClient(options, token=opened(settings.calcom_api_key))
    secret = opened(settings.calcom_webhook_secret)
    webhooks = CalcomWebhooks(secret=secret, now=world.now) if secret else None
    return Connected(CalcomScheduler(client, now=world.now), budget, webhooks)
