"""The first set-up in a browser: opened by a one-time code from the log, and over once everything is made.

What is typed stays in memory, so that no key ever stands in a page or an address.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.environment import WIDGETS_FILE, read_environment
from app.operations.setup.answers import AnswersError, StudioAnswers
from app.operations.setup.files import studio_change
from app.operations.setup.questions import (
    Known,
    Make,
    Question,
    access_questions,
    answers_of,
    machine_zone,
    read_known,
    studio_questions,
)
from app.operations.setup.scheduler_access import CREDENTIALS, scheduler_of
from app.operations.setup.setup import Paths, Setup, SetupPlan
from app.operations.setup.world import SetupRefused, SetupWorld
from app.operations.setup_check import Finding
from app.settings import SettingsError, value_of

#: How often a code may be typed wrong before another one takes its place.
_TRIES: Final = 10
#: How long an opened set-up may lie idle.
_IDLE: Final = timedelta(minutes=30)
STUDIO_FILE: Final = "studio.toml"


@dataclass(frozen=True, slots=True)
class Wrong:
    """Answers that cannot be used: sentences by the questions' keys, and those about all of them."""

    fields: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `refused` is why it was not done, empty if it was."""

    answers: StudioAnswers
    refused: str = ""
    mail: str = ""
    findings: tuple[Finding, ...] = ()


class FirstRun:
    """`tell_code` hears of each new code, and puts it where only the machine's owner reads. `env_file` is where the
    settings are to be written; the other files lie next to it."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        env_file: Path,
        world: SetupWorld,
        tell_code: Callable[[str], None],
    ) -> None:
        self._environ = environ
        folder = env_file.parent
        self._paths = Paths(env_file, folder / WIDGETS_FILE, folder / STUDIO_FILE)
        self._world = world
        self._tell_code = tell_code
        self._code = ""
        self._tries = 0
        self._key = ""
        self._until: datetime | None = None
        self._typed: dict[str, str] = {}
        self._checked = ""
        self._setup: Setup | None = None
        self._plan: SetupPlan | None = None
        self._answers: StudioAnswers | None = None
        self._task: asyncio.Task[Outcome] | None = None
        self._lines: list[str] = []
        self._news = asyncio.Event()
        #: Set once everything is made: the server can begin.
        self.finished = asyncio.Event()
        self._new_code()

    # -- who may -----------------------------------------------------------------------------------------------

    def begin(self, code: str) -> str | None:
        """The key that opens the pages from here on, for the code, once; None for a wrong one."""
        plain = "".join(char for char in code.casefold() if char.isalnum())
        if not hmac.compare_digest(plain.encode(), self._code.encode()):
            self._tries += 1
            if self._tries >= _TRIES:
                self._new_code()
            return None
        self._key = self._world.new_secret()
        # Anyone who opens it again needs another one, and has the log to read it in.
        self._new_code()
        self._touch()
        return self._key

    def is_open(self, key: str) -> bool:
        """Whether this key opens the pages still."""
        if not self._key or self._until is None or self._world.now() > self._until:
            return False
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return False
        self._touch()
        return True

    def _new_code(self) -> None:
        self._code, self._tries = self._world.new_secret()[:12], 0
        self._tell_code("-".join(self._code[at : at + 4] for at in range(0, 12, 4)))

    def _touch(self) -> None:
        self._until = self._world.now() + _IDLE

    # -- asking ------------------------------------------------------------------------------------------------

    def questions(self) -> list[Question]:
        """All of them, with what was typed before."""
        known = self._known()
        return [make(self._guesses()) for make in _all(known)]

    @property
    def typed(self) -> Mapping[str, str]:
        """What was typed last; nothing that is secret."""
        secret = {question.key for question in self.questions() if question.secret}
        return {key: text for key, text in self._typed.items() if key not in secret}

    def kept(self) -> frozenset[str]:
        """The secret answers that were given before, and need not be typed again."""
        return frozenset(key for key, text in self._typed.items() if text and key not in self.typed)

    async def look(self, typed: Mapping[str, str]) -> SetupPlan | Wrong:
        """Look at everything with these answers, and say what would be done."""
        known = self._known()
        wrong: dict[str, str] = {}
        answers: dict[str, str] = {}
        for make in _all(known):
            # The later questions' defaults are made from the earlier answers.
            question = make({**self._guesses(), **answers})
            text = typed.get(question.key, "")
            if question.secret and not text:
                text = self._typed.get(question.key, "")
            try:
                answers[question.key] = question.read(text) if text or not question.optional else ""
            except ValueError as error:
                answers[question.key] = "" if question.secret else text
                wrong[question.key] = str(error)
        self._typed = answers
        if wrong:
            return Wrong(wrong)
        token = answers["token"]
        try:
            self._answers = answers_of(answers, scheduler_of(token), known)
        except (AnswersError, ValueError) as error:
            return Wrong(lines=tuple(str(error).splitlines()))
        secrets = {
            CREDENTIALS[self._answers.scheduler][0]: token,
            "STRIPE_SECRET_KEY": answers["stripe"],
            "SMTP_URL": answers["smtp"],
        }
        try:
            environment = read_environment(self._environ, env_file=self._env_file(), folder=self._paths.env.parent)
            self._setup = Setup(
                self._answers,
                secrets,
                environment=environment,
                paths=self._paths,
                world=self._world,
                tell=self._tell,
            )
            # Each look at all abilities takes a quarter of what Hapio allows in a minute.
            self._plan = await self._setup.plan(check_token=token != self._checked)
            self._checked = token
        except (SetupRefused, SettingsError) as error:
            return Wrong(lines=tuple(str(error).splitlines()))
        return self._plan

    def _known(self) -> Known:
        names = ("PUBLIC_URL", "STRIPE_SECRET_KEY", "SMTP_URL", *(name for name, _ in CREDENTIALS.values()))
        environment = read_environment(self._environ, env_file=self._env_file(), folder=self._paths.env.parent)
        values = {name: value_of(environment.variables, name) for name in names}
        return read_known(self._paths.studio, self._paths.widgets, values, zone=machine_zone())

    def _guesses(self) -> dict[str, str]:
        """What questions ask about other answers, before there are any."""
        return {"name": "", "public_url": "", **self._typed}

    def _env_file(self) -> Path | None:
        return self._paths.env if self._paths.env.is_file() else None

    # -- doing -------------------------------------------------------------------------------------------------

    def go(self) -> bool:
        """Carry out the plan that was shown; False without one. It goes on even if nobody watches."""
        if self._setup is None or self._plan is None or self._answers is None:
            return False
        if self._task is None or (self._task.done() and self._task.result().refused):
            self._lines.clear()
            self._task = asyncio.create_task(self._carry_out(self._setup, self._plan, self._answers))
            self._task.add_done_callback(lambda _: self._news.set())
        return True

    async def follow(self) -> AsyncIterator[str]:
        """Each line of what goes on, from the first, until it is over."""
        told = 0
        while True:
            while told < len(self._lines):
                yield self._lines[told]
                told += 1
            if self._task is None or self._task.done():
                return
            await self._news.wait()

    async def outcome(self) -> Outcome:
        """What came of it, once it is over."""
        assert self._task is not None  # noqa: S101 - anyone who follows has begun
        return await asyncio.shield(self._task)

    def leave(self) -> None:
        """The last page was read: the server may begin."""
        if self._task and self._task.done() and not self._task.result().refused:
            self.finished.set()

    async def _carry_out(self, setup: Setup, plan: SetupPlan, answers: StudioAnswers) -> Outcome:
        try:
            done = await setup.carry_out(plan)
            for change in (studio_change(self._paths.studio, answers), *done.files):
                if change.overwrites:
                    for shown in change.diff():
                        self._tell(shown)
                if change.changes:
                    change.write()
                    self._tell(f"wrote {change.path}")
            mail = await setup.send_test_mail() if setup.mails else ""
            environment = read_environment(self._environ, env_file=self._paths.env, folder=self._paths.env.parent)
            self._tell("checking everything")
            findings = await setup.check(environment)
            return Outcome(answers, mail=mail, findings=tuple(findings))
        except (SetupRefused, SettingsError, OSError) as error:
            return Outcome(answers, refused=str(error))

    def _tell(self, text: str) -> None:
        self._lines.append(text)
        self._news.set()
        self._news = asyncio.Event()


def _all(known: Known) -> list[Make]:
    setting = next((name for name, _ in CREDENTIALS.values() if known.settings.get(name)), "HAPIO_API_TOKEN")
    return [*access_questions(known, setting), *studio_questions(known)]
