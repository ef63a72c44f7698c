"""The first story that breaks a promise: what `proof.rules` asks of code from which a rule was left out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proof.make_story import make
from proof.play import play
from proof.story import load


def main() -> int:
    """Print the seed and the broken promise; nothing where all of them hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scheduler", default="")
    parser.add_argument("--story", type=Path, help="a file with one story, instead of those of the seeds")
    asked = parser.parse_args()
    if asked.story:
        print("\n".join(play(load(asked.story.read_text())).wrong))
        return 0
    for seed in range(asked.seed, asked.seed + asked.runs):
        print(f"playing {seed}", flush=True)  # the last that is said, should the run not come to its end
        wrong = play(make(seed, asked.scheduler)).wrong
        if wrong:
            print(f"seed {seed}: {wrong[0]}")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
