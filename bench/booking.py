"""What one completed booking costs the server: its pages, its webhooks and its mails.

    python -m bench.booking

The server is the owner's command in a process of its own; the sandboxes and the visitors are here. Its CPU time is
compared with what a fixed piece of Python costs in the same minutes, so that a busy machine changes the seconds and not
the ratio.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time

import httpx

from bench.surroundings import Surroundings, Visitor, cpu_seconds, resident_mib, surroundings

FIRST, BOOKINGS = 5, 40
#: `python -m app` without what only developers install: httpx loads these, 4 MiB, where it finds them.
_AS_INSTALLED = (
    "-c",
    "import sys; sys.modules['pygments'] = sys.modules['rich'] = None; from app.__main__ import main; sys.exit(main())",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one booking: seconds of CPU, and as many pieces of Python; of the process: seconds to its first answer, and
    MiB then."""

    seconds: float
    pieces: float
    start: float
    memory: float


def piece() -> float:
    """CPU seconds of a fixed piece of Python: dictionaries, strings and calls, as requests are made of."""
    began = process_time()
    kept: dict[str, int] = {}
    for number in range(200_000):
        name = f"{number % 1000:x}"
        kept[name] = kept.get(name, 0) + len(name)
    return process_time() - began


async def measure(street: Surroundings, *, bookings: int = BOOKINGS) -> Cost:
    """Book so often with a server that has booked before."""
    await street.end(await street.serve(before=_AS_INSTALLED))  # so that there is a database, and its code is compiled
    began = monotonic()
    server = await street.serve(before=_AS_INSTALLED)
    start, memory = monotonic() - began, resident_mib(server.pid)
    async with httpx.AsyncClient(base_url=street.address, timeout=60) as client:
        for number in range(FIRST):
            await Visitor(street, client, number).book()
            await street.stripe.deliver_due()
        pieces, spent = [piece()], cpu_seconds(server.pid)
        for number in range(bookings):
            await Visitor(street, client, FIRST + number).book()
            await street.stripe.deliver_due()
            if number % 8 == 0:
                pieces.append(piece())
        mails = 2 * (FIRST + bookings)
        async with asyncio.timeout(60):
            while len(street.mailbox.messages) < mails:  # noqa: ASYNC110 - the server's worker sends them
                await asyncio.sleep(0.1)
        each = (cpu_seconds(server.pid) - spent) / bookings
    await street.end(server)
    return Cost(each, each / (sum(pieces) / len(pieces)), start, memory)


async def main() -> None:
    """Print the figures."""
    with TemporaryDirectory() as folder:
        async with surroundings(Path(folder)) as street:
            cost = await measure(street)
    print(f"one booking: {cost.seconds:.3f} s of CPU, as much as {cost.pieces:.2f} of bench.booking.piece")
    print(f"to the first answer: {cost.start:.1f} s; memory then: {cost.memory:.0f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
