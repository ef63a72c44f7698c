"""What stands around the servers that are measured: sandboxes for Hapio, Stripe and mail in this process, and the
product as processes of its own, started by the command that owners use."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httpx

from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.mailbox import MailboxSandbox
from sandbox.seed import StudioIds, seed_studio
from sandbox.serve import base_url, listen, serve_on
from sandbox.stripe import StripeSandbox

API_KEY = "a-key-that-opens-the-sandbox-only"
_WIDGETS = """
[studio]
currency = "sek"
max_holds = 10000
max_holds_per_visitor = 1000
services = [{{ id = "{portrait}" }}, {{ id = "{headshot}" }}]
owner_name = "Studio Nord"
owner_email = "owner@studio.example"
"""


@dataclass
class Surroundings:
    """The sandboxes, and what servers are started with."""

    folder: Path
    clock: Clock
    hapio: HapioSandbox
    stripe: StripeSandbox
    mailbox: MailboxSandbox
    ids: StudioIds
    environ: Mapping[str, str]
    port: int
    processes: list[Process] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where the product answers."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, *words: str, before: Sequence[str] = ("-m", "app")) -> Process:
        """A process of the product, such as `serve --port 8000`. Wait for it with `answers`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *before, *words, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **self.environ}
        )
        self.processes.append(process)
        return process

    async def serve(self, *words: str, before: Sequence[str] = ("-m", "app")) -> Process:
        """`serve` on our port, once it answers."""
        process = await self.start("serve", "--port", str(self.port), *words, before=before)
        await self.answers(process)
        return process

    async def answers(self, process: Process, seconds: float = 60) -> None:
        """Wait until the server answers. RuntimeError where it does not, or has ended."""
        ends = monotonic() + seconds
        async with httpx.AsyncClient() as client:
            while monotonic() < ends and process.returncode is None:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.address}/healthz")).is_success:
                        return
                await asyncio.sleep(0.02)
        raise RuntimeError("the server does not start")

    async def end(self, process: Process, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, and wait for the end."""
        with suppress(ProcessLookupError):
            process.send_signal(number)
        await process.wait()


@asynccontextmanager
async def surroundings(folder: Path, **settings: str) -> AsyncIterator[Surroundings]:
    """Sandboxes for as long as the block runs; whatever was started ends with it."""
    clock = Clock()
    port = free_port()
    async with AsyncExitStack() as running:
        stripe_at, hapio_at = listen(), listen()
        hapio, mailbox = HapioSandbox(now=clock), MailboxSandbox(now=clock)
        hapio.switches.rate_limit_per_minute = 1_000_000
        smtp_port = await mailbox.start_smtp()
        running.push_async_callback(mailbox.stop_smtp)
        stripe = StripeSandbox(
            now=clock,
            public_url=base_url(stripe_at),
            webhook_client=await running.enter_async_context(httpx.AsyncClient(timeout=30)),
            webhook_url=f"http://127.0.0.1:{port}/api/webhooks/stripe",
        )
        await running.enter_async_context(serve_on(stripe_at, stripe.app))
        await running.enter_async_context(serve_on(hapio_at, hapio.app))
        headers = {"Authorization": f"Bearer {hapio.token}"}
        async with httpx.AsyncClient(base_url=f"{base_url(hapio_at)}/v1", headers=headers) as api:
            ids = await seed_studio(api)
        hapio.calls.clear()
        widgets = folder / "widgets.toml"
        named = {"portrait": ids.services["Portrait session"], "headshot": ids.services["Headshot express"]}
        widgets.write_text(_WIDGETS.format(**named))
        environ = {
            "HAPIO_API_TOKEN": hapio.token,
            "HAPIO_BASE_URL": f"{base_url(hapio_at)}/v1",
            "HAPIO_CALLS_PER_MONTH": "10000000",
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": "whsec_sandbox",
            "STRIPE_API_BASE": base_url(stripe_at),
            "STRIPE_CHECKOUT_ORIGINS": base_url(stripe_at),
            "SECRET_KEYS": "a-key-of-32-characters-for-the-sandbox",
            "API_KEYS": API_KEY,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "DATABASE_URL": f"sqlite:///{folder / 'holdfast.sqlite3'}",
            "WIDGETS_FILE": str(widgets),
            "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
            "MAIL_FROM": "Studio Nord <book@book.example>",
            "LOG_LEVEL": "error",
            **settings,
        }
        street = Surroundings(folder, clock, hapio, stripe, mailbox, ids, environ, port)
        try:
            yield street
        finally:
            for process in street.processes:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """What a process and its threads have used so far, user and system together (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """The memory that a process has in use, in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found  # noqa: S101 - every process has it
    return int(found[1]) / 1024


class Visitor:
    """A browser that books: each from an address of its own, as a proxy would name it."""

    def __init__(self, street: Surroundings, client: httpx.AsyncClient, number: int) -> None:
        self._street = street
        self._client = client
        self._headers = {
            "X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "Accept-Language": "en",
            "Accept-Encoding": "gzip",
        }

    async def get(self, path: str) -> httpx.Response:
        """A page. Raises httpx.HTTPStatusError where it is an error's."""
        answer = await self._client.get(path, headers=self._headers)
        return answer if answer.is_redirect else answer.raise_for_status()

    async def post(self, path: str, data: Mapping[str, str]) -> httpx.Response:
        """A form."""
        answer = await self._client.post(path, data=data, headers=self._headers)
        return answer if answer.is_redirect else answer.raise_for_status()

    async def book(self) -> None:
        """From the first look to the page that says that it is confirmed: six pages, three forms, Stripe's webhooks."""
        await self.get("/w/studio")
        booking = await self.hold()
        await self.get(booking)
        details = {"name": "Ada Example", "email": "ada@customer.example", "terms": "yes", "consent": "yes"}
        await self._follow(await self.post(f"{booking}/details", details))
        paying = await self.post(f"{booking}/pay", {})
        session = urlsplit(paying.headers["location"]).path.rpartition("/")[2]
        back = urlsplit(await self._street.stripe.pay(session))
        shown = await self._follow(await self.get(f"{back.path}?{back.query}"))
        if "confirmed" not in shown.text.lower():
            raise RuntimeError("not confirmed")

    async def hold(self) -> str:
        """Hold the first time that is shown. The path of its page."""
        service = self._street.ids.services["Headshot express"]
        times = await self.get(f"/w/studio?service={service}&tz=Europe/Stockholm")
        form = hidden_fields(times.text)
        starts = re.findall(r'name="start" value="([^"]+)"', times.text)
        held = await self.post("/w/studio/hold", {**form, "start": unescape(starts[0])})
        if not held.is_redirect:
            raise RuntimeError(f"not held: {held.status_code}")
        return held.headers["location"].partition("?")[0]

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        while answer.is_redirect:
            answer = await self.get(answer.headers["location"])
        return answer


def hidden_fields(page: str) -> dict[str, str]:
    """What a page's forms bring along."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}
