"""Holdfast. The rules of the clocks are settled here, before any module asks for a time zone."""

from __future__ import annotations

import os
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from pathlib import Path

import tzdata

_VERSION = re.compile(r"(?:# version )?(\d{4}[a-z]+)")


def clock_folders(system: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Where zoneinfo has to look for zones: in those of the system's folders whose database is at least as new as the
    `tzdata` that is installed with us; in none, which leaves that package, if all are older.

    zoneinfo asks the system first, however old it is: an image of 2025 shows Vancouver's winter of 2026 an hour off. A
    system that is kept up to date learns of new rules before a release of ours does. A folder that does not say its
    version is passed over; one that PYTHONTZPATH names is the operator's choice.
    """
    if environment.get("PYTHONTZPATH"):
        return tuple(system)
    return tuple(folder for folder in system if _version(Path(folder)) >= tzdata.IANA_VERSION)


def _version(folder: Path) -> str:
    """The release of a folder's database, such as "2026f"; empty where it says none."""
    for name in ("tzdata.zi", "+VERSION"):
        try:
            with (folder / name).open(encoding="ascii", errors="replace") as lines:
                found = _VERSION.match(lines.readline(100))
        except OSError:
            continue
        if found:
            return found[1]
    return ""


zoneinfo.reset_tzpath(clock_folders(zoneinfo.TZPATH, os.environ))
zoneinfo.ZoneInfo.clear_cache()
