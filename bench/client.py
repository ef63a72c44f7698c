"""The other end of the wire for `bench.warm_page`: sends requests over and over on a few kept connections.

It runs as a process of its own, so that its time is not counted as the server's. Each line of JSON that it reads is a
task {"port", "count", "connections", "requests"}, the requests by turns; it answers with a line of the statuses that it
met.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from collections.abc import Iterator

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """One of the requests at a time, `count` in all. `done` holds the statuses that were met."""

    def __init__(self, requests: Iterator[bytes], count: int) -> None:
        self._requests = requests
        self._left = count
        self._received = b""
        self._statuses: set[int] = set()
        self.done: asyncio.Future[set[int]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP
        self._transport = transport
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        self._statuses.add(int(head[9:12]))
        self._left -= 1
        if self._left:
            self._transport.write(next(self._requests))
        else:
            self._transport.close()
            self.done.set_result(self._statuses)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server hung up"))


async def _run(port: int, count: int, connections: int, requests: list[str]) -> set[int]:
    loop, turns = asyncio.get_running_loop(), itertools.cycle([request.encode() for request in requests])
    made = [
        await loop.create_connection(lambda: _Connection(turns, count // connections), "127.0.0.1", port)
        for _ in range(connections)
    ]
    return {status for _, protocol in made for status in await protocol.done}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(sorted(asyncio.run(_run(**json.loads(line))))), flush=True)
