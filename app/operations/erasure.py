"""Removing a customer's details: from our rows, and from the bookings at the scheduler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.errors import SchedulerError, SchedulerNotFound
from app.scheduling.metadata import scheduler_metadata
from app.scheduling.schedulers import Schedulers
from app.store import Store

#: What tells nobody who came: our id, and what the owner's books need.
_KEPT = frozenset({"holdfast_id", "paid_amount", "paid_currency", "payment_intent"})


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was done: bookings without their customer now, those that were left because they are not over, and those
    of which the scheduler still knows the customer, because it gave no answer. `traces`: what was taken out still
    stands in the log next to the database, since another process is reading there. `kept_at` are those schedulers that
    cannot be told to forget, with how many of the bookings each still has."""

    forgotten: int
    left: int
    unreached: int
    traces: bool
    kept_at: Mapping[str, int]


class Erasure:
    """`now` gives aware datetimes."""

    def __init__(self, *, store: Store, schedulers: Schedulers, now: Callable[[], datetime]) -> None:
        self._store = store
        self._schedulers = schedulers
        self._now = now

    async def count(self, *, email: str = "", days: int | None = None) -> tuple[int, int]:
        """How many bookings would be forgotten, and how many more are meant but not over."""
        found, left = await self._store.forgettable(email=email, before=self._before(days))
        return len(found), left

    async def forget(self, *, email: str = "", days: int | None = None) -> Forgotten:
        """Forget the customers of bookings that are over: of one address, or untouched for so many days.

        The scheduler first: what it could not be told of keeps its row, so that the next run finds it again.
        """
        found, left = await self._store.forgettable(email=email, before=self._before(days))
        done = unreached = 0
        kept_at: Counter[str] = Counter()
        for booking in found:
            try:
                scheduler = self._schedulers.of(booking.reservation.scheduler)
                if booking.reservation.reference and not scheduler.traits.keeps_metadata:
                    kept_at[booking.reservation.scheduler] += 1
                elif booking.reservation.reference:
                    payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
                    tags = scheduler_metadata(booking, payment)
                    # Overwritten, not left out: not every scheduler says whether it replaces or merges.
                    await scheduler.forget(
                        booking.reservation.reference,
                        {name: value if name in _KEPT else "forgotten" for name, value in tags.items()},
                    )
            except SchedulerNotFound:
                pass  # deleted there: nothing left to forget
            except SchedulerError:
                unreached += 1
                continue
            done += await self._store.forget(booking.id)
        # Every time, so that a run that was cut off is made good by the next.
        traces = not await self._store.forget_traces()
        return Forgotten(done, left, unreached, traces, kept_at)

    def _before(self, days: int | None) -> datetime | None:
        return None if days is None else self._now() - timedelta(days=days)
