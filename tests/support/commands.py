"""The commands of `python -m app`, as the owner runs them."""

import argparse
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.cli.arguments import add_bookings
from app.cli.desk import serve
from app.cli.terminal import Terminal
from tests.support.stack import Stack

ENVIRON = {
    "HAPIO_API_TOKEN": "token",
    "HAPIO_BASE_URL": "http://127.0.0.1:9/v1",
    "SECRET_KEYS": "k" * 32,
    "PUBLIC_URL": "http://127.0.0.1:8000",
}


@dataclass
class Owner:
    """The owner at a terminal: says yes unless `answer` is something else, and reads what is printed."""

    stack: Stack
    answer: bool = True
    printed: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    async def types(self, *words: str, width: int = 200) -> int:
        """One command; its exit code."""
        parser = argparse.ArgumentParser()
        add_bookings(parser)
        return await serve(self.stack.parts, parser.parse_args(words), self.terminal(width))

    def terminal(self, width: int) -> Terminal:
        """An empty one."""
        self.printed, self.told, self.questions = [], [], []
        return Terminal(self.printed.append, self.told.append, self._ask, width)

    def _ask(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer

    @property
    def result(self) -> Any:
        """What a program reads."""
        (line,) = self.printed
        return json.loads(line)

    @property
    def said(self) -> str:
        """Everything before the result."""
        return " ".join(self.told)


def environ(**changes: str) -> dict[str, str]:
    good = {
        "HAPIO_API_TOKEN": "token",
        "HAPIO_BASE_URL": "http://127.0.0.1:9/v1",
        "SECRET_KEYS": "k" * 32,
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": os.environ["PATH"],
    }
    return {**good, **changes}
