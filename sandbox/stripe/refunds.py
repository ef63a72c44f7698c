"""Refunds: never more than is left; some wait, some fail later (Stripe docs, Refunds)."""

from datetime import timedelta

from sandbox.stripe import metadata, money, payments
from sandbox.stripe.account import Account, Object
from sandbox.stripe.errors import StripeError, missing, not_acted_out
from sandbox.stripe.events import emit

PARAMS = frozenset({"amount", "charge", "expand", "metadata", "payment_intent", "reason"})
# Statuses from which nothing moves any more. A succeeded card refund can still fail within 30 days.
FINAL = frozenset({"failed", "canceled"})
# Disputes whose charge cannot be refunded; an inquiry does not stop a refund, nor does a dispute that was won.
# Stripe's documentation does not spell it out; its shop plug-in does (github.com/Automattic/woocommerce-payments#7960).
CHARGED_BACK = frozenset({"needs_response", "under_review", "lost"})


def create(account: Account, params: Object) -> Object:
    """Raises StripeError (400): nothing captured, disputed, already refunded, more than is left."""
    for key in params.keys() - PARAMS:
        raise not_acted_out(key)
    if ("payment_intent" in params) == ("charge" in params):
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing" if "charge" not in params else None,
        )
    if params.get("amount", 1) < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    own_metadata = metadata.merged({}, params.get("metadata"))
    charge = _charge_to_refund(account, params)
    left = charge["amount_captured"] - refunded(account, charge)
    if left == 0:
        raise StripeError(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded", executed=True
        )
    amount = params.get("amount", left)
    if amount > left:
        raise StripeError(
            f"Refund amount ({money.describe(amount, charge['currency'])}) is greater than unrefunded amount on "
            f"charge ({money.describe(left, charge['currency'])})",
            param="amount",
            executed=True,
        )
    if account.switches.refund_mode == "refused":
        # Without a code, as Stripe answers it (github.com/Automattic/woocommerce-payments#10025).
        raise StripeError("Insufficient funds in your Stripe balance to refund this amount.", executed=True)
    refund: Object = {
        "id": account.new_id("re_3"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": account.new_id("txn_3"),
        "charge": charge["id"],
        "created": account.seconds(),
        "currency": charge["currency"],
        "destination_details": {"type": "card", "card": {"type": "refund", "reference_status": "pending"}},
        "metadata": own_metadata,
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    mode = account.switches.refund_mode
    if mode in ("pending", "insufficient_funds"):
        reason = "processing" if mode == "pending" else "insufficient_funds"
        refund.update(status="pending", pending_reason=reason, balance_transaction=None)
    if mode in ("pending", "fail_later"):
        due = account.now() + timedelta(seconds=account.switches.refund_settle_seconds)
        account.state.refunds_due[refund["id"]] = (due, "succeeded" if mode == "pending" else "failed")
    account.state.refunds[refund["id"]] = refund
    _mirror(account, charge)
    emit(account, "refund.created", refund)
    emit(account, "charge.refunded", charge)
    return refund


def find(account: Account, ident: str) -> Object:
    try:
        return account.state.refunds[ident]
    except KeyError:
        raise missing("refund", ident, param="refund") from None


def update(account: Account, ident: str, params: Object) -> Object:
    """Changes the metadata, which is all that can be changed by a call."""
    refund = find(account, ident)
    before = refund["metadata"]
    refund["metadata"] = metadata.merged(before, params.get("metadata"))
    if refund["metadata"] != before:
        emit(account, "refund.updated", refund, {"metadata": before})
    return refund


def settle(account: Account, ident: str, status: str, *, why: str = "expired_or_canceled_card") -> Object:
    """A refund comes to another status later: by the bank, the balance or the Dashboard.

    A failed or cancelled one gives its amount back to what can be refunded. `why` is the reason of a failure.
    """
    refund = find(account, ident)
    account.state.refunds_due.pop(ident, None)
    if status not in ("pending", "requires_action", "succeeded", "failed", "canceled"):
        raise StripeError(f"No such refund status: {status}")
    before = refund["status"]
    if before in FINAL or before == status:
        raise StripeError(f"This refund is {before} already.")
    refund["status"] = status
    refund.pop("pending_reason", None)
    if status == "pending":
        refund["pending_reason"] = "processing"
    if status == "failed":
        refund.update(failure_reason=why, failure_balance_transaction=account.new_id("txn_3"))
    _mirror(account, account.state.charges[refund["charge"]])
    # Deprecated, and still sent (Stripe docs, Refunds).
    emit(account, "charge.refund.updated", refund, {"status": before})
    emit(account, "refund.updated", refund, {"status": before})
    if status == "failed":
        emit(account, "refund.failed", refund)
    return refund


def refunded(account: Account, charge: Object) -> int:
    """What has left or is leaving, in smallest units."""
    return sum(
        refund["amount"]
        for refund in account.state.refunds.values()
        if refund["charge"] == charge["id"] and refund["status"] not in FINAL
    )


def _charged_back(account: Account, charge: Object) -> bool:
    disputes = account.state.disputes.values()
    return any(one["charge"] == charge["id"] and one["status"] in CHARGED_BACK for one in disputes)


def _mirror(account: Account, charge: Object) -> None:
    uncaptured = charge["amount"] - charge["amount_captured"]
    charge["amount_refunded"] = uncaptured + refunded(account, charge)
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]


def _charge_to_refund(account: Account, params: Object) -> Object:
    if "charge" in params:
        try:
            charge = account.state.charges[params["charge"]]
        except KeyError:
            raise missing("charge", params["charge"], param="charge") from None
        intent = payments.find(account, charge["payment_intent"])
    else:
        intent = payments.find(account, params["payment_intent"], param="payment_intent")
    if intent["status"] != "succeeded":
        # A held amount is freed by cancelling the PaymentIntent, not refunded.
        raise StripeError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            param="payment_intent",
            executed=True,
        )
    charge = account.state.charges[intent["latest_charge"]]
    if _charged_back(account, charge):
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
            executed=True,
        )
    return charge
