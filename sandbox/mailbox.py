"""A mailbox that receives what the product sends, over real SMTP, and shows it on a page.

Nothing leaves the machine. Switches make it refuse mail, or take it and drop the connection before saying so.
"""

import asyncio
import email
import email.policy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage, MIMEPart
from functools import cached_property
from typing import Any, Literal, cast, get_args

from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.pages import page_templates

Refusal = Literal["none", "temporary", "permanent"]
REFUSALS: tuple[Refusal, ...] = get_args(Refusal)
TEMPLATES = page_templates()
REFRESH_SECONDS = 5


@dataclass(frozen=True)
class Attachment:
    """One part of a message next to its two bodies, decoded."""

    filename: str
    content_type: str
    content: bytes

    @property
    def text(self) -> str | None:
        """What it says if it is text (UTF-8), such as a calendar file; otherwise None."""
        return self.content.decode(errors="replace") if self.content_type.startswith("text/") else None


@dataclass(frozen=True)
class Message:
    """One message as it came: the envelope, the untouched source, and what a mail program would show of it."""

    received_at: datetime
    mail_from: str
    recipients: tuple[str, ...]
    source: bytes
    parsed: EmailMessage

    @cached_property
    def text(self) -> str | None:
        """The plain body, as a mail program finds it."""
        return _body(self.parsed.get_body(("plain",)))

    @cached_property
    def html(self) -> str | None:
        """The body with markup."""
        return _body(self.parsed.get_body(("html",)))

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """Every part next to the two bodies."""
        bodies = self.parsed.get_body(("plain",)), self.parsed.get_body(("html",))
        others = [part for part in self.parsed.walk() if not part.is_multipart() and part not in bodies]
        return tuple(
            Attachment(
                filename=part.get_filename() or f"part-{number}",
                content_type=part.get_content_type(),
                content=cast("bytes", part.get_payload(decode=True)),
            )
            for number, part in enumerate(others, start=1)
        )

    def header(self, name: str) -> str:
        """Return a decoded header, or nothing if the message has none of that name."""
        return str(self.parsed.get(name, ""))

    def as_json(self) -> dict[str, object]:
        """Return the message in the form that `GET /_sandbox/messages` lists."""
        return {
            "received_at": self.received_at.isoformat(),
            "mail_from": self.mail_from,
            "recipients": self.recipients,
            "from": self.header("From"),
            "to": self.header("To"),
            "subject": self.header("Subject"),
            "message_id": self.header("Message-ID"),
            "headers": {name.lower(): str(value) for name, value in self.parsed.items()},
            "text": self.text,
            "html": self.html,
            "attachments": [
                {"filename": part.filename, "content_type": part.content_type, "text": part.text}
                for part in self.attachments
            ],
        }


def parse(source: bytes, *, received_at: datetime, mail_from: str, recipients: tuple[str, ...]) -> Message:
    """Read a message the way a mail program does. Its bodies and attachments are decoded when someone looks."""
    parsed = email.message_from_bytes(source, policy=email.policy.default)
    return Message(received_at=received_at, mail_from=mail_from, recipients=recipients, source=source, parsed=parsed)


def _body(part: MIMEPart | None) -> str | None:
    """Return the text of a part with the line ends of a text, not of the wire; None if there is no such part."""
    return part.get_content().replace("\r\n", "\n") if part else None


class MailboxSandbox:
    """Every address in one mailbox: an SMTP server on loopback, and `app`, the pages and the JSON about it."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self.messages: list[Message] = []
        #: Set with each message that comes; anyone who waits for one clears it first.
        self.arrived = asyncio.Event()
        self.refuse: Refusal = "none"
        self.drop_after_data = False
        #: Drop the connection before a message was given, so that none has come.
        self.hang_up = False
        #: Addresses that nobody has here: refused permanently, while all others are taken.
        self.unknown: set[str] = set()
        self._now = now
        self._server: asyncio.Server | None = None
        self._sessions: list[Any] = []  # aiosmtpd has no types
        self.app = Starlette(
            routes=[
                Route("/", self._list),
                Route("/switches", self._switch_by_form, methods=["POST"]),
                Route("/messages/{n:int}", self._show),
                Route("/messages/{n:int}/html", self._html),
                Route("/messages/{n:int}/source", self._source),
                Route("/messages/{n:int}/attachments/{part:int}", self._attachment),
                Route("/_sandbox/messages", self._json),
                Route("/_sandbox/reset", self._reset, methods=["POST"]),
                Route("/_sandbox/switches", self._switch, methods=["PATCH"]),
            ]
        )

    async def start_smtp(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen for SMTP without TLS or login in the running event loop; return the port.

        Raises RuntimeError if it listens already.
        """
        if self._server is not None:
            raise RuntimeError("This mailbox listens already; stop it first.")
        loop = asyncio.get_running_loop()

        def session() -> asyncio.BaseProtocol:
            self._sessions = [one for one in self._sessions if one.transport is not None]
            self._sessions.append(SMTP(self, hostname="mailbox.localhost", enable_SMTPUTF8=True, loop=loop))
            return cast("asyncio.BaseProtocol", self._sessions[-1])

        self._server = await loop.create_server(session, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop_smtp(self) -> None:
        """Close the server and the connections that are still open; harmless if it was never started."""
        if self._server is None:
            return
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.abort()
        while any(session.transport is not None for session in self._sessions):  # noqa: ASYNC110  (no event to wait for)
            await asyncio.sleep(0)
        await self._server.wait_closed()
        self._server = None

    async def handle_RCPT(  # noqa: N802  (aiosmtpd finds its hooks by this name)
        self, server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Answer a recipient as the switch says; the codes are those of RFC 5321 and RFC 3463."""
        if self.hang_up:
            server.transport.abort()
            await asyncio.get_running_loop().create_future()  # as below
        if self.refuse == "temporary":
            return "451 4.3.0 Mailbox sandbox refuses for now, as switched"
        if self.refuse == "permanent" or address in self.unknown:
            return "550 5.1.1 Mailbox sandbox refuses for good, as switched"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient ok"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  (as above)
        """Keep the message. With `drop_after_data` the sender never learns it, and will send it again."""
        message = parse(
            envelope.original_content,
            received_at=self._now(),
            mail_from=envelope.mail_from,
            recipients=tuple(envelope.rcpt_tos),
        )
        self.messages.append(message)
        self.arrived.set()
        if self.drop_after_data:
            server.transport.abort()
            await asyncio.get_running_loop().create_future()  # aiosmtpd cancels us when the connection is lost
        return f"250 2.0.0 Kept as message {len(self.messages)}"

    async def _list(self, request: Request) -> Response:
        live = request.query_params.get("live") != "off"
        page = TEMPLATES.TemplateResponse(
            request,
            "mailbox.html",
            {
                "messages": list(enumerate(self.messages, start=1))[::-1],
                "live": live,
                "refresh_seconds": REFRESH_SECONDS,
                "refusals": REFUSALS,
                "refuse": self.refuse,
                "drop_after_data": self.drop_after_data,
            },
        )
        if live:
            page.headers["Refresh"] = str(REFRESH_SECONDS)
        return page

    async def _show(self, request: Request) -> Response:
        n, message = self._find(request)
        return TEMPLATES.TemplateResponse(
            request, "mailbox_message.html", {"n": n, "message": message, "count": len(self.messages)}
        )

    async def _html(self, request: Request) -> Response:
        """The rich body on its own, shut in as webmail does it: no script, nothing fetched, links in a new tab."""
        _, message = self._find(request)
        if message.html is None:
            raise HTTPException(404, "This message has no HTML part.")
        policy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:"
        return Response(
            _links_in_a_new_tab(message.html),
            media_type="text/html",
            headers={"Content-Security-Policy": f"{policy}; style-src 'unsafe-inline'"},
        )

    async def _source(self, request: Request) -> Response:
        _, message = self._find(request)
        return Response(message.source, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})

    async def _attachment(self, request: Request) -> Response:
        _, message = self._find(request)
        number = request.path_params["part"]
        if not 1 <= number <= len(message.attachments):
            raise HTTPException(404, "This message has no such attachment.")
        part = message.attachments[number - 1]
        name = part.filename.encode("ascii", "replace").decode().translate(str.maketrans('"\\\r\n', "____"))
        disposition = f'attachment; filename="{name}"'
        return Response(part.content, media_type=part.content_type, headers={"Content-Disposition": disposition})

    async def _json(self, _: Request) -> Response:
        return JSONResponse([message.as_json() for message in self.messages])

    async def _reset(self, _: Request) -> Response:
        self.messages.clear()
        self.refuse, self.drop_after_data, self.hang_up = "none", False, False
        self.unknown.clear()
        return JSONResponse([])

    async def _switch(self, request: Request) -> Response:
        switches = await request.json()
        if not isinstance(switches, dict):
            raise HTTPException(422, "The switches are one JSON object.")
        self._set(switches)
        return JSONResponse({"refuse": self.refuse, "drop_after_data": self.drop_after_data})

    async def _switch_by_form(self, request: Request) -> Response:
        async with request.form() as form:
            self._set({"refuse": form.get("refuse"), "drop_after_data": form.get("drop_after_data") == "on"})
        return RedirectResponse("/", status_code=303)

    def _set(self, switches: dict[str, object]) -> None:
        refuse = switches.get("refuse", self.refuse)
        drop = switches.get("drop_after_data", self.drop_after_data)
        if refuse not in REFUSALS or not isinstance(drop, bool) or switches.keys() - {"refuse", "drop_after_data"}:
            raise HTTPException(422, f"refuse is one of {', '.join(REFUSALS)}; drop_after_data is true or false.")
        self.refuse, self.drop_after_data = refuse, drop

    def _find(self, request: Request) -> tuple[int, Message]:
        n = request.path_params["n"]
        if not 1 <= n <= len(self.messages):
            raise HTTPException(404, "No such message; the mailbox may have been emptied.")
        return n, self.messages[n - 1]


def _links_in_a_new_tab(html: str) -> str:
    head, found, rest = html.partition("<head>")
    return f'{head}{found}<base target="_blank">{rest}' if found else f'<base target="_blank">{html}'
