"""Faults that never stop: a story in which something goes out of order about when somebody needs it, for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from proof.situations import alone
from proof.story import A_MONTH_ON, NEVER_ENDING, Act, Actor, Broken, Story


def break_for_good(story: Story, chance: Random) -> Story:
    """The same story, in which one or two things go out of order about when somebody does something, for good."""
    whats = [what for what in NEVER_ENDING if what != "quota used up" or story.scheduler == "hapio"]
    if chance.random() < 0.15:
        return _moved_while_it_is_gone(chance, story)
    if chance.random() < 0.4:
        return _gone_when_it_is_needed(chance, story)
    broken: dict[str, Broken] = {}  # one of each part
    for _ in range(chance.choice((1, 1, 1, 2))):
        actor = chance.choice(story.actors)
        many = chance.randint(1, len(actor.acts))
        since = sum(act.after for act in actor.acts[:many]) + chance.choice((-1.0, 0.1, 1.0, 5.0, 60.0, 640.0))
        what = chance.choice(whats)
        broken[NEVER_ENDING[what]] = Broken(what, round(max(0.0, since), 2))
    return replace(story, never_ends=tuple(broken.values()))


def _moved_while_it_is_gone(chance: Random, story: Story) -> Story:
    """The scheduler goes for good when the difference of a move is being paid: shortly after the customer has gone to
    Stripe for it, which depends on how long they took with the price itself."""
    move = Act(900.0, "move to a dearer service", nth=A_MONTH_ON + 2)
    actor = alone("pay", move, nth=A_MONTH_ON, service="headshot")
    since = chance.choice((910.0, 910.0, 950.0, 1500.0))
    return replace(
        story, actors=(actor,), troubles=(), deaths=(), spells=(), never_ends=(Broken("scheduler gone", since),)
    )


#: What somebody does who holds a time, what is out of order for good from then on, and when about that is.
_NEEDED: Sequence[tuple[tuple[Act, ...], tuple[str, ...], float]] = (
    ((Act(60.0, "pay"),), ("scheduler gone", "scheduler silent", "scheduler refuses"), 30.0),
    ((Act(60.0, "walk away"),), ("scheduler gone", "scheduler silent", "scheduler refuses"), 30.0),
    ((Act(60.0, "pay"), Act(800.0, "cancel")), ("scheduler gone", "scheduler silent", "scheduler refuses"), 780.0),
    ((Act(60.0, "go to pay and walk away"),), ("stripe gone", "stripe silent", "stripe refuses"), 90.0),
    ((Act(5.0, "pay after the deadline"),), ("stripe gone", "stripe refuses"), 3000.0),
    ((Act(60.0, "pay"),), ("stripe gone",), 75.0),
    ((Act(60.0, "pay"), Act(800.0, "cancel")), ("stripe silent", "refunds refused", "refunds fail"), 700.0),
    ((Act(60.0, "pay"), Act(800.0, "cancel")), ("balance too low",), 700.0),
    ((Act(60.0, "pay"),), ("mail cut", "mail refused for now", "mail refused for good"), 0.0),
)


def _gone_when_it_is_needed(chance: Random, story: Story) -> Story:
    """One visitor, and what they need next goes for good."""
    acts, whats, since = chance.choice(_NEEDED)
    visitor = Actor("visitor 1", (Act(0.0, "hold", nth=60), *acts))
    broken = Broken(chance.choice(whats), round(since * chance.uniform(0.95, 1.05), 2))
    stripe = {**story.stripe, "deliver": "on", "allow_late_payment": True}
    return replace(
        story,
        actors=(visitor,),
        troubles=(),
        deaths=(),
        spells=(),
        stripe=stripe,
        never_ends=(broken,),
        no_notice=False,
    )
