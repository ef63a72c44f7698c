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
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import nullcontext
from pathlib import Path
from time import monotonic, process_time

from proof.coverage import Coverage
from proof.make_story import make
from proof.play import play, told
from proof.postgres import a_server
from proof.shrink import shrink
from proof.story import Story, in_words
from tests.support.postgres import use_folder
from tests.support.sides import NAMES, WORST

#: Runs that a process is given at once.
_BATCH = 20
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
    asked = parser.parse_args()
    with a_server() if asked.database == "postgresql" else nullcontext() as folder:
        return _prove(asked, folder)


def _prove(asked: argparse.Namespace, folder: Path | None) -> int:
    if asked.show:
        return _show(make(asked.seed, asked.scheduler, asked.database))
    begun = monotonic()
    coverage, wrong = _search(asked, folder)
    took = monotonic() - begun
    print("\n".join(coverage.table()))
    for seed, sentences in sorted(wrong.items())[:3]:
        _explain(make(seed, asked.scheduler, asked.database), sentences)
    never = coverage.never() if not asked.scheduler else []
    for name in never:
        print(f"never met: {name}")
    for name in coverage.never_together() if not asked.scheduler else []:
        print(f"never met together: {name}")
    seeds = f": seeds {', '.join(map(str, sorted(wrong)[:40]))}" if wrong else ""
    speed = f"{coverage.cpu / max(1, coverage.runs):.3f} s of CPU a run, {coverage.runs / took:.1f} runs a second"
    print(f"{coverage.runs} runs, {len(wrong)} broke a promise{seeds}; {took:.0f} s, {speed}")
    return int(bool(wrong or never))


def _search(asked: argparse.Namespace, folder: Path | None) -> tuple[Coverage, dict[int, list[str]]]:
    until = monotonic() + _seconds(asked.time) if asked.time else None
    coverage, wrong = Coverage(), dict[int, list[str]]()
    following, begun = asked.seed, monotonic()
    with ProcessPoolExecutor(asked.jobs, initializer=_begin, initargs=(folder or _KEPT,)) as pool:
        under_way: set[Future[tuple[Coverage, dict[int, list[str]]]]] = set()
        while True:
            more = monotonic() < until if until else following < asked.seed + asked.runs
            while more and len(under_way) < asked.jobs * 2:
                many = _BATCH if until else min(_BATCH, asked.seed + asked.runs - following)
                seeds = range(following, following + many)
                under_way.add(pool.submit(batch, seeds, asked.scheduler, asked.database))
                following += many
                more = bool(until) or following < asked.seed + asked.runs
            if not under_way:
                return coverage, wrong
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for one in done:
                part, found = one.result()
                coverage.merge(part)
                wrong |= found
            speed = coverage.runs / (monotonic() - begun)
            print(f"\r{coverage.runs} runs, {len(wrong)} wrong, {speed:.1f} a second ", end="", file=sys.stderr)


def _begin(folder: Path) -> None:
    gc.set_threshold(100_000, 20, 100)  # a run's rubbish is less than it costs to look for it as often as usual
    use_folder(folder)


def batch(seeds: range, scheduler: str = "", database: str = "sqlite") -> tuple[Coverage, dict[int, list[str]]]:
    """Play the stories of these numbers."""
    # What lives as long as the program is not looked through again and again.
    gc.collect()
    gc.freeze()
    coverage, wrong, begun = Coverage(), dict[int, list[str]](), process_time()
    for seed in seeds:
        outcome = play(make(seed, scheduler, database))
        coverage.add(outcome)
        if outcome.wrong:
            wrong[seed] = outcome.wrong
    coverage.cpu = process_time() - begun
    return coverage, wrong


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
