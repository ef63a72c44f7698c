"""An owner who sets everything up, in one process with the stand-ins of Hapio, Stripe and a mail server."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
from anyio.lowlevel import checkpoint

from app.cli.options import add_setup
from app.cli.setup.asking import Asker, LineAsker
from app.cli.setup.command import set_up
from app.operations.setup import SetupWorld
from app.operations.setup_check import Wires
from sandbox.calcom import CalcomSandbox
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.mailbox import MailboxSandbox
from sandbox.stripe import StripeSandbox
from tests.support.hapio_studio import MONDAY

TOKEN = "hapio-sandbox-token"
PUBLIC_URL = "https://book.studiosoder.example"
#: What an owner types, by question.
ANSWERS: Mapping[str, str] = {
    "token": TOKEN,
    "name": "Studio Söder",
    "time zone": "Europe/Stockholm",
    "currency": "SEK",
    "services": "Portrait 60 min 1200; Planning call 20 min free",
    "people": "Maja: Mon-Fri 9-17; Jonas: Sat 10-14; closed: 2026-12-24..2026-12-26",
    "public url": PUBLIC_URL,
    "sites": "https://www.studiosoder.example",
    "email": "maja@studiosoder.example",
    "stripe": "sk_test_sandbox",
    "smtp": "",
    "go": "yes",
}


@dataclass
class OwnerSetup:
    """The stand-ins, a folder, and what was said."""

    folder: Path
    clock: Clock
    hapio: HapioSandbox
    calcom: CalcomSandbox
    stripe: StripeSandbox
    mailbox: MailboxSandbox
    smtp_url: str
    said: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    wire: httpx.AsyncBaseTransport | None = None
    stripe_wire: httpx.AsyncBaseTransport | None = None

    @property
    def environ(self) -> dict[str, str]:
        """Nothing but where the stand-ins are."""
        return {
            "HAPIO_BASE_URL": "http://hapio.sandbox/v1",
            "CALCOM_BASE_URL": "http://calcom.sandbox/v2",
            "STRIPE_API_BASE": "http://stripe.sandbox",
        }

    @property
    def told(self) -> str:
        """All that was said in the last run."""
        return "\n".join(self.said)

    async def types(self, *words: str, lines: Iterable[str] = (), **changes: str) -> int:
        """`python -m app setup` with these words; the answers are those above, changed, and then `lines`."""
        answers = {**ANSWERS, "smtp": self.smtp_url, **{name.replace("_", " "): text for name, text in changes.items()}}
        return await self.types_lines([*answers.values(), *lines], *words)

    async def types_lines(self, lines: Iterable[str], *words: str) -> int:
        """As `types`, with every line."""
        left = iter([f"{line}\n" for line in lines])
        return await self.asks(LineAsker(lambda: next(left, ""), self.said.append), *words)

    async def asks(self, asker: Asker, *words: str) -> int:
        """As `types`, answered by anyone who is asked."""
        self.said.clear()
        return await set_up(
            _parsed(words), self.environ, folder=self.folder, world=self.world(), asker=asker, say=self.said.append
        )

    def world(self) -> SetupWorld:
        """What a run is given in the place of the machine."""
        wires = Wires(
            schedulers={"hapio": self.wire or self.hapio.transport(), "calcom": self.calcom.transport()},
            stripe=self.stripe_wire or self.stripe.transport(),
            web=httpx.MockTransport(_not_there),
        )
        secrets = Random(len(self.waits) + len(self.hapio.calls))
        return SetupWorld(self.clock, Random(1), self._sleep, lambda: f"{secrets.getrandbits(256):064x}", wires)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))
        await checkpoint()


def _parsed(words: Iterable[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", type=Path)
    add_setup(parser)
    return parser.parse_args([*words])


def _not_there(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("not there", request=request)


@asynccontextmanager
async def open_owner_setup(folder: Path) -> AsyncIterator[OwnerSetup]:
    """Empty accounts everywhere."""
    clock = Clock(MONDAY)
    async with httpx.AsyncClient(transport=httpx.MockTransport(_not_there)) as webhooks:
        stripe = StripeSandbox(now=clock, webhook_client=webhooks)
        mailbox = MailboxSandbox(now=clock)
        port = await mailbox.start_smtp()
        hapio, calcom = HapioSandbox(now=clock), CalcomSandbox(now=clock)
        yield OwnerSetup(folder, clock, hapio, calcom, stripe, mailbox, f"smtp://127.0.0.1:{port}")
        await mailbox.stop_smtp()


def everything(hapio: HapioSandbox, stripe: StripeSandbox) -> dict[str, Any]:
    """How many there are of each."""
    state = hapio.state
    return {
        "places": len(state.locations),
        "services": sorted(one.name for one in state.services.values()),
        "people": sorted(one.name for one in state.resources.values()),
        "offers": len(state.associations),
        "hours": len(state.recurring_blocks),
        "days": len(state.schedule_blocks),
        "endpoints": [one["url"] for one in stripe.webhook_endpoints.values()],
    }
