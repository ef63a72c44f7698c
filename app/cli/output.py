"""Standard output that cannot be written: a full disk, a pipe whose reader has left, none at all.

What a command does is worth more than its words about it: it goes on to its end, and only then says that they were
lost.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO, cast

#: The exit code of a command that has done its work, and whose output is lost (EX_IOERR of sysexits.h): 1 and 2 say
#: that something was not done.
OUTPUT_LOST: Final = 74
#: The same where whoever reads the output has left, as shells tell of programs that the signal ends (128 + SIGPIPE).
READER_LEFT: Final = 141


def with_output(run: Callable[[], int]) -> int:
    """The exit code of `run`; where it was 0, but its output could not be written, another one."""
    before, output = sys.stdout, _Output(sys.stdout)
    sys.stdout = cast("TextIO", output)
    try:
        try:
            code = run()
        except SystemExit as end:  # after a usage, for example
            if not isinstance(end.code, int):
                raise
            code = end.code
        return output.end(code)
    finally:
        sys.stdout = before


class _Output:
    """Writes to a stream until that fails once. `stream` None is standard output that is closed."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._error: OSError | None = None
        if stream is None:
            os.open(os.devnull, os.O_WRONLY)  # so that no file of ours takes its number, and is printed into

    def write(self, text: str) -> int:
        if self._stream is None:
            self._error = OSError("it is closed")
        elif self._error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None and self._error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def end(self, code: int) -> int:
        """Write the rest, and say what was lost; the exit code after that."""
        self.flush()
        if self._error is None:
            return code
        if isinstance(self._error, BrokenPipeError):
            return code or READER_LEFT
        why = self._error.strerror or str(self._error)
        says = f"Standard output could not be written: {why}. What the command did is done; only its output is missing."
        print(says, file=sys.stderr)
        return code or OUTPUT_LOST

    def _give_up(self, error: OSError) -> None:
        """What still waits to be written would fail again when Python ends."""
        self._error = error
        if self._stream is not None:
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
