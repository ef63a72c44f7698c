"""The first story that breaks a promise: what `proof.rules` asks of code from which a rule was left out."""

from __future__ import annotations

import argparse
import sys

from proof.play import play
from proof.story import make


def main() -> int:
    """Print the seed and the broken promise; nothing where all of them hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scheduler", default="")
    asked = parser.parse_args()
    for seed in range(asked.seed, asked.seed + asked.runs):
        wrong = play(make(seed, asked.scheduler)).wrong
        if wrong:
            print(f"seed {seed}: {wrong[0]}")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
