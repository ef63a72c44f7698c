"""Change app/booking and app/store in small ways, one at a time, and see whether a test notices. mutmut does the work.

`make mutate MINUTES=30 SEED=1 ONLY=app/store/inbox.py`. All changes are put in an order that the seed decides, and
tried in that order for as long as there is time: what has been tried is always a fair sample. A later call with the
same seed goes on where the last one ended; a function that was edited meanwhile is tried again.

Each change is met by the quickest tests that reach it, up to SECONDS of them, so the figure is a lower bound: slower
tests may notice what these did not. Crash stories, models and whole servers are left out (see tool.mutmut in
pyproject.toml). The figure goes to docs/dev/mutation.md, unless ONLY some files were looked at; what no test noticed
goes to .cache/mutation/survivors.txt, as patches.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".cache/mutation"
#: mutmut writes next to what it reads: a copy of the checkout is kept for it.
TREE = WORK / "tree"
FIGURE = ROOT / "docs/dev/mutation.md"
SURVIVORS = WORK / "survivors.txt"
MUTMUT = Path(sys.executable).with_name("mutmut")
#: How long the tests of one change may take, by their durations in the first run.
SECONDS = 15.0
#: So many changes in one call of mutmut, which first runs their tests without any change.
BATCH = 60
#: For mutmut to end after it was asked to.
GRACE = 60
NOTICED, UNNOTICED = ("killed", "timeout", "segfault"), ("survived", "no tests")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=30)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("only", nargs="*", help="files below app/booking or app/store; none: all of them")
    chosen = arguments.parse_args()
    until = monotonic() + chosen.minutes * 60
    copy_checkout()
    get_ready()
    order = in_order(chosen.only, chosen.seed)
    while monotonic() < until:
        results = read_results()
        waiting = [name for name in order if results.get(name, "not checked") == "not checked"]
        if not waiting:
            break
        try_out(waiting[:BATCH], until)
    results = read_results()
    tried = {name: results[name] for name in order if results[name] in NOTICED + UNNOTICED}
    write_survivors([name for name in order if tried.get(name) in UNNOTICED])
    text = figure(tried, total=len(order), seed=chosen.seed)
    print(text)
    if not chosen.only:
        FIGURE.write_text(text)


def copy_checkout() -> None:
    """The files that git knows of. What has not changed is not touched: mutmut goes by the time of the last change."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    folders = ("pyproject.toml", "tests", *settings["source_paths"], *settings["also_copy"])
    listed = subprocess.run(  # noqa: S603  (git, with our own arguments)
        ["git", "ls-files", "--", *folders],  # noqa: S607
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.splitlines()
    wanted = {name for name in listed if (ROOT / name).is_file()}
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    for copy in [path for path in TREE.rglob("*") if path.is_file()]:
        place = copy.relative_to(TREE)
        if place.parts[0] != "mutants" and place.suffix != ".pyc" and str(place) not in wanted:
            copy.unlink()


def get_ready() -> None:
    """Every change made, and every test run once, so that it is known which tests reach which function."""
    # mutmut has no command for these two steps alone. A change of this name is never found, and it ends there.
    said = mutmut("run", "app.no_such_change")
    if "nothing matches" not in said:
        raise SystemExit(without_spinner(said))
    stats = TREE / "mutants/mutmut-stats.json"
    known: dict[str, Any] = json.loads(stats.read_text())
    seconds: dict[str, float] = known["duration_by_test"]
    for function, tests in known["tests_by_mangled_function_name"].items():
        known["tests_by_mangled_function_name"][function] = quickest(tests, seconds)
    stats.write_text(json.dumps(known))


def quickest(tests: Sequence[str], seconds: dict[str, float]) -> list[str]:
    """As many of the tests as fit into SECONDS, and one in any case."""
    left = SECONDS
    taken: list[str] = []
    for test in sorted(tests, key=lambda test: seconds[test]):
        if taken and seconds[test] > left:
            break
        left -= seconds[test]
        taken.append(test)
    return taken


def in_order(only: Sequence[str], seed: int) -> list[str]:
    """Every change that there is in these files, in the order of this seed."""
    files = {name.removesuffix(".py").replace("/", ".") for name in only}
    names = sorted(name for name in read_results() if not files or module_of(name) in files)
    if not names:
        raise SystemExit(f"There is nothing to change in {', '.join(only)}.")
    random.Random(seed).shuffle(names)  # noqa: S311
    return names


def module_of(name: str) -> str:
    """The module that a change is made in."""
    return name.rpartition(".")[0]


def try_out(names: Sequence[str], until: float) -> None:
    """Run the tests of each of the changes, and stop when the time is over; those under way stay untried."""
    process = subprocess.Popen(  # noqa: S603  (mutmut, with names that it made)
        [MUTMUT, "run", *names],
        cwd=TREE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said, _ = process.communicate(timeout=max(1.0, until - monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return
    if process.returncode:
        raise SystemExit(without_spinner(said.decode()))
    print(f"{len(names)} more", flush=True)


def read_results() -> dict[str, str]:
    """What became of each change: killed, survived, not checked, …"""
    lines = mutmut("results", "--all", "true").splitlines()
    return dict(line.strip().split(": ", 1) for line in lines if "__mutmut_" in line)


def mutmut(*arguments: str) -> str:
    """What mutmut says."""
    return subprocess.run(  # noqa: S603  (mutmut, with our own arguments)
        [MUTMUT, *arguments],
        cwd=TREE,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"COLUMNS": "200"},
    ).stdout.decode()


def without_spinner(said: str) -> str:
    """What a terminal would show in the end."""
    return "\n".join(line.rpartition("\r")[2] for line in said.split("\n"))


def write_survivors(names: Sequence[str]) -> None:
    """Each change that no test noticed, as a patch."""
    SURVIVORS.write_text("\n".join(mutmut("show", name).strip() + "\n" for name in names))


def figure(tried: dict[str, str], *, total: int, seed: int) -> str:
    """The page that keeps the figure."""
    by_module: dict[str, Counter[str]] = defaultdict(Counter)
    for name, result in tried.items():
        by_module[module_of(name)]["noticed" if result in NOTICED else "unnoticed"] += 1
    noticed = sum(counted["noticed"] for counted in by_module.values())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    lines = [
        "# Mutation testing",
        "",
        "Written by `make mutate`, which changes `app/booking` and `app/store` in small ways, one at a time, and",
        f"runs the quickest tests that reach the change, up to {SECONDS:.0f} seconds of them. Slower tests, crash",
        "stories and models are left out, so the share is a lower bound.",
        "",
        f"Of {total:,} possible changes {len(tried):,} were tried, chosen by chance (seed {seed}), at commit",
        f"`{commit}`. The tests noticed **{noticed / max(1, len(tried)):.1%}** of them.",
        "",
        "| module | tried | noticed | not noticed |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| `{module.replace('.', '/')}.py` | {counted.total()} | {counted['noticed']} | {counted['unnoticed']} |"
            for module, counted in sorted(by_module.items())
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
