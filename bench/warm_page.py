"""What a warm page costs beside bare Starlette that serves the same ready bytes through its router.

    python -m bench.warm_page

Both run here in one process on one core, in turns. "app" calls the ASGI applications directly; "HTTP" asks uvicorn
over loopback with kept connections, from a client in a process of its own. Counted is this process's CPU time, so
that other work on the machine disturbs little; of several rounds the cheapest counts. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from app.cli.demo import STUDIO, Demo, open_demo
from app.protection.rate_limits import API, Rule
from app.telemetry.logs import set_up_logs
from sandbox.serve import serve_app

ROUNDS, CALLS, REQUESTS, CONNECTIONS = 10, 1000, 1000, 8

Headers = Sequence[tuple[str, str]]

#: What the server adds itself, or Starlette knows better.
_UVICORNS = {"date", "content-length", "content-type"}

#: What a browser sends with the page in a frame.
BROWSER: Headers = (
    ("Host", "book.example"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "sv-SE,sv;q=0.8,en-US;q=0.5,en;q=0.3"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Connection", "keep-alive"),
    ("Referer", "https://studio.example/"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "iframe"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "cross-site"),
)
#: What a script on the owner's site sends for free times.
FETCH: Headers = (
    *BROWSER[:2],
    ("Accept", "application/json"),
    *BROWSER[3:6],
    ("Origin", "https://studio.example"),
    ("Sec-Fetch-Dest", "empty"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Site", "cross-site"),
)
#: What htmx sends for the part of the page that another day changes.
HTMX: Headers = (*BROWSER, ("HX-Request", "true"), ("HX-Current-URL", "https://book.example/w/studio"))


@dataclass(frozen=True, slots=True)
class Case:
    """One request to one application, and the cheapest that it was, in microseconds."""

    name: str
    app: ASGIApp
    port: int
    target: str
    headers: Headers
    status: int

    async def call(self, count: int) -> float:
        """CPU microseconds for one call of the application."""
        path, _, query = self.target.partition("?")
        fixed: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", self.port),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "root_path": "",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
        }
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers]
        statuses = set()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.add(message["status"])

        began = process_time()
        for _ in range(count):
            await self.app({**fixed, "headers": list(headers), "state": {}}, _receive, send)
        spent = process_time() - began
        self._check(statuses)
        return spent / count * 1e6

    async def request(self, count: int, client: Process) -> float:
        """CPU microseconds of the server for one request over HTTP."""
        assert client.stdin  # noqa: S101 - made with pipes
        assert client.stdout  # noqa: S101
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        request = f"GET {self.target} HTTP/1.1\r\n{head}\r\n"
        task = {"port": self.port, "count": count, "connections": CONNECTIONS, "requests": [request]}
        began = process_time()
        client.stdin.write(json.dumps(task).encode() + b"\n")
        statuses = json.loads(await client.stdout.readline())
        spent = process_time() - began
        self._check(statuses)
        return spent / count * 1e6

    def _check(self, statuses: Iterable[int]) -> None:
        if set(statuses) != {self.status}:
            raise SystemExit(f"{self.name}: expected {self.status}, got {set(statuses)}")


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def bare_app(body: bytes, headers: Mapping[str, str]) -> Starlette:
    """Starlette with one route, and the bytes ready."""

    async def page(_: Request) -> Response:
        return Response(body, headers=headers, media_type="text/html")

    return Starlette(routes=[Route("/w/{widget}", page)])


async def main() -> None:
    client = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.client", stdin=PIPE, stdout=PIPE)
    with suppress(AttributeError):  # not every system lets a process choose its core
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        await _compare(client)
    finally:
        client.terminate()
        await client.wait()


async def _compare(client: Process) -> None:
    with TemporaryDirectory() as folder:
        async with (
            open_demo(Path(folder), widgets={"hapio": STUDIO}, worker=False) as demo,
            httpx.AsyncClient(base_url=demo.urls.public) as browser,
        ):
            services = (await browser.get("/w/studio", headers=list(BROWSER))).text
            service = services.partition('name="service" value="')[2].partition('"')[0]
            target = f"/w/studio?service={service}&tz={quote('Europe/Stockholm')}&lang=sv"
            page = await browser.get(target, headers=list(BROWSER))
            day = page.text.partition('aria-pressed="true"')[0].rpartition('id="d')[2][:10]
            ready = gzip.compress(page.content, 9, mtime=0)
            print(f"the page: {len(page.content)} bytes, {len(ready)} compressed")
            dressed_up = {name: value for name, value in page.headers.items() if name not in _UVICORNS}
            bare = bare_app(ready, {"Content-Encoding": "gzip"})
            dressed = bare_app(ready, dressed_up)
            async with serve_app(bare, port=0) as bare_url, serve_app(dressed, port=0) as dressed_url:
                ports = [int(urlsplit(url).port or 0) for url in (bare_url, demo.urls.public, dressed_url)]
                known = (*BROWSER, ("If-None-Match", page.headers["etag"]))
                slots = target.replace("?", "/slots?") + f"&date={day}"
                await _measure(
                    client,
                    Case("bare Starlette, ready bytes", bare, ports[0], target, BROWSER, 200),
                    [
                        Case("the same with our headers", dressed, ports[2], target, BROWSER, 200),
                        Case("warm page", demo.app, ports[1], target, BROWSER, 200),
                        Case("warm page, brought along", demo.app, ports[1], f"{target}&utm_source=mail", BROWSER, 200),
                        Case("the browser has it", demo.app, ports[1], target, known, 304),
                        Case("another day", demo.app, ports[1], slots, HTMX, 200),
                        Case("the services", demo.app, ports[1], "/w/studio?lang=sv", BROWSER, 200),
                    ],
                )
            await _compare_times(client, demo, browser, service)
            for file in ("/embed.js", "/static/widget.css"):
                found = await browser.get(file, headers=list(BROWSER))
                bare = bare_app(gzip.compress(found.content, 9, mtime=0), {"Content-Encoding": "gzip"})
                async with serve_app(bare, port=0) as bare_url:
                    port = int(urlsplit(bare_url).port or 0)
                    base = Case("bare Starlette, its bytes", bare, port, "/w/studio", BROWSER, 200)
                    await _measure(client, base, [Case(file, demo.app, ports[1], file, BROWSER, 200)])


async def _compare_times(client: Process, demo: Demo, browser: httpx.AsyncClient, service: str) -> None:
    """The JSON door's free times, for a script on the owner's site."""
    # What it lets in would answer most of the requests.
    object.__setattr__(API, "limits", Rule.of(API.name, "1000000000/minute").limits)
    first = demo.clock().date() + timedelta(days=1)
    target = f"/api/availability?serviceId={service}&from={first}&to={first + timedelta(days=28)}"
    for _ in range(3):  # the first ones read it
        found = await browser.get(target)
    slots = len(found.raise_for_status().json()["slots"])
    print(f"the times: {len(found.content)} bytes, {slots} of them")
    bare = bare_app(found.content, {})
    async with serve_app(bare, port=0) as bare_url:
        base = Case("bare Starlette, its bytes", bare, int(urlsplit(bare_url).port or 0), "/w/studio", FETCH, 200)
        port = int(urlsplit(demo.urls.public).port or 0)
        cases = [Case("/api/availability", demo.app, port, target, FETCH, 200)]
        await _measure(client, base, cases)


async def _measure(client: Process, base: Case, cases: Sequence[Case]) -> None:
    calls: dict[str, float] = {}
    requests: dict[str, float] = {}
    for _ in range(ROUNDS):
        for case in (base, *cases):
            for kind, cost in ((calls, await case.call(CALLS)), (requests, await case.request(REQUESTS, client))):
                kind[case.name] = min(cost, kind.get(case.name, cost))
    print(f"{'':28}{'app µs':>10}{'share':>8}{'HTTP µs':>10}{'share':>8}")
    for case in (base, *cases):
        shares = [kind[base.name] / kind[case.name] for kind in (calls, requests)]
        print(f"{case.name:28}{calls[case.name]:10.1f}{shares[0]:8.2f}{requests[case.name]:10.1f}{shares[1]:8.2f}")


if __name__ == "__main__":
    set_up_logs("warning")
    asyncio.run(main())
