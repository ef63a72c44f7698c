"""Connecting to Hapio by the settings."""

from __future__ import annotations

from app.scheduling.availability import CallBudget
from app.scheduling.connected import Connected, World
from app.scheduling.hapio.client import HapioClient
from app.scheduling.hapio.scheduler import HapioScheduler
from app.scheduling.hapio.webhook import HapioWebhooks
from app.settings import Settings, WebhookScheme, opened


def connect_hapio(settings: Settings, world: World) -> Connected:
    """Hapio, as `HAPIO_…` say."""
    budget = CallBudget(calls_per_month=settings.hapio_calls_per_month, counter="hapio_calls", now=world.now)
    client = HapioClient(
        base_url=settings.hapio_base_url,
        token=opened(settings.hapio_api_token),
        now=world.now,
        random=world.random,
        sleep=world.sleep,
        transport=world.transports.get("hapio"),
        on_call=world.counting("hapio", budget),
        patience=world.patience,
    )
    secret = opened(settings.hapio_webhook_secret)
    scheme = WebhookScheme.read(settings.hapio_webhook_scheme)
    webhooks = HapioWebhooks(secret=secret, scheme=scheme, now=world.now) if secret else None
    return Connected(HapioScheduler(client), budget, webhooks)
