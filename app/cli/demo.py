"""python -m app demo: the product, a sample studio in a sandboxed Hapio, a sandboxed Stripe, a mailbox and a host
site, each on a loopback port of its own. Nothing leaves the machine, and nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import httpx
from starlette.applications import Starlette

from app.main import Seams, create_app
from app.settings import read_settings
from app.telemetry.logs import set_up_logs
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.host import HostSandbox
from sandbox.mailbox import MailboxSandbox
from sandbox.seed import StudioIds, seed_studio
from sandbox.serve import base_url, listen, serve_on
from sandbox.stripe import StripeSandbox

HAPIO_TOKEN = "hapio-sandbox-token"  # noqa: S105 - published on purpose: it opens the sandbox only

LOOPBACK = "127.0.0.1"

#: Who works at the studio, and may sign in to the staff page.
OWNER = "hello@studionord.example"

WIDGETS = """
[studio]
title = "Book a time"
services = [
  {{ id = "{portrait}", description = "An hour in the studio with one photographer, ten retouched pictures." }},
  {{ id = "{headshot}", description = "Half an hour, three retouched pictures for your profile." }},
  {{ id = "{planning}", description = "Twenty minutes on the phone to plan a larger session." }},
]
currency = "sek"
allowed_origins = ["{host}"]
cancellation = [
  {{ at_least_hours = 24, refund_percent = 100 }},
  {{ at_least_hours = 2, refund_percent = 50 }},
]
reschedule = {{ other_service = true }}
questions = [{{ name = "occasion", label = "What are the pictures for?" }}]
consent = "I agree that Studio Nord keeps my details to handle this booking."
owner_name = "Studio Nord"
owner_email = "hello@studionord.example"
languages = ["en", "sv", "de", "fr", "es", "ar"]
theme = {{ accent = "#2f5d50", radius = 10 }}
"""

READY = """
Holdfast is running. Everything here is made up: nothing is charged, and no email leaves this machine.

  A site that embeds the widget   {host}
  In a dialog, as a button, frame  {host}/popup  {host}/float  {host}/plain
  The widget alone                {public}/w/studio
  The staff page                  {public}/staff  (sign in as {owner})
  The mailbox                     {mailbox}
  The sandboxed Stripe            {stripe}/_sandbox/
  The sandboxed Hapio             {hapio}/_sandbox/bookings

On Stripe's page you can pay, be declined, confirm with 3-D Secure, or leave: the time is free again when the hold
ends. Set faults over HTTP; for example, turn off Stripe's webhooks:
  curl -X PATCH {stripe}/_sandbox/switches -H 'Content-Type: application/json' -d '{{"deliver": "off"}}'

Press Ctrl-C to stop.
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """What runs: addresses without a slash at the end, and the sandboxes' own hands."""

    public: str
    host: str
    clock: Clock
    app: Starlette
    hapio: HapioSandbox
    stripe: StripeSandbox
    mailbox: MailboxSandbox
    hapio_url: str
    stripe_url: str
    mailbox_url: str


async def run_demo(port: int, *, host: str = LOOPBACK) -> None:
    """Serve until cancelled; `port` is the host site's, the others follow it. Raises PortUnavailableError."""
    set_up_logs("warning")
    with TemporaryDirectory() as folder:
        async with open_demo(Path(folder), first_port=port, listen_on=host) as demo:
            print(
                READY.format(
                    host=demo.host,
                    public=demo.public,
                    mailbox=demo.mailbox_url,
                    owner=OWNER,
                    stripe=demo.stripe_url,
                    hapio=demo.hapio_url,
                ),
                flush=True,
            )
            await asyncio.Event().wait()


@asynccontextmanager
async def open_demo(
    folder: Path,
    *,
    first_port: int = 0,
    listen_on: str = LOOPBACK,
    widgets: str = WIDGETS,
    settings: Mapping[str, str] | None = None,
    webhooks: bool = True,
    worker: bool = True,
    now: datetime | None = None,
) -> AsyncIterator[Demo]:
    """Everything on ports in a row (0: any free ones) of the address `listen_on`, its database in `folder`.

    `now` freezes the clock that the product and all sandboxes share; without `worker`, neither the product's
    worker nor Stripe's deliveries run by themselves. The browser tests use these knobs.
    """
    clock = Clock(now)
    async with AsyncExitStack() as running:
        listeners = [listen(listen_on, first_port + n if first_port else 0) for n in range(5)]
        # Inside a container everything listens on 0.0.0.0, which is no address to open in a browser.
        urls = [base_url(listener).replace("//0.0.0.0:", f"//{LOOPBACK}:") for listener in listeners]
        host, public, stripe_url, hapio_url, mailbox_url = urls
        # Another name for the same machine, so that the host site is another site to the browser, not only another
        # port: third-party rules for cookies and storage apply as they would between two domains.
        host = host.replace("127.0.0.1", "localhost")
        hapio = HapioSandbox(now=clock)
        stripe = StripeSandbox(
            now=clock,
            public_url=stripe_url,
            webhook_client=await running.enter_async_context(httpx.AsyncClient()),
            webhook_url=f"{public}/api/webhooks/stripe" if webhooks else None,
        )
        stripe.business = "Studio Nord"
        mailbox = MailboxSandbox(now=clock)
        smtp_port = await mailbox.start_smtp()
        running.push_async_callback(mailbox.stop_smtp)
        for listener, app in zip(
            (listeners[0], listeners[2], listeners[3], listeners[4]),
            (HostSandbox(widget_origin=public).app, stripe.app, hapio.app, mailbox.app),
            strict=True,
        ):
            await running.enter_async_context(serve_on(listener, app))
        ids = await _seed(hapio_url)
        hapio.calls.clear()
        (folder / "widgets.toml").write_text(_fill(widgets, ids, host), encoding="utf-8")
        environ = {
            "HAPIO_API_TOKEN": HAPIO_TOKEN,
            "HAPIO_BASE_URL": f"{hapio_url}/v1",
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": "whsec_sandbox",
            "STRIPE_API_BASE": stripe_url,
            "STRIPE_CHECKOUT_ORIGINS": stripe_url,
            "SECRET_KEYS": token_hex(32),
            "PUBLIC_URL": public,
            "DATABASE_URL": f"sqlite:///{folder / 'holdfast.sqlite3'}",
            "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
            "STAFF_EMAILS": OWNER,
            "MAIL_FROM": "Studio Nord <book@studionord.example>",
            "WIDGETS_FILE": str(folder / "widgets.toml"),
        }
        app = create_app(read_settings({**environ, **(settings or {})}), Seams(now=clock), run_worker=worker)
        await running.enter_async_context(serve_on(listeners[1], app))
        if worker:
            deliveries = asyncio.create_task(stripe.run_deliveries())
            running.callback(deliveries.cancel)
        yield Demo(public, host, clock, app, hapio, stripe, mailbox, hapio_url, stripe_url, mailbox_url)


async def _seed(hapio_url: str) -> StudioIds:
    headers = {"Authorization": f"Bearer {HAPIO_TOKEN}"}
    async with httpx.AsyncClient(base_url=f"{hapio_url}/v1", headers=headers) as client:
        return await seed_studio(client)


def _fill(widgets: str, ids: StudioIds, host: str) -> str:
    return widgets.format(
        portrait=ids.services["Portrait session"],
        headshot=ids.services["Headshot express"],
        planning=ids.services["Planning call"],
        host=host,
    )
