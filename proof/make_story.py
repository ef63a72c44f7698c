"""A story from its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from proof.callers import with_caller
from proof.network import FATES, Trouble
from proof.never_ending import break_for_good
from proof.second_thoughts import with_second_thoughts
from proof.situations import choose_situation, death
from proof.story import AFTER_HOLD, AFTER_PAID, OTHERS, RESTORED, SERVICES, WHEN, Act, Actor, Spell, Story, choose
from tests.support.sides import NAMES, WORST

#: One story in so many has faults that never stop, in one of so many the desk books for a caller, and in one of so many
#: the first visitor does something besides.
_ONE_IN = 8
_ONE_IN_HAS_A_CALLER = 6
_ONE_IN_HAS_SECOND_THOUGHTS = 8


def make(seed: int, scheduler: str = "", database: str = "sqlite") -> Story:
    """The story of this seed. `scheduler` empty: the seed decides that as well."""
    story = _that_ends(seed, scheduler, database)
    chance = Random(f"caller {seed}")
    if chance.random() * _ONE_IN_HAS_A_CALLER < 1:
        story = with_caller(story, chance)
    chance = Random(f"second thoughts {seed}")
    if chance.random() * _ONE_IN_HAS_SECOND_THOUGHTS < 1:
        story = with_second_thoughts(story, chance)
    chance = Random(f"never {seed}")
    return break_for_good(story, chance) if chance.random() * _ONE_IN < 1 else story


def _that_ends(seed: int, scheduler: str, database: str) -> Story:
    chance = Random(f"story {seed}")
    scheduler = scheduler or (*NAMES, WORST)[seed % 4]
    processes = 2 if chance.random() < 0.15 else 1
    visitors = chance.choice((1, 1, 1, 1, 1, 2, 2, 2, 3, 4))
    when = chance.choice(WHEN)
    actors = [_visitor(chance, number, when) for number in range(visitors)]
    actors += [_other(chance, number, visitors, when) for number in range(chance.choice((0, 0, 0, 1, 1, 2)))]
    story = Story(
        seed=seed,
        scheduler=scheduler,
        database=database,
        widget=_widget(chance),
        processes=processes,
        worker_every=chance.choice((15.0, 60.0, 200.0)),
        actors=tuple(actors),
        stripe=_stripe(chance),
        switches=_switches(chance, scheduler),
    )
    restored = chance.random() < 0.06
    if chance.random() < 0.35:
        return choose_situation(chance)(chance, story)
    if chance.random() < 0.1:
        return story
    return replace(
        story,
        troubles=tuple(_trouble(chance, scheduler) for _ in range(chance.choice((0, 1, 1, 2, 3, 6)))),
        deaths=tuple(death(chance, processes) for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))),
        spells=(
            *(_spell(chance) for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))),
            *(
                (Spell(RESTORED, chance.choice((20.0, 90.0, 700.0)), chance.choice((1.0, 60.0, 600.0))),)
                if restored and database == "sqlite"  # there it is a file
                else ()
            ),
        ),
    )


def _pause(chance: Random) -> float:
    """Seconds between two clicks: mostly at once, often minutes, at times longer than any deadline."""
    return round(
        chance.choice((0.0, 0.05, 0.3, 1, 5, 20, 60, 200, 599, 601, 900, 1859, 1861, 2400)) * chance.uniform(0.9, 1.1),
        2,
    )


def _visitor(chance: Random, number: int, when: int) -> Actor:
    service = chance.choices(SERVICES, (5, 4, 1))[0]
    acts = [
        Act(
            after=chance.choice((0.0, 0.01, 1.0, 40.0, 700.0)) + number * chance.choice((0.0, 0.1, 30.0)),
            what="hold",
            times=chance.choice((1, 1, 1, 2)),
            nth=when + chance.choice((0, 0, 0, 0, 1, 20)),
            service=service,
            anyone=chance.random() < 0.6,
        ),
        Act(
            after=_pause(chance),
            what=choose(chance, AFTER_HOLD),
            times=chance.choice((1, 1, 1, 1, 2)),
            service=service,
        ),
    ]
    for _ in range(chance.choice((0, 1, 1, 2))):
        act = Act(after=_pause(chance), what=choose(chance, AFTER_PAID), times=chance.choice((1, 1, 1, 2)))
        acts.append(replace(act, nth=when + chance.choice((0, 1, 2, 21, 41)), service=service))
    return Actor(f"visitor {number + 1}", tuple(acts))


def _other(chance: Random, number: int, visitors: int, when: int) -> Actor:
    acts = tuple(
        Act(
            after=_pause(chance),
            what=choose(chance, OTHERS),
            whose=chance.randrange(visitors),
            nth=when + chance.choice((0, 0, 1, 20)),
        )
        for _ in range(chance.choice((1, 1, 2, 3)))
    )
    return Actor(f"other {number + 1}", acts)


def _widget(chance: Random) -> tuple[str, ...]:
    lines = []
    if chance.random() < 0.35:
        lines.append('capture = "manual"')
    if chance.random() < 0.2:
        lines.append("verify_lock = true")
    if chance.random() < 0.3:
        lines.append("undo_minutes = 0")
    if chance.random() < 0.3:
        lines.append("payment_minutes = 10")
    lines.append(f"choose_hours = {chance.choice((0, 2, 24))}")
    late = ", until_hours = 2" if chance.random() < 0.4 else ""
    lines.append(f"reschedule = {{ other_service = true{late} }}")
    return tuple(lines)


def _stripe(chance: Random) -> Mapping[str, Any]:
    chosen: dict[str, Any] = {"allow_late_payment": chance.random() < 0.6}
    if chance.random() < 0.25:
        chosen["deliver"] = "off"
    elif chance.random() < 0.5:
        chosen |= {
            "double": chance.random() < 0.4,
            "reorder": chance.random() < 0.4,
            "lose": chance.choice((0, 0, 1, 3)),
        }
        chosen["delay_seconds"] = chance.choice((0, 0, 30, 1200))
    if chance.random() < 0.2:
        chosen["refund_mode"] = chance.choice(("pending", "fail_later", "insufficient_funds"))
    return chosen


def _switches(chance: Random, scheduler: str) -> Mapping[str, Any]:
    if scheduler == "hapio" and chance.random() < 0.3:
        return {"race_mode": "non_atomic"}
    return {}


def _trouble(chance: Random, scheduler: str) -> Trouble:
    provider = chance.choice(("stripe", scheduler if scheduler != WORST else "calendly"))
    return Trouble(
        provider=provider,
        fate=chance.choice(FATES),
        method=chance.choice(("", "POST", "POST", "PATCH", "DELETE", "GET")),
        nth=chance.choice((1, 1, 2, 2, 3, 4, 6)),
        since=chance.choice((0.0, 0.0, 1.0, 60.0, 600.0)),
        times=chance.choice((1, 1, 1, 2, 5, 40)),
    )


def _spell(chance: Random) -> Spell:
    what = chance.choice(
        (
            "disk full",
            "mail refused for now",
            "mail refused for good",
            "mail cut",
            "webhooks off",
            "clock ahead",
            "clock behind",
            "scheduler gone",
            "stripe gone",
            "quota used up",
        )
    )
    return Spell(what, chance.choice((0.0, 0.5, 5.0, 60.0, 650.0)), chance.choice((2.0, 60.0, 900.0, 5000.0)))
