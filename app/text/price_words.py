"""What a booking costs, and what is refunded, where Stripe has no part in some of the money."""

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


def back_by_hand(money: Money, language: str) -> str:
    """That a refund comes, as far as it was paid in person, from the owner's hand."""
    _ = translator(language).gettext
    said = _("We will refund %(amount)s. What you paid on the spot, you get back from us directly.")
    return said % {"amount": format_money(money, language)}
