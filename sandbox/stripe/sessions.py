"""Checkout Sessions: create with all of Stripe's rules, update, expire (Stripe docs, Checkout Session)."""

from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from sandbox.stripe import metadata, money
from sandbox.stripe.account import Account, Object, Terms
from sandbox.stripe.errors import StripeError, missing, not_acted_out
from sandbox.stripe.events import emit

SHORTEST_LIFE, LONGEST_LIFE = 30 * 60, 24 * 60 * 60
MAX_LINES = 100

# What this sandbox acts on or at least shows; other valid parameters would change the outcome unseen.
ACTED_OUT = frozenset(
    {
        "adaptive_pricing", "allow_promotion_codes", "allowed_payment_method_types", "automatic_tax",
        "billing_address_collection", "cancel_url", "client_reference_id", "currency", "custom_text",
        "customer_creation", "customer_email", "excluded_payment_method_types", "expand", "expires_at",
        "integration_identifier", "line_items", "locale", "metadata", "mode", "origin_context",
        "payment_intent_data", "payment_method_collection", "payment_method_options", "phone_number_collection",
        "submit_type", "success_url", "ui_mode",
    }
)  # fmt: skip
INTENT_DATA = frozenset({"capture_method", "description", "metadata", "receipt_email", "statement_descriptor_suffix"})
LINE_ITEM = frozenset({"metadata", "price_data", "quantity"})

# The bank debit that a buyer could choose, by currency: paid days later, or not at all.
DELAYED_METHODS = {"eur": "sepa_debit", "usd": "us_bank_account", "gbp": "bacs_debit"}


def create(account: Account, params: Object) -> Object:
    """The open Session. Raises StripeError (400) before anything is made."""
    _check_parameters(account, params)
    lines, currency = _line_items(account, params.get("line_items", []), params.get("currency"))
    total = sum(line["amount_total"] for line in lines)
    money.check_total(total, currency)
    intent_data = dict(params.get("payment_intent_data", {}))
    intent_data["metadata"] = metadata.merged({}, intent_data.get("metadata"), "payment_intent_data[metadata]")
    capture_method = _capture_method(params, intent_data)
    methods = _payment_methods(params, currency, capture_method)
    own_metadata = metadata.merged({}, params.get("metadata"))

    now = account.seconds()
    ident = account.new_id("cs_test_a1", 58)
    session: Object = {
        "id": ident,
        "object": "checkout.session",
        "adaptive_pricing": params.get("adaptive_pricing", {"enabled": False}),
        "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "allowed_payment_method_types": params.get("allowed_payment_method_types"),
        "amount_subtotal": sum(line["amount_subtotal"] for line in lines),
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": now,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
            **params.get("custom_text", {}),
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": params.get("customer_creation", "if_required"),
        "customer_details": _prefilled(params.get("customer_email")),
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "excluded_payment_method_types": params.get("excluded_payment_method_types"),
        "expires_at": params.get("expires_at", now + LONGEST_LIFE),
        "integration_identifier": params.get("integration_identifier"),
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": own_metadata,
        "mode": "payment",
        "origin_context": params.get("origin_context"),
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": params.get("payment_method_collection", "always"),
        "payment_method_configuration_details": None,
        "payment_method_options": _shown_options(params),
        "payment_method_types": methods,
        "payment_status": "unpaid" if total else "no_payment_required",
        "permissions": None,
        "phone_number_collection": params.get("phone_number_collection", {"enabled": False}),
        "presentment_details": None,
        "recovered_from": None,
        "redirect_on_completion": None,
        "return_url": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{account.public_url}/c/pay/{ident}",
        "wallet_options": None,
    }
    account.state.sessions[ident] = session
    about = tuple(item["price_data"]["product_data"].get("description", "") for item in params["line_items"])
    account.state.terms[ident] = Terms(lines, intent_data, capture_method, about)
    return session


def find(account: Account, ident: str, *, param: str = "session") -> Object:
    try:
        return account.state.sessions[ident]
    except KeyError:
        raise missing("checkout.session", ident, param=param) from None


def update(account: Account, ident: str, params: Object) -> Object:
    for key in params.keys() - {"metadata", "expand"}:
        raise not_acted_out(key)
    session = find(account, ident)
    session["metadata"] = metadata.merged(session["metadata"], params.get("metadata"))
    return session


def expire(account: Account, ident: str) -> Object:
    """Raises StripeError (400, without a code) unless the Session is open."""
    session = find(account, ident)
    if session["status"] != "open":
        raise StripeError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
            f"status of `{session['status']}`.",
            param="session",
            executed=True,
        )
    close(account, session)
    return session


def close(account: Account, session: Object) -> None:
    """Open → expired, with the event; by call or by clock. A half-made payment ends with it."""
    session["status"] = "expired"
    session["url"] = None
    intent = account.state.payment_intents.get(session["payment_intent"] or "")
    if intent is not None and intent["status"] != "canceled":
        intent.update(status="canceled", canceled_at=account.seconds(), cancellation_reason="expired", next_action=None)
        emit(account, "payment_intent.canceled", intent)
    emit(account, "checkout.session.expired", session)


def _check_parameters(account: Account, params: Object) -> None:
    for key in ("mode", "line_items", "success_url"):
        if not params.get(key):
            raise StripeError(f"Missing required param: {key}.", code="parameter_missing", param=key)
    for key in params.keys() - ACTED_OUT:
        raise not_acted_out(key)
    if params["mode"] != "payment":
        raise not_acted_out(f"mode={params['mode']}")
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise not_acted_out(f"ui_mode={params['ui_mode']}")
    for key in params.get("payment_intent_data", {}).keys() - INTENT_DATA:
        raise not_acted_out(f"payment_intent_data[{key}]")
    for key in ("automatic_tax", "adaptive_pricing"):
        if params.get(key, {}).get("enabled"):
            raise not_acted_out(f"{key}[enabled]=true")
    for key in ("success_url", "cancel_url"):
        if key in params:
            _check_url(params[key], key)
    if "customer_email" in params:
        _check_email(params["customer_email"], "customer_email")
    if "expires_at" in params:
        life = params["expires_at"] - account.seconds()
        if life < SHORTEST_LIFE:
            raise StripeError(
                "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
                param="expires_at",
            )
        if life > LONGEST_LIFE:
            raise StripeError(
                "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
                param="expires_at",
            )


def _check_url(url: str, param: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in url):
        raise StripeError("Not a valid URL", code="url_invalid", param=param)
    if len(url) > 5000:
        raise StripeError("Invalid URL: must be at most 5000 characters", code="url_invalid", param=param)


def _check_email(email: str, param: str) -> None:
    try:
        validate_email(email, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise StripeError(f"Invalid email address: {email}", code="email_invalid", param=param) from error


def _line_items(account: Account, given: list[Object], currency: str | None) -> tuple[list[Object], str]:
    """The priced lines and their one currency."""
    if len(given) > MAX_LINES:
        raise StripeError(f"There can be at most {MAX_LINES} line items.", param="line_items")
    lines = []
    for place, item in enumerate(given):
        path = f"line_items[{place}]"
        if "price" in item:
            # No catalogue here: every product of ours is told in price_data.
            raise missing("price", item["price"], param=f"{path}[price]", status=400)
        for key in item.keys() - LINE_ITEM:
            raise not_acted_out(f"{path}[{key}]")
        if "price_data" not in item:
            raise StripeError("You must specify either `price` or `price_data`.", code="parameter_missing", param=path)
        if item.get("quantity", 0) < 1:
            raise StripeError(
                "Quantity is required and must be at least 1.",
                code="parameter_invalid_integer" if "quantity" in item else "parameter_missing",
                param=f"{path}[quantity]",
            )
        line = _priced(account, item, f"{path}[price_data]")
        currency = currency or line["currency"]
        if line["currency"] != currency:
            raise StripeError("All line items must have the same currency.", param=f"{path}[price_data][currency]")
        lines.append(line)
    assert currency is not None  # noqa: S101 - line_items was seen not to be empty
    return lines, currency


def _priced(account: Account, item: Object, path: str) -> Object:
    data = item["price_data"]
    currency = money.check_currency(data["currency"], f"{path}[currency]")
    if "recurring" in data:
        raise StripeError("You specified `payment` mode but passed a recurring price.", param=f"{path}[recurring]")
    if "product" in data:
        raise missing("product", data["product"], param=f"{path}[product]", status=400)
    if "product_data" not in data:
        raise StripeError(
            "You must specify either `product` or `product_data`.",
            code="parameter_missing",
            param=f"{path}[product_data]",
        )
    if ("unit_amount" in data) == ("unit_amount_decimal" in data):
        raise StripeError(
            "You must specify exactly one of `unit_amount` and `unit_amount_decimal`.",
            param=f"{path}[unit_amount]",
        )
    exact: Decimal = data.get("unit_amount_decimal", Decimal(data.get("unit_amount", 0)))
    exponent = exact.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -12:
        raise StripeError("Invalid decimal: at most 12 decimal places", param=f"{path}[unit_amount_decimal]")
    unit_amount = int(exact.to_integral_value(ROUND_HALF_UP))
    money.check_unit_amount(unit_amount, currency, f"{path}[unit_amount]")
    amount = int((exact * item["quantity"]).to_integral_value(ROUND_HALF_UP))
    product = data["product_data"]
    return {
        "id": account.new_id("li_"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": currency,
        "description": product["name"],
        "metadata": metadata.merged({}, item.get("metadata"), "line_items[metadata]"),
        "price": {
            "id": account.new_id("price_"),
            "object": "price",
            "active": False,
            "billing_scheme": "per_unit",
            "created": account.seconds(),
            "currency": currency,
            "livemode": False,
            "metadata": {},
            "product": account.new_id("prod_", 14),
            "recurring": None,
            "tax_behavior": data.get("tax_behavior", "unspecified"),
            "type": "one_time",
            "unit_amount": unit_amount if exact == unit_amount else None,
            "unit_amount_decimal": format(exact.normalize(), "f"),
        },
        "quantity": item["quantity"],
    }


def _capture_method(params: Object, intent_data: Object) -> str:
    """For the whole Session, or for cards alone, which are what can be held here."""
    options = params.get("payment_method_options", {})
    for method, values in options.items():
        for key in values.keys() - {"capture_method"}:
            raise not_acted_out(f"payment_method_options[{method}][{key}]")
        if method != "card":
            raise not_acted_out(f"payment_method_options[{method}]")
    of_card: str | None = options.get("card", {}).get("capture_method")
    return of_card or str(intent_data.get("capture_method", "automatic_async"))


def _shown_options(params: Object) -> Object:
    options = params.get("payment_method_options", {})
    return {"card": {"request_three_d_secure": "automatic", **options.get("card", {})}}


def _payment_methods(params: Object, currency: str, capture_method: str) -> list[str]:
    """What the buyer may choose: the account's methods, less what the Session and its capture forbid."""
    delayed = DELAYED_METHODS.get(currency)
    # No bank debit can be held for a later capture (Stripe docs, Place a hold).
    enabled = ["card", "link"] + ([delayed] if delayed and capture_method != "manual" else [])
    allowed = params.get("allowed_payment_method_types", enabled)
    excluded = params.get("excluded_payment_method_types", [])
    methods = [method for method in enabled if method in allowed and method not in excluded]
    if not methods:
        raise StripeError(
            "No valid payment method types for this Checkout Session. Please ensure that you have activated "
            "payment methods compatible with your chosen currency and capture method.",
            param="allowed_payment_method_types",
        )
    return methods


def _prefilled(email: str | None) -> Object | None:
    if email is None:
        return None
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }
