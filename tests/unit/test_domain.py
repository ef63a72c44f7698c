"""Money and terms: whole smallest units, one rounding, nothing lost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import Money, Terms, Tier, currency_quantum

STARTS = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CURRENCIES = st.sampled_from(["eur", "sek", "jpy", "bhd", "isk"])


@pytest.mark.parametrize(
    ("price", "currency", "amount"),
    [
        ("149.000", "eur", 14900),
        ("0.500", "usd", 50),
        ("1200.000", "jpy", 1200),
        ("1.230", "bhd", 1230),
        ("500.000", "isk", 50000),
    ],
)
def test_a_price_of_hapios_becomes_the_amount_stripe_charges(price: str, currency: str, amount: int) -> None:
    money = Money.from_decimal(Decimal(price), currency)
    assert money.amount == amount
    assert money.to_decimal() == Decimal(price)


@pytest.mark.parametrize(
    ("price", "currency"), [("1.005", "eur"), ("10.500", "jpy"), ("1.234", "bhd"), ("10.500", "isk")]
)
def test_a_price_that_stripe_cannot_charge_is_refused(price: str, currency: str) -> None:
    with pytest.raises(ValueError, match="chargeable"):
        Money.from_decimal(Decimal(price), currency)


@given(units=st.integers(0, 10**6), percent=st.integers(0, 100), currency=CURRENCIES)
@settings(deadline=None)
def test_a_share_is_chargeable_fair_to_half_a_unit_and_never_more_than_the_whole(
    units: int, percent: int, currency: str
) -> None:
    quantum = currency_quantum(currency)
    whole = Money(units * quantum, currency)
    part = whole.share(percent)
    assert part.amount % quantum == 0
    assert 0 <= part.amount <= whole.amount
    assert abs(part.amount * 100 - whole.amount * percent) <= 50 * quantum


@given(minutes=st.integers(-60, 60 * 100))
@settings(deadline=None)
def test_the_refund_falls_at_each_deadline_and_not_a_second_earlier(minutes: int) -> None:
    terms = Terms(Money(12000, "eur"), (Tier(24, 100), Tier(2, 50)))
    at = STARTS - timedelta(minutes=minutes)
    expected = 12000 if minutes >= 24 * 60 else 6000 if minutes >= 2 * 60 else 0
    assert terms.refund(at=at, starts_at=STARTS).amount == expected


def test_terms_survive_being_stored() -> None:
    terms = Terms(Money(12000, "eur"), (Tier(24, 100), Tier(2, 50)))
    assert Terms.from_json(terms.to_json()) == terms
    assert terms.steps(STARTS) == [(STARTS - timedelta(hours=24), 100), (STARTS - timedelta(hours=2), 50)]
