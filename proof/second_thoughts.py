"""What a visitor does besides: asks for more time, holds a time again when its time is over, corrects the address, or
asks for another link; or books on Calendly's own page, and pays here."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from proof.story import Act, Story
from tests.support.sides import WORST


def with_second_thoughts(story: Story, chance: Random) -> Story:
    """The same story, in which the first visitor does one of these things as well."""
    first, *others = story.actors
    hold, *rest = first.acts
    clicks = chance.choice((1, 1, 2))
    whats = ["more time", "again", "again", "address", "link"]
    if story.scheduler in {"calendly", WORST}:
        whats += ["own page"] * 4
    match chance.choice(whats):
        case "own page":
            hold = replace(hold, what="hold on the scheduler's own page")
        case "more time":
            more = Act(chance.choice((1.0, 60.0, 590.0, 1790.0)), "ask for more time", times=clicks)
            rest = [more, *rest]
        case "again":
            rest.append(Act(chance.choice((1.0, 300.0, 700.0, 1900.0)), "hold it again and pay", times=clicks))
        case "address":
            rest.append(Act(chance.choice((0.5, 100.0, 1900.0)), "correct the address", times=clicks))
        case _:
            rest.append(Act(chance.choice((0.5, 100.0, 1900.0)), "ask for another link", times=clicks))
    changed = replace(first, acts=(hold, *(replace(act, service=hold.service) for act in rest)))
    return replace(story, actors=(changed, *others))
