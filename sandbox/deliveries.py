"""Webhooks on their way: signed, delivered, tried again, as the sandbox's switches say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import httpx

from sandbox.growing import Unended

Mode = Literal["once", "twice", "reversed", "delayed", "never"]

#: How long `delayed` keeps a webhook back.
DELAY = timedelta(minutes=10)


@dataclass
class Endpoint:
    """Where webhooks go. `on` turns False where the provider gives up on it, or is told that it is gone."""

    url: str
    secret: str
    on: bool = True


@dataclass
class Delivery:
    """One webhook for one endpoint. `answers` has a status for each attempt, None where no answer came."""

    kind: str
    body: bytes
    endpoint: Endpoint
    created_at: datetime
    due_at: datetime
    answers: list[int | None] = field(default_factory=list)
    state: Literal["pending", "sending", "delivered", "failed"] = "pending"


class Deliveries:
    """The queue of one sandbox.

    `sign` gives the headers of an attempt from the secret, the raw body, and the moment of the attempt. `gaps` are the
    pauses before the second attempt, the third, and so on: none means a single shot. `gave_up` is told of a delivery
    whose last attempt failed; `gone` of one that was answered 410.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        client: httpx.AsyncClient | None,
        sign: Callable[[str, bytes, datetime], dict[str, str]],
        *,
        gaps: Sequence[timedelta] = (),
        timeout: float = 15.0,
        gave_up: Callable[[Delivery], None] = lambda delivery: None,
        gone: Callable[[Delivery], None] = lambda delivery: None,
    ) -> None:
        """Without a `client` nothing is delivered; the queue can still be looked at."""
        self.queue: list[Delivery] = []
        self._unended = Unended(self.queue, lambda one: one.state in {"delivered", "failed"})
        self._now = now
        self._client = client
        self._sign = sign
        self._gaps = tuple(gaps)
        self._timeout = timeout
        self._gave_up = gave_up
        self._gone = gone

    def add(self, kind: str, body: bytes, endpoint: Endpoint, mode: Mode) -> None:
        """Put a webhook on its way."""
        now = self._now()
        due = now + DELAY if mode == "delayed" else now
        for _ in range({"never": 0, "twice": 2}.get(mode, 1)):
            self.queue.append(Delivery(kind, body, endpoint, now, due))

    def clear(self) -> None:
        """Nothing is on its way, and nothing was."""
        self.queue.clear()
        self._unended.forget()

    def unended(self) -> list[Delivery]:
        """Those that are still to be tried."""
        return self._unended.look()

    async def deliver_due(self, mode: Mode = "once") -> int:
        """Try everything that is due, once; return how many requests were made. `reversed` takes the last first."""
        if self._client is None:
            return 0
        due = [one for one in self._unended.look() if one.state == "pending" and one.due_at <= self._now()]
        if mode == "reversed":
            due.reverse()
        sent = 0
        for delivery in due:
            # Another caller may have taken it while an earlier one was on its way.
            if delivery.state != "pending":
                continue
            if not delivery.endpoint.on:
                delivery.state = "failed"
                continue
            sent += 1
            await self._attempt(self._client, delivery)
        return sent

    async def _attempt(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        delivery.state = "sending"
        headers = self._sign(delivery.endpoint.secret, delivery.body, self._now())
        status: int | None = None
        try:
            response = await client.post(
                delivery.endpoint.url,
                content=delivery.body,
                headers={"Content-Type": "application/json", **headers},
                timeout=self._timeout,
                follow_redirects=False,
            )
            status = response.status_code
        except httpx.TransportError:
            pass  # recorded as an attempt without an answer
        finally:
            # In `finally`: an attempt that was cut off by a crash in the receiver is tried again too.
            self._record(delivery, status)

    def _record(self, delivery: Delivery, status: int | None) -> None:
        delivery.answers.append(status)
        if status is not None and 200 <= status < 300:
            delivery.state = "delivered"
        elif status == httpx.codes.GONE:
            delivery.state = "failed"
            self._gone(delivery)
        elif len(delivery.answers) > len(self._gaps):
            delivery.state = "failed"
            self._gave_up(delivery)
        else:
            delivery.state = "pending"
            delivery.due_at = self._now() + self._gaps[len(delivery.answers) - 1]
