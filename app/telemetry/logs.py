"""Logs: one JSON object a line on standard error, with ids of requests and bookings, without personal data.

Both structlog and the standard library's `logging` (uvicorn, asyncio, stripe) end here, and nothing that goes wrong
with a line reaches the code that logs: a full disk, a closed pipe or a value without a text costs the line, never the
booking.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from traceback import walk_tb
from types import TracebackType
from typing import Any, TextIO

import structlog
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import get_contextvars

from app.errors import HoldfastError

#: The only library whose everyday lines are wanted. Others would write addresses, bodies or recipients.
_SERVER = "uvicorn"
#: A write of up to 4,096 bytes to a pipe is whole, and does not wait where the pipe has room (pipe(7), PIPE_BUF).
_LONGEST_LINE = 4000
_LONGEST_TEXT = 500
#: How many frames are told of each exception, and how many exceptions of a chain.
_FRAMES, _LINKS = 12, 4
#: For so many seconds a failure that comes again is told without its trace.
_IN_SHORT = 600.0
#: A library's line that comes again within so many seconds is only counted: at the limit of open files asyncio
#: writes thousands a second.
_PAUSE = 1.0
#: How many different failures and lines are remembered.
_MOST_KEPT = 200

_ROOT = Path(__file__).parents[2]

Line = dict[str, Any]


def set_up_logs(level: str, stream: TextIO | None = None, *, clock: Callable[[], float] = monotonic) -> None:
    """Lines on `stream` (standard error) from `level` up, and of libraries from warnings up. `clock` counts seconds.
    May be called again, with another level."""
    number = logging.getLevelNamesMapping()[level.upper()]
    lines = _Lines(sys.stderr if stream is None else stream, clock)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(handler)
    root.addHandler(_Handler(lines))
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger(_SERVER).setLevel(number)
    logging.getLogger("stripe").setLevel(logging.NOTSET)
    logging.captureWarnings(capture=True)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[structlog.contextvars.merge_contextvars, lines.of_event],
        logger_factory=_Logger,
    )


def log_crashes() -> None:
    """Let what ends the process, a thread or a finalizer be a line, too, where Python would print a traceback."""
    log = logging.getLogger("python")

    def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("the process ends", exc_info=(kind, error, trace))

    sys.excepthook = crashed
    threading.excepthook = lambda told: log.error("a thread ended", exc_info=told.exc_value)
    sys.unraisablehook = lambda told: log.error("ignored", exc_info=told.exc_value)


class _Logger:
    """What structlog hands finished lines to: `_Lines` has written them already."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, *_: object, **__: object) -> None:
        pass

    debug = info = warning = error = critical = exception = msg


class _Handler(logging.Handler):
    """The standard library's way to the same lines."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.of_record(record)


class _Lines:
    """Makes lines and writes them. Nothing here raises into a caller."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._failures = _Repeats(clock, _IN_SHORT)
        self._foreign = _Repeats(clock, _PAUSE)
        self._lost = 0
        self._cut = False

    def of_event(self, _logger: object, level: str, event: MutableMapping[str, Any]) -> str:
        """structlog's last processor."""
        try:
            error = _error_of(event.pop("exc_info", None))
            stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            self._write({"timestamp": stamp, "level": level, **event}, error)
        except Exception:  # noqa: BLE001 - whatever is wrong with a line, its caller goes on
            self._lost += 1
        return ""

    def of_record(self, record: logging.LogRecord) -> None:
        """A line of the standard library's `logging`."""
        try:
            error = _error_of(record.exc_info)
            again = self._foreign.count((record.name, record.levelno, record.msg, type(error)))
            if again is None:
                return
            stamp = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
            line: Line = {"timestamp": stamp, "level": record.levelname.lower(), **get_contextvars()}
            line |= {"logger": record.name, "event": record.getMessage().strip()[:_LONGEST_TEXT]}
            if again:
                line["not_told"] = again
            self._write(line, error)
        except Exception:  # noqa: BLE001 - whatever is wrong with a line, its caller goes on
            self._lost += 1

    def _write(self, line: Line, error: BaseException | None) -> None:
        if error is not None:
            line["error"], trace = _describe(error)
            again = self._failures.count((line.get("event"), line["error"], trace[-1:]))
            if again is not None:
                line["trace"] = trace
        with self._lock:
            if self._lost:
                lost, self._lost = self._lost, 0
                if not self._put({"level": "warning", "event": "lines of the log were lost", "lost": lost}):
                    self._lost = lost
            if not self._put(line):
                self._lost += 1

    def _put(self, line: Line) -> bool:
        """Write one line, if that is possible at once."""
        data = (_text(line) + "\n").encode("ascii")
        stream = self._stream
        if stream is None:
            return False
        try:
            file = stream.fileno()
        except (OSError, ValueError, AttributeError):  # a stream without a file, as tests have them, or a closed one
            file = None
        try:
            if file is None:
                stream.write(data.decode("ascii"))
                stream.flush()
                return True
            # Past Python's buffer, which would keep what it could not write and fail on it again and again.
            if not _has_room(file):
                return False
            if self._cut:
                data = b"\n" + data
            written = os.write(file, data)
        except (OSError, ValueError):
            return False
        self._cut = written < len(data)
        return not self._cut


def _has_room(file: int) -> bool:
    """Whether a line can be written without waiting: a pipe whose reader hangs would otherwise stop everything."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    return bool(poll.poll(0))


@dataclass(slots=True)
class _Seen:
    at: float
    untold: int = 0


class _Repeats:
    """Counts what comes again within `seconds` of the time when it was last told."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._seen: OrderedDict[object, _Seen] = OrderedDict()

    def count(self, key: object) -> int | None:
        """None where it was told just now; else tell it, and how often it was not told since."""
        key, now = repr(key), self._clock()
        seen = self._seen.get(key)
        if seen is not None and now - seen.at < self._seconds:
            seen.untold += 1
            return None
        self._seen[key] = _Seen(now)
        self._seen.move_to_end(key)
        while len(self._seen) > _MOST_KEPT:
            self._seen.popitem(last=False)
        return seen.untold if seen else 0


def _error_of(told: object) -> BaseException | None:
    """The exception that a logging call's `exc_info` means."""
    if isinstance(told, BaseException):
        return told
    if isinstance(told, tuple):
        return told[1] if isinstance(told[1], BaseException) else None
    return sys.exc_info()[1] if told else None


def _describe(error: BaseException) -> tuple[str, list[str]]:
    """An exception with what led to it, in one line, and the places that it came through, innermost last."""
    texts: list[str] = []
    trace: list[str] = []
    for link in _chain(error):
        texts.append(_name(link))
        if link.__traceback__:
            frames = [(frame.f_code, line) for frame, line in walk_tb(link.__traceback__)][-_FRAMES:]
            trace = [f"{_place(code.co_filename)}:{line} {code.co_name}" for code, line in frames] + trace
    return " from ".join(texts), trace[-2 * _FRAMES :]


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_LINKS):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _name(error: BaseException) -> str:
    """An exception in words. Others than ours, the database's and the system's may quote what someone typed, so of
    those only the kind is told."""
    name, text = type(error).__name__, ""
    if isinstance(error, DBAPIError):
        text = str(error.orig)
    elif isinstance(error, OSError):
        text = error.strerror or ""
    elif isinstance(error, HoldfastError):
        text = str(error)
    return f"{name}: {text[:_LONGEST_TEXT]}" if text else name


def _place(path: str) -> str:
    """A file, shortened to where it lies in the product or in its package."""
    with contextlib.suppress(ValueError):
        return Path(path).relative_to(_ROOT).as_posix() if "site-packages" not in path else path.split("-packages/")[1]
    return path


def _text(line: Line) -> str:
    """One line of JSON in ASCII. What makes it too long is left out, the trace first."""
    text = json.dumps(line, default=repr)
    if len(text) > _LONGEST_LINE and "trace" in line:
        line = {**line, "trace": line["trace"][-3:], "cut": True}
        text = json.dumps(line, default=repr)
    if len(text) > _LONGEST_LINE:
        short = {name: str(value)[:80] for name, value in list(line.items())[:8]}
        text = json.dumps({**short, "cut": True})
    return text
