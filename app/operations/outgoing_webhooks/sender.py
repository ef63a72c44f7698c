"""One request to an owner's program, as carefully as anything that an address in a file makes a server do.

As in `app.protection.page_reader`: exactly the address that was looked up is asked, and only a public one, unless the
operator has named the origin. Nothing is followed, and nothing of the answer is read but its status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult

import httpx

from app.domain import urls
from app.domain.urls import origin_of
from app.operations.outgoing_webhooks.signature import HEADER
from app.protection.public_addresses import NoSuchHost, NotPublic, Resolve, address_to_ask
from app.tls import trusted

#: For everything together, the look-up of the name included. A program that has more to do answers first.
SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one request. `error` is empty where it was taken, else a word or two without anything of the
    answer's; `status` is 0 without one."""

    status: int
    error: str = ""

    @property
    def taken(self) -> bool:
        """Whether the program has it."""
        return not self.error


class _Refused(Exception):
    """The request was not made; the text is the `error`."""


class Sender:
    """Sends. `named` are the origins that may be asked although they are not public, in http as well."""

    def __init__(
        self,
        *,
        named: Collection[str],
        agent: str,
        resolve: Resolve,
        transport: httpx.AsyncBaseTransport | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._named = frozenset(origin_of(origin) for origin in named)
        self._agent = agent
        self._resolve = resolve
        self._seconds = seconds
        # Without a client around it: that would take the environment's proxy, which would look the name up again.
        self._transport = transport or httpx.AsyncHTTPTransport(
            verify=trusted(), limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def send(self, url: str, body: bytes, signature: str) -> Sent:
        """POST it. Raises nothing that an address or an answer could cause."""
        try:
            async with asyncio.timeout(self._seconds):
                status = await self._post(url, body, signature)
        except TimeoutError:
            return Sent(0, "no answer")
        except _Refused as error:
            return Sent(0, str(error))
        except httpx.InvalidURL:
            return Sent(0, "not an address")
        except (httpx.HTTPError, OSError) as error:
            return Sent(0, "certificate not accepted" if "CERTIFICATE" in str(error).upper() else "no answer")
        return Sent(status, "" if 200 <= status < 300 else f"status {status}")

    async def trouble(self, url: str) -> str:
        """Why nothing could be sent there, in a word or two; empty where it could. Asks only for the name."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._address(_origin(url))
        except TimeoutError:
            return "no such host"
        except _Refused as error:
            return str(error)
        return ""

    async def _post(self, url: str, body: bytes, signature: str) -> int:
        origin = _origin(url)
        address = await self._address(origin)
        headers = {
            "Host": origin.netloc,
            "User-Agent": self._agent,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            HEADER: signature,
        }
        extensions = {"sni_hostname": origin.hostname, "timeout": httpx.Timeout(self._seconds).as_dict()}
        target = httpx.URL(url).copy_with(host=address, port=origin.port, userinfo=b"", fragment=None)
        request = httpx.Request("POST", target, headers=headers, content=body, extensions=extensions)
        response = await self._transport.handle_async_request(request)
        await response.aclose()
        return response.status_code

    async def _address(self, origin: SplitResult) -> str:
        """The IP address to ask."""
        named = origin.geturl() in self._named
        if not named and origin.scheme != "https":
            raise _Refused("not https")
        port = origin.port or (443 if origin.scheme == "https" else 80)
        try:
            return await address_to_ask(self._resolve, origin.hostname or "", port, named=named)
        except NoSuchHost as error:
            raise _Refused("no such host") from error
        except NotPublic as error:
            raise _Refused("not a public address") from error


def _origin(url: str) -> SplitResult:
    parts = urls.split(origin_of(url))
    if parts is None or not parts.hostname:
        raise _Refused("not an address")
    return parts
