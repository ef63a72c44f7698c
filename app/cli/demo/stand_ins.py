"""python -m app sandbox: the providers' stand-ins alone, for anyone who builds against them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import httpx

from app.cli.demo.schedulers import HAPIO_TOKEN
from sandbox.calcom import CalcomSandbox
from sandbox.calcom.seed import seed_coach
from sandbox.calendly import CalendlySandbox
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.mailbox import MailboxSandbox
from sandbox.seed import seed_studio
from sandbox.serve import base_url, listen, serve_on
from sandbox.stripe import StripeSandbox

LOOPBACK: Final = "127.0.0.1"
#: In the order of their ports.
_NAMES: Final = ("hapio", "calcom", "calendly", "stripe", "mailbox")
_STRIPE_KEY: Final = "sk_test_sandbox"

READY = """\
# The stand-ins are running: nothing is charged, and no email leaves this machine. Ctrl-C ends them, and all they have.
# Settings for a server that uses them:
{settings}

# Their controls:
#   Stripe    {stripe}/_sandbox/
#   Hapio     {hapio}/_sandbox/bookings
#   Cal.com   {calcom}/_sandbox/
#   Calendly  {calendly}/_sandbox/
#   Mailbox   {mailbox}
"""


@dataclass(frozen=True, slots=True)
class StandIns:
    """What runs: addresses by name, and the settings that lead there."""

    urls: Mapping[str, str]
    settings: Mapping[str, str]
    hapio: HapioSandbox
    stripe: StripeSandbox
    mailbox: MailboxSandbox


async def run_stand_ins(port: int, *, host: str, webhook: str | None, empty: bool) -> None:
    """Serve until cancelled, from `port` on. Stripe's webhooks go to `webhook`; other addresses can be named through
    each provider's own API. Raises PortUnavailableError."""
    async with open_stand_ins(port, host=host, webhook=webhook, empty=empty) as running:
        settings = "\n".join(f"{name}={value}" for name, value in running.settings.items())
        print(READY.format(settings=settings, **running.urls), flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def open_stand_ins(
    port: int = 0, *, host: str = LOOPBACK, webhook: str | None = None, empty: bool = True
) -> AsyncIterator[StandIns]:
    """On ports in a row (0: any free ones). With `empty`, nobody has set anything up yet."""
    clock = Clock(None)
    async with AsyncExitStack() as running:
        listeners = {
            name: running.enter_context(listen(host, port + number if port else 0))
            for number, name in enumerate(_NAMES)
        }
        urls = {name: base_url(one).replace("//0.0.0.0:", f"//{LOOPBACK}:") for name, one in listeners.items()}
        webhooks = await running.enter_async_context(httpx.AsyncClient())
        hapio = HapioSandbox(now=clock)
        calcom = CalcomSandbox(now=clock, webhook_client=webhooks)
        calendly = CalendlySandbox(now=clock, webhook_client=webhooks, site_url=f"{urls['calendly']}/site")
        stripe = StripeSandbox(
            now=clock, public_url=urls["stripe"], webhook_client=webhooks, webhook_url=webhook, secret_key=_STRIPE_KEY
        )
        # Here, unlike at the providers, servers on this machine are the usual ones.
        stripe.switches.local_endpoints = True
        calendly.switches.local_webhook_urls = True
        mailbox = MailboxSandbox(now=clock)
        smtp_port = await mailbox.start_smtp()
        running.push_async_callback(mailbox.stop_smtp)
        apps = (hapio.app, calcom.app, calendly.app, stripe.app, mailbox.app)
        for name, app in zip(_NAMES, apps, strict=True):
            await running.enter_async_context(serve_on(listeners[name], app))
        for deliver in (stripe.run_deliveries, calcom.run_deliveries, calendly.run_deliveries):
            running.callback(asyncio.create_task(deliver()).cancel)
        if not empty:
            async with _client(f"{urls['hapio']}/v1", HAPIO_TOKEN) as client:
                await seed_studio(client)
            async with _client(f"{urls['calcom']}/v2", calcom.token) as client:
                await seed_coach(client)
            calendly.seed_adviser()
        settings = {
            "HAPIO_BASE_URL": f"{urls['hapio']}/v1",
            "HAPIO_API_TOKEN": HAPIO_TOKEN,
            "CALCOM_BASE_URL": f"{urls['calcom']}/v2",
            "CALCOM_API_KEY": calcom.token,
            "CALENDLY_BASE_URL": urls["calendly"],
            "CALENDLY_TOKEN": calendly.token,
            "STRIPE_API_BASE": urls["stripe"],
            "STRIPE_CHECKOUT_ORIGINS": urls["stripe"],
            "STRIPE_SECRET_KEY": _STRIPE_KEY,
            **({"STRIPE_WEBHOOK_SECRET": "whsec_sandbox"} if webhook else {}),
            "SMTP_URL": f"smtp://{LOOPBACK}:{smtp_port}",
        }
        yield StandIns(MappingProxyType(urls), MappingProxyType(settings), hapio, stripe, mailbox)


def _client(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"})
