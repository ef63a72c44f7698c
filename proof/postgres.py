"""PostgreSQL in the simulation: a real server, real sockets, and still no real time.

Each request is sent when its virtual time has come, and nothing else happens until the server has answered it, or until
it waits for a lock that another connection holds. So the server runs one statement at a time, in an order that the seed
decides. What waits is answered as soon as whatever released its lock was answered.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import select
import socket
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.exc import SAWarning

from app.store.backend import PATIENCE
from proof.loop import VirtualLoop
from proof.process import RUNS_IN, Process
from tests.support.postgres import postgres_database, server, use_folder

#: Real seconds between two looks at whether a statement waits for a lock, and after which a server is no server.
_LOOK, _LONGEST = 0.002, 60.0
#: Real seconds within which everybody who listens has heard.
_HEARD = 2.0
_CANCEL = 80877102
#: What frontend messages end in one ReadyForQuery each: Query and Sync. Flush, which asyncpg sends after Parse and
#: Describe, ends in a description, or an error.
_ASKS, _FLUSH, _TERMINATE = (b"Q", b"S"), b"H", b"X"
_DESCRIBED = (b"T", b"n", b"E")
_READY, _KEY, _COMPLETE, _NOTIFIED = b"Z", b"K", b"C", b"A"


class PostgresLoop(VirtualLoop):
    """Its connections to a Unix socket are a server's, one statement at a time."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.server = Server(self, url)

    # The same as the parent's, as far as asyncpg calls it.
    async def create_unix_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], path: str, **_: object
    ) -> tuple[asyncio.Transport, Any]:
        """Connect. Raises ConnectionRefusedError where the server is gone, and CancelledError in a dead process."""
        process = RUNS_IN.get()
        if process is not None and not process.alive:
            raise asyncio.CancelledError
        if process is not None and process.disk.full:
            raise ConnectionRefusedError(path)
        protocol = protocol_factory()
        line = Line(self, self.server, protocol, path, process)
        if process is not None:
            process.connections.append(line)
        protocol.connection_made(line)
        return line, protocol

    def close(self) -> None:
        self.server.close()
        super().close()


class Server:
    """What goes on at the server, as far as its connections have to wait for it."""

    def __init__(self, loop: PostgresLoop, url: str) -> None:
        parts = urlsplit(url)
        self._loop = loop
        self._control = Control(
            f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432", str(parts.username), parts.path.lstrip("/")
        )
        #: Those that wait for a lock, in the order in which they began to.
        self._waiting: list[Line] = []
        #: Those that wait for one whose process is gone.
        self._ghosts: list[int] = []
        self.listening: list[Line] = []

    def settle(self, line: Line) -> None:
        """Wait until this connection's request was answered, or waits for a lock."""
        if self._answered(line):
            self._let_on()
            return
        self._waiting.append(line)
        # The server's own lock_timeout counts real seconds, of which a run has few.
        self._loop.call_later(PATIENCE, self.cancel, line)

    def cancel(self, line: Line) -> None:
        """It has waited for too long."""
        if line in self._waiting:
            self._control.ask(f"SELECT pg_cancel_backend({line.pid})")
            self.canceled(line.pid)

    def canceled(self, pid: int) -> None:
        """Somebody has asked for an end of what this backend does."""
        for line in [one for one in self._waiting if one.pid == pid]:
            self._waiting.remove(line)
            line.read_until_answered()
        self._let_on()

    def heard(self) -> None:
        """Wait until everybody who listens has been told."""
        until = monotonic() + _HEARD
        for line in self.listening:
            while not line.waits and not line.told and monotonic() < until:
                line.read(_LOOK)
            line.told = False

    def gone(self, line: Line) -> None:
        """A connection was cut: wait until the server has noticed, or its statement waits for a lock."""
        for lines in (self._waiting, self.listening):
            if line in lines:
                lines.remove(line)
        if line.pid and not self._ended(line.pid):
            self._ghosts.append(line.pid)
        self._let_on()

    def close(self) -> None:
        """No more questions."""
        self._control.close()

    def _answered(self, line: Line) -> bool:
        until = monotonic() + _LONGEST
        while not line.read(_LOOK):
            if line.pid and self._blocked(line.pid):
                return line.read(0)
            if monotonic() > until:
                raise TimeoutError("the database server does not answer")
        return True

    def _let_on(self) -> None:
        """Whoever waited for what has just been released goes on."""
        more = True
        while more and (self._waiting or self._ghosts):
            more = False
            for line in [*self._waiting]:
                if line in self._waiting and self._answered(line):
                    self._waiting.remove(line)
                    more = True
            for pid in [*self._ghosts]:
                if self._ended(pid):
                    self._ghosts.remove(pid)
                    more = True

    def _ended(self, pid: int) -> bool:
        """Whether the backend is gone. False where it waits for a lock first."""
        until = monotonic() + _LONGEST
        while self._control.ask(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") != "0":  # noqa: S608 - a number
            if self._blocked(pid):
                return False
            if monotonic() > until:
                raise TimeoutError("the database server keeps a connection that was cut")
        return True

    def _blocked(self, pid: int) -> bool:
        return self._control.ask(f"SELECT cardinality(pg_blocking_pids({pid}))") != "0"


def _kinds(request: bytes) -> tuple[list[bytes], int]:
    """The kinds of the messages in it, and how many bytes are left of one that is not whole."""
    at, kinds = 0, []
    while at + 5 <= len(request):
        kinds.append(request[at : at + 1])
        at += 1 + int(struct.unpack_from("!i", request, at + 1)[0])
    return kinds, len(request) - at


class Line(asyncio.Transport):
    """One connection of a process to the server. What it sends takes a moment; the process may die meanwhile."""

    # Five parameters: whose connection it is, and where.
    def __init__(
        self, loop: PostgresLoop, at: Server, protocol: asyncio.Protocol, path: str, process: Process | None
    ) -> None:
        super().__init__()
        self._loop, self._server, self._protocol, self._process = loop, at, protocol, process
        self._socket = _connect(path)
        self._unsent, self._unread, self._answer = b"", b"", b""
        self._started = self._ended = False
        self._described = True
        #: When what was written last is sent: what is written after it does not come before it.
        self._sends_at = 0.0
        self._open_answers = 0
        self._state = b"I"
        #: The server's process, 0 until it has said so.
        self.pid = 0
        #: Whether a notification has come that nobody has asked about.
        self.told = False

    # -- what asyncpg calls ------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a request, in a moment, once it is whole."""
        self._unsent += bytes(data)
        asks = self._whole()
        if self._ended or not asks:
            return
        request, self._unsent = self._unsent, b""
        pause = 0.0
        if self._process is not None:
            if not self._process.alive or self._process.ends_at("database", "wait"):
                return
            pause = self._process.pause("database", "wait")
        self._sends_at = max(self._sends_at, self._loop.time() + pause)
        self._loop.call_at(self._sends_at, self._send, request, asks)

    def writelines(self, list_of_data: Any) -> None:
        """All of it at once."""
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._ended

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def pause_reading(self) -> None:
        """Nothing comes that was not asked for."""

    def resume_reading(self) -> None:
        """As above."""

    def close(self) -> None:
        self.stop()

    def abort(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Cut it, in the middle of whatever it does."""
        if self._ended:
            return
        self._ended = True
        self._socket.close()
        if self._process is not None and self in self._process.connections:
            self._process.connections.remove(self)
        self._server.gone(self)
        self._loop.call_soon(self._protocol.connection_lost, ConnectionResetError("the connection was cut"))

    # -- requests and answers ----------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether an answer is still to come."""
        return self._open_answers > 0

    def _whole(self) -> int:
        """How many answers what was written asks for; 0 where more is to come."""
        if not self._started:
            return 1
        kinds, rest = _kinds(self._unsent)
        return sum(kind in _ASKS or kind in (_FLUSH, _TERMINATE) for kind in kinds) if rest == 0 else 0

    def _send(self, request: bytes, asks: int) -> None:
        if self._ended:
            return
        if self._process is not None and (not self._process.alive or self._process.disk.full):
            self.stop()
            return
        if not self._started:
            self._started = True
            code, pid = struct.unpack_from("!ii", request.ljust(12), 4)
            if code == _CANCEL:
                self._socket.sendall(request)
                self._socket.recv(1)  # the server hangs up
                self._server.canceled(pid)
                self.stop()
                return
        self._open_answers += asks
        self._described = _kinds(request)[0][-1:] != [_FLUSH]
        try:
            self._socket.sendall(request)
        except OSError:
            self.stop()
            return
        if request[:1] == _TERMINATE:
            self.stop()
            return
        self._server.settle(self)

    def read_until_answered(self) -> None:
        """Wait for the server."""
        until = monotonic() + _LONGEST
        while not self.read(_LOOK):
            if monotonic() > until:
                raise TimeoutError("the database server does not answer")

    def read(self, wait: float) -> bool:
        """Take what has come within so many real seconds; whether nothing more is to come."""
        if self._ended:
            return True
        if select.select([self._socket], [], [], wait)[0]:
            came = self._socket.recv(1 << 18)
            if not came:
                self.stop()
                return True
            self._unread += came
            self._take_in()
        return not self.waits

    def _take_in(self) -> None:
        at, notified, begun, ended = 0, False, self._state, False
        while at + 5 <= len(self._unread):
            kind, length = self._unread[at : at + 1], struct.unpack_from("!i", self._unread, at + 1)[0]
            if at + 1 + length > len(self._unread):
                break
            body = self._unread[at + 5 : at + 1 + length]
            if kind == _KEY:
                self.pid = struct.unpack_from("!i", body)[0]
            elif kind in _DESCRIBED and not self._described:
                self._described = True
                self._open_answers -= 1
            elif kind == _READY:
                self._open_answers -= 1
                self._state = body
                ended |= begun != b"I" and body == b"I"
            elif kind == _NOTIFIED:
                self.told = True
            elif kind == _COMPLETE and body == b"LISTEN\0":
                self._server.listening.append(self)
            elif kind == _COMPLETE and body == b"NOTIFY\0":
                notified = True
            at += 1 + length
        self._answer, self._unread = self._answer + self._unread[:at], self._unread[at:]
        if not self.waits:
            self._hand_over(ended=ended)
        if notified:
            self._server.heard()

    def _hand_over(self, *, ended: bool) -> None:
        """Give the answer to whoever asked, unless the process dies after its transaction and before it knows."""
        answer, self._answer = self._answer, b""
        if ended and self._process is not None and self._process.ends_at("database", "committed"):
            return
        self._loop.call_soon(self._give, answer)

    def _give(self, answer: bytes) -> None:
        if not self._ended and answer:
            self._protocol.data_received(answer)


class Control:
    """A connection beside those of the run, for questions about them; it waits for each answer."""

    def __init__(self, path: str, user: str, database: str) -> None:
        self._socket = _connect(path)
        words = f"user\0{user}\0database\0{database}\0\0".encode()
        self._socket.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        self._answer()

    def ask(self, question: str) -> str:
        """The only value of the only row."""
        words = question.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!i", len(words) + 4) + words)
        return self._answer()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _answer(self) -> str:
        value, unread = "", b""
        while True:
            came = self._socket.recv(1 << 16)
            if not came:
                raise ConnectionResetError("the database server has hung up")
            unread += came
            while len(unread) >= 5 and len(unread) >= 1 + (length := struct.unpack_from("!i", unread, 1)[0]):
                kind, body, unread = unread[:1], unread[5 : 1 + length], unread[1 + length :]
                if kind == b"D":
                    value = body[6:].decode()
                elif kind == b"E":
                    raise RuntimeError(body.decode(errors="replace"))
                elif kind == _READY:
                    return value


def _connect(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(path)
    return made


@contextmanager
def own_database() -> Iterator[str]:
    """The DATABASE_URL of a database for one run, with our tables and nothing in them."""
    with asyncio.Runner() as real, _killed_without_a_word():
        database = postgres_database()
        url = real.run(database.__aenter__())
        try:
            yield url
        finally:
            real.run(database.__aexit__(None, None, None))


@contextmanager
def _killed_without_a_word() -> Iterator[None]:
    """SQLAlchemy tells of connections that nobody gave back: those of killed processes."""
    pools = logging.getLogger("sqlalchemy.pool")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        pools.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            gc.collect()
            pools.setLevel(logging.NOTSET)


@contextmanager
def a_server() -> Iterator[Path]:
    """A server for this command and the processes that it starts, each of which calls `use_folder` with this."""
    with TemporaryDirectory(prefix="holdfast-proof-") as folder:
        use_folder(Path(folder))
        server()
        yield Path(folder)
