"""A story: who does what when, and what goes wrong meanwhile. It is data, made from a seed, so that it can be told in
words, made shorter, kept, and played again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from proof.network import Trouble

#: What a visitor may do, with how often it is chosen, and what an owner, a stranger and the money's side may do.
AFTER_HOLD: Mapping[str, int] = {
    "pay": 60,
    "pay in two tabs": 4,
    "go to pay and walk away": 8,
    "pay after the deadline": 8,
    "decline, then pay": 6,
    "pay another amount": 3,
    "give up": 6,
    "go to pay and come back to give up": 4,
    "give up in one tab and go on in another": 5,
    "pay in the seconds when the time runs out": 6,
    "pay when the visit has begun": 2,
    "pay and call it off at once": 6,
    "correct the address and pay in both tabs": 4,
    "walk away": 4,
}
AFTER_PAID: Mapping[str, int] = {
    "look": 20,
    "cancel": 22,
    "cancel and take it back": 12,
    "move": 16,
    "move to a dearer service": 12,
    "move to a dearer service and walk away": 5,
    "move to a cheaper service": 6,
    "cancel and move in two tabs": 5,
    "take it back twice": 2,
    "choose another time": 10,
    "ask for the money": 4,
}
OTHERS: Mapping[str, int] = {
    "owner cancels": 10,
    "owner moves": 8,
    "owner gives half back": 6,
    "owner cancels at the scheduler": 10,
    "owner moves at the scheduler": 8,
    "customer cancels at the scheduler": 5,
    "stranger takes the time": 14,
    "desk books": 8,
    "desk books by link": 5,
    "refund in the dashboard": 7,
    "part refund in the dashboard": 5,
    "dispute": 4,
    "forged webhook": 4,
    "everybody looks": 4,
}
SERVICES = ("portrait", "headshot", "planning")
#: Where a story's times lie, by the number of a free time: today, where a cancellation gives back little or nothing, in
#: some days, where it gives back all, or next month.
A_MONTH_ON = 1000
WHEN = (0, 0, 30, 60, A_MONTH_ON)
#: The database is put back as it was: `since` is when it was copied, `lasts` how much later that copy replaces it.
RESTORED = "an old copy of the database is put back at its end"
#: What may be out of order for good, by the part of the world that it takes away.
NEVER_ENDING: Mapping[str, str] = {
    "scheduler gone": "scheduler",
    "scheduler silent": "scheduler",
    "scheduler refuses": "scheduler",
    "quota used up": "scheduler",
    "stripe gone": "stripe",
    "stripe silent": "stripe",
    "stripe refuses": "stripe",
    "refunds refused": "refunds",
    "refunds fail": "refunds",
    "balance too low": "refunds",
    "mail refused for now": "mail",
    "mail refused for good": "mail",
    "mail cut": "mail",
    "webhooks off": "webhooks",
    "disk full": "disk",
}


@dataclass(frozen=True)
class Act:
    """One thing that somebody does, so many seconds after what they did before."""

    after: float
    what: str
    #: With how many clicks at once.
    times: int = 1
    #: Which free time, service and person are wanted.
    nth: int = 0
    service: str = "portrait"
    anyone: bool = True
    #: Whose booking it is about, where it is not their own.
    whose: int = 0


@dataclass(frozen=True)
class Actor:
    """Somebody with a list of acts, done one after the other."""

    name: str
    acts: tuple[Act, ...]


@dataclass(frozen=True)
class Death:
    """A process dies at its step of that number, and is back so many seconds later. The steps are those of its life, or
    `once` somebody begins this act."""

    process: int
    step: int
    back: float
    once: str = ""


@dataclass(frozen=True)
class Spell:
    """A time, in seconds from the beginning, in which something is out of order."""

    what: str
    since: float
    lasts: float


@dataclass(frozen=True)
class Broken:
    """From so many seconds after the beginning on, this is out of order, and nobody mends it."""

    what: str
    since: float


@dataclass(frozen=True)
class Story:
    """All of one run."""

    seed: int
    scheduler: str = "hapio"
    database: str = "sqlite"
    widget: tuple[str, ...] = ()
    processes: int = 1
    worker_every: float = 20.0
    actors: tuple[Actor, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    deaths: tuple[Death, ...] = ()
    spells: tuple[Spell, ...] = ()
    stripe: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    never_ends: tuple[Broken, ...] = ()
    #: Whether every service can be booked until it begins.
    no_notice: bool = False

    @property
    def changed_there(self) -> bool:
        """Whether its people change bookings at the scheduler."""
        return any("at the scheduler" in act.what for actor in self.actors for act in actor.acts)

    def dump(self) -> str:
        """As text that `load` reads."""
        return json.dumps(asdict(self), indent=1)


def load(text: str) -> Story:
    """The story that `dump` wrote."""
    raw = json.loads(text)
    actors = tuple(Actor(one["name"], tuple(Act(**act) for act in one["acts"])) for one in raw.pop("actors"))
    return Story(
        actors=actors,
        troubles=tuple(Trouble(**one) for one in raw.pop("troubles")),
        deaths=tuple(Death(**one) for one in raw.pop("deaths")),
        spells=tuple(Spell(**one) for one in raw.pop("spells")),
        widget=tuple(raw.pop("widget")),
        never_ends=tuple(Broken(**one) for one in raw.pop("never_ends", ())),
        **raw,
    )


def choose(chance: Random, weights: Mapping[str, int]) -> str:
    """One of them, each as often as it says."""
    return chance.choices(list(weights), list(weights.values()))[0]


# -- in words ----------------------------------------------------------------------------------------------------


def in_words(story: Story) -> str:
    """The story as somebody would tell it."""
    lines = [f"Seed {story.seed}: {story.scheduler} on {story.database}, {', '.join(story.widget)}"]
    if story.processes > 1:
        lines.append(f"{story.processes} processes; the worker looks every {story.worker_every:g} s.")
    if story.no_notice:
        lines.append("Every service can be booked until it begins.")
    lines += [f"Stripe's side: {name} is {value}." for name, value in story.stripe.items()]
    lines += [f"The scheduler's side: {name} is {value}." for name, value in story.switches.items()]
    for actor in story.actors:
        lines.append(f"{actor.name}:")
        lines += [f"  after {act.after:g} s: {_act_in_words(act)}" for act in actor.acts]
    for trouble in story.troubles:
        of = f"{trouble.method or 'request'} to {trouble.provider}"
        more = "" if trouble.times == 1 else f", {trouble.times} times in a row"
        once = f"Once somebody begins to {trouble.once}" if trouble.once else f"From {trouble.since:g} s on"
        lines.append(f"{once}, {of} number {trouble.nth}: {trouble.fate}{more}.")
    for one in story.deaths:
        after = f" after somebody begins to {one.once}" if one.once else ""
        lines.append(f"Process {one.process + 1} dies at its step {one.step}{after}, and is back {one.back:g} s later.")
    lines += [f"From {one.since:g} s on, for {one.lasts:g} s: {one.what}." for one in story.spells]
    lines += [f"From {one.since:g} s on, for days: {one.what}." for one in story.never_ends]
    return "\n".join(lines)


def _act_in_words(act: Act) -> str:
    words = act.what
    if act.what.startswith("hold"):
        words = f"{act.what} free time {act.nth + 1} of the {act.service}{'' if act.anyone else ' with one person'}"
    elif act.what.startswith("move"):
        words = f"{act.what}, to free time {act.nth + 1}"
    elif act.whose < 0:
        words = f"{act.what} (the caller's)"
    elif act.whose or act.what in OTHERS:
        words = f"{act.what} (visitor {act.whose + 1}'s)"
    return f"{words}{f', {act.times} clicks at once' if act.times > 1 else ''}"
