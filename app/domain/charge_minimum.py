"""The least that Stripe charges in each currency: a price below it can be shown, held and never paid.

Source: Stripe docs, "Supported currencies", minimum and maximum charge amounts. The figures are those of the
settlement currency. Stripe converts a charge in another currency, so the bound there moves with the exchange rate;
a currency that the page does not list is left to Stripe's own answer.
"""

from __future__ import annotations

from app.domain.money import Money

#: In the currency's smallest unit as Stripe counts it.
_LEAST = {
    "aed": 200,
    "aud": 50,
    "bgn": 100,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
    "usd": 50,
}
#: Stripe takes at most eight digits in most currencies.
_MOST = 99_999_999


def least_charge(currency: str) -> int:
    """The least amount in smallest units that Stripe charges in `currency`; 1 where Stripe names none."""
    return _LEAST.get(currency, 1)


def chargeable(money: Money) -> bool:
    """Whether Stripe would take the amount: nothing at all, or between its least and its most."""
    return money.amount == 0 or least_charge(money.currency) <= money.amount <= _MOST
