"""Time zones: which there are, what they are called, and what their clocks show. Clocks are the IANA database's."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from app.text.catalogues import translator
from app.text.languages import comma, locale_of


@lru_cache(maxsize=512)
def zone_info(zone: str) -> ZoneInfo:
    """The zone by a name that `valid_zone` has passed, or the scheduler has given."""
    return ZoneInfo(zone)


def local(moment: datetime, zone: str) -> datetime:
    """An aware moment on the zone's wall clock."""
    return moment.astimezone(zone_info(zone))


def label_of(offset: timedelta) -> str:
    """ "UTC+1", "UTC−3:30", "UTC"."""
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return "UTC"
    return f"UTC{'+' if minutes > 0 else '−'}{hours}" + (f":{rest:02}" if rest else "")


def offset_of(moment: datetime) -> timedelta:
    """How far a moment's clock is from UTC."""
    return moment.utcoffset() or timedelta(0)


def offset_label(zone: str, at: datetime) -> str:
    """ "UTC+1", "UTC−3:30", "UTC"."""
    return label_of(offset_of(local(at, zone)))


@lru_cache(maxsize=2048)
def offset_changes(zone: str, first: datetime, last: datetime) -> tuple[tuple[datetime, timedelta, timedelta], ...]:
    """When the zone's clocks change after `first`, up to `last`: the first second of the new offset from UTC, the old
    offset and the new one. One look a day finds them all, since no zone changes twice within one."""
    found = []
    moment, offset = first, offset_of(local(first, zone))
    while moment < last:
        later = min(moment + timedelta(days=1), last)
        new = offset_of(local(later, zone))
        if new != offset:
            found.append((_first_of(new, moment, later, zone), offset, new))
        moment, offset = later, new
    return tuple(found)


def _first_of(offset: timedelta, before: datetime, after: datetime, zone: str) -> datetime:
    """The first second of that offset, between a moment before it and one with it."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if offset_of(local(middle, zone)) == offset:
            after = middle
        else:
            before = middle
    return after


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
    """Old or short names → current ones, where the database links them: Asia/Calcutta → Asia/Kolkata. What was renamed
    leads to its new name also where the database links it to another place."""
    current = frozenset(_current_zones())
    aliases = dict.fromkeys(("Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu"), "UTC")
    for line in files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text("utf-8").splitlines():
        if line.startswith("L "):
            _, target, alias = line.split()
            if alias not in current | _OFFSETS and target in current:
                aliases[alias] = target
    return aliases | {old: new for new, old in _FILED_UNDER.items()} | _ABROAD


@cache
def _countries() -> Mapping[str, str]:
    lines = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines()
    return {line.split("\t")[2]: line[:2] for line in lines if line and not line.startswith("#")}


def country_of(zone: str) -> str:
    """The country that a zone is in, by its two letters; empty where it is in none."""
    return _countries().get(zone, "")


def valid_zone(name: str | None) -> str | None:
    """The IANA zone that a visitor's browser or link names, under its current name; None if there is no such zone.

    Only names in the database pass, so that no path and no file of the system's can be asked for.
    """
    if not name or name not in _zone_names():
        return None
    return _zone_aliases().get(name, name)


def same_clock(zone_a: str, zone_b: str, at: datetime) -> bool:
    """Whether two zones show the same wall time at that moment."""
    return zone_a == zone_b or offset_of(local(at, zone_a)) == offset_of(local(at, zone_b))


#: Zones that were renamed, under the names that CLDR still files their cities under. A link in the database alone does
#: not say that: it also joins places that have had the same clocks since 1970, such as Asmara to Nairobi.
#: Kanton is missing here: CLDR calls the zone's old name after another of its islands, Enderbury.
_FILED_UNDER: Final = {
    "Africa/Asmara": "Africa/Asmera",
    "America/Argentina/Buenos_Aires": "America/Buenos_Aires",
    "America/Argentina/Catamarca": "America/Catamarca",
    "America/Argentina/Cordoba": "America/Cordoba",
    "America/Argentina/Jujuy": "America/Jujuy",
    "America/Argentina/Mendoza": "America/Mendoza",
    "America/Atikokan": "America/Coral_Harbour",
    "America/Indiana/Indianapolis": "America/Indianapolis",
    "America/Kentucky/Louisville": "America/Louisville",
    "America/Nuuk": "America/Godthab",
    "Asia/Ho_Chi_Minh": "Asia/Saigon",
    "Asia/Kathmandu": "Asia/Katmandu",
    "Asia/Kolkata": "Asia/Calcutta",
    "Asia/Yangon": "Asia/Rangoon",
    "Atlantic/Faroe": "Atlantic/Faeroe",
    "Europe/Kyiv": "Europe/Kiev",
    "Pacific/Chuuk": "Pacific/Truk",
    "Pacific/Pohnpei": "Pacific/Ponape",
}
#: Names of an offset, which the database has linked to places since 2024.
_OFFSETS: Final = frozenset({"CET", "EET", "EST", "HST", "MET", "MST", "WET"})
#: Other names that the database links to a place in another country → their own country's zone.
_ABROAD: Final = {
    "Africa/Timbuktu": "Africa/Bamako",
    "America/Virgin": "America/St_Thomas",
    "Antarctica/South_Pole": "Antarctica/McMurdo",
    "Atlantic/Jan_Mayen": "Arctic/Longyearbyen",
    "Iceland": "Atlantic/Reykjavik",
    "Pacific/Yap": "Pacific/Chuuk",
}


@lru_cache(maxsize=8192)
def _city(zone: str, language: str) -> str:
    """The place that a zone is named after; empty for "UTC", "EST", "Etc/GMT+5"."""
    if "/" not in zone or zone.startswith("Etc/"):
        return ""
    known = locale_of(language).time_zones
    names = (zone, _FILED_UNDER.get(zone, zone))
    city = next((known[name]["city"] for name in names if "city" in known.get(name, {})), "")
    return city or zone.rpartition("/")[2].replace("_", " ")


def zone_label(zone: str, at: datetime, language: str) -> str:
    """ "Stockholm, UTC+1"; a zone that is no place is its offset alone."""
    city, offset = _city(zone, language), offset_label(zone, at)
    return f"{city}{comma(language)}{offset}" if city else offset


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
        return str(locale_of(language).territories[_REGIONS[part]])
    _ = translator(language).gettext
    return _("Atlantic Ocean") if part == "Atlantic" else _("Indian Ocean")


@lru_cache(maxsize=64)
def _zone_choices(language: str, offsets: tuple[timedelta, ...]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    regions: dict[str, list[tuple[str, str]]] = {}
    for zone, offset in zip(_current_zones(), offsets, strict=True):
        label = f"{_city(zone, language)}{comma(language)}{label_of(offset)}"
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
    offsets = tuple(offset_of(local(at, zone)) for zone in _current_zones())
    groups = _zone_choices(language, offsets)
    if not chosen or chosen == "UTC" or chosen in _current_zones():
        return groups
    *places, (heading, others) = groups
    return (*places, (heading, (*others, (chosen, f"{chosen}{comma(language)}{offset_label(chosen, at)}"))))
