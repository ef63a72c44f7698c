"""How often money is kept without a booking where strangers take times at the scheduler while they are being paid, and
how many calls a booking costs: `make strangers RUNS=1000`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from tests.support.logs import plain_logs
from tests.support.sides import NAMES
from tests.support.stack import open_stack
from tests.support.strangers import Tally, play

#: Runs in one studio; then a new one is opened, as months of bookings make each run slower.
STUDIO = 100


def main() -> int:
    """0 where every promise held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("schedulers", nargs="*", default=list(NAMES))
    asked = parser.parse_args()
    plain_logs()
    return max(asyncio.run(_one(name, asked.runs, asked.seed)) for name in asked.schedulers)


async def _one(scheduler: str, runs: int, seed: int) -> int:
    tally = Tally()
    for first in range(0, runs, STUDIO):
        last = min(first + STUDIO, runs)
        with TemporaryDirectory() as folder:
            async with open_stack(Path(folder), scheduler=scheduler) as stack:
                await play(stack, range(first, last), seed, tally)
        print(f"{scheduler}: {last} of {runs} runs", file=sys.stderr)
    print(f"{scheduler}: {runs} runs")
    for how, many in sorted(tally.ended.items()):
        print(f"  {many:5} {how}")
    print(f"  {tally.charged_and_refunded:5} charged and refunded, {len(tally.wrong)} broken promises")
    print(f"        {mean(tally.calls):.1f} calls for a booking that nobody hinders" if tally.calls else "")
    for sentence in tally.wrong[:10]:
        print(f"        {sentence}")
    return int(bool(tally.wrong))


if __name__ == "__main__":
    sys.exit(main())
