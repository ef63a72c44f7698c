"""Disputes: the buyer's bank asks, or takes the money back, and decides in the end (Stripe docs, Disputes)."""

from sandbox.stripe import payments, refunds
from sandbox.stripe.account import Account, Object
from sandbox.stripe.errors import StripeError, missing
from sandbox.stripe.events import emit

RESPONSE_SECONDS = 14 * 24 * 60 * 60
#: What a closed dispute was before, and what it may have become.
OUTCOMES = {"needs_response": ("won", "lost"), "warning_needs_response": ("warning_closed",)}


def find(account: Account, ident: str) -> Object:
    try:
        return account.state.disputes[ident]
    except KeyError:
        raise missing("dispute", ident, param="dispute") from None


def open_(account: Account, intent_id: str, reason: str = "product_not_received", *, inquiry: bool = False) -> Object:
    """The buyer's bank takes the money back for now, and a refund still on its way fails; an inquiry only asks."""
    intent = payments.find(account, intent_id)
    if intent["status"] != "succeeded":
        raise StripeError(f"Only a captured payment can be disputed, this one is {intent['status']}.")
    charge = account.state.charges[intent["latest_charge"]]
    if charge["disputed"]:
        raise StripeError(f"Charge {charge['id']} is disputed already.")
    charge["disputed"] = True
    if not inquiry:
        for refund in list(account.state.refunds.values()):
            if refund["charge"] == charge["id"] and refund["status"] == "pending":
                refunds.settle(account, refund["id"], "failed", why="charge_for_pending_refund_disputed")
    dispute: Object = {
        "id": account.new_id("du_1"),
        "object": "dispute",
        "amount": charge["amount"] - charge["amount_refunded"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": account.seconds(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": account.seconds() + RESPONSE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "network_reason_code": None,
        "payment_intent": intent["id"],
        "payment_method_details": None,
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    account.state.disputes[dispute["id"]] = dispute
    emit(account, "charge.dispute.created", dispute)
    return dispute


def close(account: Account, ident: str, outcome: str) -> Object:
    """The bank has decided. What is won can be refunded again, what is lost is gone (`refunds.CHARGED_BACK`)."""
    dispute = find(account, ident)
    before = dispute["status"]
    if before not in OUTCOMES:
        raise StripeError(f"This dispute is closed already: {before}.")
    if outcome not in OUTCOMES[before]:
        raise StripeError(f"A dispute that is {before} ends as one of: {', '.join(OUTCOMES[before])}.")
    dispute["status"] = outcome
    dispute["is_charge_refundable"] = outcome not in refunds.CHARGED_BACK
    emit(account, "charge.dispute.closed", dispute)
    return dispute
