"""Screens that many visitors share: drawn once and kept ready compressed, and whole answers to requests that come
again, given past the router and the doors.

What differs between visitors is put into holes: what they bring along, and the key that makes a doubled click one
hold. Read `WarmPages` first; `Pages` says what is kept, and for how long it may be given.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.shared.accepts import accepts_gzip, has_already
from app.web.shared.gzip_template import GzipTemplate
from app.web.shared.ready_answers import Client, ReadyAnswer, by_name, header_lines, path_as_it_came
from app.web.shared.security_headers import Header, new_request_id, request_header, with_security_headers

#: What is kept of pages, and of answers made of them, at most. A page takes some 45 KB, the widest 100 KB; more than
#: half of that is the style sheet.
MOST_BYTES = 32 * 2**20
#: What keeping anything costs in addition to its own bytes: keys, header lists and their like.
_OVERHEAD = 2048

_CARRIED, _KEY = "<!--carried-->", "<!--key-->"

#: What templates print where the holes are.
HOLES = {"carried": Markup(_CARRIED), "key": Markup(_KEY)}  # noqa: S704 - constants

_FIELD = '<input type="hidden" name="{}" value="{}">'

_HTML: Header = (b"content-type", b"text/html; charset=utf-8")
_GZIP: Header = (b"content-encoding", b"gzip")

Pairs = Sequence[tuple[str, str]]
Headers = Mapping[bytes, bytes]

V = TypeVar("V")


def pages_in(scope: Scope) -> Pages:
    """The shelf of the program that answers this request."""
    return cast("Pages", scope["app"].state.pages)


class WarmPages:
    """ASGI middleware that answers a page view as it was answered before, if that still holds.

    It stands before `SecurityHeaders` and the router, each of which costs as much as all the rest of a warm page
    (`make bench` measures it); so its answers carry those headers. A request that was not met before goes on to its
    door.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith("/w/"):
            asked = by_name(scope["headers"])
            answer = pages_in(scope).find(path_as_it_came(scope), scope["query_string"], asked)
            if answer is not None:
                await answer.send(asked, send, request_header(new_request_id()))
                return
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a page view, ready but for the visitor's key; an ASGI application.

    The entity tag leaves that key out: a page that is shown again names the same page view.
    """

    page: GzipTemplate
    tag: bytes
    headers: tuple[Header, ...]
    #: The same, as they are sent.
    lines: bytes
    visitor_key: Callable[[], str]
    epoch: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.send(by_name(scope["headers"]), send)

    def ready(self, asked: Headers) -> ReadyAnswer:
        """What `send` sends, in the server's own form."""
        if self._is_known(asked):
            return ReadyAnswer(304, self.lines, b"")
        body, more = self._body(asked)
        return ReadyAnswer(200, b"".join((self.lines, header_lines(more))), body)

    async def send(self, asked: Headers, send: Send, *more: Header) -> None:
        """The page, compressed where that is understood; 304 where the browser has it already."""
        if self._is_known(asked):
            await send({"type": "http.response.start", "status": 304, "headers": [*self.headers, *more]})
            await send({"type": "http.response.body", "body": b""})
            return
        body, describing = self._body(asked)
        await send({"type": "http.response.start", "status": 200, "headers": [*self.headers, *more, *describing]})
        await send({"type": "http.response.body", "body": body})

    def _is_known(self, asked: Headers) -> bool:
        named = asked.get(b"if-none-match")
        return named is not None and has_already(named.decode("latin-1"), self.tag.decode())

    def _body(self, asked: Headers) -> tuple[bytes, tuple[Header, ...]]:
        """The page, and the headers that say how it is written."""
        filling = {"key": _FIELD.format("key", self.visitor_key()).encode()} if self.page.rest else {}
        if accepts_gzip(asked.get(b"accept-encoding", b"").decode("latin-1")):
            body = self.page.gzip(filling)
            return body, (_HTML, _GZIP, (b"content-length", b"%d" % len(body)))
        body = self.page.plain(filling)
        return body, (_HTML, (b"content-length", b"%d" % len(body)))


@dataclass(frozen=True, slots=True)
class _Drawn:
    page: GzipTemplate
    digest: str


class Pages:
    """Two shelves. Pages lie under everything that their text depends on, and hold for ever. Answers lie under the
    request as it came, and hold for as long as `epoch` gives the same number.
    """

    def __init__(
        self, *, epoch: Callable[[], int], visitor_key: Callable[[], str], most_bytes: int = MOST_BYTES
    ) -> None:
        self._epoch = epoch
        self._visitor_key = visitor_key
        self._drawn: _Shelf[_Drawn] = _Shelf(most_bytes)
        self._answers: _Shelf[Answer] = _Shelf(most_bytes)
        self.hits = 0

    @property
    def bytes_kept(self) -> int:
        """What both shelves take."""
        return self._drawn.bytes + self._answers.bytes

    def ready(self, path: bytes, query: bytes, asked: Headers, _client: Client) -> ReadyAnswer | None:
        """As `find`, in the server's own form."""
        answer = self.find(path, query, asked)
        return answer.ready(asked) if answer else None

    def find(self, path: bytes, query: bytes, asked: Headers) -> Answer | None:
        """What this very request was answered before, if nothing that it shows has changed. The path is as it came,
        with its escapes."""
        answer = self._answers.get(_asked_for(path, query, asked))
        if answer is None or answer.epoch != self._epoch():
            return None
        self.hits += 1
        return answer

    def answer(
        self,
        request: Request,
        key: Hashable,
        draw: Callable[[], str],
        *,
        epoch: int,
        carried: Pairs,
        headers: Mapping[str, str],
    ) -> Answer:
        """The page under `key`, drawn if it is not there yet, as an answer to this request and its like.

        `epoch` is the number from before anything was read for it. All that distinguishes requests must be in the
        address or in a header that `_MATTERING` names.
        """
        drawn = self._drawn.get(key)
        if drawn is None:
            text = draw()
            page = GzipTemplate.cut(text, {"carried": _CARRIED, "key": _KEY})
            drawn = _Drawn(page, _digest(text.encode()))
            self._drawn.put(key, drawn, page.size)
        fields = hidden_fields(carried).encode()
        tag = f'W/"{drawn.digest}{_digest(fields) if fields else ""}"'
        headers = {
            **headers,
            "ETag": tag,
            "Cache-Control": "private, no-cache",
            "Vary": "Accept-Encoding, Accept-Language, HX-Request, Sec-Fetch-Dest",
        }
        raw = tuple(
            with_security_headers((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items())
        )
        answer = Answer(
            page=drawn.page.fill({"carried": fields}),
            tag=tag.encode(),
            headers=raw,
            lines=header_lines(raw),
            visitor_key=self._visitor_key,
            epoch=epoch,
        )
        if request.method == "GET":
            scope = request.scope
            asked = _asked_for(path_as_it_came(scope), scope["query_string"], by_name(scope["headers"]))
            self._answers.put(asked, answer, answer.page.size + sum(len(part) for part in asked if part))
        return answer


class _Shelf(Generic[V]):
    """What was used last stays, up to so many bytes in all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Hashable) -> V | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        if key in self._kept:
            self.bytes -= self._kept.pop(key)[1]
        self._kept[key] = value, size + _OVERHEAD
        self.bytes += size + _OVERHEAD
        while self.bytes > self._most:
            self.bytes -= self._kept.popitem(last=False)[1][1]


#: The headers that an answer depends on. `HX-Current-URL` decides what htmx is told of the address; `Host` decides
#: nothing, since only the path is told, and Starlette takes no path from it.
_MATTERING = (b"accept-language", b"hx-request", b"sec-fetch-dest", b"hx-current-url")


def _asked_for(path: bytes, query: bytes, asked: Headers) -> tuple[bytes | None, ...]:
    return (path, query, *map(asked.get, _MATTERING))


def hidden_fields(pairs: Pairs) -> Markup:
    """Hidden fields, escaped."""
    return Markup("".join(_FIELD.format(escape(name), escape(value)) for name, value in pairs))  # noqa: S704 - escaped


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()
