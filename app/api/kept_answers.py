"""What looking was answered, kept ready in bytes: given again to whoever asks the same, for as long as it holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Protocol, cast

from starlette.types import Scope

#: Answers that are kept at most, and bytes of one: a month of one service takes some 40 KB.
_MOST, _LONGEST = 100, 256 * 2**10


@dataclass(slots=True)
class _Kept:
    before: bytes
    after: bytes
    as_of: datetime
    epoch: int
    #: As it was given last, for as long as its age is that.
    age: int = -1
    body: bytes = b""

    def at(self, age: int) -> bytes:
        if age != self.age:
            self.age, self.body = age, b"%b%d%b" % (self.before, age, self.after)
        return self.body


class Aged(Protocol):
    """An answer in which its age stands."""

    age: int

    @property
    def as_of(self) -> datetime:
        """The moment that the age counts from."""
        ...


class KeptAnswers:
    """Answers by the query that they are to, as it came. They hold for as long as `epoch` gives the same number; only
    the age that stands in them goes on."""

    def __init__(self, *, epoch: Callable[[], int], now: Callable[[], datetime]) -> None:
        self.epoch = epoch
        self._now = now
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        #: How many were given again.
        self.hits = 0

    @property
    def bytes_kept(self) -> int:
        """What they take."""
        return sum(len(one.before) + len(one.after) + len(one.body) for one in self._kept.values())

    def find(self, query: bytes) -> bytes | None:
        """What this query was answered before, if nothing that it tells has changed."""
        kept = self._kept.get(query)
        if kept is None or kept.epoch != self.epoch():
            return None
        self._kept.move_to_end(query)
        return kept.at(age_of(kept.as_of, self._now()))

    def keep(self, query: bytes, body: bytes, answer: Aged, *, epoch: int) -> None:
        """An answer as it is written, with its age in it; `epoch` is from before anything was read for it."""
        before, name, after = body.rpartition(b'"age":')
        shown = b"%d" % answer.age
        if len(body) <= _LONGEST and name and after.startswith(shown):
            self._kept[query] = _Kept(before + name, after.removeprefix(shown), answer.as_of, epoch)
            self._kept.move_to_end(query)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)


def age_of(as_of: datetime, now: datetime) -> int:
    """How many seconds ago that was."""
    return ceil((now - as_of).total_seconds())


def kept_in(scope: Scope) -> KeptAnswers:
    """Those of the program that answers this request."""
    return cast("KeptAnswers", scope["app"].state.kept_answers)
