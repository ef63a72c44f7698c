"""Reading an amount of money that someone typed. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from app.domain.money import Money, currency_exponent

#: More than anyone pays for a visit, in any currency.
_LONGEST_WHOLE: Final = 12


def read_number(text: str, *, decimals: int) -> Decimal | None:
    """A number with at most so many decimals, with a point or a comma before them. None for anything else.

    Only the digits 0 to 9. "1.200" is one euro twenty to some and 1,200 to others, "1e5" and "1_0" are numbers to
    programs alone, and an exponent could stand for a number that takes minutes to write out.
    """
    form = rf"[0-9]{{1,{_LONGEST_WHOLE}}}" + (rf"([.,][0-9]{{1,{decimals}}})?" if decimals else "")
    return Decimal(text.strip().replace(",", ".")) if re.fullmatch(form, text.strip()) else None


def read_amount(text: str, currency: str) -> Money | None:
    """The amount in major units, with a point or a comma before the decimals ("1200", "12.50", "12,5"). None for
    anything else, for 0, and for what Stripe cannot move in this currency: it has no more decimals than the
    currency."""
    number = read_number(text, decimals=currency_exponent(currency))
    if number is None:
        return None
    try:
        amount = Money.from_decimal(number, currency)
    except ValueError:
        return None
    return amount if amount.amount > 0 else None
