"""Logs: one JSON object a line, with ids of requests and bookings, without personal data."""

from __future__ import annotations

import logging
import sys

import structlog

#: Libraries that would write request lines (paths carry tokens) or bodies.
_QUIET = ("httpx", "httpcore", "uvicorn.access", "alembic", "aiosqlite", "stripe")


def set_up_logs(level: str) -> None:
    """Structured lines on standard error, from `level` up; the libraries' own lines from warnings up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=number, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
