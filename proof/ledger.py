"""What a long search has played, kept in a file: a line of JSON for each batch of stories.

A search of a day is stopped by a restart, or by whoever needs the machine, and goes on from its ledger. Only the same
code may add to it, since a sum over two versions says nothing about either.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeAlias

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


@contextmanager
def open_ledger(path: Path, *, scheduler: str, database: str, code: str = "") -> Iterator[Ledger]:
    """The ledger in a file, of stories made alike: for a scheduler or all (""), on a database.

    Raises ValueError where a line of it is of other code, or of other stories, where it is no ledger, and while another
    search uses it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:  # another search would play the same stories, and they would count twice
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{path} is in use by another search.") from None
        yield Ledger(file, {"code": code or code_of_a_run(), "scheduler": scheduler, "database": database})


class Ledger:
    """The batches in a file."""

    def __init__(self, file: TextIO, stories: Mapping[str, str]) -> None:
        self._file = file
        self._stories = stories
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
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _read(self) -> list[Played]:
        self._file.seek(0)
        text = self._file.read()
        whole, _, cut = text.rpartition("\n")
        try:
            batches = [self._batch(json.loads(line)) for line in whole.splitlines()]
        except (json.JSONDecodeError, AttributeError) as error:  # never written to: it is somebody's file
            raise ValueError(f"{self._file.name} is no ledger: {error}") from error
        if cut:
            if not cut.startswith('{"code": '):
                raise ValueError(f"{self._file.name} is no ledger.")
            # The process was killed while it wrote this line.
            self._file.truncate(len((whole + "\n" if whole else "").encode()))
        return batches

    def _batch(self, line: dict[str, Any]) -> Played:
        for name, ours in self._stories.items():
            if line.get(name) != ours:
                raise ValueError(f"{self._file.name} is of another search ({name}: {line.get(name)!r}, here {ours!r}).")
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
