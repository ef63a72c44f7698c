"""The command: asks or reads, shows the plan, carries it out, and says what is left."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from secrets import token_hex

from app.cli.doctor import line
from app.cli.setup.asking import Asker, Interview, Stopped, real_asker
from app.cli.setup.units import write_units
from app.environment import WIDGETS_FILE, Environment, read_environment, usual_env_file
from app.operations.setup import (
    CREDENTIALS,
    AnswersError,
    FileChange,
    Paths,
    SchedulerAccess,
    Setup,
    SetupPlan,
    SetupRefused,
    SetupWorld,
    StudioAnswers,
    read_answers,
    scheduler_of,
    studio_change,
)
from app.operations.setup.first_run import STUDIO_FILE
from app.operations.setup.questions import (
    Known,
    Question,
    access_questions,
    answers_of,
    machine_zone,
    read_known,
    studio_questions,
)
from app.operations.setup_check import Level, worst
from app.scheduling.connect import PROVIDERS
from app.settings import SCHEDULERS, SettingsError, read_settings, value_of

DONE, REFUSED, WRONG_USE = 0, 1, 2
#: The token, ten about the studio, and whether to go ahead.
QUESTIONS = 12

Say = Callable[[str], None]


def run_setup(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    *,
    folder: Path,
    say: Say = print,
) -> int:
    """0 when everything is done, 1 when something stopped it, 2 for wrong use. Whatever was done is found by the next
    run."""
    env = arguments.env or usual_env_file(environ, folder)
    if arguments.scheduler and arguments.scheduler not in SCHEDULERS:
        print(f"--scheduler must be one of {', '.join(SCHEDULERS)}.", file=sys.stderr)
        return WRONG_USE
    if arguments.systemd:
        return write_units(arguments.systemd, folder=folder, env=env, say=say)
    world = SetupWorld(_utc_now, SystemRandom(), asyncio.sleep, lambda: token_hex(32))
    return asyncio.run(set_up(arguments, environ, folder=folder, world=world, asker=real_asker(say), say=say))


# What a run needs, and what tests put in its place.
async def set_up(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    *,
    folder: Path,
    world: SetupWorld,
    asker: Asker,
    say: Say,
) -> int:
    """As `run_setup`."""
    try:
        return await _Command(arguments, environ, folder, world, asker, say).run()
    except (AnswersError, SettingsError) as error:
        print(f"`setup` cannot start:\n{error}", file=sys.stderr)
        return WRONG_USE
    except SetupRefused as error:
        say(f"\n{error}")
        return REFUSED
    except Stopped:
        say("\nStopped. Run this again to go on.")
        return REFUSED


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Command:
    # As `set_up`.
    def __init__(
        self,
        arguments: argparse.Namespace,
        environ: Mapping[str, str],
        folder: Path,
        world: SetupWorld,
        asker: Asker,
        say: Say,
    ) -> None:
        self._arguments = arguments
        self._environ = environ
        env = arguments.env or usual_env_file(environ, folder)
        self._folder = folder
        self._world = world
        self._say = say
        self._paths = Paths(env, env.parent / WIDGETS_FILE, arguments.file or env.parent / STUDIO_FILE)
        self._interview = None if arguments.file else Interview(asker, QUESTIONS)

    async def run(self) -> int:
        environment = self._environment()
        answers, secrets, checked = await self._answers(environment)
        setup = Setup(answers, secrets, environment=environment, paths=self._paths, world=self._world, tell=self._tell)
        plan = await setup.plan(check_token=not checked)
        self._show(plan, answers)
        if self._arguments.dry_run:
            self._say("\nNothing was done: --dry-run.")
            return DONE
        if not plan.changes and not any(change.changes for change in (await setup.carry_out(plan)).files):
            self._say("Nothing had to be changed: everything is as it should be.")
            self._finish(answers, plan, await self._check(setup))
            return DONE
        if not self._agreed("go", "Go ahead? (yes or no)", "yes"):
            self._say("Nothing was done.")
            return REFUSED
        self._say("")
        wrote = []
        if self._interview:
            # First, so that an interrupted run asks nothing twice.
            wrote += self._write([studio_change(self._paths.studio, answers)])
        done = await setup.carry_out(plan)
        wrote += self._write(done.files)
        if setup.mails:
            self._say(await setup.send_test_mail())
        self._finish(answers, plan, await self._check(setup))
        return DONE

    # -- answers ---------------------------------------------------------------------------------------------

    async def _answers(self, environment: Environment) -> tuple[StudioAnswers, dict[str, str], bool]:
        """With what is secret, and whether the token was looked at already."""
        if self._interview is None:
            return read_answers(self._arguments.file), {}, False
        self._say(
            f"Holdfast's set-up: {QUESTIONS} answers. What is in brackets or on the line already is kept by Enter, "
            "< goes back, Ctrl-C stops."
        )
        values = {
            name: value_of(environment.variables, name)
            for name in ("PUBLIC_URL", "STRIPE_SECRET_KEY", "SMTP_URL", *(one for one, _ in CREDENTIALS.values()))
        }
        known = read_known(self._paths.studio, self._paths.widgets, values, zone=machine_zone())
        scheduler, token, known = await self._access(environment, known)
        interview = self._interview
        while True:
            interview.ask_all(studio_questions(known), number=2)
            try:
                answers = answers_of(interview.answers, scheduler, known)
                break
            except (AnswersError, ValueError) as error:
                self._say(f"\n{error}\nPlease look at these again.")
        secrets = {CREDENTIALS[scheduler][0]: token}
        secrets |= {"STRIPE_SECRET_KEY": interview.answers["stripe"], "SMTP_URL": interview.answers["smtp"]}
        return answers, secrets, True

    async def _access(self, environment: Environment, known: Known) -> tuple[str, str, Known]:
        """The token, asked for until one is let in; with it, what is there."""
        interview = self._interview
        assert interview is not None  # noqa: S101 - anyone who asks has one
        setting = next((name for name, _ in CREDENTIALS.values() if known.settings.get(name)), "HAPIO_API_TOKEN")
        while True:
            interview.ask_all(access_questions(known, setting))
            token = interview.answers["token"]
            scheduler = self._arguments.scheduler or (
                known.answers.scheduler
                if known.answers and token == known.settings.get(setting)
                else scheduler_of(token)
            )
            try:
                async with self._open(environment, scheduler, token) as access:
                    await access.check()
                    have = await access.describe()
            except SetupRefused as error:
                self._say(f"\n{error}")
                continue
            self._say(
                f"{PROVIDERS[scheduler]} accepts the token. There: {_number(len(have.places), 'place')}, "
                f"{_number(len(have.services), 'service')}, {_number(len(have.people), 'person')}."
            )
            return scheduler, token, replace(known, have=have)

    def _open(self, environment: Environment, scheduler: str, token: str) -> SchedulerAccess:
        """With settings that hold no more than it takes."""
        addresses = {
            name: value_of(environment.variables, name)
            for name in ("HAPIO_BASE_URL", "CALCOM_BASE_URL", "CALENDLY_BASE_URL")
        }
        settings = read_settings(
            {
                **addresses,
                CREDENTIALS[scheduler][0]: token,
                "SECRET_KEYS": self._world.new_secret(),
                "PUBLIC_URL": "http://127.0.0.1",
            }
        )
        return SchedulerAccess(scheduler, settings, world=self._world, tell=self._tell)

    # -- showing ---------------------------------------------------------------------------------------------

    def _show(self, plan: SetupPlan, answers: StudioAnswers) -> None:
        self._say("\n" + "\n".join(answers.told()))
        if plan.lines:
            self._say("\nThis will be done:\n" + "\n".join(f"  {one}" for one in plan.lines))
        else:
            self._say("\nNothing has to be changed at the calendar or at Stripe.")
        if plan.by_hand:
            self._say("\nThis is left to you:\n" + "\n".join(f"  {one}" for one in plan.by_hand))

    def _agreed(self, key: str, text: str, default: str) -> bool:
        """Without questions, the file is the agreement."""
        if self._interview is None:
            return True
        self._interview.ask_all([lambda _: Question(key, text, _yes_or_no, default=default)], number=QUESTIONS)
        return self._interview.answers[key] == "yes"

    def _write(self, changes: Iterable[FileChange]) -> list[FileChange]:
        wrote = [change for change in changes if self._wants(change)]
        for change in wrote:
            change.write()
            self._say(f"Wrote {change.path}.")
        return wrote

    def _wants(self, change: FileChange) -> bool:
        """Whether to write it; what stood there is never replaced without being shown."""
        if not change.changes:
            return False
        if not change.overwrites:
            return True
        self._say(f"\n{change.path} changes:\n" + "\n".join(f"  {one}" for one in change.diff()))
        return self._agreed(str(change.path), f"Write {change.path}? (yes or no)", "yes")

    async def _check(self, setup: Setup) -> bool:
        """Whether something fails, other than that the server does not run yet."""
        self._say("\nThe set-up check:")
        try:
            findings = await setup.check(self._environment())
        except SettingsError as error:
            self._say(str(error))
            return True
        # What the first start makes is not there yet.
        early = [
            one
            for one in findings
            if (one.about == "address" and "does not answer" in one.says)
            or (one.about in {"worker", "database"} and one.level is Level.WARN)
        ]
        stopped = any(one.about == "address" for one in early)
        if stopped:
            findings = [one for one in findings if one not in early]
        for one in findings:
            if one.level is not Level.OK:
                self._say(line(one))
        self._say(f"{sum(one.level is Level.OK for one in findings)} things are as they should be.")
        if stopped:
            self._say("The server does not run yet; `python -m app doctor` looks at the rest once it does.")
        return worst(findings) is Level.FAIL

    def _finish(self, answers: StudioAnswers, plan: SetupPlan, bad: bool) -> None:
        url, widget = answers.public_url, answers.widget
        if self._interview:
            self._say(f"\n{_number(self._interview.given, 'answer')}.")
        if bad or plan.by_hand:
            self._say("\nWhat is told above has to be seen to; then run this again.")
        self._say(
            f"\nStart it:            python -m app serve        (in {self._folder})\n"
            f"Or as a service:     python -m app setup --systemd /etc/systemd/system\n"
            f"The staff page:      {url}/staff\n"
            f"The widget alone:    {url}/w/{widget}\n\n"
            f"Paste this into your site:\n\n"
            f'<script async src="{url}/embed.js"></script>\n'
            f'<div data-holdfast="{widget}"><a href="{url}/w/{widget}">Book a time</a></div>\n'
        )

    def _environment(self) -> Environment:
        """Read again each time: the files may have been written meanwhile. A file that was named may be yet to come."""
        env = self._arguments.env if self._arguments.env and self._arguments.env.is_file() else None
        return read_environment(self._environ, env_file=env, folder=self._folder)

    def _tell(self, text: str) -> None:
        self._say(f"  {text}")


def _yes_or_no(text: str) -> str:
    word = text.casefold()
    if word in {"y", "yes"}:
        return "yes"
    if word in {"n", "no"}:
        return "no"
    raise ValueError("Please say yes or no.")


def _number(number: int, thing: str) -> str:
    many = "people" if thing == "person" else f"{thing}s"
    return f"{number} {thing if number == 1 else many}"
