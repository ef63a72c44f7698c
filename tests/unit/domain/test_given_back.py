"""What was given back outside the terms, and failed refunds that were made good: calculated from the rows alone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.booking import EndReason
from app.domain.money import Money
from app.domain.refund import Refund, RefundStatus, failures, given_back, payable_another_way
from tests.support.examples import NOW, a_booking, a_payment


def a_refund(number: int, amount: int, reason: EndReason, status: str = "succeeded", **changes: Any) -> Refund:
    """The n-th refund of a booking, made in hour n."""
    made = NOW + timedelta(hours=number)
    refund = Refund(
        id=f"rf_{number}",
        booking_id="bk_1",
        payment_id="pay_1",
        amount=Money(amount, "sek"),
        reason=reason,
        status=status,
        stripe_refund_id=None,
        first_tried_at=None,
        tries=0,
        next_try_at=None,
        created_at=made,
        updated_at=made,
        due_at=made,
    )
    return replace(refund, **changes)


PAID = a_booking(payment_id="pay_1")


def test_goodwill_and_refunds_at_stripe_count_as_refunded_before() -> None:
    refunds = [a_refund(1, 20_000, EndReason.GOODWILL), a_refund(2, 10_000, EndReason.AT_STRIPE, "pending")]
    assert given_back(PAID, [a_payment()], refunds) == 30_000


@pytest.mark.parametrize("status", ["failed", "canceled", "withdrawn"])
def test_what_did_not_arrive_was_not_refunded(status: str) -> None:
    assert given_back(PAID, [a_payment()], [a_refund(1, 20_000, EndReason.GOODWILL, status)]) == 0


@pytest.mark.parametrize("reason", [EndReason.CHEAPER, EndReason.PAID_TWICE, EndReason.NOT_MOVED])
def test_a_lower_price_and_a_payment_too_many_take_nothing_off_the_terms(reason: EndReason) -> None:
    assert given_back(PAID, [a_payment()], [a_refund(1, 20_000, reason)]) == 0


def test_a_second_payment_refunded_by_hand_takes_nothing_off_the_terms() -> None:
    payments = [a_payment(), a_payment("pay_2")]
    assert given_back(PAID, payments, [a_refund(1, 120_000, EndReason.AT_STRIPE, payment_id="pay_2")]) == 0


def test_goodwill_out_of_the_payment_of_a_move_counts() -> None:
    payments = [a_payment(), a_payment("pay_2", 55_000, move_id="mv_1")]
    assert given_back(PAID, payments, [a_refund(1, 20_000, EndReason.GOODWILL, payment_id="pay_2")]) == 20_000


def test_a_refund_by_hand_that_replaces_a_failed_one_of_a_cheaper_move_takes_nothing_off_the_terms() -> None:
    refunds = [a_refund(1, 55_000, EndReason.CHEAPER, "failed"), a_refund(2, 60_000, EndReason.GOODWILL)]
    assert given_back(PAID, [a_payment()], refunds) == 5_000


def test_goodwill_that_was_paid_another_way_counts() -> None:
    refunds = [a_refund(1, 20_000, EndReason.GOODWILL, RefundStatus.PAID_ANOTHER_WAY)]
    assert given_back(PAID, [a_payment()], refunds) == 20_000


def test_a_failed_refund_is_made_good_by_what_the_owner_refunds_after_it_failed() -> None:
    failed = a_refund(1, 60_000, EndReason.BY_CUSTOMER, "failed", updated_at=NOW + timedelta(hours=5))
    before = a_refund(2, 10_000, EndReason.GOODWILL)
    after = a_refund(6, 40_000, EndReason.AT_STRIPE)
    rest = a_refund(7, 20_000, EndReason.GOODWILL)
    assert failures([a_payment()], [failed]) == {"rf_1": 60_000}
    assert failures([a_payment()], [failed, before]) == {"rf_1": 60_000}
    assert failures([a_payment()], [failed, before, after]) == {"rf_1": 20_000}
    assert failures([a_payment()], [failed, before, after, rest]) == {"rf_1": 0}


def test_nothing_is_missing_of_a_failed_refund_when_nothing_is_left_of_its_payment() -> None:
    failed, owner = a_refund(1, 60_000, EndReason.GOODWILL, "failed"), a_refund(2, 120_000, EndReason.BY_OWNER)
    assert failures([a_payment()], [failed, owner]) == {"rf_1": 0}


def test_of_a_refund_that_failed_twice_only_the_second_is_missing() -> None:
    refunds = [a_refund(1, 60_000, EndReason.BY_CUSTOMER, "failed"), a_refund(2, 60_000, EndReason.GOODWILL, "failed")]
    assert failures([a_payment()], refunds) == {"rf_1": 0, "rf_2": 60_000}


def test_what_stripe_sends_by_itself_cannot_be_paid_another_way() -> None:
    open_ones = [
        a_refund(1, 10_000, EndReason.GOODWILL, "pending", problem="insufficient_funds"),
        a_refund(2, 20_000, EndReason.GOODWILL, "requested", problem="no answer"),
        a_refund(3, 30_000, EndReason.GOODWILL, "requested"),
    ]
    assert payable_another_way([a_payment()], open_ones) == {"rf_2": 20_000}
