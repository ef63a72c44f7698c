"""How often one client may ask for what: the rules as data, counted exactly over moving windows in memory.

A rule's limits are the `limits` package's; so is the strategy. The counts live in this process, or in Redis for all:
without it a second process counts for itself, which doubles what a client may do and harms nothing, since what must
hold holds by the database.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Protocol

from limits import RateLimitItem, parse_many
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter
from starlette.types import Scope

from app.errors import RateLimited

#: Clients times rules that are counted at once; one takes some 500 bytes and 32 for each hit. What was hit longest
#: ago is forgotten first, so a flood of addresses costs memory up to here and no further.
MOST_KEPT = 50_000
#: One IPv6 /48 may take up this part of them.
_NETWORK_SHARE = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """What is counted under `name`: all of `limits` hold at once."""

    name: str
    limits: tuple[RateLimitItem, ...]

    @classmethod
    def free_bookings(cls, most: int) -> Rule:
        """Free bookings made from one address in a day, of which the widget allows `most`."""
        return cls.of("free_bookings", f"{most}/day")

    @classmethod
    def of(cls, name: str, text: str) -> Rule:
        """A rule from words such as "10/minute; 60/hour". Raises ValueError for words that are none."""
        return cls(name, tuple(parse_many(text)))


#: Pages that are drawn again, by address: far beyond what an office looks at, and a few seconds of work a minute.
PAGE = Rule.of("page", "300/minute")
#: Forms, by address, before they are read.
FORM = Rule.of("form", "60/minute; 300/hour; 1000/day")
#: Times that are not answered from the warm shelf: each may cost a drawing, or a call to the scheduler.
SLOTS = Rule.of("slots", "120/minute")
#: Months that one address makes us read from the scheduler, each of which costs up to seven of the plan's calls.
READ = Rule.of("read", "30/hour; 100/day")
#: A booking's own pages and acts: details, extend, give up, status. Counted by booking; an act is two.
BOOKING = Rule.of("booking", "120/minute")
#: Attempts to hold a time, whether they succeed or not: each is a call to the scheduler and two writes.
HOLD = Rule.of("hold", "12/minute; 60/hour")
#: The same for an IPv6 /48 together: a provider's customer has one, and up to 65,536 addresses as we count them in it.
HOLD_NETWORK = Rule.of("hold_network", "60/minute; 400/hour")
#: Starting to pay: each may open a page at Stripe.
PAY = Rule.of("pay", "20/minute; 120/hour")
#: The page behind the mailed link.
MANAGE = Rule.of("manage", "60/minute")
#: What that page does: cancel, take back, move. Counted by booking.
MANAGE_ACT = Rule.of("manage_act", "10/minute; 60/hour")
#: The same acts, counted where they are done, for every door; and those on a hold.
ACT = Rule.of("act", "10/minute; 60/hour")
HOLD_ACT = Rule.of("hold_act", "60/minute; 300/hour")
PAY_ACT = Rule.of("pay_act", "30/minute; 120/hour")
#: Another mail address for a booking, from the second one on: each is a mail to someone.
CORRECTION = Rule.of("correction", "1/15minutes; 6/day")
#: Mails with the links of all bookings under one address. Anyone can ask for them.
FRESH_LINKS = Rule.of("fresh_links", "1/30minutes; 4/day")
#: Asking for new links: each may be a mail to someone, and retires the link that they have.
RESEND = Rule.of("resend", "6/10minutes; 20/hour")
#: Asking for a link to the staff page, by who asks; and the links that one address is mailed.
SIGN_IN = Rule.of("sign_in", "6/10minutes; 20/hour")
SIGN_IN_MAIL = Rule.of("sign_in_mail", "4/15minutes")
#: The staff page and the feeds, whether their addresses open or not.
STAFF = Rule.of("staff", "180/minute")
#: Reading someone's page for the embed check.
EMBED_CHECK = Rule.of("embed_check", "10/minute; 60/hour")
#: What is read over JSON, by address.
API = Rule.of("api", "60/minute")
API_STATUS = Rule.of("api_status", "120/minute")
#: What changes anything, over JSON, by address: it mails, or calls the scheduler or Stripe.
API_ACT = Rule.of("api_act", "60/minute; 300/hour; 1000/day")
#: A server that holds an API key speaks for many visitors.
API_KEY = Rule.of("api_key", "1000/minute")
WEBHOOKS = Rule.of("webhooks", "1000/minute")


def client_address(scope: Scope) -> str:
    """Who asks, as limits count them: the address that the server names (uvicorn's `--proxy` decides whose
    X-Forwarded-For is believed); of IPv6 the first 64 bits, because one household has all the others.
    Empty where the server does not know."""
    client = scope.get("client")
    return _counted_as(client[0]) if client else ""


@lru_cache(maxsize=1000)
def _counted_as(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:  # a name, as test clients and Unix sockets give it
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


def network_of(address: str) -> str:
    """The IPv6 /48 of an address as `client_address` gives it; empty for any other, which then is not counted."""
    if ":" not in address:
        return ""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return f"{IPv6Address(int(found) >> 80 << 80)}/48" if isinstance(found, IPv6Address) else ""


class NotShared(Exception):
    """The counts that all processes share cannot be reached now."""


class SharedCounts(Protocol):
    """Counts that all processes share, and values that they keep for each other; `shared_counts` implements it with
    Redis."""

    async def hit(self, limit: RateLimitItem, *key: str) -> bool:
        """Count one; False, and nothing is counted, where the limit is reached. Raises NotShared."""
        ...

    async def window(self, limit: RateLimitItem, *key: str) -> tuple[float, int]:
        """(when one more is let in, in seconds since 1970; how many are let in now). Raises NotShared."""
        ...

    async def keep(self, name: str, value: Sequence[str], *, seconds: int) -> None:
        """Words under a name, for so long."""
        ...

    async def kept(self, names: Sequence[str]) -> list[list[str]]:
        """The words under each name; none where there are none."""
        ...


class RateLimits:
    """Counts against rules. `now` gives aware datetimes. With `shared`, all processes count together."""

    def __init__(
        self, now: Callable[[], datetime], *, most_kept: int = MOST_KEPT, shared: SharedCounts | None = None
    ) -> None:
        self._now = now
        self._windows = _Windows(now, most_kept)
        self._strategy = MovingWindowRateLimiter(self._windows)
        self._shared = shared

    @property
    def kept(self) -> int:
        """How many clients times rules are counted right now."""
        return len(self._windows)

    async def check(self, rule: Rule, *key_parts: str) -> None:
        """Count one hit of the caller that the key names. Raises RateLimited, with the seconds until the next one is
        let in; what is refused is not counted, so that asking again and again does not put it off.

        Where a part of the key is empty, nobody is counted: a server that does not know its clients' addresses would
        shut out all for one.
        """
        if "" in key_parts:
            return
        wait = await self.wait(rule, *key_parts)
        if wait:
            raise RateLimited(wait)
        for limit in rule.limits:
            if not await self._hit(limit, rule.name, *key_parts):  # another process was quicker
                raise RateLimited(1)

    def count_here(self, rule: Rule, *key_parts: str) -> tuple[int, int, int] | None:
        """`check` and then `usage` in one, for a rule of one limit and without waiting for anything. None where that
        cannot be, since all processes count together, or the limit is reached: nothing has been counted."""
        if self._shared or len(rule.limits) > 1:
            return None
        [limit] = rule.limits
        key = limit.key_for(rule.name, *key_parts)
        expiry, now = limit.get_expiry(), self._now().timestamp()
        if "" not in key_parts and not self._windows.acquire_entry(key, limit.amount, expiry):
            return None
        oldest, many = self._windows.get_moving_window(key, limit.amount, expiry)
        return limit.amount, limit.amount - many, max(0, ceil(oldest + expiry - now))

    async def usage(self, rule: Rule, *key_parts: str) -> tuple[int, int, int]:
        """(what the rule's tightest limit lets in, how many of these are left, seconds until one more is)."""
        now = self._now().timestamp()
        stands = []
        for limit in rule.limits:
            reset_time, remaining = await self._window(limit, rule.name, *key_parts)
            stands.append((remaining, limit.amount, max(0, ceil(reset_time - now))))
        remaining, amount, reset = min(stands)
        return amount, remaining, reset

    async def wait(self, rule: Rule, *key_parts: str) -> int:
        """Seconds until one more hit is let in; 0 for at once. Counts nothing."""
        windows = [await self._window(limit, rule.name, *key_parts) for limit in rule.limits]
        waits = [reset_time - self._now().timestamp() for reset_time, remaining in windows if remaining < 1]
        return max(1, ceil(max(waits))) if waits else 0

    async def _hit(self, limit: RateLimitItem, *key: str) -> bool:
        if self._shared:
            with suppress(NotShared):
                return await self._shared.hit(limit, *key)
        return self._strategy.hit(limit, *key)

    async def _window(self, limit: RateLimitItem, *key: str) -> tuple[float, int]:
        if self._shared:
            with suppress(NotShared):
                return await self._shared.window(limit, *key)
        stats = self._strategy.get_window_stats(limit, *key)
        return stats.reset_time, stats.remaining


def _network_in(key: str) -> str:
    """The network of the address in a counter's name; empty where there is none."""
    return next((network for part in key.split("/") if (network := network_of(part))), "")


class _Windows(Storage, MovingWindowSupport):
    """When each key was hit, newest first. The package's own memory reads the wall clock, which tests cannot set, and
    starts a thread for each burst."""

    STORAGE_SCHEME = None

    def __init__(self, now: Callable[[], datetime], most_kept: int) -> None:
        super().__init__()
        self._now = now
        self._most_kept = most_kept
        self._hits: OrderedDict[str, tuple[float, deque[float]]] = OrderedDict()
        #: The keys of each IPv6 network, the one hit longest ago first.
        self._networks: dict[str, OrderedDict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._hits)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits if no more than `limit` fall into the last `expiry` seconds with them."""
        now = self._now().timestamp()
        hits = self._recent(key, expiry)
        if len(hits) + amount > limit:
            return False
        hits.extendleft([now] * amount)
        self._hits[key] = now + expiry, hits
        self._hits.move_to_end(key)
        self._crowd(key)
        self._forget(now)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The oldest hit that still counts (now, if there is none), and how many do."""
        hits = self._recent(key, expiry)
        return (hits[-1] if hits else self._now().timestamp()), len(hits)

    def _recent(self, key: str, expiry: int) -> deque[float]:
        _, hits = self._hits.get(key, (0.0, deque()))
        now = self._now().timestamp()
        if hits and hits[0] > now:  # the clock was set back, and the hits go with it
            ahead = hits[0] - now
            hits = deque(hit - ahead for hit in hits)
            self._hits[key] = now + expiry, hits
        since = now - expiry
        while hits and hits[-1] <= since:
            hits.pop()
        return hits

    def _crowd(self, key: str) -> None:
        """Note the key's network. One with too many keys forgets its own: its addresses are free, and would push
        everyone else's counts out."""
        network = _network_in(key)
        if not network:
            return
        keys = self._networks.setdefault(network, OrderedDict())
        keys[key] = None
        keys.move_to_end(key)
        if len(keys) > max(1, self._most_kept // _NETWORK_SHARE):
            self._drop(next(iter(keys)))

    def _forget(self, now: float) -> None:
        """Drop what no longer counts from the end that was hit longest ago, and what is too much."""
        while self._hits and (len(self._hits) > self._most_kept or next(iter(self._hits.values()))[0] <= now):
            self._drop(next(iter(self._hits)))

    def _drop(self, key: str) -> None:
        self._hits.pop(key, None)
        network = _network_in(key)
        keys = self._networks.get(network)
        if keys:
            keys.pop(key, None)
            if not keys:
                del self._networks[network]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._hits)
        self._hits.clear()
        self._networks.clear()
        return count

    def clear(self, key: str) -> None:
        self._drop(key)

    # For fixed windows, which we do not count in.

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError

    def get(self, key: str) -> int:
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError
