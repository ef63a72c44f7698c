"""Asking a question: in a terminal with prompt_toolkit, elsewhere line by line, so that a program can answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from app.operations.setup.questions import Make, Question

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

#: What is typed to go back to the question before.
BACK = "<"


class GoBack(Exception):
    """To the question before."""


class Stopped(Exception):
    """Ctrl-C, or the input has ended."""


class Asker(Protocol):
    """Who answers."""

    def ask(self, question: Question, place: str) -> str:
        """One answer, checked; `place` is such as "3/12". Raises GoBack and Stopped."""


@dataclass(slots=True)
class Interview:
    """Asks in order, with a way back, and counts. `answers` are by the questions' keys."""

    asker: Asker
    total: int
    answers: dict[str, str] = field(default_factory=dict)
    given: int = 0

    def ask_all(self, questions: list[Make], number: int = 1) -> None:
        """Each question is made when it is its turn, from the answers before it."""
        place = 0
        while place < len(questions):
            question = questions[place](self.answers)
            try:
                self.answers[question.key] = self.asker.ask(question, f"{number + place}/{self.total}")
            except GoBack:
                place = max(0, place - 1)
                continue
            self.given += 1
            place += 1


def checked(question: Question, typed: str) -> str:
    """What was typed, or the default where nothing was. Raises ValueError and GoBack."""
    # At the end of a line, since that may have the default on it.
    if typed.strip().endswith(BACK):
        raise GoBack
    return question.read(typed)


class LineAsker:
    """Reads lines from another program, and repeats a question after a wrong answer."""

    def __init__(self, read: Callable[[], str], say: Callable[[str], None]) -> None:
        self._read = read
        self._say = say

    def ask(self, question: Question, place: str) -> str:
        shown = f" [{'as it is' if question.secret else question.default}]" if question.default else ""
        self._say(f"{place}  {question.text}{shown}")
        while True:
            typed = self._read()
            if not typed:
                raise Stopped
            try:
                return checked(question, typed)
            except ValueError as error:
                self._say(f"      {error}")


class PromptAsker:
    """A terminal: the line can be edited, what is wrong is told below it, and a bar says what the keys do. Tests own
    both its ends."""

    def __init__(
        self, say: Callable[[str], None], *, source: Input | None = None, screen: Output | None = None
    ) -> None:
        self._say = say
        self._source = source
        self._screen = screen

    def ask(self, question: Question, place: str) -> str:
        # Imported here: no other command needs it.
        from prompt_toolkit import PromptSession
        from prompt_toolkit.validation import ValidationError, Validator

        class _Checks(Validator):
            def validate(self, document: object) -> None:
                text = str(getattr(document, "text", ""))
                try:
                    checked(question, text)
                except GoBack:
                    return
                except ValueError as error:
                    raise ValidationError(len(text), str(error)) from error

        self._say(f"\n{place}  {question.text}")
        if question.hint:
            self._say(f"      {question.hint}")
        keeps = "Enter keeps it  ·  " if question.default else "Enter leaves it out  ·  " if question.optional else ""
        try:
            session: PromptSession[str] = PromptSession(input=self._source, output=self._screen)
            typed = session.prompt(
                "      > ",
                # What is secret is kept without being shown.
                default="" if question.secret else question.default,
                is_password=question.secret,
                validator=_Checks(),
                validate_while_typing=False,
                bottom_toolbar=f" {keeps}{BACK} goes back  ·  Ctrl-C stops; nothing is changed before you agree",
                # It has an event loop of its own, and this one is busy with the set-up.
                in_thread=True,
            )
        except (EOFError, KeyboardInterrupt) as error:
            raise Stopped from error
        return checked(question, typed)


def real_asker(say: Callable[[str], None]) -> Asker:
    """By what standard input is."""
    if sys.stdin.isatty():
        return PromptAsker(say)
    return LineAsker(sys.stdin.readline, say)
