"""The form of a service: what it shows, and reading what was typed. Whatever was typed, the answer names every field
that needs correcting, and nothing raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from app.booking.customer_form import clean
from app.domain import urls
from app.domain.amounts import read_number
from app.domain.charge_minimum import chargeable, least_charge
from app.domain.money import Money
from app.msgid import N_
from app.operations.services.view import ServiceView
from app.widgets import MOST_LETTERS, MOST_LETTERS_LONG

#: A msgid about a field, and the values in it.
Fault = tuple[str, Mapping[str, str | int]]

#: Fields that can go back to what widgets.toml says.
FILE_FIELDS: Final = ("name", "description", "image", "price")
_LONGEST_ADDRESS: Final = 500
_DAY: Final = 24 * 60
_YEAR_HOURS: Final = 365 * 24

_NO_NAME = N_("Please give the service a name.")
_TOO_LONG = N_("This is too long: at most %(most)s characters.")
_NO_PRICE = N_("Please write a price such as 65.00. 0 is free of charge.")
_NEGATIVE = N_("A price cannot be below 0.")
_DECIMALS = N_("This currency has no such fraction. Please write a price such as %(example)s.")
_LEAST = N_("Stripe charges %(least)s or more. 0 is free of charge.")
_MOST = N_("This is more than Stripe charges at once.")
_LENGTH = N_("Please write a length in whole minutes, from 1 to %(most)s.")
_MINUTES = N_("Please write whole minutes, from 0 to %(most)s.")
_HOURS = N_("Please write hours such as 24 or 1.5, at most %(most)s.")
_ADDRESS = N_("Please write an address that begins with https://, or leave this empty.")
_NOBODY = N_("Please choose at least one. To stop offering the service, switch it off in the list.")


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, read. `back` are the fields that go back to what widgets.toml says."""

    names: Mapping[str, str]
    descriptions: Mapping[str, str]
    image: str
    price: Decimal | None
    duration: timedelta
    before: timedelta
    after: timedelta
    notice: timedelta
    people: frozenset[str]
    back: frozenset[str]


def form_values(view: ServiceView) -> dict[str, str]:
    """What the form shows of a service as it stands."""
    facts = view.facts
    values = {
        "image": view.image,
        "price": f"{_in_units(view.price, view.widget.currency):f}" if view.price is not None else "",
        "duration": str(facts.duration // timedelta(minutes=1)),
        "before": str(facts.before // timedelta(minutes=1)),
        "after": str(facts.after // timedelta(minutes=1)),
        "notice": _in_hours(facts.notice // timedelta(minutes=1)),
    }
    for language in view.languages:
        values[f"name_{language}"] = view.names.get(language, "")
        values[f"description_{language}"] = view.descriptions.get(language, "")
    return values | {f"person_{id_}": "1" for id_ in facts.people}


def read_form(view: ServiceView, form: Mapping[str, str]) -> tuple[Typed, dict[str, Fault]]:
    """What was typed, and what is wrong with it by field. What cannot be changed from here is as it stands."""
    faults: dict[str, Fault] = {}
    facts = view.facts
    back = frozenset(field for field in FILE_FIELDS if form.get(f"back_{field}"))
    names = {tag: _text(form, f"name_{tag}", MOST_LETTERS, faults) for tag in view.languages}
    told = {tag: _text(form, f"description_{tag}", MOST_LETTERS_LONG, faults, lines=True) for tag in view.languages}
    if not names[view.first] and f"name_{view.first}" not in faults and "name" not in back:
        faults[f"name_{view.first}"] = (_NO_NAME, {})
    if not view.keeps_times and not view.named_in_file:
        names[view.first] = facts.name
    image = view.image if "image" in back else _image(form.get("image", ""), view, faults)
    price = view.price if "price" in back else _price(form.get("price", ""), view.widget.currency, faults)
    duration, before, after, notice = facts.duration, facts.before, facts.after, facts.notice
    if view.keeps_times:
        duration = _minutes(form, "duration", 1, _LENGTH, faults)
        before, after = (_minutes(form, name, 0, _MINUTES, faults) for name in ("before", "after"))
        notice = _hours(form.get("notice", ""), faults)
    people = facts.people
    if view.keeps_people:
        people = frozenset(one.id for one in facts.everyone if form.get(f"person_{one.id}"))
        if not people and facts.people:
            faults["people"] = (_NOBODY, {})
    typed = Typed(
        names={tag: text for tag, text in names.items() if text},
        descriptions={tag: text for tag, text in told.items() if text},
        image=image,
        price=price,
        duration=duration,
        before=before,
        after=after,
        notice=notice,
        people=people,
        back=back,
    )
    return typed, faults


def _text(form: Mapping[str, str], name: str, most: int, faults: dict[str, Fault], *, lines: bool = False) -> str:
    text = clean(form.get(name, ""), most=most + 1, lines=lines)
    if len(text) > most:
        faults[name] = (_TOO_LONG, {"most": most})
    return text


def _image(typed: str, view: ServiceView, faults: dict[str, Fault]) -> str:
    text = typed.strip()
    if text in {"", view.image}:
        return text
    parts = urls.split(text)
    if len(text) > _LONGEST_ADDRESS:
        faults["image"] = (_TOO_LONG, {"most": _LONGEST_ADDRESS})
    elif parts is None or parts.scheme != "https" or not parts.hostname or re.search(r"[\s\"'<>\\]", text):
        faults["image"] = (_ADDRESS, {})
    return text


def _price(typed: str, currency: str, faults: dict[str, Fault]) -> Decimal | None:
    """An amount with a point or a comma before its fraction. One with marks between thousands is refused, since in half
    of the world those are the others."""
    text = re.sub(r"\s", "", typed)
    if re.fullmatch(r"[-−][0-9][0-9.,]*", text):
        faults["price"] = (_NEGATIVE, {})
        return None
    value = read_number(text, decimals=3)
    if value is None:
        faults["price"] = (_NO_PRICE, {})
        return None
    try:
        money = Money.from_decimal(value, currency)
    except ValueError:
        example = Money(6500, currency).to_decimal()
        faults["price"] = (_DECIMALS, {"example": str(example)})
        return None
    if not chargeable(money):
        least = Money(least_charge(currency), currency)
        if money.amount < least.amount:
            faults["price"] = (_LEAST, {"least": f"{least.to_decimal()} {currency.upper()}"})
        else:
            faults["price"] = (_MOST, {})
        return None
    return value


def _minutes(form: Mapping[str, str], name: str, least: int, fault: str, faults: dict[str, Fault]) -> timedelta:
    text = form.get(name, "").strip()
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= _DAY:
        faults[name] = (fault, {"most": _DAY})
        return timedelta()
    return timedelta(minutes=int(text))


def _hours(typed: str, faults: dict[str, Fault]) -> timedelta:
    hours = read_number(typed, decimals=4)
    if hours is None or hours > _YEAR_HOURS:
        faults["notice"] = (_HOURS, {"most": _YEAR_HOURS})
        return timedelta()
    return timedelta(minutes=round(hours * 60))


def _in_units(price: Decimal, currency: str) -> Decimal:
    """With as many decimals as the currency has."""
    try:
        return Money.from_decimal(price, currency).to_decimal()
    except ValueError:
        return price


def _in_hours(minutes: int) -> str:
    """Such as "24" or "1.5"; four decimals tell every minute from the next."""
    return f"{Decimal(minutes) / 60:.4f}".rstrip("0").rstrip(".")
