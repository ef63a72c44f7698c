"""Owners' programs that are told of bookings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

#: A widget with one such program, which wants everything.
CRM = """
[[studio.webhooks]]
name = "crm"
url = "https://crm.example/holdfast"
"""


@dataclass(frozen=True)
class Received:
    """One request."""

    host: str
    address: str
    headers: httpx.Headers
    body: bytes

    @property
    def message(self) -> Any:
        """What it says."""
        return json.loads(self.body)

    @property
    def signature(self) -> str:
        """What it is signed with."""
        return self.headers["Holdfast-Signature"]


class Receivers(httpx.AsyncBaseTransport):
    """Every program that is sent something, by its host; each takes it unless `answers` says otherwise: a status, an
    answer, or what goes wrong."""

    def __init__(self) -> None:
        self.got: list[Received] = []
        self.answers: dict[str, int | httpx.Response | BaseException | Callable[[Received], int]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take a message."""
        received = Received(request.headers["host"], request.url.host, request.headers, request.content)
        self.got.append(received)
        answer = self.answers.get(received.host, 204)
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer) and not isinstance(answer, httpx.Response):
            answer = answer(received)
        return httpx.Response(answer) if isinstance(answer, int) else answer

    def told(self, host: str = "crm.example") -> list[str]:
        """The events that a program was told of, in the order in which they came."""
        return [received.message["type"] for received in self.got if received.host == host]
