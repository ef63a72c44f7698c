"""What tests replace, of all that the program meets outside itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random, SystemRandom

import httpx
import stripe
from jinja2 import BytecodeCache

from app.mail.mailer import Give, give
from app.protection.public_addresses import Resolve
from app.store.sqlite_driver import Connect, open_connection


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Seams:
    """What tests replace: the clock, random numbers, waiting, the transports to the providers and the mail server, how
    a SQLite file is opened, and where compiled templates are kept."""

    now: Callable[[], datetime] = utc_now
    random: Random = field(default_factory=SystemRandom)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    #: The pause between two rounds of what is repeated as long as the process runs, and which nobody waits for.
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep
    scheduler_transports: Mapping[str, httpx.AsyncBaseTransport] = field(default_factory=dict)
    stripe_http: stripe.HTTPClient | None = None
    site_transport: httpx.AsyncBaseTransport | None = None
    webhook_transport: httpx.AsyncBaseTransport | None = None
    resolve: Resolve | None = None
    compiled_templates: BytecodeCache | None = None
    connect: Connect = open_connection
    give_mail: Give = give
    #: Whether times are shared with other processes over the database. Tests of one process leave it out.
    shared: bool = True
