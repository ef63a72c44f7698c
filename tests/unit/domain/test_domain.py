"""Money and terms: whole smallest units, one rounding, nothing lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.booking import EndReason
from app.domain.mail_addresses import mailbox
from app.domain.money import Money, currency_quantum
from app.domain.payment import Payment, PaymentState
from app.domain.refund import Owed, Refund, RefundStatus, money_left, refund_status
from app.domain.terms import Terms, Tier
from tests.support.examples import a_payment

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
def test_the_refund_falls_at_each_deadline_and_not_a_second_earlier(minutes: int) -> None:
    terms = Terms(Money(12000, "eur"), (Tier(24, 100), Tier(2, 50)))
    at = STARTS - timedelta(minutes=minutes)
    expected = 12000 if minutes >= 24 * 60 else 6000 if minutes >= 2 * 60 else 0
    assert terms.refund(at=at, starts_at=STARTS).amount == expected


AMOUNTS = st.integers(0, 10**6)


@given(owed=AMOUNTS, left=st.lists(st.integers(-(10**4), 10**6), max_size=5))
def test_a_debt_is_drawn_on_the_newest_payment_first_and_never_on_more_than_is_left(owed: int, left: list[int]) -> None:
    payments = [(f"pay_{number}", amount) for number, amount in enumerate(left)]
    debt = Owed("rf", "bk", Money(owed, "eur"), EndReason.BY_CUSTOMER, "1", STARTS, STARTS)
    drawn = debt.draw(payments)
    available = {payment_id: max(0, amount) for payment_id, amount in payments}
    assert sum(refund.amount.amount for refund in drawn) == min(owed, sum(available.values()))
    assert all(0 < refund.amount.amount <= available[refund.payment_id] for refund in drawn)
    # Whatever lies behind a payment that was drawn on in part stays untouched.
    assert all(refund.amount.amount == available[refund.payment_id] for refund in drawn[:-1])
    assert [refund.payment_id for refund in drawn] == [name for name, amount in payments if amount > 0][: len(drawn)]
    assert len({refund.id for refund in drawn}) == len(drawn)


def test_what_is_left_counts_refunds_on_their_way_but_not_those_that_came_to_nothing() -> None:
    payment = a_payment("pay_1", captured=12000)
    refunds = [a_refund(payment, 1000, status) for status in ("requested", "pending", "succeeded")]
    void = [a_refund(payment, 1000, status) for status in ("failed", "canceled", "withdrawn")]
    assert money_left([payment], refunds + void) == 9000


def test_what_is_left_is_nothing_of_what_was_overdrawn_or_lost_in_a_dispute() -> None:
    overdrawn, whole = a_payment("pay_1", captured=500), a_payment("pay_2", captured=700)
    lost = a_payment("pay_3", captured=900, dispute="lost")
    held = a_payment("pay_4", captured=0, state=PaymentState.AUTHORIZED)
    assert money_left([overdrawn, whole, lost, held], [a_refund(overdrawn, 600, "requested")]) == 700


def test_a_word_of_stripes_that_we_do_not_know_is_kept_and_counts_as_refunded() -> None:
    assert refund_status("requires_action") is RefundStatus.REQUIRES_ACTION
    assert refund_status("reversed") == "reversed"
    payment = a_payment("pay_1", captured=1200)
    assert money_left([payment], [a_refund(payment, 500, refund_status("reversed"))]) == 700


def a_refund(payment: Payment, amount: int, status: str) -> Refund:
    """A refund on the payment."""
    debt = Owed("rf", "bk_1", Money(amount, "sek"), EndReason.GOODWILL, status, STARTS, STARTS)
    [refund] = debt.draw([(payment.id, amount)])
    return replace(refund, status=status)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("Ada@Customer.Example", "ada@customer.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@MÜLLER.example", "ada@XN--MLLER-KVA.example"),
        ("jürgen@customer.example", "Ju\u0308rgen@customer.example"),
    ],
)
def test_one_mailbox_is_known_in_whichever_way_it_is_written(one: str, same: str) -> None:
    assert mailbox(one) == mailbox(same)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("ada@straße.example", "ada@strasse.example"),
        ("ada@σίγμας.example", "ada@σίγμασ.example"),
        ("weiß@customer.example", "weiss@customer.example"),
        ("ada@müller.example", "ada@muller.example"),
    ],
)
def test_two_mailboxes_are_never_taken_for_one(one: str, another: str) -> None:
    assert mailbox(one) != mailbox(another)


@pytest.mark.parametrize(
    "typed", ["", "Ada", "ada@", "ada@-", "ada@ü..x", "ada@xn--", "ada@" + "ü" * 100_000, "\udc80@ü"]
)
def test_what_is_no_address_at_all_is_compared_as_it_is(typed: str) -> None:
    assert mailbox(typed) == typed.lower()


def test_terms_survive_being_stored() -> None:
    terms = Terms(Money(12000, "eur"), (Tier(24, 100), Tier(2, 50)), move_hours=24, most_moves=3)
    assert Terms.from_json(terms.to_json()) == terms
    assert terms.steps(STARTS) == [(STARTS - timedelta(hours=24), 100), (STARTS - timedelta(hours=2), 50)]
