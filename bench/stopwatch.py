"""How long it takes from nothing to a live, paid booking: the real commands, on an empty project, against stand-ins.

    make stopwatch

`python -m app setup` is answered line by line as a person would, `python -m app serve` is started with what it wrote,
and a visitor books and pays. Nobody copies an id. Ends with 1 if the booking is not confirmed, or if it took more than
twelve answers. A person needs longer to type; what the machine takes is what is measured here.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx

from app.cli.demo.stand_ins import StandIns, open_stand_ins
from sandbox.serve import base_url, listen

ROOT = Path(__file__).parents[1]
MOST_ANSWERS = 12
#: Longer than any of it takes on a busy machine.
_PATIENCE = 120.0


@dataclass(slots=True)
class Laps:
    """What happened when, in seconds from the start, and what came of it."""

    began: float = field(default_factory=monotonic)
    laps: list[tuple[float, str]] = field(default_factory=list)
    answers: int = 0
    mails: int = 0
    status: str = ""

    def lap(self, what: str) -> None:
        """Something is done."""
        self.laps.append((monotonic() - self.began, what))

    @property
    def good(self) -> bool:
        """Whether it is what the guide promises."""
        return self.status == "CONFIRMED" and 0 < self.answers <= MOST_ANSWERS

    def told(self) -> str:
        """For people."""
        lines = [f"{seconds:6.1f} s  {what}" for seconds, what in self.laps]
        return "\n".join([*lines, f"{self.answers} answers, booking {self.status}, {self.mails} mails"])


async def run(folder: Path) -> Laps:
    """All of it, in an empty folder."""
    laps = Laps()
    async with open_stand_ins() as stand_ins:
        with listen() as free:
            url = base_url(free)
        environ = _environ(stand_ins)
        laps.answers = await _set_up(folder, environ, url, stand_ins)
        laps.lap("set up: calendar, Stripe endpoint, settings, widget, test mail")
        async with _served(folder, environ, url) as http:
            laps.lap("the server is ready")
            booking, token = await _book(http, stand_ins)
            laps.lap("a visitor has held a time and paid")
            laps.status = await _outcome(http, booking, token)
            laps.lap("the booking is confirmed")
        laps.mails = len(stand_ins.mailbox.messages)
    return laps


def answers(url: str, stand_ins: StandIns) -> list[str]:
    """What the owner types."""
    return [
        stand_ins.settings["HAPIO_API_TOKEN"],
        "Studio Söder",
        "Europe/Stockholm",
        "SEK",
        "Portrait 60 min 1200; Planning call 20 min free",
        "Maja: Mon-Sun 9-17; closed: 2030-12-24..2030-12-26",
        url,
        "https://www.studiosoder.example",
        "maja@studiosoder.example",
        stand_ins.settings["STRIPE_SECRET_KEY"],
        stand_ins.settings["SMTP_URL"],
        "yes",
    ]


async def _set_up(folder: Path, environ: Mapping[str, str], url: str, stand_ins: StandIns) -> int:
    """How many answers it took."""
    process = await _start(["setup"], folder, environ)
    typed = "".join(f"{line}\n" for line in answers(url, stand_ins))
    told, _ = await asyncio.wait_for(process.communicate(typed.encode()), _PATIENCE)
    found = re.search(r"^(\d+) answers", told.decode(), re.MULTILINE)
    if process.returncode or found is None:
        raise RuntimeError(f"setup ended with {process.returncode}:\n{told.decode()}")
    return int(found[1])


@asynccontextmanager
async def _served(folder: Path, environ: Mapping[str, str], url: str) -> AsyncIterator[httpx.AsyncClient]:
    process = await _start(["serve", "--port", url.rpartition(":")[2]], folder, environ)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            await asyncio.wait_for(_until_ready(http, process), _PATIENCE)
            yield http
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _until_ready(http: httpx.AsyncClient, process: Process) -> None:
    while True:
        if process.returncode is not None:
            raise RuntimeError(f"serve ended with {process.returncode}; start it in the folder to see why")
        with suppress(httpx.TransportError):
            if (await http.get("/readyz")).is_success:
                return
        await asyncio.sleep(0.1)


async def _book(http: httpx.AsyncClient, stand_ins: StandIns) -> tuple[str, str]:
    """A visitor holds the first time of the paid service and pays."""
    services = (await _got(http, "/api/services", widget="studio"))["services"]
    service = next(one["id"] for one in services if one["name"] == "Portrait")
    today = datetime.now(UTC).date()
    days = {"from": str(today + timedelta(days=2)), "to": str(today + timedelta(days=9))}
    slot = (await _got(http, "/api/availability", serviceId=service, **days))["slots"][0]
    customer = {"name": "Ada Example", "email": "ada@example.com", "consent": True}
    wish = {"serviceId": service, "start": slot["start"], "end": slot["end"], "customer": customer}
    held = await _posted(http, "/api/bookings/lock", wish)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    page = await _posted(http, "/api/checkout/create-session", named)
    await stand_ins.stripe.pay(page["sessionId"])
    return named["bookingId"], named["token"]


async def _outcome(http: httpx.AsyncClient, booking: str, token: str) -> str:
    async with asyncio.timeout(_PATIENCE):
        while True:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await http.get(f"/api/bookings/{booking}", headers=headers)
            status = str(answer.raise_for_status().json()["status"])
            if status != "PENDING":
                return status
            await asyncio.sleep(0.2)


async def _got(http: httpx.AsyncClient, path: str, **params: str) -> dict[str, Any]:
    return dict((await http.get(path, params=params)).raise_for_status().json())


async def _posted(http: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"Idempotency-Key": str(uuid4())}
    return dict((await http.post(path, json=body, headers=headers)).raise_for_status().json())


def _environ(stand_ins: StandIns) -> dict[str, str]:
    """The machine's, and where the providers are: the stand-ins' addresses are all that is not asked for."""
    addresses = ("HAPIO_BASE_URL", "STRIPE_API_BASE", "STRIPE_CHECKOUT_ORIGINS")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        **{name: stand_ins.settings[name] for name in addresses},
    }


async def _start(words: list[str], folder: Path, environ: Mapping[str, str]) -> Process:
    command = [sys.executable, "-m", "app", *words]
    quiet = PIPE if words == ["setup"] else DEVNULL
    return await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environ, stdin=PIPE, stdout=quiet, stderr=asyncio.subprocess.STDOUT
    )


def main() -> int:
    """Run it and print it."""
    with TemporaryDirectory() as folder:
        laps = asyncio.run(run(Path(folder)))
    print(laps.told())
    return 0 if laps.good else 1


if __name__ == "__main__":
    sys.exit(main())
