"""Money in smallest units, and how many of them each currency has. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

# Stripe docs, "Supported currencies": units per major unit, and the odd ones that Stripe sends with
# two decimals although people count whole units.
_ZERO_DECIMAL = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)


_THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


_WHOLE_UNITS_ONLY = frozenset({"isk", "ugx"})


def currency_exponent(currency: str) -> int:
    """How many decimals Stripe's smallest unit of `currency` (lower case ISO code) stands for."""
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def currency_quantum(currency: str) -> int:
    """The step, in smallest units, that an amount must be a multiple of for Stripe to take it."""
    if currency in _THREE_DECIMAL:
        return 10
    return 100 if currency in _WHOLE_UNITS_ONLY else 1


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency's smallest unit (`amount`), with its lower-case ISO code."""

    amount: int
    currency: str

    @classmethod
    def from_decimal(cls, value: Decimal, currency: str) -> Money:
        """The amount for a decimal price such as "149.000".

        Raises ValueError if Stripe cannot charge it exactly.
        """
        scaled = value.scaleb(currency_exponent(currency))
        amount = int(scaled)
        if amount != scaled or amount % currency_quantum(currency):
            raise ValueError(f"{value} {currency} is not a whole number of chargeable units")
        return cls(amount, currency)

    def to_decimal(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.amount).scaleb(-currency_exponent(self.currency))

    def share(self, percent: int) -> Money:
        """`percent` of the amount, rounded half up once, to what Stripe can move in this currency."""
        quantum = currency_quantum(self.currency)
        units = self.amount // quantum
        return Money((units * percent + 50) // 100 * quantum, self.currency)

    def __bool__(self) -> bool:
        return self.amount != 0
