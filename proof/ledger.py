"""What a long search has played, kept in a file: a line of JSON for each batch of stories.

A search of a day is stopped by a restart, or by whoever needs the machine, and goes on from its ledger. Only the same
code may add to it, since a sum over two versions says nothing about either.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from proof.coverage import Coverage
from proof.edits import ROOT, files_of_a_run

#: The sentences of the audit by the number of the story that they are about.
Wrong: TypeAlias = dict[int, list[str]]
#: They ask for stories and count what was met, and have no part in them.
_ASKING = {
    f"proof/{name}.py" for name in ("coverage", "edits", "findings", "first_failure", "ledger", "prove", "rules")
}


class Played(NamedTuple):
    """A batch of stories, by their numbers."""

    seeds: Sequence[int]
    coverage: Coverage
    wrong: Wrong


class Ledger:
    """The batches in a file, of stories made alike: for a scheduler or all (""), on a database.

    Raises ValueError where a line of it is of other code, or of other stories.
    """

    def __init__(self, path: Path, *, scheduler: str, database: str, code: str = "") -> None:
        self._path = path
        self._stories = {"code": code or code_of_a_run(), "scheduler": scheduler, "database": database}
        self.batches = list(self._read())

    def add(self, played: Played) -> None:
        """Keep it, whatever becomes of this process."""
        self.batches.append(played)
        coverage = played.coverage
        line = {
            **self._stories,
            "seeds": list(played.seeds),
            "runs": coverage.runs,
            "seconds": coverage.seconds,
            "cpu": coverage.cpu,
            "fates": [[*point, count] for point, count in coverage.fates.items()],
            "killed": [[*point, count] for point, count in coverage.killed.items()],
            "met": coverage.met,
            "wrong": played.wrong,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _read(self) -> list[Played]:
        text = self._path.read_text() if self._path.exists() else ""
        whole, _, cut = text.rpartition("\n")
        if cut:  # the process was killed while it wrote this line
            self._path.write_text(whole + "\n" if whole else "")
        return [self._batch(json.loads(line)) for line in whole.splitlines()]

    def _batch(self, line: dict[str, Any]) -> Played:
        for name, ours in self._stories.items():
            if line[name] != ours:
                raise ValueError(f"{self._path} is of another search ({name}: {line[name]!r}, here {ours!r}).")
        coverage = Coverage(
            runs=line["runs"],
            seconds=line["seconds"],
            cpu=line["cpu"],
            fates=Counter({tuple(point): count for *point, count in line["fates"]}),
            killed=Counter({tuple(point): count for *point, count in line["killed"]}),
            met=Counter(line["met"]),
        )
        return Played(line["seeds"], coverage, {int(seed): sentences for seed, sentences in line["wrong"].items()})


def code_of_a_run(root: Path = ROOT) -> str:
    """A name for all that decides what a story comes to, except the packages and Python."""
    digest = hashlib.sha256()
    for name in sorted(set(files_of_a_run(root)) - _ASKING):
        digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
    return digest.hexdigest()[:12]
