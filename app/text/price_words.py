"""What a booking costs where a part of it, or all, is paid when the customer comes."""

from __future__ import annotations

from app.domain.money import Money
from app.text.catalogues import translator
from app.text.formats import format_money


def to_pay_at_visit(price: Money, rest: int, language: str) -> str:
    """The price, of which `rest`, in smallest units, is to be paid at the visit."""
    _ = translator(language).gettext
    whole, part = _("%(price)s, to be paid at the visit"), _("%(price)s, %(rest)s of it to be paid at the visit")
    amounts = {"price": format_money(price, language), "rest": format_money(Money(rest, price.currency), language)}
    return (whole if rest == price.amount else part) % amounts
