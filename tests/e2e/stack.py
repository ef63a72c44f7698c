"""The shop that browser tests visit: the demo, in the test's own event loop, a new working day for every test.

One loop, so that a test may move the clock, throw a switch, tick the worker or read the mailbox between two page
loads. The worker stands still unless the test ticks.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx

from app.cli.demo import HAPIO_TOKEN, STUDIO, Demo, open_demo
from app.domain.booking import Booking
from app.domain.catalogue import Service
from app.parts import Parts
from app.text.languages import LANGUAGES
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.mailbox import Message
from sandbox.stripe import StripeSandbox
from tests.e2e.harness import PATIENCE

STOCKHOLM: Final = ZoneInfo("Europe/Stockholm")
#: A Monday, nine o'clock. Every test takes a working day, every file begins here: no test meets another season because
#: of how many ran before it. There is a holiday ahead (24 December), but no change of clocks.
MONDAY: Final = datetime(2026, 11, 23, 9, 0, tzinfo=STOCKHOLM).astimezone(UTC)
WEEKEND: Final = (5, 6)
#: The studio alone, which starts fastest.
ONE_STUDIO: Final[Mapping[str, str]] = MappingProxyType({"hapio": STUDIO})
#: The studio with a page to look at everything once more, and a box to tick.
CAREFUL_STUDIO: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hapio": STUDIO.replace(
            "notice.en = ", 'review = true\nconsent = "I agree to the studio\'s terms."\nnotice.en = '
        )
    }
)


def in_all_languages(widgets: Mapping[str, str]) -> Mapping[str, str]:
    """The same widgets, speaking every language that the product does."""
    spoken = f"languages = {json.dumps([*LANGUAGES])}"
    return {name: re.sub(r"languages = \[.*\]", spoken, text) for name, text in widgets.items()}


@dataclass
class Shop:
    """The running demo, and what happens around it while a visitor looks at a page."""

    demo: Demo

    @property
    def public(self) -> str:
        """The product's address."""
        return self.demo.urls.public

    @property
    def host(self) -> str:
        """The address of the site that embeds the widget; another site to the browser."""
        return self.demo.urls.host

    @property
    def clock(self) -> Clock:
        """Everyone's clock."""
        return self.demo.clock

    @property
    def hapio(self) -> HapioSandbox:
        """Who owns the time."""
        return self.demo.hapio

    @property
    def stripe(self) -> StripeSandbox:
        """Who owns the money."""
        return self.demo.stripe

    @property
    def parts(self) -> Parts:
        """The product's parts."""
        parts: Parts = self.demo.app.state.parts
        return parts

    async def new_day(self) -> None:
        """Nine o'clock on the next working day: what was held is free again, all is well with the providers."""
        self.mend()
        day = self.clock().astimezone(STOCKHOLM).date() + timedelta(days=1)
        while day.weekday() in WEEKEND:
            day += timedelta(days=1)
        self.clock.set(datetime.combine(day, time(9), STOCKHOLM).astimezone(UTC))
        await self.tick(times=2)
        self.demo.mailbox.messages.clear()

    def mend(self) -> None:
        """Hapio and Stripe answer again, and webhooks come."""
        self.hapio.faults.clear()
        self.hapio.switches.reset()
        self.stripe.faults.clear()
        self.stripe.switches.__init__()  # type: ignore[misc]  # as StripeSandbox resets it: the object stays

    def forget_visits(self) -> None:
        """Nobody has been counted yet: one address looks at a page in more languages than any person does."""
        self.parts.rate_limits.__init__(self.clock)  # type: ignore[misc]  # as above
        self.hapio.state.window_used = 0

    async def tick(self, *, after: timedelta = timedelta(0), times: int = 1) -> None:
        """Let time pass, then let the webhooks come and the worker do what is due."""
        self.clock.advance(after)
        for _ in range(times):
            for sender in (self.stripe, self.demo.calcom, self.demo.calendly):
                await sender.deliver_due()
            await self.parts.worker.tick()

    def mail_to(self, address: str) -> list[Message]:
        """What this person found in the mailbox today, oldest first."""
        return [message for message in self.demo.mailbox.messages if message.recipients == (address,)]

    async def sign_in_link(self, address: str) -> str:
        """The link that this person was mailed to sign in with. It is sent after the page has answered."""
        async with asyncio.timeout(PATIENCE / 1000):
            while True:
                self.demo.mailbox.arrived.clear()
                for message in reversed(self.mail_to(address)):
                    if found := re.search(r"http\S+/staff/in/\S+", message.text or ""):
                        return str(found[0])
                await self.demo.mailbox.arrived.wait()

    async def service(self, name: str = "Portrait session") -> Service:
        """A service as the widget offers it."""
        catalogue = await self.parts.availability.catalogue(self.parts.widgets["studio"])
        return next(service for service in catalogue.services if service.name == name)

    async def book_elsewhere(self, starts_at: datetime, service: str = "Portrait session") -> None:
        """Another program books this time in Hapio with everyone who offers the service; nobody tells the widget."""
        offered = await self.service(service)
        catalogue = await self.parts.availability.catalogue(self.parts.widgets["studio"])
        headers = {"Authorization": f"Bearer {HAPIO_TOKEN}"}
        async with httpx.AsyncClient(base_url=f"{self.demo.urls.hapio}/v1", headers=headers) as program:
            for resource in offered.resources:
                times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + offered.duration).isoformat()}
                ids = {"resource_id": resource.id, "service_id": offered.id, "location_id": catalogue.location.id}
                answer = await program.post("/bookings", json=times | ids)
                # 422: this one is not free then, and so not free for our visitor either.
                assert answer.status_code in {201, 422}, answer.text

    def in_hapio(self, starts_at: datetime) -> list[Any]:
        """What takes up this time in Hapio: temporary or final, not cancelled."""
        return [
            booking
            for booking in self.hapio.state.bookings.values()
            if booking.starts_at == starts_at and not booking.is_canceled
        ]

    async def booking(self, token: str) -> Booking:
        """The booking that a page's address names."""
        return await self.parts.bookings.get(self.parts.links.read_booking_token(token))

    async def pay_late(self) -> None:
        """Money lands on the newest Checkout Session although it has expired."""
        self.stripe.switches.allow_late_payment = True
        session = list(self.stripe.state.sessions)[-1]
        await self._operate(f"sessions/{session}/force_pay")

    async def settle_delayed(self, outcome: str) -> None:
        """The bank has spoken about the newest payment, days later: "succeeded" or "failed"."""
        intent = list(self.stripe.state.payment_intents)[-1]
        await self._operate(f"payment_intents/{intent}/settle_delayed", {"outcome": outcome})

    async def _operate(self, act: str, body: dict[str, str] | None = None) -> None:
        async with httpx.AsyncClient(base_url=self.demo.urls.stripe) as operator:
            (await operator.post(f"/_sandbox/{act}", json=body)).raise_for_status()

    def refunded(self) -> Sequence[int]:
        """What Stripe has given back, in öre, oldest first."""
        return [refund["amount"] for refund in self.stripe.state.refunds.values()]


@asynccontextmanager
async def open_shop(folder: Path, *, widgets: Mapping[str, str] = ONE_STUDIO) -> AsyncIterator[Shop]:
    """Open a shop, on a Monday morning, with the schedulers of these widgets."""
    async with open_demo(folder, widgets=widgets, worker=False, now=MONDAY) as demo:
        yield Shop(demo)
