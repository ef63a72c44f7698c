"""One finding of the set-up check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

from app.payments.events import WEBHOOK_TOLERANCE

#: From here on people notice; from `WEBHOOK_TOLERANCE` on Stripe's webhooks are refused.
SKEW = timedelta(seconds=30)


class Level(StrEnum):
    """How bad it is: `WARN` is worth knowing, `FAIL` costs bookings, mails or money."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is about, what there is, and what mends it."""

    level: Level
    about: str
    says: str
    fix: str = ""


def ok(about: str, says: str) -> Finding:
    return Finding(Level.OK, about, says)


def warn(about: str, says: str, fix: str) -> Finding:
    return Finding(Level.WARN, about, says, fix)


def fail(about: str, says: str, fix: str) -> Finding:
    return Finding(Level.FAIL, about, says, fix)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst of them."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)


def next_step(findings: Sequence[Finding]) -> str:
    """What to do first: about what fails, else about what is worth knowing; empty where all is well. Each look comes
    before those that need what it asks for."""
    for level in (Level.FAIL, Level.WARN):
        for finding in findings:
            if finding.level is level:
                return finding.fix
    return ""


def clock(provider: str, answer: httpx.Response, now: datetime) -> Iterator[Finding]:
    """Compares this machine's clock with the one in a provider's answer, if it has one."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return
    if theirs.tzinfo is None:
        return
    skew = abs(theirs - now)
    if skew < SKEW:
        yield ok("clock", f"agrees with {provider}'s")
        return
    says = f"this machine's clock is {round(skew.total_seconds())} seconds off from {provider}'s"
    fix = "Synchronise it with a time server, using chrony or systemd-timesyncd for example."
    yield Finding(Level.FAIL if skew >= WEBHOOK_TOLERANCE else Level.WARN, "clock", says, fix)
