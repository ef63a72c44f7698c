"""What a host page hears of its widgets."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.e2e.harness import PATIENCE


class Heard:
    """Called with each event's kind, its element's id and its detail; over all page views."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self._news = asyncio.Event()

    def __call__(self, kind: str, element: str, detail: dict[str, Any]) -> None:
        self.events.append((kind, element, detail))
        self._news.set()

    async def until(self, kind: str, times: int = 1) -> None:
        """Wait for so many events of this kind: they cross a channel and a window after their screen is drawn."""
        async with asyncio.timeout(PATIENCE / 1000):
            while self.kinds.count(kind) < times:
                self._news.clear()
                await self._news.wait()

    def details(self, kind: str) -> Sequence[dict[str, Any]]:
        """What came with each event of this kind."""
        return [detail for heard, _, detail in self.events if heard == kind]

    @property
    def kinds(self) -> Sequence[str]:
        """Which events came, in order."""
        return [kind for kind, _, _ in self.events]
