"""python -m app webhooks: the addresses that get messages about bookings, what each has received, and sending it again.

Nothing personal is in a message as it is stored, and so nothing is printed.
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
from app.cli.options import MOST_MESSAGES
from app.domain.outgoing_webhooks import Delivery, Endpoint
from app.errors import NotFound
from app.operations.outgoing_webhooks import OutgoingWebhooks
from app.parts import Parts
from app.seams import Seams
from app.settings import Settings

DONE, FAILED, WRONG_USE = 0, 1, 2


def run_webhooks(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the arguments say: 0 done, 1 a test message was not taken, 2 wrong use. Raises DatabaseUnusable."""

    async def act() -> int:
        async with open_parts(settings, Seams()) as parts:
            return await serve_webhooks(parts, arguments, print)

    return asyncio.run(act())


async def serve_webhooks(parts: Parts, arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """One act, over open parts; its result is said."""
    acts = {"list": _list, "show": _show, "replay": _replay, "enable": _enable, "secret": _secret, "test": _test}
    try:
        code, result, lines = await acts[arguments.act](parts.outgoing_webhooks, arguments)
    except NotFound as error:
        known = ", ".join(one.id for one in parts.outgoing_webhooks.wanted()) or "none"
        print(f"There is no address {error}. widgets.toml has: {known}.", file=sys.stderr)
        return WRONG_USE
    if code == WRONG_USE:
        print(lines[0], file=sys.stderr)
    elif arguments.json:
        say(json.dumps({"success": code == DONE, **result}))
    else:
        for line in lines:
            say(line)
    return code


_Result = tuple[int, dict[str, Any], list[str]]


async def _list(webhooks: OutgoingWebhooks, _asked: argparse.Namespace) -> _Result:
    known = {endpoint.id: endpoint for endpoint in await webhooks.endpoints()}
    lines = [f"{one.id}  {one.url}  {_standing(known.get(one.id))}" for one in webhooks.wanted()]
    told = [endpoint_json(endpoint) for endpoint in known.values()]
    return DONE, {"webhooks": told}, lines or ["No addresses. docs/webhooks.md explains how to set one."]


async def _show(webhooks: OutgoingWebhooks, asked: argparse.Namespace) -> _Result:
    endpoint, most = await webhooks.endpoint(asked.address), max(1, min(asked.most, MOST_MESSAGES))
    found = await webhooks.deliveries(endpoint.id, waiting=asked.waiting, most=most)
    told = {"webhook": endpoint_json(endpoint), "messages": [delivery_json(delivery) for delivery in found]}
    head = f"{endpoint.id}  {endpoint.url}  {_standing(endpoint)}"
    return DONE, told, [head, *(map(_line, found) if found else ["No messages."])]


async def _replay(webhooks: OutgoingWebhooks, asked: argparse.Namespace) -> _Result:
    if bool(asked.ids) == bool(asked.waiting):
        return WRONG_USE, {}, ["Name messages, or an address with --waiting. `webhooks show` lists the messages."]
    many = await (webhooks.replay(asked.ids) if asked.ids else webhooks.replay_waiting(asked.waiting))
    if asked.ids and many < len(set(asked.ids)):
        return (
            WRONG_USE,
            {},
            [f"{len(set(asked.ids)) - many} of these messages do not exist; {many} will be sent again."],
        )
    return DONE, {"again": many}, [f"{_counted(many, 'message')} will be sent again when the server runs."]


async def _enable(webhooks: OutgoingWebhooks, asked: argparse.Namespace) -> _Result:
    await webhooks.enable(asked.address)
    endpoint = await webhooks.endpoint(asked.address)
    return (
        DONE,
        {"webhook": endpoint_json(endpoint)},
        [f"{endpoint.id} is on. What waited is sent when the server runs."],
    )


async def _secret(webhooks: OutgoingWebhooks, asked: argparse.Namespace) -> _Result:
    secrets = webhooks.secrets(asked.address)
    told = [{"version": version, "secret": secret} for version, secret in secrets]
    return DONE, {"secrets": told}, [f"version {version}: {secret}" for version, secret in secrets]


async def _test(webhooks: OutgoingWebhooks, asked: argparse.Namespace) -> _Result:
    sent = await webhooks.try_out(asked.address)
    told = {"status": sent.status or None, "error": sent.error or None}
    if sent.taken:
        return DONE, told, [f"{asked.address} has taken a test message (status {sent.status})."]
    return FAILED, told, [f"{asked.address} has not taken the test message: {sent.error}."]


def _standing(endpoint: Endpoint | None) -> str:
    if endpoint is None:
        return "begins with the next start of the server"
    if endpoint.disabled_at:
        return f"switched off {_when(endpoint.disabled_at)}: {endpoint.last_error}"
    if endpoint.failing_since:
        return f"failing since {_when(endpoint.failing_since)}: {endpoint.last_error}"
    return f"last delivered {_when(endpoint.delivered_at)}" if endpoint.delivered_at else "nothing delivered yet"


def _line(delivery: Delivery) -> str:
    if delivery.delivered_at:
        stands = f"delivered {_when(delivery.delivered_at)}"
    elif delivery.next_try_at is None:
        stands = f"given up: {delivery.last_error}"
    else:
        stands = f"waiting, next {_when(delivery.next_try_at)}" + (
            f": {delivery.last_error}" * bool(delivery.last_error)
        )
    parts = (_when(delivery.occurred_at), delivery.id, delivery.event, delivery.booking_id)
    return "  ".join([*parts, _counted(delivery.tries, "try", "tries"), stands])


def _counted(many: int, one: str, more: str = "") -> str:
    return f"{many} {one if many == 1 else more or f'{one}s'}"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    """An address for programs; times in UTC."""
    return {
        "id": endpoint.id,
        "widget": endpoint.widget,
        "url": endpoint.url,
        "events": sorted(endpoint.events),
        "personalData": endpoint.personal_data,
        "deliveredAt": _iso(endpoint.delivered_at),
        "failingSince": _iso(endpoint.failing_since),
        "failures": endpoint.failures,
        "error": endpoint.last_error or None,
        "switchedOffAt": _iso(endpoint.disabled_at),
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """A message for programs; times in UTC."""
    return {
        "id": delivery.id,
        "number": delivery.number,
        "type": delivery.event,
        "bookingId": delivery.booking_id,
        "occurredAt": delivery.occurred_at.isoformat(),
        "deliveredAt": _iso(delivery.delivered_at),
        "nextTryAt": _iso(delivery.next_try_at),
        "tries": delivery.tries,
        "error": delivery.last_error or None,
    }
