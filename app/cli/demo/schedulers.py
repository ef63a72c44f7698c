"""The demo's schedulers: who works there, and the product's settings for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from sandbox.calcom import CalcomSandbox
from sandbox.calcom.seed import seed_coach
from sandbox.calendly import CalendlySandbox
from sandbox.hapio import HapioSandbox
from sandbox.seed import seed_studio

# They open sandboxes only, and are published on purpose.
HAPIO_TOKEN = "hapio-sandbox-token"  # noqa: S105
CALCOM_SECRET = "calcom-sandbox-secret"  # noqa: S105
CALENDLY_KEY = "calendly-sandbox-key"

#: What we take in of Calendly's webhooks.
_CALENDLY_EVENTS = ["invitee.created", "invitee.canceled"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What comes of opening a scheduler: settings of the product, and the ids that its widgets name."""

    settings: Mapping[str, str]
    ids: Mapping[str, str | int]


async def open_hapio(sandbox: HapioSandbox, url: str) -> Opened:
    """The studio in Stockholm."""
    async with _client(f"{url}/v1", HAPIO_TOKEN) as client:
        ids = await seed_studio(client)
        services = ids.services
    sandbox.calls.clear()
    return Opened(
        {"HAPIO_API_TOKEN": HAPIO_TOKEN, "HAPIO_BASE_URL": f"{url}/v1"},
        {
            "portrait": services["Portrait session"],
            "headshot": services["Headshot express"],
            "planning": services["Planning call"],
            "astrid": ids.resources["Astrid Lindqvist"],
            "jonas": ids.resources["Jonas Berg"],
        },
    )


async def open_calcom(sandbox: CalcomSandbox, url: str, webhook_url: str) -> Opened:
    """The coach in London."""
    async with _client(f"{url}/v2", sandbox.token) as client:
        types = (await seed_coach(client, webhook_url=webhook_url, webhook_secret=CALCOM_SECRET)).event_types
    sandbox.calls.clear()
    return Opened(
        {
            "CALCOM_API_KEY": sandbox.token,
            "CALCOM_BASE_URL": f"{url}/v2",
            "CALCOM_WEBHOOK_SECRET": CALCOM_SECRET,
        },
        {
            "session": types["Coaching session"],
            "practice": types["Interview practice"],
            "discovery": types["Discovery call"],
        },
    )


async def open_calendly(sandbox: CalendlySandbox, url: str, webhook_url: str) -> Opened:
    """The adviser in New York. Calendly itself sends webhooks to public https addresses only."""
    adviser = sandbox.seed_adviser()
    sandbox.switches.local_webhook_urls = True
    async with _client(url, sandbox.token) as client:
        me = (await client.get("/users/me")).raise_for_status().json()["resource"]
        subscription = {
            "url": webhook_url,
            "events": _CALENDLY_EVENTS,
            "organization": me["current_organization"],
            "user": me["uri"],
            "scope": "user",
            "signing_key": CALENDLY_KEY,
        }
        (await client.post("/webhook_subscriptions", json=subscription)).raise_for_status()
    sandbox.calls.clear()
    return Opened(
        {
            "CALENDLY_TOKEN": sandbox.token,
            "CALENDLY_BASE_URL": url,
            "CALENDLY_WEBHOOK_KEY": CALENDLY_KEY,
        },
        {
            "intro": adviser.event_types["Intro call"],
            "advice": adviser.event_types["Advice session"],
            "review": adviser.event_types["Review"],
        },
    )


def _client(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"})
