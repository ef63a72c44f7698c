"""How far the looks through a provider's list have come. A cursor never passes what was not taken in.

Stripe lists the newest first, so a list that is longer than one look reads is walked backwards, over several looks,
and the cursor moves when the walk has met its beginning. What was made meanwhile belongs to the next walk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from app.payments.facts import Listed
from app.store import Store

_T = TypeVar("_T")


class ReadPart(Protocol[_T]):
    """Reads one of Stripe's lists, from `created_after` until `created_before`, and about `most` of it (None: all)."""

    def __call__(
        self, created_after: datetime, /, *, created_before: datetime | None, most: Any
    ) -> Awaitable[Listed[_T]]: ...


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a look through a list begins and ends: `since` until `before` (None: now). `began` is where the cursor
    will be once everything was taken in."""

    since: datetime
    before: datetime | None
    began: datetime


class Cursors:
    """Walks lists by name; how far each has come is in the store. `now` gives aware datetimes."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def take(
        self,
        name: str,
        read: ReadPart[_T],
        take: Callable[[Sequence[_T]], Awaitable[int]],
        *,
        overlap: timedelta,
        first: timedelta,
        keeps: timedelta | None = None,
        most: int | None,
    ) -> tuple[int, bool]:
        """One look: read about `most`, let `take` take it in, and move the cursor. Returns the sum of what `take` said,
        and whether the list was read to its end; if not, the next look goes on.

        `overlap` is how far before the cursor a look begins, `first` how far back the very first one, `keeps` how long
        the provider lists anything. Whatever `read` or `take` raises leaves the cursor where it was.
        """
        walk = await self._walk(name, overlap=overlap, first=first, keeps=keeps)
        listed = await read(walk.since, created_before=walk.before, most=most)
        while most and walk.before and listed.down_to and listed.down_to >= walk.before:
            most *= 2  # as many in one second: without more of them the walk would stand still
            listed = await read(walk.since, created_before=walk.before, most=most)
        taken = await take(listed)
        if listed.down_to is None:
            over = {_began(name): None, _down_to(name): None} if walk.before else {}
            await self._store.set_marks({name: walk.began, **over})
        else:
            await self._store.set_marks({_began(name): walk.began, _down_to(name): listed.down_to})
        return taken, listed.down_to is None

    async def _walk(self, name: str, *, overlap: timedelta, first: timedelta, keeps: timedelta | None) -> Walk:
        now = self._now()
        cursor, began, down_to = await self._store.marks(name, _began(name), _down_to(name))
        since = (cursor or now - first) - overlap
        if keeps:
            since = max(since, now - keeps)
        return Walk(since, down_to, began) if began and down_to else Walk(since, None, now)


def _began(name: str) -> str:
    return f"{name}:walk_began"


def _down_to(name: str) -> str:
    return f"{name}:walk_down_to"
