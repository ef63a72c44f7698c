"""A search that takes hours: it goes on where it stopped, and has to have met what a shorter one may miss."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from proof import prove
from proof.coverage import STRUCK, WAITED, Coverage
from proof.ledger import Played, open_ledger
from proof.network import FATES
from proof.story import NEVER_ENDING
from tests.support.sides import NAMES


def _search(monkeypatch: pytest.MonkeyPatch, ledger: Path, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["prove", "--jobs", "1", "--ledger", str(ledger), *words])
    return prove.main()


def _seeds(ledger: Path) -> list[list[int]]:
    return [json.loads(line)["seeds"] for line in ledger.read_text().splitlines()]


def _everything_met(*, runs: int) -> Coverage:
    coverage = Coverage(runs=runs)
    for name in coverage.never():
        coverage.met[name] += 1
    for provider in (*NAMES, "stripe"):
        coverage.fates += Counter((provider, "any call", fate) for fate in FATES)
    coverage.killed += Counter((where, "any") for where in (*NAMES, "stripe", "database", "mail"))
    for part, kind in WAITED:
        what = next(what for what, broken in NEVER_ENDING.items() if broken == part)
        coverage.met[f"never ends: {what}, {kind}"] += 1
    coverage.met += Counter(f"struck: {state}, {fault}" for state, faults, _ in STRUCK for fault in faults)
    return coverage


def test_a_search_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    _search(monkeypatch, ledger, "--runs", "2")
    first = capsys.readouterr().out
    _search(monkeypatch, ledger, "--runs", "3")
    assert _seeds(ledger) == [[0, 1], [2]]
    assert "\n2 runs, 0 broke a promise" in first
    assert "\n3 runs, 0 broke a promise" in capsys.readouterr().out


def test_what_a_search_adds_up_is_the_same_from_its_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    tables = []
    for _ in range(2):
        _search(monkeypatch, ledger, "--runs", "2", "--seed", "41")
        tables.append(capsys.readouterr().out.rpartition(";")[0])
    assert "bookings" in tables[0]
    assert tables[0] == tables[1]


def test_a_line_that_was_cut_off_is_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "ledger.jsonl"
    _search(monkeypatch, ledger, "--runs", "1")
    _search(monkeypatch, ledger, "--runs", "2")
    ledger.write_text(ledger.read_text()[:-30])
    _search(monkeypatch, ledger, "--runs", "2")
    assert _seeds(ledger) == [[0], [1]]


@pytest.mark.parametrize("words", [("--scheduler", "hapio"), ("--database", "postgresql")])
def test_a_ledger_of_other_stories_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with open_ledger(ledger, scheduler="", database="sqlite") as kept:
        kept.add(Played([0], Coverage(runs=1), {}))
    with pytest.raises(SystemExit, match="is of another search"):
        _search(monkeypatch, ledger, "--runs", "1", *words)


def test_a_ledger_of_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with open_ledger(ledger, scheduler="", database="sqlite", code="older") as kept:
        kept.add(Played([0], Coverage(runs=1), {}))
    with pytest.raises(SystemExit, match="is of another search"):
        _search(monkeypatch, ledger, "--runs", "1")


@pytest.mark.parametrize("text", ["# Holdfast\n", '{"a": 1}\n', "[]\n", "without an end"])
def test_a_file_that_is_no_ledger_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(text)
    with pytest.raises(SystemExit, match=r"is no ledger|is of another search"):
        _search(monkeypatch, file, "--runs", "1")
    assert file.read_text() == text


def test_two_searches_do_not_share_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with (
        open_ledger(ledger, scheduler="", database="sqlite"),
        pytest.raises(SystemExit, match="in use by another search"),
    ):
        _search(monkeypatch, ledger, "--runs", "1")
    assert ledger.read_text() == ""


@pytest.mark.parametrize(("runs", "outcome"), [(19_999, 0), (20_000, 1)])
def test_a_long_search_has_met_every_fault_in_every_state_in_which_it_can_strike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], runs: int, outcome: int
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    coverage = _everything_met(runs=runs)
    del coverage.met["struck: paid, stripe: refused"]
    with open_ledger(ledger, scheduler="", database="sqlite") as kept:
        kept.add(Played([0], coverage, {}))
    assert _search(monkeypatch, ledger, "--runs", "0") == outcome
    assert "never met together: paid, stripe: refused" in capsys.readouterr().out


def test_a_story_that_cannot_be_played_is_named() -> None:
    with pytest.raises(Exception, match="nobody") as error:
        prove.batch([4711], scheduler="nobody")
    assert error.value.__notes__ == ["It is the story of seed 4711."]
