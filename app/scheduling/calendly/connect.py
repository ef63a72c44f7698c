"""Connecting to Calendly as the settings say: with the personal token, and with the tokens of each owner who has
agreed."""

from __future__ import annotations

from functools import partial

from app.protection.sealing import Sealer
from app.scheduling.availability import CallBudget
from app.scheduling.calendly.client import CalendlyClient
from app.scheduling.calendly.dialect import PAID_CALLS
from app.scheduling.calendly.oauth import CalendlyOAuth
from app.scheduling.calendly.scheduler import CalendlyScheduler
from app.scheduling.calendly.tokens import Access, OwnerAccess, PersonalAccess
from app.scheduling.calendly.webhook import CalendlyWebhooks
from app.scheduling.connected import Connected, World
from app.scheduling.creates import CreateBudget
from app.settings import Settings, opened

#: There is no limit by the month; this is what the one by the minute comes to (Calendly API v2, rate limits).
_CALLS_PER_MONTH = PAID_CALLS * 60 * 24 * 30
_PERSONAL = "calendly"


def connect_calendly(settings: Settings, world: World) -> Connected:
    """The account of the personal token, as the settings `CALENDLY_…` say."""
    return _connected(settings, world, _PERSONAL, PersonalAccess(opened(settings.calendly_token)))


def connect_calendly_owner(settings: Settings, world: World, name: str) -> Connected:
    """The account that an owner has connected under this name, or will. Limits are each account's own (Calendly API v2,
    rate limits), so each account is counted separately."""
    return _connected(settings, world, name, owner_access(settings, world, name))


def owner_access(settings: Settings, world: World, name: str) -> OwnerAccess:
    """The access to that account."""
    return OwnerAccess(
        name,
        store=world.tokens,
        sealer=token_sealer(settings, world),
        oauth=calendly_oauth(settings, world, name),
        now=world.now,
        sleep=world.sleep,
    )


def token_sealer(settings: Settings, world: World) -> Sealer:
    """What seals the tokens of owners."""
    return Sealer(settings.keys, "scheduler-tokens", now=world.now)


def calendly_oauth(settings: Settings, world: World, name: str) -> CalendlyOAuth:
    """The OAuth app, as the account of this name uses it."""
    return CalendlyOAuth(
        client_id=settings.calendly_client_id,
        client_secret=opened(settings.calendly_client_secret),
        auth_url=settings.calendly_auth_url,
        now=world.now,
        transport=world.transports.get("calendly"),
        on_call=partial(world.called, name),
    )


def calendly_client(settings: Settings, world: World, access: Access) -> CalendlyClient:
    """A client for a few calls, such as while an account is being connected."""
    options = world.options(settings.calendly_base_url, "calendly", on_call=partial(world.called, _PERSONAL))
    return CalendlyClient(options, access=access)


def _connected(settings: Settings, world: World, name: str, access: Access) -> Connected:
    creates = CreateBudget(per_day=settings.calendly_creates_per_day, counter=f"{name}_creates", now=world.now)
    budget = CallBudget(calls_per_month=_CALLS_PER_MONTH, counter=f"{name}_calls", now=world.now)
    options = world.options(settings.calendly_base_url, "calendly", on_call=world.counting(name, budget))
    client = CalendlyClient(options, access=access, on_create=creates.record, provider=name)
    scheduler = CalendlyScheduler(client, now=world.now)
    key = opened(settings.calendly_webhook_key)
    webhooks = CalendlyWebhooks(key=key, now=world.now) if key else None
    return Connected(scheduler, budget, webhooks, creates)
