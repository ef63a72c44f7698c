"""The account's balance (Stripe docs, Balances): what was captured, less what went back. No fees, no payouts."""

from sandbox.stripe import refunds
from sandbox.stripe.account import Account, Object

DEFAULT_CURRENCY = "eur"


def show(account: Account) -> Object:
    """All money is available at once; at Stripe it first waits as `pending` for some days."""
    sums: dict[str, int] = {}
    for charge in account.state.charges.values():
        currency = charge["currency"]
        sums[currency] = sums.get(currency, 0) + charge["amount_captured"] - refunds.refunded(account, charge)
    sums = sums or {DEFAULT_CURRENCY: 0}
    return {
        "object": "balance",
        "available": [_part(amount, currency) for currency, amount in sums.items()],
        "livemode": False,
        "pending": [_part(0, currency) for currency in sums],
    }


def _part(amount: int, currency: str) -> Object:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}
