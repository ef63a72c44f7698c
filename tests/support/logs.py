"""The log lines of a test run."""

import structlog


def plain_logs() -> None:
    """Lines as structlog writes them, tracebacks as Python does: by default it draws them with Rich where that is
    installed, with the values of all variables, which takes a second for every exception."""
    structlog.reset_defaults()
    *others, console = structlog.get_config()["processors"]
    assert isinstance(console, structlog.dev.ConsoleRenderer)
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])
