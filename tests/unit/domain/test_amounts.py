"""An amount that someone types is read as people mean it, or not at all."""

from time import process_time

import pytest

from app.domain.amounts import read_amount
from app.domain.money import Money


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("1200", "sek", 120000),
        ("12.50", "sek", 1250),
        ("12,5", "sek", 1250),
        (" 20 ", "sek", 2000),
        ("0.01", "eur", 1),
        ("500", "jpy", 500),
        ("1.230", "kwd", 1230),
        ("1500", "isk", 150000),
    ],
)
def test_an_amount_with_a_point_or_a_comma_is_read(text: str, currency: str, amount: int) -> None:
    assert read_amount(text, currency) == Money(amount, currency)


@pytest.mark.parametrize(
    "text",
    ["", "0", "0.00", "-5", "+5", "1e2", "1E5", "1_0", "٣", "１２", "1 200", "1,200.00", "nan", "inf", "0x10", ".5",
     "5.", "1.200", "5\x00", "9" * 13],
)  # fmt: skip
def test_what_could_mean_something_else_or_nothing_is_no_amount(text: str) -> None:
    assert read_amount(text, "sek") is None


@pytest.mark.parametrize(
    ("text", "currency"), [("150.50", "isk"), ("1.001", "kwd"), ("1.235", "kwd"), ("10.5", "jpy"), ("0.50", "ugx")]
)
def test_what_stripe_cannot_move_in_the_currency_is_no_amount(text: str, currency: str) -> None:
    assert read_amount(text, currency) is None


def test_an_exponent_does_not_keep_the_server_busy() -> None:
    began = process_time()
    assert read_amount("1e999997", "sek") is None
    assert process_time() - began < 1
