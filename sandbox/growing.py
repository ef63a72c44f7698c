"""Looks at tables that only grow, at a cost that does not grow with them."""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

_DAY = timedelta(days=1)


class Unended(Generic[R]):
    """The rows that have not come to their end, in their order. What has ended stays so."""

    def __init__(self, rows: Collection[R], ended: Callable[[R], bool]) -> None:
        self._rows = rows
        self._ended = ended
        self._seen = 0
        self._left: list[R] = []

    def look(self) -> list[R]:
        """Those that there are now."""
        if len(self._rows) < self._seen:  # cleared
            self.forget()
        if len(self._rows) > self._seen:
            self._left += islice(self._rows, self._seen, None)
            self._seen = len(self._rows)
        self._left = [row for row in self._left if not self._ended(row)]
        return list(self._left)

    def forget(self) -> None:
        """The table was cleared, or is about to be."""
        self._seen, self._left = 0, []


class Grouped(Generic[K, R]):
    """The rows of a table by something that never changes about a key."""

    def __init__(self, table: Mapping[str, R], group: Callable[[R], K]) -> None:
        self._table = table
        self._group = group
        self.forget()

    def forget(self) -> None:
        """The table was cleared, or is about to be."""
        self._seen = 0
        self._keys: defaultdict[K, list[tuple[int, str]]] = defaultdict(list)

    def of(self, *groups: K) -> list[R]:
        """The rows of these groups as they are now, in the table's order."""
        if len(self._table) < self._seen:  # something was taken away
            self.forget()
        if len(self._table) > self._seen:
            for place, (key, row) in enumerate(islice(self._table.items(), self._seen, None), self._seen):
                self._keys[self._group(row)].append((place, key))
            self._seen = len(self._table)
        found = [one for group in groups for one in self._keys.get(group, ())]
        return [self._table[key] for _, key in sorted(found)]


class ByDay(Generic[R]):
    """The rows of a table by when they start, which never changes about a key."""

    def __init__(self, table: Mapping[str, R], starts_at: Callable[[R], datetime]) -> None:
        self._days: Grouped[int, R] = Grouped(table, lambda row: starts_at(row).toordinal())
        self._table = table

    def forget(self) -> None:
        """The table was cleared, or is about to be."""
        self._days.forget()

    def around(self, low: datetime, high: datetime) -> list[R]:
        """The rows that start from two days before `low` until two days after `high`, in the table's order: whatever
        lasts no longer than a day and meets that time is among them."""
        first, last = (low - 2 * _DAY).toordinal(), (high + 2 * _DAY).toordinal()
        if last - first > len(self._table):
            return list(self._table.values())
        return self._days.of(*range(first, last + 1))
