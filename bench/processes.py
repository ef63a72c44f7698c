"""How much more two server processes answer than one, and whether a rolling restart fails a request.

    python -m bench.processes

Two processes of `bench.client` ask on kept connections, as fast as they are answered: for the page of a hold, which is
read from the database and drawn for each request, and for a warm page. Asking costs a client some 50 µs. Beside the
hold's page, of some milliseconds, that is next to nothing, so two free cores are enough for its ratio; a warm page
costs the server no more than the client, and its ratio needs four.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx

from bench.surroundings import Surroundings, Visitor, surroundings
from bench.warm_page import BROWSER

#: Requests of each client.
_WARM, _DRAWN = 8000, 600
_CONNECTIONS, _CLIENTS, _HOLDS = 16, 2, 24


async def main() -> None:
    """Print both."""
    with TemporaryDirectory() as folder:
        async with surroundings(Path(folder)) as street:
            rates = []
            for count in (1, 2):
                server = await street.serve("--workers", str(count))
                rates.append(
                    (await _rate(street, await _holds(street), _DRAWN), await _rate(street, ["/w/studio"], _WARM))
                )
                await street.end(server)
            for what, one, two in zip(("pages of a hold", "warm pages"), *rates, strict=True):
                print(f"{what} a second: {one:.0f} by one process, {two:.0f} by two: {two / one:.2f}")
            asked, failed = await rolling_restart(street)
            print(f"a rolling restart of two processes: {asked} requests, {failed} failed")


async def _holds(street: Surroundings) -> list[str]:
    """The pages of times that visitors hold. Each page gets some requests: there is a limit a minute."""
    async with httpx.AsyncClient(base_url=street.address, timeout=60) as browser:
        return [await Visitor(street, browser, number).hold() for number in range(_HOLDS)]


async def _rate(street: Surroundings, pages: Sequence[str], requests: int) -> float:
    """How many of such pages a second."""
    asked = []
    async with httpx.AsyncClient(base_url=street.address) as browser:
        for number, page in enumerate(pages):
            headers = (*BROWSER, ("X-Forwarded-For", f"10.8.0.{number}"))
            for _ in range(8):  # each process draws it once
                (await browser.get(page, headers=list(headers))).raise_for_status()
            head = "".join(f"{name}: {value}\r\n" for name, value in headers)
            asked.append(f"GET {page} HTTP/1.1\r\n{head}\r\n")
    task = {"port": street.port, "count": requests, "connections": _CONNECTIONS, "requests": asked}
    clients = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.client", stdin=PIPE, stdout=PIPE)
        for _ in range(_CLIENTS)
    ]
    began = monotonic()
    told = await asyncio.gather(*(one.communicate(json.dumps(task).encode() + b"\n") for one in clients))
    if any(json.loads(out) != [200] for out, _ in told):
        raise SystemExit(f"answered {told}")
    return _CLIENTS * requests / (monotonic() - began)


async def rolling_restart(street: Surroundings) -> tuple[int, int]:
    """Put new processes in the place of two under load: how many requests were made, and how many failed."""
    server = await street.serve("--workers", "2")
    before = children(server.pid)
    asked, failed, over = 0, 0, asyncio.Event()

    async def ask(number: int) -> None:
        nonlocal asked, failed
        async with httpx.AsyncClient(base_url=street.address, timeout=60) as browser:
            while not over.is_set():
                asked += 1
                headers = {"X-Forwarded-For": f"10.9.{number}.{asked % 250}"}
                try:
                    failed += not (await browser.get("/w/studio", headers=headers)).is_success
                except httpx.TransportError:
                    failed += 1
                await asyncio.sleep(0.01)

    asking = [asyncio.create_task(ask(number)) for number in range(4)]
    server.send_signal(signal.SIGHUP)
    for _ in range(1200):
        there = children(server.pid)
        if len(there) >= len(before) and not there & before - _helpers(server.pid):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    over.set()
    await asyncio.gather(*asking)
    await street.end(server)
    return asked, failed


def children(pid: int) -> set[int]:
    """The processes that a process has started and that still run (proc(5))."""
    return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def _helpers(pid: int) -> set[int]:
    """Python's own helper, which no restart replaces."""
    return {one for one in children(pid) if b"resource_tracker" in Path(f"/proc/{one}/cmdline").read_bytes()}


if __name__ == "__main__":
    asyncio.run(main())
