"""Languages, dates and money in words.

Texts come from gettext catalogues (`app/text/locale/*.po`, English is the msgid), formats from CLDR through Babel,
clocks from the IANA database. A language is a tag: "sv", or "en-US" where the territory decides the format
while the texts come from "en". Pure functions; the cheap ones are cached, because Babel is slow.
"""

from __future__ import annotations

import copy
import gettext
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import (
    DateTimePattern,
    format_interval,
    format_skeleton,
    format_timedelta,
    parse_pattern,
)
from babel.lists import format_list as join_list
from babel.localedata import locale_identifiers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberPattern, get_currency_precision
from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from app.domain.money import Money, currency_quantum

DEFAULT_LANGUAGE: Final = "en"

#: Where the catalogues lie, one a language.
CATALOGUES: Final = Path(__file__).with_name("locale")

Style = Literal["full", "medium"]


def N_(message: str) -> str:  # noqa: N802 - the name that gettext tools know for "extract, but translate later"
    """Mark a text for translation where it is written; it is translated where it is shown."""
    return message


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the product speaks."""

    tag: str
    english_name: str
    native_name: str
    direction: Literal["ltr", "rtl"]


def _language(tag: str) -> Language:
    locale = Locale(tag)
    direction: Literal["ltr", "rtl"] = "rtl" if locale.text_direction == "rtl" else "ltr"
    return Language(tag, locale.english_name or tag, locale.get_language_name() or tag, direction)


#: By tag, English first: every language with a catalogue (English needs none).
LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {tag: _language(tag) for tag in (DEFAULT_LANGUAGE, *sorted(po.stem for po in CATALOGUES.glob("*.po")))}
)


class Translator:
    """Texts of one language; a text without a translation stays English."""

    def __init__(self, language: Language, catalogue: gettext.NullTranslations) -> None:
        self.language = language
        self._catalogue = catalogue

    def gettext(self, message: str) -> str:
        """The translation of an English text."""
        return self._catalogue.gettext(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """The translation in the plural form for `number`; the number is not filled in."""
        return self._catalogue.ngettext(singular, plural, number)

    def pgettext(self, context: str, message: str) -> str:
        """The translation of a text that means different things in different contexts."""
        return self._catalogue.pgettext(context, message)

    def npgettext(self, context: str, singular: str, plural: str, number: int) -> str:
        """Plural form and context together."""
        return self._catalogue.npgettext(context, singular, plural, number)


@cache
def _translator(tag: str) -> Translator:
    if tag == DEFAULT_LANGUAGE:
        return Translator(LANGUAGES[tag], gettext.NullTranslations())
    with (CATALOGUES / f"{tag}.po").open("rb") as po:
        catalogue = read_po(po, locale=tag)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translator(LANGUAGES[tag], gettext.GNUTranslations(compiled))


def base_language(language: str) -> str:
    """The catalogue's tag for a tag: "en-US" → "en"; English for what we do not speak."""
    base = language.replace("_", "-").partition("-")[0].lower()
    return base if base in LANGUAGES else DEFAULT_LANGUAGE


def translator(language: str) -> Translator:
    """The texts for a language tag; English for what we do not speak."""
    return _translator(base_language(language))


def direction(language: str) -> Literal["ltr", "rtl"]:
    """The writing direction, for the `dir` attribute."""
    return LANGUAGES[base_language(language)].direction


def _context_translator(context: Context) -> Translator:
    return translator(str(context.get("language", DEFAULT_LANGUAGE)))


@pass_context
def _context_gettext(context: Context, message: str) -> str:
    return _context_translator(context).gettext(message)


@pass_context
def _context_ngettext(context: Context, singular: str, plural: str, number: int) -> str:
    return _context_translator(context).ngettext(singular, plural, number)


@pass_context
def _context_pgettext(context: Context, message_context: str, message: str) -> str:
    return _context_translator(context).pgettext(message_context, message)


@pass_context
def _context_npgettext(context: Context, message_context: str, singular: str, plural: str, number: int) -> str:
    return _context_translator(context).npgettext(message_context, singular, plural, number)


def install(environment: Environment) -> None:
    """Give templates `_`, `gettext`, `ngettext`, `pgettext` and `{% trans %}` in the context's `language`.

    Placeholders are `%(name)s`, given as arguments; a literal per cent sign in `_("…")` is written `%%`.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    # The extension adds this method when it is loaded, so that the type checker cannot know it.
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        _context_gettext,
        _context_ngettext,
        newstyle=True,
        pgettext=_context_pgettext,
        npgettext=_context_npgettext,
    )


# Choosing a language

#: Browsers send a handful; the bound keeps a hostile header from costing time.
_MAX_HEADER: Final = 500
#: No tag of a language and its territory is longer (RFC 5646, section 4.4.1). What is longer is in no cache, either.
_LONGEST_TAG: Final = 35
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@cache
def _known_locales() -> frozenset[str]:
    return frozenset(locale_identifiers())


def _canonical(tag: str) -> str | None:
    """ "EN_us" → "en-US"; an unknown territory is dropped; None for what is no tag."""
    return _canonical_tag(tag) if len(tag) <= _LONGEST_TAG and _TAG.fullmatch(tag) else None


@lru_cache(maxsize=1024)
def _canonical_tag(tag: str) -> str:
    base, *rest = tag.replace("_", "-").split("-")
    base = base.lower()
    for part in rest:
        if f"{base}_{part.upper()}" in _known_locales():
            return f"{base}-{part.upper()}"
    return base


def _accepted(accept_language: str) -> list[str]:
    """The tags of an Accept-Language header, best first; what cannot be read is passed over."""
    weighed: list[tuple[float, str]] = []
    for entry in accept_language[:_MAX_HEADER].split(","):
        tag, _, parameter = entry.partition(";")
        quality = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", parameter) if parameter else None
        weight = float(quality[1]) if quality else 0.0 if parameter else 1.0
        canonical = _canonical(tag.strip())
        if canonical and weight > 0:
            weighed.append((weight, canonical))
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]


@lru_cache(maxsize=1024)
def _negotiate(requested: str | None, accept_language: str, offered: tuple[str, ...]) -> str:
    spoken = [tag for tag in map(_canonical, offered) if tag and tag.partition("-")[0] in LANGUAGES]
    if not spoken:
        spoken = [DEFAULT_LANGUAGE]
    accepted = _accepted(accept_language)
    asked = _canonical(requested) if requested else None
    wanted = [asked, *accepted] if asked else accepted
    for tag in wanted:
        if tag in spoken:
            match = tag
            break
        base = tag.partition("-")[0]
        match = next((offer for offer in spoken if offer.partition("-")[0] == base), "")
        if match == base:
            match = tag
        if match:
            break
    else:
        match = spoken[0]
    if "-" not in match:
        return next((tag for tag in accepted if tag.startswith(match + "-")), match)
    return match


def negotiate(requested: str | None, accept_language: str | None, offered: Sequence[str]) -> str:
    """The tag to speak and format in: what the host page asks for, else the browser's best, else the first offer.

    The base of the answer is one of `offered` (those that we speak; English if none). A territory is kept for
    the formats, and a bare tag takes the one that the browser names for the same language: a page in "en" read
    in an American browser says "2:30 PM". An offer with a territory is the owner's word and stays.
    """
    if requested and len(requested) > _LONGEST_TAG:
        requested = None
    return _negotiate(requested, (accept_language or "")[:_MAX_HEADER], tuple(offered))


@lru_cache(maxsize=1024)
def _locale(language: str) -> Locale:
    """The formats of a tag.

    Plain "en" is read as British: pages all over the world say "en", day before month and 24 hours are what most
    of their readers know, and an American browser names its territory (see `negotiate`).
    """
    canonical = _canonical(language) or DEFAULT_LANGUAGE
    if base_language(canonical) != canonical.partition("-")[0] or canonical == "en":
        return Locale("en", "GB")
    try:
        return Locale.parse(canonical, sep="-")
    except UnknownLocaleError:
        return Locale(base_language(canonical))


@lru_cache(maxsize=1024)
def first_weekday(language: str) -> int:
    """The first day of the week, Monday = 0. A bare tag takes its most likely territory (CLDR): ar → Egypt."""
    locale = _locale(language)
    if not locale.territory:
        locale = Locale.parse(get_global("likely_subtags").get(locale.language, str(locale)))
    return locale.first_week_day


# Money


@lru_cache(maxsize=1024)
def _money_pattern(language: str, digits: int) -> NumberPattern:
    pattern: NumberPattern = copy.copy(_locale(language).currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


@lru_cache(maxsize=4096)
def format_money(money: Money, language: str) -> str:
    """ "120,00 €". Decimals as people write that currency, but never fewer than the amount needs.

    CLDR writes some currencies without decimals that Stripe charges with two (RSD): then 1250.50 keeps them.
    """
    value = money.to_decimal().normalize()
    code = money.currency.upper()
    exponent = value.as_tuple().exponent
    needed = max(0, -exponent) if isinstance(exponent, int) else 0
    usual = 0 if currency_quantum(money.currency) == 100 else get_currency_precision(code)
    pattern = _money_pattern(language, usual if needed <= usual else max(needed, 2))
    text = str(pattern.apply(value, _locale(language), currency=code, currency_digits=False))
    # CLDR's currencySpacing, which Babel leaves out: letters keep a gap to the number.
    return re.sub(r"(?<=[^\W\d_])(?=\d)", "\N{NO-BREAK SPACE}", text)


# Days and clocks


@lru_cache(maxsize=512)
def zone_info(zone: str) -> ZoneInfo:
    """The zone by a name that `valid_zone` has passed, or Hapio has given."""
    return ZoneInfo(zone)


def local(moment: datetime, zone: str) -> datetime:
    """An aware moment on the zone's wall clock."""
    return moment.astimezone(zone_info(zone))


def machine_time(moment: datetime) -> str:
    """An aware moment for `<time datetime>`, where HTML takes at most three digits of a second."""
    return moment.isoformat(timespec="seconds")


@lru_cache(maxsize=512)
def _day_pattern(language: str, style: Style, with_year: bool) -> DateTimePattern:
    """CLDR's own pattern. Long dates without a year exist in few locales, so the year is cut out of "full"."""
    locale = _locale(language)
    skeletons: Mapping[str, DateTimePattern] = locale.datetime_skeletons
    if style == "medium":
        return skeletons["yMMMEd" if with_year else "MMMEd"]
    own = skeletons.get("yMMMMEEEEd" if with_year else "MMMMEEEEd")
    if own is not None:
        return own
    full = locale.date_formats["full"].pattern
    return parse_pattern(full if with_year else re.sub(r"[\s,،]*('de'\s*|'del'\s*)?\by+\b", "", full).strip())


@lru_cache(maxsize=8192)
def _day(day: date, language: str, style: Style, with_year: bool) -> str:
    return str(_day_pattern(language, style, with_year).apply(day, _locale(language)))


def format_date(day: date, language: str, style: Style = "full", *, today: date | None = None) -> str:
    """ "Tuesday 24 November" (full) or "Tue 24 Nov" (medium); with the year unless it is that of `today`."""
    return _day(day, language, style, today is None or today.year != day.year)


def format_day(moment: datetime, zone: str, language: str, style: Style = "full", *, today: date | None = None) -> str:
    """The day of a moment in a zone, as `format_date` writes it. `today` is the reader's day in that zone."""
    return format_date(local(moment, zone).date(), language, style, today=today)


@lru_cache(maxsize=2048)
def format_month(month: date, language: str) -> str:
    """ "November 2026"."""
    return str(format_skeleton("yMMMM", month, locale=_locale(language)))


@lru_cache(maxsize=64)
def weekday_names(language: str) -> tuple[tuple[str, str], ...]:
    """(short, full) names of the seven days, in the language's order."""
    names = _locale(language).days["stand-alone"]
    order = [(first_weekday(language) + offset) % 7 for offset in range(7)]
    return tuple((names["short"][day], names["wide"][day]) for day in order)


@lru_cache(maxsize=16384)
def _clock(hour: int, minute: int, language: str) -> str:
    locale = _locale(language)
    return str(locale.time_formats["short"].apply(time(hour, minute), locale))


def _offset_label(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return "UTC"
    return f"UTC{'+' if minutes > 0 else '−'}{hours}" + (f":{rest:02}" if rest else "")


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)


def offset_label(zone: str, at: datetime) -> str:
    """ "UTC+1", "UTC−3:30", "UTC"."""
    return _offset_label(_offset(local(at, zone)))


def _wall(here: datetime, language: str) -> str:
    label = _clock(here.hour, here.minute, language)
    if _offset(here) != _offset(here.replace(fold=1 - here.fold)):
        return f"{label} ({_offset_label(_offset(here))})"
    return label


def format_time(moment: datetime, zone: str, language: str) -> str:
    """ "14:30" or "2:30 PM", as the language's territory writes it.

    A wall time that happens twice, when clocks go back, carries its offset: "01:30 (UTC+1)".
    """
    return _wall(local(moment, zone), language)


@lru_cache(maxsize=4096)
def _clock_span(start: time, end: time, language: str) -> str:
    locale = _locale(language)
    twelve_hours = "a" in re.sub(r"'[^']*'", "", locale.time_formats["short"].pattern)
    return str(format_interval(start, end, "hm" if twelve_hours else "Hm", tzinfo=UTC, locale=locale))


def format_span(start: datetime, end: datetime, zone: str, language: str) -> str:
    """ "10:00–11:00". From a day on, the days are named; across a clock change, the offsets."""
    first, last = local(start, zone), local(end, zone)
    if end - start >= timedelta(days=1):
        ends = [
            _day(moment.date(), language, "medium", False) + _comma(language) + _wall(moment, language)
            for moment in (first, last)
        ]
        return " – ".join(ends)
    if _offset(first) != _offset(last):
        clocks = [
            f"{_clock(moment.hour, moment.minute, language)} ({_offset_label(_offset(moment))})"
            for moment in (first, last)
        ]
        return f"{clocks[0]} – {clocks[1]}"
    if first.date() != last.date() or _wall(first, language).endswith(")"):
        return f"{_wall(first, language)} – {_wall(last, language)}"
    return _clock_span(time(first.hour, first.minute), time(last.hour, last.minute), language)


@lru_cache(maxsize=2048)
def format_duration(duration: timedelta, language: str) -> str:
    """ "1 h 30 min", "2 days 3 h"; seconds are rounded to the nearest minute."""
    minutes = round(duration.total_seconds() / 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    said = translator(language)
    parts = []
    if days:
        parts.append(said.ngettext("%(num)s day", "%(num)s days", days) % {"num": days})
    if hours:
        parts.append(said.gettext("%(hours)s h") % {"hours": hours})
    if minutes or not parts:
        parts.append(said.gettext("%(minutes)s min") % {"minutes": minutes})
    return " ".join(parts)


def relative_day(moment: datetime, zone: str, now: datetime, language: str) -> str:
    """ "today", "tomorrow", "in 12 days", "3 days ago", by the zone's calendar days."""
    days = (local(moment, zone).date() - local(now, zone).date()).days
    return _relative_day(days, language)


@lru_cache(maxsize=2048)
def _relative_day(days: int, language: str) -> str:
    _ = translator(language).gettext
    if days == 0:
        return _("today")
    if days == 1:
        return _("tomorrow")
    if days == -1:
        return _("yesterday")
    # The threshold keeps Babel from rounding 12 days to "2 weeks".
    return format_timedelta(
        timedelta(days=days),
        granularity="day",
        threshold=10**6,
        add_direction=True,
        locale=_locale(language),
    )


# Zones


@cache
def _zone_names() -> frozenset[str]:
    """Every name in the IANA database, old ones too, without the placeholder that it calls Factory."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - {"Factory"}


@cache
def _current_zones() -> tuple[str, ...]:
    """The zones that countries use today, under their current names (zone.tab)."""
    lines = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines()
    return tuple(sorted(line.split("\t")[2] for line in lines if line and not line.startswith("#")))


@cache
def _zone_aliases() -> Mapping[str, str]:
    """Old or short names → current ones, where the database links them: Asia/Calcutta → Asia/Kolkata."""
    current = frozenset(_current_zones())
    aliases = dict.fromkeys(("Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu"), "UTC")
    for line in files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text("utf-8").splitlines():
        if line.startswith("L "):
            _, target, alias = line.split()
            if alias not in current and target in current:
                aliases[alias] = target
    return aliases


def valid_zone(name: str | None) -> str | None:
    """The IANA zone that a visitor's browser or link names, under its current name; None if there is no such zone.

    Only names in the database pass, so that no path and no file of the system's can be asked for.
    """
    if not name or name not in _zone_names():
        return None
    return _zone_aliases().get(name, name)


def same_clock(zone_a: str, zone_b: str, at: datetime) -> bool:
    """Whether two zones show the same wall time at that moment."""
    return zone_a == zone_b or _offset(local(at, zone_a)) == _offset(local(at, zone_b))


@cache
def _old_names() -> Mapping[str, tuple[str, ...]]:
    """Current zone → the names that linked to it; CLDR still files Kolkata under Asia/Calcutta."""
    names: dict[str, tuple[str, ...]] = {}
    for alias, zone in _zone_aliases().items():
        names[zone] = (*names.get(zone, ()), alias)
    return names


@lru_cache(maxsize=8192)
def _city(zone: str, language: str) -> str:
    """The place that a zone is named after; empty for "UTC", "EST", "Etc/GMT+5"."""
    if "/" not in zone or zone.startswith("Etc/"):
        return ""
    known = _locale(language).time_zones
    names = (zone, *_old_names().get(zone, ()))
    city = next((known[name]["city"] for name in names if "city" in known.get(name, {})), "")
    return city or zone.rpartition("/")[2].replace("_", " ")


def _comma(language: str) -> str:
    return "، " if base_language(language) == "ar" else ", "


def zone_label(zone: str, at: datetime, language: str) -> str:
    """ "Stockholm, UTC+1"; a zone that is no place is its offset alone."""
    city, offset = _city(zone, language), offset_label(zone, at)
    return f"{city}{_comma(language)}{offset}" if city else offset


#: First part of a zone's name → CLDR's number for the part of the world. The oceans have none.
_REGIONS: Final = {
    "Africa": "002",
    "America": "019",
    "Antarctica": "AQ",
    "Arctic": "150",
    "Asia": "142",
    "Australia": "009",
    "Europe": "150",
    "Pacific": "009",
}


def _region(zone: str, language: str) -> str:
    part = zone.partition("/")[0]
    if part in _REGIONS:
        return str(_locale(language).territories[_REGIONS[part]])
    _ = translator(language).gettext
    return _("Atlantic Ocean") if part == "Atlantic" else _("Indian Ocean")


@lru_cache(maxsize=64)
def _zone_choices(language: str, offsets: tuple[timedelta, ...]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    regions: dict[str, list[tuple[str, str]]] = {}
    for zone, offset in zip(_current_zones(), offsets, strict=True):
        label = f"{_city(zone, language)}{_comma(language)}{_offset_label(offset)}"
        regions.setdefault(_region(zone, language), []).append((zone, label))
    groups = [(region, tuple(sorted(zones, key=_by_label))) for region, zones in regions.items()]
    groups.sort(key=lambda group: _sort_key(group[0]))
    return (*groups, ("UTC", (("UTC", "UTC"),)))


def _by_label(choice: tuple[str, str]) -> str:
    return _sort_key(choice[1])


def _sort_key(text: str) -> str:
    """Accents do not push a name behind Z: Ürümqi stands under U. Not each language's own order, but findable."""
    notifications = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in notifications if not unicodedata.combining(letter)).casefold()


def zone_choices(
    language: str, at: datetime, chosen: str | None = None
) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    """Every current zone for a select: (part of the world, [(name, "Stockholm, UTC+1")]), sorted, UTC last.

    `chosen` joins the last group if it is none of them ("EST", "Etc/GMT+5"), so that the select can show it.
    """
    offsets = tuple(_offset(local(at, zone)) for zone in _current_zones())
    groups = _zone_choices(language, offsets)
    if not chosen or chosen == "UTC" or chosen in _current_zones():
        return groups
    *places, (heading, others) = groups
    return (*places, (heading, (*others, (chosen, f"{chosen}{_comma(language)}{offset_label(chosen, at)}"))))


def format_list(items: Sequence[str], language: str) -> str:
    """ "Ada, Bo and Cleo"."""
    return join_list(items, locale=_locale(language))
