"""One answer for each of a program's keys: repeated calls, at once or for a day, are one call.

What must hold, holds without it: the slot guard, claims, and keys towards Stripe. This saves a program from having to
find out what became of a call whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from app.errors import KeyInUse, KeyReused
from app.store import Store

#: How long an answer is kept: docs/dev/decisions/0077.
KEPT = timedelta(hours=24)
#: A call that has not been answered for so long died with its process: longer than Stripe's client and the scheduler's
#: take together at the worst. Should it live after all, both runs are safe at the same time.
LONGEST_RUN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: what is kept, and given again to the letter. `replayed` tells the second time from the first."""

    status: int
    body: bytes
    replayed: bool = False

    @property
    def final(self) -> bool:
        """Whether a repetition would have no other: not where trying again helps, or other credentials."""
        return self.status < 500 and self.status not in {401, 403, 429}


class Idempotency:
    """Runs calls once for each key. `now` gives aware UTC datetimes."""

    def __init__(self, *, store: Store, now: Callable[[], datetime], random: Random) -> None:
        self._store = store
        self._now = now
        self._random = random

    async def once(self, key: str, fingerprint: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The call's answer, from now or from before. Raises KeyReused where `fingerprint`, which tells requests
        apart, is not the one of before, and KeyInUse while the first call runs."""
        now = self._now()
        run = f"{self._random.getrandbits(96):024x}"
        kept = await self._store.take_key(
            key, fingerprint=fingerprint, run=run, running_until=now + LONGEST_RUN, forget_at=now + KEPT
        )
        if kept:
            if kept.fingerprint != fingerprint:
                raise KeyReused("another request")
            if kept.status is None:
                raise KeyInUse("running")
            return Answer(kept.status, kept.body, replayed=True)
        try:
            answer = await call()
        except Exception:
            await self._store.free_key(key, run=run)
            raise
        if answer.final:
            await self._store.keep_answer(key, run=run, status=answer.status, body=answer.body)
        else:
            await self._store.free_key(key, run=run)
        return answer
