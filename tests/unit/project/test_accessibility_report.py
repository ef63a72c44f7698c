"""The conformance report names every criterion of WCAG 2.2 A and AA once, and tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
REPORT = ROOT / "docs/accessibility.md"
#: https://www.w3.org/TR/WCAG22/ without 4.1.1, which is obsolete.
A = "1.1.1 1.2.1 1.2.2 1.2.3 1.3.1 1.3.2 1.3.3 1.4.1 1.4.2 2.1.1 2.1.2 2.1.4 2.2.1 2.2.2 2.3.1 2.4.1 2.4.2 2.4.3 2.4.4"
A += " 2.5.1 2.5.2 2.5.3 2.5.4 3.1.1 3.2.1 3.2.2 3.2.6 3.3.1 3.3.2 3.3.7 4.1.2"
AA = "1.2.4 1.2.5 1.3.4 1.3.5 1.4.3 1.4.4 1.4.5 1.4.10 1.4.11 1.4.12 1.4.13 2.4.5 2.4.6 2.4.7 2.4.11 2.5.7 2.5.8 3.1.2"
AA += " 3.2.3 3.2.4 3.3.3 3.3.4 3.3.8 4.1.3"
NOT_MET = {"Partially supports", "Does not support"}
VERDICTS = {"Supports", "Not applicable", *NOT_MET}


def rows(level: str) -> list[tuple[str, str]]:
    """The criteria of a level with their verdicts."""
    section = REPORT.read_text(encoding="utf-8").partition(f"## Level {level}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| (\d\.\d\.\d+) [^|]+ \| ([^|]+) \|", section, re.MULTILINE)


def test_every_criterion_has_its_verdict() -> None:
    for level, criteria in (("A", A), ("AA", AA)):
        assert [number for number, _ in rows(level)] == criteria.split()
        assert {verdict for _, verdict in rows(level)} <= VERDICTS


def test_what_is_not_fully_met_is_named_in_the_result() -> None:
    text = REPORT.read_text(encoding="utf-8")
    result = text.partition("**Result.**")[2].partition("\n\n")[0]
    short = {number for level in ("A", "AA") for number, verdict in rows(level) if verdict in NOT_MET}
    assert set(re.findall(r"\d\.\d\.\d+", result)) == short


def test_what_the_report_says_is_tested_by_files_that_are_there() -> None:
    named = set(re.findall(r"tests/[\w/.-]+", REPORT.read_text(encoding="utf-8")))
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert len(named) > 5
