"""Stripe's rules for amounts: smallest units, minimums, the odd currencies (Stripe docs, Supported currencies)."""

from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, list_currencies

from sandbox.stripe.errors import StripeError

ZERO_DECIMAL = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"} | {"pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
# Sent with two decimals for old times' sake, but without real cents.
WHOLE_UNITS_AS_CENTS = frozenset({"isk", "ugx"})

# The currencies Stripe publishes a minimum for, in smallest units; others convert to about 0.50 USD.
MINIMUMS = {
    "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
MAXIMUM = 99_999_999
_KNOWN = frozenset(code.lower() for code in list_currencies())


def check_currency(currency: str, param: str) -> str:
    """Stripe forgives upper case; a client that sends it would not find its own amounts again."""
    if currency not in _KNOWN:
        raise StripeError(
            f"Invalid currency: {currency}. Stripe takes three-letter ISO codes, in lower case here.",
            param=param,
        )
    return currency


def check_unit_amount(amount: int, currency: str, param: str) -> int:
    if amount < 0:
        raise StripeError("Invalid non-negative integer", code="parameter_invalid_integer", param=param)
    if amount > MAXIMUM:
        raise StripeError(
            f"Amount must be no more than {describe(MAXIMUM, currency)}", code="amount_too_large", param=param
        )
    if currency in THREE_DECIMAL and amount % 10:
        raise StripeError(f"Invalid amount: in {currency} the last digit must be 0", param=param)
    if currency in WHOLE_UNITS_AS_CENTS and amount % 100:
        raise StripeError(f"Invalid amount: {currency} has no cents, send whole units times 100", param=param)
    return amount


def check_total(amount: int, currency: str) -> None:
    """0 is a no-cost order and allowed."""
    if amount > MAXIMUM:
        raise StripeError(
            f"The Checkout Session's total amount must be no more than {describe(MAXIMUM, currency)}.",
            code="amount_too_large",
        )
    if 0 < amount < MINIMUMS.get(currency, 1):
        raise StripeError(
            f"The Checkout Session's total amount must be at least {describe(MINIMUMS[currency], currency)}.",
            code="amount_too_small",
        )


def describe(amount: int, currency: str, locale: str | None = None) -> str:
    """The amount for people: `€45.00`, or as that locale writes it."""
    digits = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    value = Decimal(amount).scaleb(-digits)
    try:
        reader = Locale.parse((locale or "en").replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        reader = Locale("en")
    return format_currency(value, currency.upper(), locale=reader)
