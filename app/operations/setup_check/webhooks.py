"""The addresses that are told of bookings: whether they may be asked, and whether they take what they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from app.domain.outgoing_webhooks import Endpoint
from app.operations.outgoing_webhooks import Sender
from app.operations.setup_check.finding import Finding, fail, ok, warn
from app.operations.setup_check.machine import DatabaseLook
from app.protection.page_reader import look_up
from app.protection.public_addresses import Resolve
from app.settings import Settings
from app.widgets import Widget

_FIXES = {
    "not https": "Use https, or name the origin in WEBHOOK_PRIVATE_ORIGINS if it is in your own network.",
    "not a public address": "Name the origin in WEBHOOK_PRIVATE_ORIGINS, if you mean an address of your own network.",
    "no such host": "Correct `url` in widgets.toml, or this machine's DNS.",
}


async def look_at_webhooks(
    settings: Settings, widgets: Mapping[str, Widget], database: DatabaseLook, *, resolve: Resolve | None = None
) -> list[Finding]:
    """Each address once. Only its name is looked up: `python -m app webhooks test` sends something."""
    named = [(f"{name}.{one.name}", one.url) for name, widget in widgets.items() for one in widget.webhooks]
    if not named:
        return []
    known: dict[str, Endpoint] = {}
    if await database.unusable() is None:
        known = {endpoint.id: endpoint for endpoint in await database.store.endpoints()}
    sender = Sender(named=settings.webhook_private_origins, agent="", resolve=resolve or _look_up)
    try:
        return [_finding(name, await sender.trouble(url), known.get(name)) for name, url in named]
    finally:
        await sender.aclose()


def _finding(name: str, trouble: str, endpoint: Endpoint | None) -> Finding:
    about = f"webhook {name}"
    if trouble:
        return fail(about, f"nothing is sent there: {trouble}", _FIXES.get(trouble, "Correct `url` in widgets.toml."))
    if endpoint and endpoint.disabled_at:
        says = f"was switched off at {endpoint.disabled_at:%Y-%m-%d %H:%M}Z, after five days of failures"
        fix = f"When it works again, run `python -m app webhooks enable {name}`."
        return fail(about, f"{says}; the last one: {endpoint.last_error}", fix)
    if endpoint and endpoint.failing_since:
        says = f"has taken nothing since {endpoint.failing_since:%Y-%m-%d %H:%M}Z: {endpoint.last_error}"
        return warn(about, says, f"Look at the program's log, then run `python -m app webhooks test {name}`.")
    return ok(about, "can be reached" if endpoint else "begins with the next start of the server")


async def _look_up(host: str, port: int) -> list[str]:
    return list(await asyncio.to_thread(look_up, host, port))
