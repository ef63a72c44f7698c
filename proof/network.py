"""The wires between the processes and the providers: everything takes its time, and some of it never comes.

A request is on its way once it was sent. Whether its sender still waits, has given up or is dead changes nothing about
what it does there.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, Literal, get_args

import httpx

if TYPE_CHECKING:
    from proof.process import Process

#: What may become of a request. `late` has its effect, after the sender has given up; `twice` is not among them, as
#: none of our clients' requests is repeated by a network.
Fate = Literal[
    "lost before", "lost after", "error before", "error after", "late", "hang", "page", "rate limited", "refused"
]
FATES: tuple[Fate, ...] = get_args(Fate)
#: How the sandboxes are told the fates that the provider itself decides.
_AT_PROVIDER: dict[Fate, str] = {
    "error before": "error_before",
    "error after": "error_after",
    "page": "html_body",
    "rate limited": "rate_limited",
}
#: A part of a path that is no id.
_WORD = re.compile(r"|v\d|[a-z][a-z_-]*")
#: Seconds that any client of ours waits at most where it names no bound.
_LONGEST = 60.0


@dataclass
class Trouble:
    """The `nth` request from `since` (seconds) on whose provider and method fit meets this fate; then it is over,
    or after `times` of them (None: never). `once` is an act before whose beginning nothing counts."""

    provider: str
    fate: Fate
    method: str = ""
    nth: int = 1
    since: float = 0.0
    times: int | None = 1
    once: str = ""

    def strikes(self, provider: str, request: httpx.Request, now: float, begun: Collection[str]) -> bool:
        """Whether it is this request's, after these acts have `begun`; counts it."""
        fits = provider == self.provider and now >= self.since and self.method in ("", request.method)
        if not fits or self.times == 0 or (self.once and self.once not in begun):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Network:
    """All wires of a world. `fates` counts what was met, by (provider, method and kind of path, fate)."""

    def __init__(self, random: Random, troubles: Sequence[Trouble]) -> None:
        self._random = random
        self.troubles = [replace(one) for one in troubles]  # they count down, and the story is played again
        self.fates: Counter[tuple[str, str, Fate]] = Counter()
        #: Providers that cannot be reached at present, and those that take requests and never answer.
        self.gone: dict[str, bool] = {}
        self.silent: dict[str, bool] = {}
        self.calm = False
        #: The acts that somebody has begun.
        self.begun: set[str] = set()
        #: What struck when, in seconds: a fate of a request, and whatever the world adds.
        self.struck: list[tuple[float, str]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        #: What went wrong outside every process, where nobody waits for it.
        self.failed: list[BaseException] = []

    def pause(self, slow: float = 0.02) -> float:
        """How long a way takes, in seconds: mostly milliseconds, now and then seconds."""
        if self.calm:
            return 0.001
        return self._random.uniform(0.5, 8.0) if self._random.random() < slow else self._random.uniform(0.001, 0.25)

    def fate_of(self, provider: str, request: httpx.Request, now: float) -> Fate | None:
        """What becomes of this request."""
        if self.gone.get(provider):
            return "lost before"
        if self.silent.get(provider):
            return "hang"
        if self.calm:
            return None
        return next((one.fate for one in self.troubles if one.strikes(provider, request, now, self.begun)), None)

    def launch(self, work: Any) -> None:
        """Let something happen outside every process."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.failed.append(error)

    async def settle(self) -> None:
        """Wait for all that is still on its way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))


class Wire(httpx.AsyncBaseTransport):
    """A process's wire to a provider, whose sandbox is behind `inner` and takes its faults from `faults`."""

    # Seven parameters: what each wire has of its own, and the sandbox's own kind of fault.
    def __init__(
        self,
        process: Process,
        network: Network,
        provider: str,
        inner: httpx.AsyncBaseTransport,
        faults: list[Any],
        fault: Callable[..., Any],
        after: Callable[[], None],
    ) -> None:
        self._process = process
        self._network = network
        self._provider = provider
        self._inner = inner
        self._faults = faults
        self._fault = fault
        self._after = after

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and wait as long as the client would."""
        await self._process.step(self._provider, "send")
        await request.aread()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[httpx.Response] = loop.create_future()
        fate = self._network.fate_of(self._provider, request, loop.time())
        if fate:
            self._network.fates[self._provider, kind_of(request), fate] += 1
            whose = "stripe" if self._provider == "stripe" else "scheduler"
            self._network.struck.append((loop.time(), f"{whose}: {fate}"))
        self._network.launch(self._carry(request, fate, answer))
        patience = (request.extensions.get("timeout") or {}).get("read") or _LONGEST
        try:
            async with asyncio.timeout(patience):
                response = await answer
        except TimeoutError:
            raise httpx.ReadTimeout("no answer", request=request) from None
        await self._process.step(self._provider, "answered")
        return response

    async def _carry(self, request: httpx.Request, fate: Fate | None, answer: asyncio.Future[httpx.Response]) -> None:
        await asyncio.sleep(self._network.pause())
        if fate == "hang":
            return
        if fate == "lost before":
            _give(answer, httpx.ReadError("the connection was lost", request=request))
            return
        if fate == "late":
            await asyncio.sleep(self._network.pause() + 45)
        if fate in _AT_PROVIDER:
            self._faults.insert(0, self._fault(kind=_AT_PROVIDER[fate], times=1))
        elif fate == "refused":
            self._faults.insert(
                0, self._fault(kind="refuse", status=403 if self._provider != "stripe" else 400, times=1)
            )
        try:
            response = await self._inner.handle_async_request(request)
            await response.aread()
        except httpx.TransportError as error:
            outcome: httpx.Response | httpx.TransportError = error
        else:
            outcome = response
        self._after()
        await asyncio.sleep(self._network.pause())
        _give(answer, httpx.ReadError("the connection was lost", request=request) if fate == "lost after" else outcome)


def kind_of(request: httpx.Request) -> str:
    """Method and path without ids, such as "PATCH /v1/bookings/*"."""
    return (
        f"{request.method} {'/'.join(part if _WORD.fullmatch(part) else '*' for part in request.url.path.split('/'))}"
    )


def _give(answer: asyncio.Future[httpx.Response], outcome: httpx.Response | httpx.TransportError) -> None:
    if answer.done():
        return
    if isinstance(outcome, httpx.Response):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)
