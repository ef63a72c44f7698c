"""Made-up input for what meets the outside: providers' answers, widgets.toml, other people's pages, signed links:
`make fuzz MINUTES=10 SEED=1`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from app.protection.signed_links import Links
from tests.support.logs import plain_logs
from tests.support.sides import NAMES
from tests.support.spoiled import Spoiler, live_through
from tests.support.spoiled_texts import wrong_page, wrong_token, wrong_widgets
from tests.support.stack import open_stack

#: Visitors in one studio before a new one is opened, and texts of each kind between two studios.
_VISITORS, _TEXTS = 60, 300


def main() -> int:
    """0 where everything was answered in words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    plain_logs()
    return asyncio.run(_search(asked.minutes, asked.seed))


async def _search(minutes: float, seed: int) -> int:
    ends, sent = time.monotonic() + minutes * 60, Counter[str]()
    found: list[str] = []
    links = Links(["k" * 32], now=lambda: datetime(2026, 11, 23, 8, tzinfo=UTC), random=Random(seed))
    while time.monotonic() < ends:
        for name in NAMES:
            with TemporaryDirectory() as folder:
                random = Random(f"{seed} {name}")
                async with open_stack(
                    Path(folder), scheduler=name, settings={"staff_emails": "eva@studio.example"}
                ) as stack:
                    spoiler = Spoiler(random)
                    found += [f"seed {seed}, {name}: {one}" for one in await live_through(stack, spoiler, _VISITORS)]
                    sent[f"answers of {name} and Stripe"] += spoiler.spoiled
                for _ in range(_TEXTS):
                    said = (wrong_widgets(Path(folder), random), wrong_page(random), wrong_token(links, random))
                    found += [f"seed {seed}, {name}: {wrong}" for wrong in said if wrong]
                sent.update({"files": _TEXTS, "pages": _TEXTS, "links": _TEXTS})
        seed += 1
    for kind, many in sorted(sent.items()):
        print(f"{many:7} {kind}")
    print(f"{len(found)} faults")
    for one in found[:20]:
        print(f"  {one}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
