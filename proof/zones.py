"""Every change of clocks of every zone from 2020 to 2040, and what has to hold around it: `make zones`."""

from __future__ import annotations

import argparse
import sys
import time

import tzdata

from tests.support.clock_changes import FIRST, LAST, clocks, slots_around, wrong_about, wrong_about_feed


def main() -> int:
    """0 where nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=20, help="how many faults are printed")
    asked = parser.parse_args()
    began = time.process_time()
    alike = clocks()
    zones = sum(map(len, alike.values()))
    changes = sum(len(changes) * len(names) for changes, names in alike.items())
    print(f"tzdata {tzdata.IANA_VERSION}: {zones} zones with {changes} changes, {len(alike)} different clocks")
    wrong: list[str] = []
    slots = looked = 0
    for number, (changes_of_clock, names) in enumerate(alike.items()):
        zone, place = names[0], list(alike.values())[number * 7 % len(alike)][0]
        for change in changes_of_clock:
            looked += 1
            slots += len(slots_around(change))
            wrong += [
                f"{zone}, {change.moment:%Y-%m-%dT%H:%MZ}: {fault}"
                for fault in wrong_about(zone, change, place, changes_of_clock)
            ]
        for name in names:
            wrong += wrong_about_feed(name, FIRST, LAST, changes_of_clock)
    print(f"{looked} changes of different clocks looked at, {slots} times compared")
    print(f"{len(wrong)} faults, {time.process_time() - began:.0f} s of CPU")
    for fault in wrong[: asked.most]:
        print(f"  {fault}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
