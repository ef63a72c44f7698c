"""Stripe's objects as typed facts: Sessions with their PaymentIntents, captures, refunds, disputes.

Facts about Stripe are from its documentation and from the source of stripe-python 16.1.0. A reader here takes the shape
of an answer for granted; who calls it must expect `UNREADABLE`.
The facts' own types are held to, so that nothing of another shape gets any further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, get_type_hints

import stripe
from pydantic import BaseModel, ConfigDict, create_model

from app.domain.payment import Payment, PaymentState
from app.domain.terms import Capture

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CheckoutFacts:
    """One Checkout Session with its PaymentIntent, as Stripe tells it.

    Amounts are in the currency's smallest unit. `received` was captured, and `refunded` of it has gone back, by
    whatever hand; `capturable` is held. `charged_at` is when the customer paid; None before that. `recovered` says that
    Stripe made the Session from an expired one, so that it sells a time which nobody holds.
    """

    id: str
    state: PaymentState
    url: str | None
    payment_intent_id: str | None
    booking_id: str | None
    payment_id: str | None
    amount_total: int
    currency: str
    livemode: bool
    received: int
    capturable: int
    refunded: int
    charged_at: datetime | None
    expires_at: datetime
    created: datetime
    recovered: bool
    attempt: int = 0
    move_id: str | None = None
    capture: Capture = Capture.AUTOMATIC
    #: Where Stripe's page leads to, after paying and without: they tell which server made the Session.
    leads_to: tuple[str, ...] = ()

    @property
    def is_tagged(self) -> bool:
        """Whether it carries everything that Holdfast writes on each of its Sessions. Accounts are shared with other
        software, which may use some of these names, too."""
        named = (self.booking_id or "").startswith("bk_") and (self.payment_id or "").startswith("pay_")
        return named and self.attempt > 0

    def pays(self, payment: Payment, *, livemode: bool) -> bool:
        """Whether this is the money that the attempt to pay asked for: all of it, and nothing else."""
        return (
            self.booking_id == payment.booking_id
            and self.payment_id == payment.id
            and not self.recovered
            and self.livemode == livemode
            and self.currency == payment.price.currency
            and self.amount_total == payment.price.amount
            and max(self.received, self.capturable) == payment.price.amount
        )

    def paid_before(self, starts_at: datetime, payment: Payment, *, now: datetime) -> bool:
        """Whether the customer paid before a visit's start. For a delayed payment method, what counts is when the money
        arrives."""
        if now < starts_at:
            return True
        promised = payment.state is PaymentState.PROCESSING
        return not promised and self.charged_at is not None and self.charged_at < starts_at


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """The status of a PaymentIntent, and how much of it we have received."""

    state: PaymentState
    received: int


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """One refund. `status` is Stripe's word: pending, requires_action, succeeded, failed or cancelled. `refund_row` is
    the row of ours that it pays; None where it was made in the dashboard, or by other software."""

    id: str
    status: str
    amount: int
    currency: str
    payment_intent_id: str | None
    refund_row: str | None
    failure_reason: str | None
    created: datetime
    pending_reason: str | None = None


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """One dispute. `status` is Stripe's word: needs_response, under_review, won, lost, or one that begins with
    warning_ where the bank only asks. `answer_by` is when the bank decides without the owner's answer; None where none
    is wanted any more."""

    id: str
    status: str
    amount: int
    currency: str
    payment_intent_id: str | None
    answer_by: datetime | None


class Listed(list[_T]):
    """A part of one of Stripe's lists, newest first. `down_to` is when the last of it was made, where older ones are
    left to read; None where the list was read to its end."""

    down_to: datetime | None = None


def some_of(listed: Listed[Any], kept: Sequence[_T]) -> Listed[_T]:
    """Some of what was listed; how far the list was read stays the same."""
    some = Listed(kept)
    some.down_to = listed.down_to
    return some


#: A PaymentIntent's status in our words. A voucher that waits to be paid is `requires_action` under a complete
#: Session; every status that is not here means that no money is on its way.
_INTENT_STATES = {
    "succeeded": PaymentState.CAPTURED,
    "requires_capture": PaymentState.AUTHORIZED,
    "processing": PaymentState.PROCESSING,
    "requires_action": PaymentState.PROCESSING,
    "canceled": PaymentState.VOIDED,
}


def _session_state(session: Mapping[str, Any], intent: Mapping[str, Any]) -> PaymentState:
    if session["status"] != "complete":
        return {"open": PaymentState.OPEN, "expired": PaymentState.EXPIRED}[session["status"]]
    if session["payment_status"] in {"paid", "no_payment_required"}:
        return PaymentState.CAPTURED
    return _INTENT_STATES.get(intent.get("status", ""), PaymentState.FAILED)


def checkout_facts(answer: stripe.StripeObject) -> CheckoutFacts:
    session = answer.to_dict()
    expanded = session["payment_intent"]
    intent = expanded if isinstance(expanded, dict) else {"id": expanded}
    metadata = session["metadata"] or {}
    latest = intent.get("latest_charge")
    charge = latest if isinstance(latest, dict) else {}
    return _held(
        CheckoutFacts(
            id=session["id"],
            state=_session_state(session, intent),
            url=session["url"],
            payment_intent_id=intent["id"],
            booking_id=metadata.get("booking_id"),
            payment_id=metadata.get("payment_id"),
            amount_total=session["amount_total"] or 0,
            currency=session["currency"] or "",
            livemode=session["livemode"],
            received=intent.get("amount_received", 0),
            capturable=intent.get("amount_capturable", 0),
            refunded=charge.get("amount_refunded", 0),
            charged_at=datetime.fromtimestamp(charge["created"], UTC) if charge else None,
            expires_at=datetime.fromtimestamp(session["expires_at"], UTC),
            created=datetime.fromtimestamp(session["created"], UTC),
            recovered=bool(session.get("recovered_from")),
            attempt=_attempt(metadata.get("attempt", "")),
            move_id=metadata.get("move_id"),
            capture=Capture.MANUAL if intent.get("capture_method") == "manual" else Capture.AUTOMATIC,
            leads_to=tuple(url for url in (session.get("success_url"), session.get("cancel_url")) if url),
        )
    )


def _attempt(told: str) -> int:
    return int(told) if re.fullmatch(r"[1-9][0-9]{0,5}", told) else 0


def missing_session(session_id: str, *, livemode: bool, at: datetime) -> CheckoutFacts:
    return CheckoutFacts(
        id=session_id,
        state=PaymentState.EXPIRED,
        url=None,
        payment_intent_id=None,
        booking_id=None,
        payment_id=None,
        amount_total=0,
        currency="",
        livemode=livemode,
        received=0,
        capturable=0,
        refunded=0,
        charged_at=None,
        expires_at=at,
        created=at,
        recovered=False,
    )


def receipt_url_of(answer: stripe.StripeObject) -> str | None:
    charge = answer.to_dict()["latest_charge"]
    return charge["receipt_url"] if isinstance(charge, dict) else None


def capture_facts(answer: stripe.StripeObject) -> CaptureFacts:
    intent = answer.to_dict()
    return _held(
        CaptureFacts(
            state=_INTENT_STATES.get(intent["status"], PaymentState.FAILED), received=intent["amount_received"]
        )
    )


def refund_facts(answer: stripe.StripeObject) -> RefundFacts:
    refund = answer.to_dict()
    return _held(
        RefundFacts(
            id=refund["id"],
            status=refund["status"],
            amount=refund["amount"],
            currency=refund["currency"],
            payment_intent_id=refund["payment_intent"],
            refund_row=(refund["metadata"] or {}).get("refund_id"),
            failure_reason=refund.get("failure_reason"),
            created=datetime.fromtimestamp(refund["created"], UTC),
            pending_reason=refund.get("pending_reason"),
        )
    )


def dispute_facts(answer: stripe.StripeObject) -> DisputeFacts:
    dispute = answer.to_dict()
    due_by = dispute["evidence_details"].get("due_by")
    return _held(
        DisputeFacts(
            id=dispute["id"],
            status=dispute["status"],
            amount=dispute["amount"],
            currency=dispute["currency"],
            payment_intent_id=dispute["payment_intent"],
            answer_by=datetime.fromtimestamp(due_by, UTC) if due_by else None,
        )
    )


_Facts = TypeVar("_Facts", CheckoutFacts, CaptureFacts, RefundFacts, DisputeFacts)


def _held(facts: _Facts) -> _Facts:
    """The facts, if each has its own type."""
    told = {field.name: getattr(facts, field.name) for field in fields(facts)}
    _CHECKERS[type(facts)].model_validate(told)
    for value in told.values():
        # JSON may escape half a character, which SQLite takes no more than PostgreSQL takes a zero.
        if isinstance(value, str) and "\0" in value.encode().decode():
            raise ValueError("no text that is kept anywhere")
    return facts


def _checker(kind: type) -> type[BaseModel]:
    types: dict[str, Any] = {name: (hint, ...) for name, hint in get_type_hints(kind).items()}
    return create_model(kind.__name__, __config__=ConfigDict(strict=True), **types)


_CHECKERS: Final[Mapping[type, type[BaseModel]]] = {
    kind: _checker(kind) for kind in (CheckoutFacts, CaptureFacts, RefundFacts, DisputeFacts)
}
