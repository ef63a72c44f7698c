"""The log lines of a test run."""

import io
import json

import structlog


def plain_logs() -> None:
    """Lines as structlog writes them, tracebacks as Python does: by default it draws them with Rich where that is
    installed, with the values of all variables, which takes a second for every exception."""
    structlog.reset_defaults()
    *others, console = structlog.get_config()["processors"]
    assert isinstance(console, structlog.dev.ConsoleRenderer)
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    """What was logged; each line must be an object."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]
