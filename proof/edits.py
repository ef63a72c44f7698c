"""Copies of the code from which something is missing, and the first story that breaks a promise there.

`proof.rules` leaves out the rules of the design, `proof.findings` puts back faults that hostile use has found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
#: What a run needs of a checkout.
_PARTS = (
    "app",
    "proof",
    "sandbox",
    "tests/support",
    "tests/__init__.py",
    "templates",
    "static",
    "scripts",
    "pyproject.toml",
)
_NOT_CODE = {"__pycache__", "node_modules"}


@dataclass(frozen=True)
class Edit:
    """These words of a file become others; they stand there once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """Code that does wrong, and what would be right. `says` is the rule that is left out, or what had been found."""

    name: str
    says: str
    edits: tuple[Edit, ...]
    #: Where it matters only with one scheduler.
    scheduler: str = ""


@dataclass(frozen=True)
class Caught:
    """By which story, after how many runs, and the promise that it broke."""

    seed: int
    runs: int
    sentence: str


def put_in(fault: Fault, tree: Path) -> None:
    """Change the code below `tree` so that it has the fault. Raises ValueError where its words are gone."""
    for edit in fault.edits:
        file = tree / edit.file
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{fault.name}: {edit.file} has these words {text.count(edit.old)} times: {edit.old!r}")
        file.write_text(text.replace(edit.old, edit.new))


def files_of_a_run(root: Path = ROOT) -> Iterator[str]:
    """What a run needs, as paths below `root`."""
    for name in _PARTS:
        part = root / name
        for file in [part] if part.is_file() else part.rglob("*"):
            if file.is_file() and not _NOT_CODE.intersection(file.parts):
                yield file.relative_to(root).as_posix()


def copy_code(to: Path, root: Path = ROOT) -> None:
    """What a run needs."""
    for name in files_of_a_run(root):
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target)
    tests = to / "tests" / "__init__.py"
    tests.touch()


def first_seed(tree: Path, *, runs: int, scheduler: str, seed: int = 0) -> tuple[int, str] | None:
    """The first story that breaks a promise with the code below `tree`, and what it says; None where none does."""
    words = [sys.executable, "-m", "proof.first_failure", "--runs", str(runs), "--seed", str(seed)]
    words += ["--scheduler", scheduler] if scheduler else []
    done = subprocess.run(words, cwd=tree, check=False, capture_output=True, text=True)  # noqa: S603 - our own program
    found = re.search(r"^seed (\d+): (.*)$", done.stdout, re.MULTILINE)
    if found:
        return int(found[1]), found[2]
    if not done.returncode:
        return None
    begun = re.findall(r"^playing (\d+)$", done.stdout, re.MULTILINE)
    if not begun:
        raise RuntimeError(done.stderr[-2000:])
    return int(begun[-1]), "the run did not come to its end"


def catch(fault: Fault, *, runs: int, seed: int = 0) -> Caught | None:
    """Put the fault into a copy of the code, and play stories there until one breaks a promise that it keeps without
    the fault."""
    with TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_code(tree)
        put_in(fault, tree)
        found = first_seed(tree, runs=runs, scheduler=fault.scheduler, seed=seed)
        while found and first_seed(ROOT, runs=1, scheduler=fault.scheduler, seed=found[0]):
            following = found[0] + 1
            found = first_seed(tree, runs=seed + runs - following, scheduler=fault.scheduler, seed=following)
    return Caught(found[0], found[0] - seed + 1, found[1]) if found else None


def table(caught: Iterable[tuple[Fault, Caught | None]], runs: int) -> Iterator[str]:
    """For `docs/proof.md`."""
    yield "| | what is wrong | seed | runs | the broken promise |"
    yield "| --- | --- | --- | --- | --- |"
    for fault, by in caught:
        where = f" ({fault.scheduler})" if fault.scheduler else ""
        if by is None:
            yield f"| `{fault.name}` | {fault.says} | none{where} | {runs} | |"
        else:
            # Whose booking it is says nothing to anybody else.
            sentence = re.sub(r"^(visitor|desk)\S* \(([^)]*)\)", r"\2", by.sentence)
            yield f"| `{fault.name}` | {fault.says} | {by.seed}{where} | {by.runs} | `{sentence}` |"


def search(faults: Sequence[Fault], description: str) -> int:
    """The command: 0 where each of them, or of those that were asked for, was caught."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=2000, help="for each, at most")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first story")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("only", nargs="*")
    asked = parser.parse_args()
    chosen = [one for one in faults if not asked.only or one.name in asked.only]

    def attempt(fault: Fault) -> tuple[Fault, Caught | None]:
        by = catch(fault, runs=asked.runs, seed=asked.seed)
        said = f"by seed {by.seed}, in {by.runs} runs: {by.sentence[:100]}" if by else f"not in {asked.runs} runs"
        print(f"{fault.name:20} caught {said}", file=sys.stderr, flush=True)
        return fault, by

    with ThreadPoolExecutor(asked.jobs) as pool:
        caught = list(pool.map(attempt, chosen))
    print("\n".join(table(caught, asked.runs)))
    return int(not all(by for _, by in caught))
