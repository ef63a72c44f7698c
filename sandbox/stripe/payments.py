"""PaymentIntents and charges: what the buyer's card does, capture, cancel, holds that lapse."""

from dataclasses import dataclass
from typing import Literal

from sandbox.stripe import metadata, money
from sandbox.stripe.account import Account, Object
from sandbox.stripe.errors import StripeError, missing, not_acted_out
from sandbox.stripe.events import emit
from sandbox.stripe.sessions import DELAYED_METHODS

Card = Literal["ok", "decline", "3ds", "delayed"]

# Visa, Mastercard, Amex and Discover, paid by the customer online (Stripe docs, Place a hold).
HOLD_SECONDS = 7 * 24 * 60 * 60

CAPTURE_PARAMS = frozenset({"amount_to_capture", "expand", "final_capture", "metadata"})


@dataclass(frozen=True)
class Buyer:
    email: str
    name: str | None
    phone: str | None = None


def find(account: Account, ident: str, *, param: str = "intent") -> Object:
    try:
        return account.state.payment_intents[ident]
    except KeyError:
        raise missing("payment_intent", ident, param=param) from None


def find_charge(account: Account, ident: str) -> Object:
    try:
        return account.state.charges[ident]
    except KeyError:
        raise missing("charge", ident, param="charge") from None


def confirm(account: Account, session: Object, card: Card, buyer: Buyer) -> None:
    """The buyer presses the button on an open Session. Afterwards the Session is complete, or still open
    with its PaymentIntent in `requires_payment_method` (declined) or `requires_action` (3-D Secure)."""
    if session["amount_total"] == 0:
        _complete(account, session, buyer, "no_payment_required")
        return
    intent = account.state.payment_intents.get(session["payment_intent"] or "") or _create(account, session)
    intent["next_action"] = None
    match card:
        case "decline":
            _decline(account, intent, buyer, "card_declined", "Your card was declined.", "generic_decline")
        case "3ds":
            url = f"{account.public_url}/c/pay/{session['id']}/3ds"
            intent.update(
                status="requires_action",
                last_payment_error=None,
                next_action={
                    "type": "redirect_to_url",
                    "redirect_to_url": {"url": url, "return_url": session["url"]},
                },
            )
            emit(account, "payment_intent.requires_action", intent)
        case "delayed":
            method = DELAYED_METHODS[session["currency"]]
            charge = _charge(account, intent, buyer, method, status="pending", paid=False)
            intent.update(status="processing", latest_charge=charge["id"], last_payment_error=None)
            intent.update(payment_method=charge["payment_method"])
            emit(account, "charge.pending", charge)
            emit(account, "payment_intent.processing", intent)
            _complete(account, session, buyer, "unpaid")
        case "ok":
            _authorise(account, session, intent, buyer)


def authenticate(account: Account, session: Object, buyer: Buyer, *, passed: bool) -> None:
    """The buyer's bank answers the 3-D Secure question."""
    intent = find(account, session["payment_intent"])
    if intent["status"] != "requires_action":
        raise StripeError("This payment does not wait for authentication.")
    intent["next_action"] = None
    if passed:
        _authorise(account, session, intent, buyer)
    else:
        _decline(
            account,
            intent,
            buyer,
            "payment_intent_authentication_failure",
            "We are unable to authenticate your payment method. Please choose a different payment method "
            "and try again.",
            "authentication_required",
        )


def settle_delayed(account: Account, ident: str, *, succeeded: bool) -> None:
    """The bank debit of a complete Session comes in, or does not."""
    intent = find(account, ident)
    if intent["status"] != "processing":
        raise StripeError(f"This PaymentIntent is not processing but {intent['status']}.")
    session = session_of(account, intent)
    charge = account.state.charges[intent["latest_charge"]]
    if succeeded:
        charge.update(status="succeeded", paid=True, amount_captured=charge["amount"])
        charge.update(captured=True, balance_transaction=account.new_id("txn_3"))
        intent.update(status="succeeded", amount_received=intent["amount"])
        session["payment_status"] = "paid"
        emit(account, "charge.succeeded", charge)
        emit(account, "payment_intent.succeeded", intent)
        emit(account, "checkout.session.async_payment_succeeded", session)
        return
    message = "The customer's bank account could not be debited."
    charge.update(status="failed", failure_code="debit_not_authorized", failure_message=message)
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        last_payment_error={"type": "invalid_request_error", "code": "debit_not_authorized", "message": message},
    )
    emit(account, "charge.failed", charge)
    emit(account, "payment_intent.payment_failed", intent)
    emit(account, "checkout.session.async_payment_failed", session)


def capture(account: Account, ident: str, params: Object) -> Object:
    """Once, at most what is held; a smaller capture frees the rest (Stripe docs, Place a hold)."""
    for key in params.keys() - CAPTURE_PARAMS:
        raise not_acted_out(key)
    intent = find(account, ident)
    _demand(intent, {"requires_capture"}, "captured")
    capturable: int = intent["amount_capturable"]
    amount: int = params.get("amount_to_capture", capturable)
    if amount < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount_to_capture")
    if amount > capturable:
        raise StripeError(
            f"The amount to capture ({money.describe(amount, intent['currency'])}) is greater than the capturable "
            f"amount ({money.describe(intent['amount_capturable'], intent['currency'])}).",
            code="amount_too_large",
            param="amount_to_capture",
            executed=True,
        )
    if not params.get("final_capture", True):
        raise not_acted_out("final_capture=false")
    intent["metadata"] = metadata.merged(intent["metadata"], params.get("metadata"))
    charge = account.state.charges[intent["latest_charge"]]
    charge.update(amount_captured=amount, captured=True, balance_transaction=account.new_id("txn_3"))
    # What was authorised and not captured is shown as refunded on the charge (Stripe docs, Place a hold).
    charge["amount_refunded"] = charge["amount"] - amount
    intent.update(status="succeeded", amount_capturable=0, amount_received=amount)
    session_of(account, intent)["payment_status"] = "paid"
    emit(account, "charge.captured", charge)
    emit(account, "payment_intent.succeeded", intent)
    return intent


def cancel(account: Account, ident: str, params: Object) -> Object:
    """Frees a held amount. Other PaymentIntents of a Session end by expiring the Session."""
    intent = find(account, ident)
    _demand(intent, {"requires_capture"}, "canceled")
    void(account, intent, params.get("cancellation_reason"))
    return intent


def void(account: Account, intent: Object, reason: str | None) -> None:
    charge = account.state.charges[intent["latest_charge"]]
    charge.update(refunded=True, amount_refunded=charge["amount"])
    intent.update(status="canceled", amount_capturable=0, canceled_at=account.seconds(), cancellation_reason=reason)
    emit(account, "payment_intent.canceled", intent)


def hold_ends_at(account: Account, intent: Object) -> int:
    """`capture_before` of the held charge, in Unix seconds."""
    charge = account.state.charges[intent["latest_charge"]]
    return int(charge["payment_method_details"]["card"]["capture_before"])


def session_of(account: Account, intent: Object) -> Object:
    return next(one for one in reversed(account.state.sessions.values()) if one["payment_intent"] == intent["id"])


def _demand(intent: Object, statuses: set[str], done: str) -> None:
    if intent["status"] not in statuses:
        raise StripeError(
            f"This PaymentIntent could not be {done} because it has a status of {intent['status']}. Only a "
            f"PaymentIntent with one of the following statuses may be {done}: {', '.join(sorted(statuses))}.",
            code="payment_intent_unexpected_state",
            param="intent",
            executed=True,
        )


def _create(account: Account, session: Object) -> Object:
    """At confirmation, not at the Session's creation (Stripe API changelog, 2022-08-01)."""
    terms = account.state.terms[session["id"]]
    ident = account.new_id("pi_3")
    intent: Object = {
        "id": ident,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": terms.capture_method,
        "client_secret": f"{ident}_secret_{account.new_id('', 25)}",
        "confirmation_method": "automatic",
        "created": account.seconds(),
        "currency": session["currency"],
        "customer": None,
        "customer_account": None,
        "description": terms.intent_data.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": dict(terms.intent_data["metadata"]),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": session["payment_method_types"],
        "processing": None,
        "receipt_email": terms.intent_data.get("receipt_email"),
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": terms.intent_data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    account.state.payment_intents[ident] = intent
    session["payment_intent"] = ident
    emit(account, "payment_intent.created", intent)
    return intent


def _authorise(account: Account, session: Object, intent: Object, buyer: Buyer) -> None:
    charge = _charge(account, intent, buyer, "card", status="succeeded", paid=True)
    intent.update(latest_charge=charge["id"], payment_method=charge["payment_method"], last_payment_error=None)
    if intent["capture_method"] == "manual":
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        emit(account, "charge.succeeded", charge)
        emit(account, "payment_intent.amount_capturable_updated", intent)
        _complete(account, session, buyer, "unpaid")
        return
    charge.update(captured=True, amount_captured=charge["amount"])
    intent.update(status="succeeded", amount_received=intent["amount"])
    emit(account, "charge.succeeded", charge)
    emit(account, "payment_intent.succeeded", intent)
    _complete(account, session, buyer, "paid")
    # Captured asynchronously: the entry in the balance comes a moment later (Stripe docs, Asynchronous capture).
    charge["balance_transaction"] = account.new_id("txn_3")
    emit(account, "charge.updated", charge, {"balance_transaction": None})


def _decline(account: Account, intent: Object, buyer: Buyer, code: str, message: str, decline_code: str) -> None:
    """The Session stays open and the buyer may try again: no end, only an event for the logs."""
    charge = _charge(account, intent, buyer, "card", status="failed", paid=False)
    charge.update(failure_code=code, failure_message=message)
    intent.update(
        status="requires_payment_method",
        latest_charge=charge["id"],
        last_payment_error={
            "type": "card_error",
            "code": code,
            "decline_code": decline_code,
            "message": message,
            "charge": charge["id"],
        },
    )
    emit(account, "charge.failed", charge)
    emit(account, "payment_intent.payment_failed", intent)


def _complete(account: Account, session: Object, buyer: Buyer, payment_status: str) -> None:
    session.update(
        status="complete",
        url=None,
        payment_status=payment_status,
        customer_details={
            "address": {"country": "SE", **dict.fromkeys(("city", "line1", "line2", "postal_code", "state"))},
            "business_name": None,
            "email": buyer.email,
            "individual_name": None,
            "name": buyer.name,
            "phone": buyer.phone,
            "tax_exempt": "none",
            "tax_ids": [],
        },
    )
    emit(account, "checkout.session.completed", session)


def _charge(account: Account, intent: Object, buyer: Buyer, method: str, *, status: str, paid: bool) -> Object:
    ident = account.new_id("ch_3")
    details: Object = {"type": method}
    if method == "card":
        held = intent["capture_method"] == "manual" and status == "succeeded"
        details["card"] = {
            "brand": "visa",
            "capture_before": account.seconds() + HOLD_SECONDS if held else None,
            "country": "US",
            "exp_month": 12,
            "exp_year": account.now().year + 3,
            "funding": "credit",
            "last4": "4242" if paid else "0002",
            "network": "visa",
        }
    charge: Object = {
        "id": ident,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": buyer.email, "name": buyer.name, "phone": buyer.phone},
        "calculated_statement_descriptor": "SANDBOX",
        "captured": False,
        "created": account.seconds(),
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": None,
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": account.new_id("pm_1"),
        "payment_method_details": details,
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": f"{account.public_url}/receipts/{ident}" if paid else None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
    }
    account.state.charges[ident] = charge
    return charge
