"""Clocks follow the newest rules that the machine has, not the first that are found."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest
import tzdata

from app import clock_folders
from app.text.zones import zone_info

NEWEST = tzdata.IANA_VERSION


def folder(path: Path, **written: str) -> str:
    path.mkdir()
    for name, text in written.items():
        (path / name.replace("_", ".").replace("PLUS", "+")).write_text(text)
    return str(path)


def test_an_old_database_of_the_system_is_passed_over_and_a_new_one_is_used(tmp_path: Path) -> None:
    old = folder(tmp_path / "old", tzdata_zi="# version 2019c\n# redo posix_only\n")
    same = folder(tmp_path / "same", tzdata_zi=f"# version {NEWEST}\n")
    new = folder(tmp_path / "new", PLUSVERSION="2999a\n")
    silent = folder(tmp_path / "silent")
    missing = str(tmp_path / "missing")
    assert clock_folders([old], {}) == ()
    assert clock_folders([silent, missing], {}) == ()
    assert clock_folders([old, new, same], {}) == (new, same)


def test_a_folder_that_the_operator_names_is_used_however_old(tmp_path: Path) -> None:
    old = folder(tmp_path / "old", tzdata_zi="# version 2019c\n")
    assert clock_folders([old], {"PYTHONTZPATH": old}) == (old,)


@pytest.mark.parametrize("zone", ["America/Vancouver", "America/Winnipeg", "America/Havana", "Africa/Casablanca"])
def test_clocks_show_what_the_installed_rules_say_where_the_system_has_older_ones(zone: str) -> None:
    # A system whose own database is at least as new is looked at first.
    newest_folder = Path(TZPATH[0]) if TZPATH else files("tzdata").joinpath("zoneinfo")
    with newest_folder.joinpath(*zone.split("/")).open("rb") as rules:
        newest = ZoneInfo.from_file(rules)
    for month in range(1, 13):
        moment = datetime(2027, month, 15, 12, tzinfo=UTC)
        assert moment.astimezone(zone_info(zone)).utcoffset() == moment.astimezone(newest).utcoffset()
