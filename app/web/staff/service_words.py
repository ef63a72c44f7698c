"""What the pages about services say: why one is not on offer, where a value comes from, what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from app.domain.money import Money
from app.domain.service_version import FieldChange
from app.errors import SchedulerRefused
from app.errors.after_paying import out_of_reach
from app.msgid import N_
from app.operations.services import Fault, Saved, ServiceView, texts_of
from app.scheduling.availability import LeftOut
from app.text import catalogues, formats, languages, zones
from app.web.shared.time_words import moment_words

_NOT_OFFERED: Final[Mapping[LeftOut, str]] = {
    LeftOut.NO_PRICE: N_("It has no price yet."),
    LeftOut.NOT_CHARGEABLE: N_("Stripe cannot charge its price."),
    LeftOut.NO_LENGTH: N_("It has no fixed length."),
    LeftOut.NOT_LISTED: N_("It is not listed in widgets.toml."),
}
_FIELDS: Final[Mapping[str, str]] = {
    "name": N_("Name of the service"),
    "description": N_("Description"),
    "image": N_("Picture"),
    "price": N_("Price"),
    "duration": N_("Length"),
    "before": N_("Free time before"),
    "after": N_("Free time after"),
    "notice": N_("Notice"),
    "person": N_("Offered by"),
    "on": N_("On offer"),
}
_MINUTES: Final = {"duration", "before", "after", "notice"}


def not_offered(why: LeftOut, language: str) -> str:
    """Why visitors do not see a service."""
    return catalogues.translator(language).gettext(_NOT_OFFERED[why])


def worded_faults(faults: Mapping[str, Fault], language: str) -> dict[str, str]:
    """What is wrong with each field."""
    _ = catalogues.translator(language).gettext
    return {name: _(message) % values for name, (message, values) in faults.items()}


def sources(view: ServiceView, language: str) -> dict[str, str]:
    """Where the value of each field is kept; nothing for one that is not set. Texts have one for each language."""
    _ = catalogues.translator(language).gettext
    there, here = _("Kept in %(provider)s.") % {"provider": view.provider}, _("Changed here.")
    file = _("From widgets.toml.")
    edit, setting = view.edit, view.widget.in_file(view.id)
    priced = setting.price is not None
    found = {}
    for name, edited, words in (
        ("name", edit.name, setting.name),
        ("description", edit.description, setting.description),
    ):
        for tag in view.languages:
            written = tag in texts_of(words, view.first)
            found[f"{name}_{tag}"] = here if tag in (edited or {}) else file if written else ""
    if not view.named_in_file:
        found[f"name_{view.first}"] = there
    return found | {
        "image": here if edit.image is not None else file if setting.image else "",
        "price": there
        if view.traits.prices and (view.facts.price is not None or not priced)
        else here
        if edit.price is not None
        else file
        if priced
        else "",
        "times": there,
    }


def file_offers(view: ServiceView, language: str) -> list[dict[str, str]]:
    """What can go back to widgets.toml, and what it says."""
    _ = catalogues.translator(language).gettext
    file, edit = view.widget.in_file(view.id), view.edit
    offers = []
    for name, changed, text in (
        ("name", edit.name, _texts(edit.name, texts_of(file.name, view.first), language)),
        ("description", edit.description, _texts(edit.description, texts_of(file.description, view.first), language)),
        ("image", edit.image, file.image),
        ("price", edit.price, f"{file.price:f}" if file.price is not None else ""),
    ):
        if changed is not None:
            offers.append({"field": f"back_{name}", "label": _(_FIELDS[name]), "text": text or _("nothing")})
    return offers


def _texts(changed: Mapping[str, str] | None, there: Mapping[str, str], language: str) -> str:
    """What the file says in the languages that were changed."""
    nothing = catalogues.translator(language).gettext("nothing")
    names = languages.locale_of(language).languages
    return " · ".join(f"{names.get(tag, tag)}: {there.get(tag) or nothing}" for tag in changed or ())


def saved_words(
    saved: Saved, reported: str, typed: Mapping[str, str], zone: str, now: datetime, language: str
) -> dict[str, Any]:
    """(mark, lines): what became of the form; no lines where nothing was sent."""
    _ = catalogues.translator(language).gettext
    view = saved.view
    provider = {"provider": view.provider}
    kept = _("Nothing was saved. What you typed is still here: check it, and save again.")
    match saved.state:
        case "wrong":
            return {"mark": "problem", "lines": [_("Please check the marked fields."), _("Nothing was saved yet.")]}
        case "overtaken":
            newest = view.history[0] if view.history else None
            if newest and not typed.get("version", "").startswith(f"{newest.version}-"):
                when = moment_words(newest.at, zone, language, zones.local(now, zone).date())
                who = _("%(who)s changed this service after you had opened it: %(when)s.")
                return {"mark": "problem", "lines": [who % {"who": newest.by, "when": when}, kept]}
            there = _("This service was changed in %(provider)s after you had opened it.") % provider
            return {"mark": "problem", "lines": [there, kept]}
        case "down":
            down = _("%(provider)s cannot be reached right now.") % provider
            return {"mark": "problem", "lines": [down, kept]}
        case "refused":
            error = saved.error
            why = _("%(provider)s did not accept everything.") % provider
            told = [" ".join(texts) for texts in error.errors.values()] if isinstance(error, SchedulerRefused) else []
            lines = [why, *(told or ([_(out_of_reach(error))] if error else []))]
            return {
                "mark": "problem",
                "lines": [*lines, _("What is kept here was saved. What you typed is still here: save again.")],
            }
        case _ if reported == "saved":
            return {"mark": "check", "lines": [_("Saved. Visitors see it from now on.")]}
        case _ if reported == "same":
            return {"mark": "info", "lines": [_("There was nothing to change.")]}
        case _:
            return {"mark": "", "lines": []}


def history_lines(view: ServiceView, zone: str, now: datetime, language: str) -> list[dict[str, Any]]:
    """Who changed what, newest first."""
    today = zones.local(now, zone).date()
    return [
        {
            "iso": formats.machine_time(one.at),
            "at": moment_words(one.at, zone, language, today),
            "by": one.by,
            "what": [_change(change, view.widget.currency, language) for change in one.changes],
        }
        for one in view.history
    ]


def _change(change: FieldChange, currency: str, language: str) -> str:
    _ = catalogues.translator(language).gettext
    what, before, after = change
    kind, _space, rest = what.partition(" ")
    label = _(_FIELDS.get(kind, what))
    if kind == "on":
        return _("Switched on") if after else _("Switched off")
    if kind == "person":
        return (_("%(person)s offers it") if after else _("%(person)s no longer offers it")) % {"person": rest}
    if rest:
        label = f"{label} ({languages.locale_of(language).languages.get(rest, rest)})"
    if kind in _MINUTES:
        before, after = (formats.format_duration(timedelta(minutes=int(text)), language) for text in (before, after))
    if kind == "price":
        before, after = (_amount(text, currency, language) for text in (before, after))
    return f"{label}: {before or '–'} → {after or '–'}"


def _amount(text: str, currency: str, language: str) -> str:
    if not text:
        return ""
    try:
        return formats.format_money(Money.from_decimal(Decimal(text), currency), language)
    except ValueError:
        return text
