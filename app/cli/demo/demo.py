"""Starting it all: the product, the schedulers' sandboxes, a sandboxed Stripe, a mailbox and a host site."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from socket import socket
from tempfile import TemporaryDirectory

import httpx
from starlette.applications import Starlette

from app.cli.demo.schedulers import Opened, open_calcom, open_calendly, open_hapio
from app.cli.demo.widgets import WIDGETS
from app.cli.server import Protocol
from app.main import create_app
from app.seams import Seams
from app.settings import read_settings
from app.telemetry.logs import set_up_logs
from sandbox.calcom import CalcomSandbox
from sandbox.calendly import CalendlySandbox
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.host import HostSandbox
from sandbox.mailbox import MailboxSandbox
from sandbox.serve import base_url, listen, serve_on
from sandbox.stripe import StripeSandbox

LOOPBACK = "127.0.0.1"

#: Who works at the studio, and may sign in to the staff page.
OWNER = "hello@studionord.example"

READY = """
Holdfast is running. Everything here is made up: nothing is charged, and no email leaves this machine.

  A studio's site, with Hapio      {host}
  In a dialog, as a button, frame  {host}/popup  {host}/float  {host}/plain
  A coach's site, with Cal.com     {host}/coach
  An adviser's, with Calendly      {host}/advice
  The widgets alone                {public}/w/studio  /w/coach  /w/advice
  The staff page                   {public}/staff  (sign in as {owner})
  The mailbox                      {mailbox}
  The sandboxed Stripe             {stripe}/_sandbox/
  The sandboxed Hapio              {hapio}/_sandbox/bookings
  The sandboxed Cal.com            {calcom}/_sandbox/
  The sandboxed Calendly           {calendly}/_sandbox/

On Stripe's page you can pay, be declined, confirm with 3-D Secure, or leave: the time is free again when the hold
ends. Set faults over HTTP; for example, turn off Stripe's webhooks:
  curl -X PATCH {stripe}/_sandbox/switches -H 'Content-Type: application/json' -d '{{"deliver": "off"}}'

Press Ctrl-C to stop.
"""


@dataclass(frozen=True, slots=True)
class Urls:
    """The addresses of everything, without a slash at the end, in the order of their ports."""

    host: str
    public: str
    stripe: str
    hapio: str
    mailbox: str
    calcom: str
    calendly: str


@dataclass(frozen=True, slots=True)
class Demo:
    """What runs: addresses, and the sandboxes' own hands."""

    urls: Urls
    clock: Clock
    app: Starlette
    hapio: HapioSandbox
    calcom: CalcomSandbox
    calendly: CalendlySandbox
    stripe: StripeSandbox
    mailbox: MailboxSandbox
    host: HostSandbox


class _Protocol(Protocol):
    """The product's, whose last connections nobody waits for at the end of a demo."""

    linger_seconds = 0


async def run_demo(port: int, *, host: str = LOOPBACK) -> None:
    """Serve until cancelled; `port` is the host site's, the others follow it. Raises PortUnavailableError."""
    set_up_logs("warning")
    with TemporaryDirectory() as folder:
        async with open_demo(Path(folder), first_port=port, listen_on=host) as demo:
            print(READY.format(owner=OWNER, **asdict(demo.urls)), flush=True)
            await asyncio.Event().wait()


@asynccontextmanager
async def open_demo(
    folder: Path,
    *,
    first_port: int = 0,
    listen_on: str = LOOPBACK,
    widgets: Mapping[str, str] = WIDGETS,
    worker: bool = True,
    now: datetime | None = None,
) -> AsyncIterator[Demo]:
    """Everything on ports in a row (0: any free ones) of the address `listen_on`, its database in `folder`.

    Of the schedulers those run that have `widgets`. `now` freezes the clock that the product and all sandboxes share;
    without `worker`, neither the product's worker nor the sandboxes' webhooks run by themselves. The browser tests use
    these knobs.
    """
    clock = Clock(now)
    async with AsyncExitStack() as running:
        ports = [first_port + number if first_port else 0 for number in range(len(fields(Urls)))]
        listeners = {
            one.name: running.enter_context(listen(listen_on, port))
            for one, port in zip(fields(Urls), ports, strict=True)
        }
        urls = _urls(listeners)
        webhooks = await running.enter_async_context(httpx.AsyncClient())
        hapio = HapioSandbox(now=clock)
        calcom = CalcomSandbox(now=clock, webhook_client=webhooks)
        calendly = CalendlySandbox(now=clock, webhook_client=webhooks, site_url=f"{urls.calendly}/site")
        stripe = StripeSandbox(
            now=clock,
            public_url=urls.stripe,
            webhook_client=webhooks,
            webhook_url=f"{urls.public}/api/webhooks/stripe",
        )
        # One account takes the money for every widget of a server.
        stripe.business = "Studio Nord" if [*widgets] == ["hapio"] else "Holdfast demo"
        mailbox = MailboxSandbox(now=clock)
        smtp_port = await mailbox.start_smtp()
        running.push_async_callback(mailbox.stop_smtp)
        schedulers = {"hapio": hapio.app, "calcom": calcom.app, "calendly": calendly.app}
        host = HostSandbox(widget_origin=urls.public)
        around = {"host": host.app, "stripe": stripe.app, "mailbox": mailbox.app}
        for name, app in {**around, **{name: schedulers[name] for name in widgets}}.items():
            await running.enter_async_context(serve_on(listeners[name], app))
        opening: Mapping[str, Callable[[], Awaitable[Opened]]] = {
            "hapio": lambda: open_hapio(hapio, urls.hapio),
            "calcom": lambda: open_calcom(calcom, urls.calcom, f"{urls.public}/api/webhooks/calcom"),
            "calendly": lambda: open_calendly(calendly, urls.calendly, f"{urls.public}/api/webhooks/calendly"),
        }
        opened = [await opening[name]() for name in widgets]
        ids = {name: value for one in opened for name, value in one.ids.items()}
        text = "".join(widgets.values()).format(host=urls.host, **ids)
        (folder / "widgets.toml").write_text(text, encoding="utf-8")
        environ = _settings_of_the_rest(urls, folder, smtp_port)
        for one in opened:
            environ |= one.settings
        app = create_app(read_settings(environ), Seams(now=clock), run_worker=worker)
        await running.enter_async_context(serve_on(listeners["public"], app, _Protocol))
        if worker:
            for run in (stripe.run_deliveries, calcom.run_deliveries, calendly.run_deliveries):
                running.callback(asyncio.create_task(run()).cancel)
        yield Demo(urls, clock, app, hapio, calcom, calendly, stripe, mailbox, host)


def _settings_of_the_rest(urls: Urls, folder: Path, smtp_port: int) -> dict[str, str]:
    """The product's settings but for the schedulers' own."""
    return {
        "STRIPE_SECRET_KEY": "sk_test_sandbox",
        "STRIPE_WEBHOOK_SECRET": "whsec_sandbox",
        "STRIPE_API_BASE": urls.stripe,
        "STRIPE_CHECKOUT_ORIGINS": urls.stripe,
        "SECRET_KEYS": token_hex(32),
        "PUBLIC_URL": urls.public,
        "DATABASE_URL": f"sqlite:///{folder / 'holdfast.sqlite3'}",
        "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
        "STAFF_EMAILS": OWNER,
        "MAIL_FROM": "Holdfast demo <book@holdfast.example>",
        "WIDGETS_FILE": str(folder / "widgets.toml"),
    }


def _urls(listeners: Mapping[str, socket]) -> Urls:
    # Inside a container everything listens on 0.0.0.0, which is no address to open in a browser.
    urls = {name: base_url(one).replace("//0.0.0.0:", f"//{LOOPBACK}:") for name, one in listeners.items()}
    # Another name for the same machine, so that the host site is another site to the browser, not only another port:
    # third-party rules for cookies and storage apply as they would between two domains.
    return Urls(**{**urls, "host": urls["host"].replace(LOOPBACK, "localhost")})
