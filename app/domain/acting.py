"""Who of the people who work there acts, for the history: said once at the door, written wherever a line is.

A context variable and no argument of each act: what an act leads to, such as a refund, is written several calls further
down, and none of those decides anything by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_who: ContextVar[str] = ContextVar("who_acts", default="")


@contextmanager
def acting(who: str) -> Iterator[None]:
    """Within, whatever is done is this person's doing."""
    token = _who.set(who)
    try:
        yield
    finally:
        _who.reset(token)


def who_acts() -> str:
    """The person; empty for customers, programs and the worker."""
    return _who.get()
