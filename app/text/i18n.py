"""The modules of this room under one name, for `app/web` until its files import from them."""

from __future__ import annotations

from app.msgid import N_
from app.text.catalogues import Translator, install, translator
from app.text.formats import (
    first_weekday,
    format_date,
    format_day,
    format_duration,
    format_list,
    format_money,
    format_month,
    format_span,
    format_time,
    machine_time,
    relative_day,
    weekday_names,
)
from app.text.languages import CATALOGUES, DEFAULT_LANGUAGE, LANGUAGES, base_language, direction, negotiate
from app.text.zones import local, offset_label, same_clock, valid_zone, zone_choices, zone_info, zone_label

__all__ = [
    "CATALOGUES",
    "DEFAULT_LANGUAGE",
    "LANGUAGES",
    "N_",
    "Translator",
    "base_language",
    "direction",
    "first_weekday",
    "format_date",
    "format_day",
    "format_duration",
    "format_list",
    "format_money",
    "format_month",
    "format_span",
    "format_time",
    "install",
    "local",
    "machine_time",
    "negotiate",
    "offset_label",
    "relative_day",
    "same_clock",
    "translator",
    "valid_zone",
    "weekday_names",
    "zone_choices",
    "zone_info",
    "zone_label",
]
