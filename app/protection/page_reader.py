"""Reading one page of someone's site, as carefully as anything that an address from outside makes a server do.

Only public addresses are contacted, on their usual ports, and exactly the address that was looked up and checked: a
name that points somewhere else a moment later has no effect. Origins that the operator has named may be at any address.
"""

from __future__ import annotations

import asyncio
import re
import socket
import zlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from posixpath import normpath
from typing import Final
from urllib.parse import unquote

import httpx

from app.domain import urls
from app.domain.urls import origin_of
from app.protection.public_addresses import NoSuchHost, NotPublic, Resolve, address_to_ask
from app.tls import trusted

#: A page's head and tags lie well within; what comes after is not read.
MOST_BYTES: Final = 512 * 1024
#: For everything together, redirects included.
SECONDS: Final = 10.0
MOST_REDIRECTS: Final = 5
#: Pages read at the same time; more of them wait within their own seconds.
_AT_ONCE: Final = 4
_LONGEST_URL: Final = 2000
_USUAL_PORTS: Final = {"http": 80, "https": 443}
#: The encodings that web pages come in (WHATWG Encoding, "Names and labels", as far as Python has them). Other codecs
#: of Python's are not for strangers' texts: punycode takes quadratic time, undefined raises.
_CHARSETS: Final = re.compile(
    r"utf-?8|utf-?16(-?[lb]e)?|us-ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|windows-(125\d|874)|cp125\d|koi8-[ru]|macintosh"
    r"|shift[_-]jis|euc-(jp|kr)|big5|gbk|gb2312|gb18030"
)
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_-]{1,20})["']?\s*(?:;|$)""", re.IGNORECASE)


class Trouble(StrEnum):
    """Why a page could not be read."""

    ADDRESS = "address"
    PRIVATE = "private"
    UNKNOWN = "unknown"
    CERTIFICATE = "certificate"
    NO_ANSWER = "no_answer"
    REDIRECTS = "redirects"
    #: The address is that of the embed check.
    ITSELF = "itself"


class UnreadablePage(Exception):
    """There is no page to judge; `url` is the address at which it ended."""

    def __init__(self, trouble: Trouble, url: str) -> None:
        super().__init__(trouble)
        self.trouble = trouble
        self.url = url


@dataclass(frozen=True, slots=True)
class Page:
    """A site's answer after all redirects. `text` is empty if it is not HTML."""

    url: str
    status: int
    headers: httpx.Headers
    text: str

    def header(self, name: str) -> str:
        """All lines of a header as one; empty where there is none."""
        return ", ".join(self.headers.get_list(name))

    @property
    def origin(self) -> str:
        """The origin as browsers name it."""
        return origin_of(self.url)


def look_up(host: str, port: int) -> Sequence[str]:
    """The machine's own resolver: every address of a name. Blocks; raises OSError where there is none."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class NameLookups:
    """Looks up names in its own threads, so that names from strangers never block the threads that look up the
    scheduler and Stripe. A thread cannot be stopped: if the caller gives up waiting, the thread goes on and occupies
    its place until it is done."""

    def __init__(self, ask: Callable[[str, int], Sequence[str]] = look_up, *, at_once: int = _AT_ONCE) -> None:
        self._ask = ask
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="site-names")
        self._free = asyncio.Semaphore(at_once)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address of a name. Raises OSError where there is none."""
        await self._free.acquire()
        answer = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, host, port)
        answer.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(answer)

    def close(self) -> None:
        """Begin no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PageReader:
    """Reads pages. `named` are the origins that may be asked although they are not public; `check` is the address of
    the embed check, which is not read: a check that reads itself would wait for itself."""

    def __init__(
        self,
        *,
        named: Collection[str],
        agent: str,
        check: str,
        resolve: Resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._named = frozenset(named)
        self._check = _place(check)
        self._resolve = resolve
        # Without a client around it: that would keep cookies, and take the environment's proxy, which would look the
        # name up again.
        self._transport = transport or httpx.AsyncHTTPTransport(
            verify=trusted(), limits=httpx.Limits(max_keepalive_connections=0)
        )
        self.agent = agent
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def read(self, url: str, *, framed: bool = False) -> Page:
        """The page at this address; `framed` asks as a browser does for a frame. Raises UnreadablePage."""
        try:
            async with asyncio.timeout(SECONDS), self._turns:
                return await self._follow(url.strip(), "iframe" if framed else "document")
        except TimeoutError as error:
            raise UnreadablePage(Trouble.NO_ANSWER, url) from error

    async def _follow(self, url: str, dest: str) -> Page:
        for _ in range(MOST_REDIRECTS + 1):
            page, location = await self._ask(url, dest)
            if not location:
                return page
            there = urls.join(url, location)
            if there is None:
                raise UnreadablePage(Trouble.ADDRESS, url)
            url = there
        raise UnreadablePage(Trouble.REDIRECTS, url)

    async def _ask(self, url: str, dest: str) -> tuple[Page, str]:
        origin = origin_of(url)
        parts = urls.split(origin)
        if not origin or parts is None or len(url) > _LONGEST_URL:
            raise UnreadablePage(Trouble.ADDRESS, url)
        if _place(url) == self._check:
            raise UnreadablePage(Trouble.ITSELF, url)
        host, port = parts.hostname or "", parts.port or _USUAL_PORTS[parts.scheme]
        address = await self._address(url, origin, host, port)
        headers = {
            "Host": parts.netloc,
            "User-Agent": self.agent,
            "Accept": "text/html,*/*;q=0.5",
            "Accept-Encoding": "identity",
            "Sec-Fetch-Dest": dest,
            "Sec-Fetch-Mode": "navigate",
        }
        extensions = {"sni_hostname": host, "timeout": httpx.Timeout(SECONDS).as_dict()}
        try:
            target = httpx.URL(url).copy_with(host=address, port=parts.port, userinfo=b"", fragment=None)
            request = httpx.Request("GET", target, headers=headers, extensions=extensions)
            response = await self._transport.handle_async_request(request)
            try:
                body = b"" if response.is_redirect else await _beginning(response)
            finally:
                await response.aclose()
        except httpx.InvalidURL as error:
            raise UnreadablePage(Trouble.ADDRESS, url) from error
        except httpx.HTTPError as error:
            certificate = "CERTIFICATE" in str(error).upper()
            trouble = Trouble.CERTIFICATE if certificate else Trouble.NO_ANSWER
            raise UnreadablePage(trouble, url) from error
        location = response.headers.get("location", "") if response.is_redirect else ""
        return Page(url, response.status_code, response.headers, _text(response, body)), location

    async def _address(self, url: str, origin: str, host: str, port: int) -> str:
        named = origin in self._named
        if not named and port != _USUAL_PORTS[origin.partition(":")[0]]:
            raise UnreadablePage(Trouble.PRIVATE, url)
        try:
            return await address_to_ask(self._resolve, host, port, named=named)
        except NoSuchHost as error:
            raise UnreadablePage(Trouble.UNKNOWN, url) from error
        except NotPublic as error:
            raise UnreadablePage(Trouble.PRIVATE, url) from error


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) >= MOST_BYTES:
            break
    return body[:MOST_BYTES]


def _text(response: httpx.Response, body: bytes) -> str:
    """The beginning of an HTML page. Some servers compress although they were asked not to; a few bytes may then
    stand for gigabytes, so unpacking stops where reading does."""
    told = response.headers.get("content-type", "")
    if told.partition(";")[0].strip().lower() not in {"text/html", "application/xhtml+xml"}:
        return ""
    if response.headers.get("content-encoding", "identity").lower() in {"gzip", "deflate"}:
        try:
            body = zlib.decompressobj(wbits=47).decompress(body, MOST_BYTES)
        except zlib.error:
            return ""
    named = _CHARSET.search(told)
    charset = named[1].lower() if named and _CHARSETS.fullmatch(named[1].lower()) else "utf-8"
    try:
        return body.decode(charset, errors="replace")
    except LookupError:  # a number that none of the family has, such as iso-8859-99
        return body.decode("utf-8", errors="replace")


def _place(url: str) -> tuple[str, str]:
    """Origin and path, however they are written."""
    parts = urls.split(url)
    return origin_of(url), normpath(unquote(parts.path)) if parts else ""
