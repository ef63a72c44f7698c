"""How often a user may call, and how often book (Calendly API v2, rate limits).

Limits are per user. The minute of calls opens with its first call; creates are counted over the last minute, hour and
day, which is the strictest reading of "100 a day".
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sandbox.calendly.control import Plan
from sandbox.calendly.errors import too_many
from sandbox.calendly.records import User
from sandbox.calendly.state import State

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

_FEW_CALLS: Final = 50
_MANY_CALLS: Final = 500
_CREATES: Final[dict[Plan, dict[timedelta, int]]] = {
    "free": {DAY: 5},  # documented is that free plans have limits of their own, not which
    "free_old": {},
    "trial": {DAY: 5},
    "paid": {MINUTE: 10, HOUR: 50, DAY: 100},
    "enterprise": {MINUTE: 500},
}
_MOST_TOKEN_REQUESTS: Final = 8  # per user and minute


class Allowance(NamedTuple):
    """One limit as it stands: how many in all, how many are left, and seconds until more are."""

    limit: int
    left: int
    reset: int

    def headers(self) -> dict[str, str]:
        """Return the three headers, of which the last is in seconds."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.left),
            "x-ratelimit-reset": str(self.reset),
        }


def calls(state: State, user: User | None) -> Allowance:
    """Return the allowance of calls; without a known user, that of one who has not called yet."""
    limit = _FEW_CALLS if state.switches.plan.startswith("free") else _MANY_CALLS
    usage = state.usage[user.id] if user else None
    now = state.now()
    if usage is None or usage.minute_started_at is None or now - usage.minute_started_at >= MINUTE:
        return Allowance(limit, limit, 60)
    return Allowance(limit, max(0, limit - usage.calls), _seconds(usage.minute_started_at + MINUTE - now))


def count_call(state: State, user: User) -> None:
    """Count a call; raises Refusal 429 where none is left."""
    allowance = calls(state, user)
    if allowance.left == 0:
        raise too_many(allowance.headers())
    usage = state.usage[user.id]
    if allowance.left == allowance.limit:
        usage.minute_started_at, usage.calls = state.now(), 0
    usage.calls += 1


def creates(state: State, user: User) -> Allowance | None:
    """Return the allowance of creates that is nearest to its end; None where the plan has none."""
    now, moments = state.now(), state.usage[user.id].creates
    moments[:] = [at for at in moments if now - at < DAY]
    return min(_allowances(state, moments, now), key=lambda one: (one.left, -one.reset), default=None)


def _allowances(state: State, moments: list[datetime], now: datetime) -> Iterator[Allowance]:
    limits = dict(_CREATES[state.switches.plan])
    if state.switches.creates_per_day is not None:
        limits[DAY] = state.switches.creates_per_day
    for window, limit in limits.items():
        within = [at for at in moments if now - at < window]
        # What must grow old enough before one more fits.
        oldest = within[max(0, len(within) - limit)] if within and limit else now
        yield Allowance(limit, max(0, limit - len(within)), _seconds(oldest + window - now))


def check_creates(state: State, user: User) -> None:
    """Raise Refusal 429 where the plan's ration of creates is used up."""
    allowance = creates(state, user)
    if allowance is not None and allowance.left == 0:
        raise too_many(allowance.headers())


def count_token_request(state: State, user: str) -> None:
    """Count a token request; raises Refusal 429 beyond eight a minute."""
    now, moments = state.now(), state.usage[user].token_requests
    moments[:] = [at for at in moments if now - at < MINUTE]
    if len(moments) >= _MOST_TOKEN_REQUESTS:
        raise too_many(Allowance(_MOST_TOKEN_REQUESTS, 0, _seconds(moments[0] + MINUTE - now)).headers())
    moments.append(now)


def _seconds(wait: timedelta) -> int:
    return max(1, -(-wait // timedelta(seconds=1)))
