"""Visitors with an address and a browser of their own, for what is limited by those."""

import re
from datetime import datetime
from html import unescape

import httpx

from app.domain.booking import Status
from app.domain.local_days import next_month
from app.protection.proof_of_work import PARTS, works
from tests.support.rows import rows
from tests.support.stack import Stack


class Caller:
    """A machine somewhere else: another address than the other visitors'."""

    def __init__(self, stack: Stack, address: str = "198.51.100.7") -> None:
        assert stack.hooks.app
        self.stack = stack
        transport = httpx.ASGITransport(app=stack.hooks.app, client=(address, 4711))
        self.client = httpx.AsyncClient(transport=transport, base_url="https://book.example")
        self.page = httpx.Response(0)

    async def hold(self, start: datetime, **fields: str) -> httpx.Response:
        """Ask for a time, as if from a page that was never looked at before."""
        data = {"service": self.stack.portrait_id, "start": start.isoformat(), **fields}
        self.page = await self.client.post("/w/studio/hold", data=data)
        return self.page

    async def answer(self, answer: str | None = None, **fields: str) -> httpx.Response:
        """Send the challenge's form, with this answer or the right one."""
        [form] = re.findall(r'(?s)<form id="hf-check".*?</form>', self.page.text)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        first, second = re.findall(r"What is (\d) plus (\d)\?", form)[0]
        action = re.findall(r'action="([^"]+)"', form)[0]
        data = {name: unescape(value) for name, value in hidden.items()}
        data |= {"proof_answer": answer or str(int(first) + int(second)), **fields}
        self.page = await self.client.post(unescape(action), data=data)
        return self.page


async def free_starts(stack: Stack) -> list[datetime]:
    """What a visitor is shown, this month and the next."""
    widget = stack.parts.widgets["studio"]
    offered = await stack.parts.availability.service(widget, stack.portrait_id)
    month = stack.clock().date().replace(day=1)
    both = [await stack.parts.availability.times(widget, offered, month=at) for at in (month, next_month(month))]
    return sorted({slot.starts_at for times in both for slot in times.slots})


async def days(stack: Stack) -> list[list[datetime]]:
    """Free starts by day."""
    by_day: dict[object, list[datetime]] = {}
    for start in await free_starts(stack):
        by_day.setdefault(start.date(), []).append(start)
    return list(by_day.values())


async def held(stack: Stack) -> int:
    return sum(booking.status is Status.HELD for booking in await rows(stack))


def solve(salt: str, bits: int) -> str:
    """What static/work.js does."""
    numbers = (next(n for n in range(1 << 20) if works(salt, part, bits, n)) for part in range(PARTS))
    return ",".join(map(str, numbers))
