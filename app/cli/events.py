"""python -m app events: the webhook events of providers, which of them still have to be processed, and processing them
again.

An event is a hint where to look, and its effect is safe to repeat, so a replay does no harm. Nothing personal is in
an event as it is stored, and so nothing is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.build import open_parts
from app.cli.options import MOST_EVENTS
from app.domain.event import StoredEvent
from app.errors import NotFound
from app.parts import Parts
from app.seams import Seams
from app.settings import Settings

DONE, FAILED, WRONG_USE = 0, 1, 2


def run_events(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the arguments say: 0 done, 1 an event has failed, 2 wrong use. Raises DatabaseUnusable."""

    async def act() -> int:
        async with open_parts(settings, Seams()) as parts:
            return await serve_events(parts, arguments, print)

    return asyncio.run(act())


async def serve_events(parts: Parts, arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """One act, over open parts; its result is said."""
    inbox = parts.inbox
    if arguments.act == "list":
        most = max(1, min(arguments.most, MOST_EVENTS))
        found = await inbox.events(waiting=arguments.waiting, booking_id=arguments.booking, most=most)
        return _tell(found, as_json=arguments.json, say=say)
    if arguments.act == "fetch":
        await inbox.fetch_missed()
    elif bool(arguments.ids) == arguments.waiting:
        print("Name events, or use --waiting. `events list` shows all events.", file=sys.stderr)
        return WRONG_USE
    ids = arguments.ids if arguments.act == "replay" else []
    if not ids:
        ids = [stored.event.id for stored in await inbox.events(waiting=True, most=MOST_EVENTS)][::-1]
    replayed = []
    for event_id in ids:
        try:
            replayed.append(await inbox.replay(event_id))
        except NotFound:
            print(f"There is no stored event {event_id}. Nothing was changed.", file=sys.stderr)
            return WRONG_USE
    _tell(replayed, as_json=arguments.json, say=say)
    return FAILED if any(stored.processed_at is None for stored in replayed) else DONE


def _tell(events: list[StoredEvent], *, as_json: bool, say: Callable[[str], None]) -> int:
    if as_json:
        say(json.dumps({"success": True, "events": [event_json(stored) for stored in events]}))
    elif not events:
        say("No events.")
    for stored in () if as_json else events:
        say(_line(stored))
    return DONE


def _line(stored: StoredEvent) -> str:
    event = stored.event
    if stored.processed_at:
        stands = "done"
    else:
        again = f", again at {_when(stored.next_try_at)}" if stored.next_try_at else ""
        stands = f"waiting ({stored.error or 'not tried'}{again})"
    tries = f"{stored.tries} {'try' if stored.tries == 1 else 'tries'}"
    return "  ".join([_when(stored.received_at), event.id, event.type, event.booking_id or "-", tries, stands])


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def event_json(stored: StoredEvent) -> dict[str, Any]:
    """A stored event for programs; times in UTC."""
    event = stored.event
    return {
        "id": event.id,
        "type": event.type,
        "objectId": event.object_id,
        "bookingId": event.booking_id,
        "created": event.created.isoformat(),
        "receivedAt": stored.received_at.isoformat(),
        "processedAt": stored.processed_at.isoformat() if stored.processed_at else None,
        "nextTryAt": stored.next_try_at.isoformat() if stored.next_try_at else None,
        "tries": stored.tries,
        "error": stored.error or None,
    }
