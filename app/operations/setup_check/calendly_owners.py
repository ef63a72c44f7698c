"""The Calendly accounts that owners connect: each is looked at with its own tokens, which are refreshed as the server
refreshes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from random import SystemRandom

import httpx

from app.domain.scheduler_names import owner_of, provider_of
from app.operations.setup_check.calendly import CalendlyLook
from app.operations.setup_check.finding import Finding, fail
from app.operations.setup_check.machine import DatabaseLook
from app.scheduling.calendly.connect import owner_access
from app.scheduling.connected import World
from app.scheduling.port import SchedulerCall
from app.settings import Settings
from app.widgets import Widget


async def look_at_owners(
    settings: Settings,
    widgets: Mapping[str, Widget],
    database: DatabaseLook,
    *,
    now: Callable[[], datetime],
    transports: Mapping[str, httpx.AsyncBaseTransport],
) -> list[Finding]:
    """Every account that a widget names. Without a database of this version none is connected."""
    named = (widget.scheduler for widget in widgets.values())
    names = dict.fromkeys(name for name in named if owner_of(name) and provider_of(name) == "calendly")
    if not names:
        return []
    unusable = await database.unusable()
    if unusable:
        says = f"whether it is connected cannot be seen: {unusable.says}"
        return [fail(name, says, unusable.fix) for name in names]
    world = World(
        now=now,
        random=SystemRandom(),
        sleep=asyncio.sleep,
        transports=transports,
        called=_uncounted,
        tokens=database.store,
    )
    found: list[Finding] = []
    for name in names:
        there = {key: widget for key, widget in widgets.items() if widget.scheduler == name}
        access = owner_access(settings, world, name)
        look = CalendlyLook(settings, there, now=now(), transport=transports.get("calendly"), name=name, access=access)
        found += await look.findings()
        await access.aclose()
        await database.count_calls(f"{name}_calls", look.calls)
    return found


def _uncounted(_name: str, _call: SchedulerCall) -> None:
    """A refresh is no call that counts."""
