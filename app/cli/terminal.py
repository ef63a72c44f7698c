"""Where a command prints and asks."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from app.cli.words import plain


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command prints: its result with `say`, what goes before it with `tell`; and where it asks. `width` in
    columns."""

    say: Callable[[str], None]
    tell: Callable[[str], None]
    ask: Callable[[str], bool]
    width: int = 100


def real_terminal(*, as_json: bool) -> Terminal:
    """The owner's own. With JSON, standard output has the result alone."""

    def tell(line: str) -> None:
        print(plain(line), file=sys.stderr if as_json else sys.stdout)

    # A file or another program has no width to fit into.
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else sys.maxsize
    return Terminal(print, tell, _ask, width)


def _ask(question: str) -> bool:
    """Only a yes is one: an ended input and Ctrl-C are no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    # asyncio's own handler would wait for the event loop, which waits for the answer.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input().strip().casefold() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        print(file=sys.stderr)
        return False
    finally:
        signal.signal(signal.SIGINT, before)
