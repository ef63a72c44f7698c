"""What docs/performance.md has a figure of, one after the other.

make bench

Three things have commands of their own, since they take much longer: `make years` (200,000 bookings), `make kill` and
`make first-view`, which needs a browser.
"""

from __future__ import annotations

import subprocess
import sys

_ALL = (
    ("bench.warm_page",),
    ("bench.booking",),
    ("bench.processes",),
    ("bench.holds",),
    ("bench.holds", "postgresql"),
    ("bench.attempts",),
    ("bench.front_desk",),
)


def main() -> int:
    """Run each in a process of its own; how many failed."""
    failed = 0
    for module, *words in _ALL:
        print(f"\n{' '.join((module, *words))}", flush=True)
        failed += subprocess.run([sys.executable, "-m", module, *words], check=False).returncode != 0  # noqa: S603
    return failed


if __name__ == "__main__":
    sys.exit(main())
