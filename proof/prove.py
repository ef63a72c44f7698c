"""Look for the booking that breaks us: `make prove RUNS=2000 SEED=0`, or by time, `make prove TIME=8h`.

Each run is a story made from its number: visitors, owners and strangers, providers that fail, processes that die. After
it the faults stop, and everybody's books are compared. A run that breaks a promise is made as short as it can be, told
in words, and kept in `.cache/proof/`; the tests play every story in `tests/unit/proof/stories/` again.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import chain, count, islice
from pathlib import Path
from time import monotonic, process_time

from proof.coverage import Coverage
from proof.ledger import Ledger, Played, Wrong, open_ledger
from proof.make_story import make
from proof.play import play, told
from proof.postgres import a_server
from proof.shrink import shrink
from proof.story import Story, in_words
from tests.support.postgres import use_folder
from tests.support.sides import NAMES, WORST

#: Runs that a process is given at once.
_BATCH = 20
#: Batches after which the processes are replaced. Of a process that was killed inside a transaction, SQLAlchemy's
#: finalizers keep all that it had: half a megabyte a run.
_BATCHES = 100
#: A search of so many runs must have met every pair of a state and a fault that can meet.
_LONG = 20_000
_KEPT = Path(".cache/proof")
_UNITS = {"s": 1, "m": 60, "h": 3600}


def main() -> int:
    """0 where every promise held, and everything was met that such a search must meet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--time", default="", help="such as 90s, 20m or 8h, instead of --runs")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first story")
    parser.add_argument("--scheduler", default="", choices=("", *NAMES, WORST))
    parser.add_argument("--database", default="sqlite", choices=("sqlite", "postgresql"))
    parser.add_argument("--show", action="store_true", help="tell the first story, step by step")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ledger", type=Path, help="a file that keeps what was played, so that a search can go on")
    asked = parser.parse_args()
    with _ledger(asked) as ledger, a_server() if asked.database == "postgresql" else nullcontext() as folder:
        return _prove(asked, ledger, folder)


def _prove(asked: argparse.Namespace, ledger: Ledger | None, folder: Path | None) -> int:
    if asked.show:
        return _show(make(asked.seed, asked.scheduler, asked.database))
    begun = monotonic()
    coverage, wrong = Coverage(), Wrong()
    for played in _search(asked, ledger, folder):
        coverage.merge(played.coverage)
        wrong |= played.wrong
        speed = f"{coverage.runs} runs, {len(wrong)} wrong, {monotonic() - begun:.0f} s"
        print(f"\r{speed} ", end="", file=sys.stderr, flush=True)
    print("\n".join(coverage.table()))
    for seed, sentences in sorted(wrong.items())[:3]:
        _explain(make(seed, asked.scheduler, asked.database), sentences)
    never = coverage.never() if not asked.scheduler else []
    for name in never:
        print(f"never met: {name}")
    together = coverage.never_together() if not asked.scheduler else []
    for name in together:
        print(f"never met together: {name}")
    seeds = f": seeds {', '.join(map(str, sorted(wrong)[:40]))}" if wrong else ""
    speed = f"{coverage.cpu / max(1, coverage.runs):.3f} s of CPU a run"
    print(f"{coverage.runs} runs, {len(wrong)} broke a promise{seeds}; {monotonic() - begun:.0f} s, {speed}")
    return int(bool(wrong or never or (together and coverage.runs >= _LONG)))


def _search(asked: argparse.Namespace, ledger: Ledger | None, folder: Path | None) -> Iterator[Played]:
    """What the ledger has, and then batch after batch of the rest."""
    known = list(ledger.batches) if ledger else []
    yield from known
    following = _batches(asked, {seed for played in known for seed in played.seeds})
    while some := [*islice(following, 1)]:
        with ProcessPoolExecutor(asked.jobs, initializer=_begin, initargs=(folder or _KEPT,)) as pool:
            for played in _play_all(asked, pool, chain(some, islice(following, _BATCHES - 1))):
                if ledger:
                    ledger.add(played)
                yield played


def _play_all(asked: argparse.Namespace, pool: ProcessPoolExecutor, batches: Iterator[list[int]]) -> Iterator[Played]:
    under_way: set[Future[Played]] = set()
    while True:
        for seeds in islice(batches, asked.jobs * 2 - len(under_way)):
            under_way.add(pool.submit(batch, seeds, asked.scheduler, asked.database))
        if not under_way:
            return
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        for one in done:
            yield one.result()


@contextmanager
def _ledger(asked: argparse.Namespace) -> Iterator[Ledger | None]:
    if not asked.ledger:
        yield None
        return
    with ExitStack() as opened:
        try:
            ledger = opened.enter_context(open_ledger(asked.ledger, scheduler=asked.scheduler, database=asked.database))
        except ValueError as error:
            raise SystemExit(str(error)) from error
        yield ledger


def _batches(asked: argparse.Namespace, known: set[int]) -> Iterator[list[int]]:
    """The numbers of the stories to play, until there are enough of them or the time is over."""
    until = monotonic() + _seconds(asked.time) if asked.time else None
    end = None if until else asked.seed + asked.runs
    for first in count(asked.seed, _BATCH):
        if (until and monotonic() >= until) or (end is not None and first >= end):
            return
        seeds = range(first, min(first + _BATCH, end or first + _BATCH))
        if left := [seed for seed in seeds if seed not in known]:
            yield left


def _begin(folder: Path) -> None:
    gc.set_threshold(100_000, 20, 100)  # a run's rubbish is less than it costs to look for it as often as usual
    use_folder(folder)


def batch(seeds: Sequence[int], scheduler: str = "", database: str = "sqlite") -> Played:
    """Play the stories of these numbers. Where one cannot be played to its end, the error says which."""
    # What lives as long as the program is not looked through again and again.
    gc.collect()
    gc.freeze()
    coverage, wrong, begun = Coverage(), Wrong(), process_time()
    for seed in seeds:
        try:
            outcome = play(make(seed, scheduler, database))
        except Exception as error:
            error.add_note(f"It is the story of seed {seed}.")
            raise
        coverage.add(outcome)
        if outcome.wrong:
            wrong[seed] = outcome.wrong
    coverage.cpu = process_time() - begun
    return Played(seeds, coverage, wrong)


def kinds(sentences: list[str]) -> set[str]:
    """Which promises are broken, whoever's booking it is and whatever the amount."""
    return {re.sub(r"\d+", "#", sentence.partition(": ")[2] or sentence) for sentence in sentences}


def shortest(story: Story, sentences: list[str]) -> Story:
    """The shortest story that breaks one of the same promises."""
    broken = kinds(sentences)
    return shrink(story, lambda shorter: bool(kinds(play(shorter).wrong) & broken), says=_tell_progress)


def _tell_progress(tries: int, pieces: int) -> None:
    print(f"\rmade shorter: {pieces} pieces left after {tries} tries ", end="", file=sys.stderr, flush=True)


def _explain(story: Story, sentences: list[str]) -> None:
    short = shortest(story, sentences)
    outcome = play(short)
    print("\n" + in_words(short))
    print("\n".join(told(outcome)))
    print("\n".join(outcome.wrong))
    _KEPT.mkdir(parents=True, exist_ok=True)
    (_KEPT / f"{story.seed}.json").write_text(short.dump())


def _show(story: Story) -> int:
    outcome = play(story)
    print(in_words(story), *told(outcome), *(outcome.wrong or ["Every promise held."]), sep="\n")
    return int(bool(outcome.wrong))


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit():
        raise SystemExit("A time is a number and s, m or h, such as 20m.")
    return float(number) * _UNITS[unit]


if __name__ == "__main__":
    sys.exit(main())
