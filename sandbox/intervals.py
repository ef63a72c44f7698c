"""Half-open intervals of instants, for the sandboxes that compute free time."""

from collections.abc import Iterable, Sequence
from datetime import datetime

Interval = tuple[datetime, datetime]


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the union, sorted; touching intervals become one, empty ones vanish."""
    merged: list[Interval] = []
    for start, end in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def without(spans: Sequence[Interval], holes: Sequence[Interval]) -> list[Interval]:
    """Return `spans` minus `holes`; both sorted and disjoint."""
    left: list[Interval] = []
    for start, end in spans:
        for hole_start, hole_end in holes:
            if hole_end <= start or hole_start >= end:
                continue
            if hole_start > start:
                left.append((start, hole_start))
            start = hole_end
            if start >= end:
                break
        if start < end:
            left.append((start, end))
    return left


def clip(spans: Iterable[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Return the parts of the spans that lie within `start`..`end`."""
    return [(max(s, start), min(e, end)) for s, e in spans if s < end and e > start]


def inside(spans: Iterable[Interval], start: datetime, end: datetime) -> bool:
    """Tell whether one span holds all of `start`..`end`."""
    return any(s <= start and end <= e for s, e in spans)
