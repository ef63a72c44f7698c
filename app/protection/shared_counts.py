"""Counts that all processes share, in Redis or Valkey: hits against rate limits, and whose a hold is.

Everything there ends by itself with its window, so no address is kept longer than it counts. What cannot be reached is
done without for some seconds: each process then counts for itself, as it does without REDIS_URL.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

import structlog
from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.protection.rate_limits import NotShared

T = TypeVar("T")
#: Seconds that Redis has to answer in: a page waits for it, once in `_REST`.
_PATIENCE = 2.0
#: Seconds for which it is not asked again after it has not answered.
_REST = 5.0
#: What all our keys begin with; the server may hold other things.
_PREFIX = "holdfast"

log = structlog.get_logger()


class RedisCounts:
    """`url` as in REDIS_URL."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
        pool: Any = self._redis.connection_pool  # it is handed on to the package of Redis, whatever it is
        storage = RedisStorage(f"async+{url}", implementation="redispy", key_prefix=_PREFIX, connection_pool=pool)
        self._strategy = MovingWindowRateLimiter(storage)
        self._rests_until = 0.0

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def hit(self, limit: RateLimitItem, *key: str) -> bool:
        """Count one; False, and nothing is counted, where the limit is reached."""
        return await self._ask(lambda: self._strategy.hit(limit, *key))

    async def window(self, limit: RateLimitItem, *key: str) -> tuple[float, int]:
        """(when the oldest hit that counts stops counting, in seconds since 1970; how many more are let in)."""
        stats = await self._ask(lambda: self._strategy.get_window_stats(limit, *key))
        return stats.reset_time, stats.remaining

    async def keep(self, name: str, value: Sequence[str], *, seconds: int) -> None:
        """Words under a name, for so long. Not kept where Redis does not answer."""
        text = json.dumps(list(value))
        try:
            await self._ask(lambda: self._redis.set(f"{_PREFIX}:{name}", text, ex=seconds))
        except NotShared:
            return

    async def kept(self, names: Sequence[str]) -> list[list[str]]:
        """The words under each name; none where there are none."""
        try:
            found = await self._ask(lambda: self._redis.mget([f"{_PREFIX}:{name}" for name in names]))
        except NotShared:
            return [[] for _ in names]
        return [json.loads(text) if text else [] for text in found]

    async def answers(self) -> bool:
        """Whether it answers now."""
        try:
            await self._ask(self._redis.ping)
        except NotShared:
            return False
        return True

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        if monotonic() < self._rests_until:
            raise NotShared
        try:
            return await question()
        except (RedisError, OSError, TimeoutError) as error:
            self._rests_until = monotonic() + _REST
            log.warning("Redis does not answer; each process counts for itself", error=type(error).__name__)
            raise NotShared from error
