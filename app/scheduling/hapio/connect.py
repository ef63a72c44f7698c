"""Connecting to Hapio as the settings say."""

from __future__ import annotations

from app.scheduling.availability import CallBudget
from app.scheduling.connected import Connected, World
from app.scheduling.hapio.client import HapioClient
from app.scheduling.hapio.scheduler import HapioScheduler
from app.scheduling.hapio.webhook import HapioWebhooks
from app.settings import Settings, WebhookScheme, opened


def connect_hapio(settings: Settings, world: World) -> Connected:
    """Hapio, as the settings `HAPIO_…` say."""
    budget = CallBudget(calls_per_month=settings.hapio_calls_per_month, counter="hapio_calls", now=world.now)
    options = world.options(settings.hapio_base_url, "hapio", on_call=world.counting("hapio", budget))
    client = HapioClient(options, token=opened(settings.hapio_api_token))
    secret = opened(settings.hapio_webhook_secret)
    scheme = WebhookScheme.read(settings.hapio_webhook_scheme)
    webhooks = HapioWebhooks(secret=secret, scheme=scheme, now=world.now) if secret else None
    return Connected(HapioScheduler(client), budget, webhooks)
