"""The terms that a customer booked under: what a cancellation refunds, and until when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from app.domain.money import Money, currency_quantum


class Capture(StrEnum):
    """When Stripe takes the money: at payment, or once the booking is final."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Tier:
    """Until `at_least_hours` before the start, `refund_percent` of the price is refunded."""

    at_least_hours: int
    refund_percent: int


@dataclass(frozen=True, slots=True)
class Cap:
    """A part of the price, in smallest units, of which a cancellation never refunds more than `percent`."""

    amount: int
    percent: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Price and cancellation policy, frozen into the booking when it is held.

    `tiers` run from the earliest deadline to the latest; after the last one nothing goes back. The customer may move
    the booking until `move_hours` before it starts, `most_moves` times in all, and take a cancellation back for
    `undo_minutes` (None, in rows older than this field: as long as the widget says today).

    `by_terms` says that a customer's move is no way around the tiers: of a lower price only the share comes back that
    a cancellation at that moment gives, and what was paid before the move keeps that share as its `caps`.
    A move changes `price` and `caps` and nothing else.
    """

    price: Money
    tiers: tuple[Tier, ...] = ()
    move_hours: int = 0
    most_moves: int = 0
    undo_minutes: int | None = None
    by_terms: bool = False
    caps: tuple[Cap, ...] = ()

    @property
    def free(self) -> bool:
        """Whether there is nothing to pay, so that Stripe is not needed."""
        return self.price.amount == 0

    def refund_percent(self, *, at: datetime, starts_at: datetime) -> int:
        """The share of the price that a cancellation at `at` refunds, to the nearest per cent where parts of the
        price are capped."""
        return self._effective(self._tier_percent(at=at, starts_at=starts_at))

    def refund(self, *, at: datetime, starts_at: datetime) -> Money:
        """What a cancellation at `at` refunds."""
        return shared(self._parts(), self._tier_percent(at=at, starts_at=starts_at), self.price.currency)

    def steps(self, starts_at: datetime) -> list[tuple[datetime, int]]:
        """The policy as dated lines: (until when, percent), earliest first."""
        return [
            (starts_at - timedelta(hours=tier.at_least_hours), self._effective(tier.refund_percent))
            for tier in self.tiers
        ]

    def move_refund(self, price: Money, *, at: datetime, starts_at: datetime) -> Money:
        """What a customer's move at `at` from a visit at `starts_at` to a lower `price` refunds."""
        drop = max(0, self.price.amount - price.amount)
        if not self.by_terms:
            return replace(self.price, amount=drop)
        return shared(_first(self._parts(), drop), self._tier_percent(at=at, starts_at=starts_at), self.price.currency)

    def moved(self, price: Money, *, percent: int = 100) -> Terms:
        """The terms after a move to `price`, made when a cancellation refunded `percent` of what was paid so far."""
        drop = max(0, self.price.amount - price.amount)
        kept = _without_first(self._parts(), drop)
        caps = tuple(Cap(cap.amount, min(cap.percent, percent)) for cap in kept)
        return replace(self, price=price, caps=tuple(cap for cap in caps if cap.percent < 100))

    def cap_of_move(self, *, at: datetime, starts_at: datetime) -> int:
        """The share that a customer's move at `at` leaves as the best for what was paid so far."""
        return self._tier_percent(at=at, starts_at=starts_at) if self.by_terms else 100

    def _tier_percent(self, *, at: datetime, starts_at: datetime) -> int:
        left = starts_at - at
        for tier in self.tiers:
            if left >= timedelta(hours=tier.at_least_hours):
                return tier.refund_percent
        return 0

    def _effective(self, percent: int) -> int:
        if not self.caps or not self.price.amount:
            return percent
        return round(100 * shared(self._parts(), percent, self.price.currency).amount / self.price.amount)

    def _parts(self) -> tuple[Cap, ...]:
        """The whole price in parts, the one without a cap first."""
        free = self.price.amount - sum(cap.amount for cap in self.caps)
        return (Cap(free, 100), *self.caps)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return {
            "amount": self.price.amount,
            "currency": self.price.currency,
            "tiers": [[tier.at_least_hours, tier.refund_percent] for tier in self.tiers],
            "move_hours": self.move_hours,
            "most_moves": self.most_moves,
            "undo_minutes": self.undo_minutes,
            "by_terms": self.by_terms,
            "caps": [[cap.amount, cap.percent] for cap in self.caps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Terms:
        """The inverse of `to_json`."""
        return cls(
            price=Money(data["amount"], data["currency"]),
            tiers=tuple(Tier(hours, percent) for hours, percent in data["tiers"]),
            move_hours=data["move_hours"],
            most_moves=data["most_moves"],
            # Bookings held before these existed keep what they were bought under.
            undo_minutes=data.get("undo_minutes"),
            by_terms=data.get("by_terms", False),
            caps=tuple(Cap(amount, percent) for amount, percent in data.get("caps", ())),
        )


def shared(parts: Sequence[Cap], percent: int, currency: str) -> Money:
    """`percent` of all the parts together, each within its own cap, rounded half up once, to what Stripe can move."""
    quantum = currency_quantum(currency)
    hundredths = sum(part.amount // quantum * min(part.percent, percent) for part in parts)
    return Money((hundredths + 50) // 100 * quantum, currency)


def _first(parts: Sequence[Cap], amount: int) -> list[Cap]:
    """The first `amount` of the parts."""
    taken: list[Cap] = []
    for part in parts:
        some = min(part.amount, amount)
        amount -= some
        if some:
            taken.append(Cap(some, part.percent))
    return taken


def _without_first(parts: Sequence[Cap], amount: int) -> list[Cap]:
    """The parts without their first `amount`."""
    kept: list[Cap] = []
    for part in parts:
        some = min(part.amount, amount)
        amount -= some
        if part.amount > some:
            kept.append(Cap(part.amount - some, part.percent))
    return kept
