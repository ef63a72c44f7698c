"""Callers: the desk books for them, and they pay there, by a link, or when they come. What the owner and they do then
is mostly about money that is not paid yet, or that Stripe has no part in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from proof.story import WHEN, Act, Actor, Story, choose

#: How the desk books, and how often.
_BOOKS: Mapping[str, int] = {
    "desk books to be paid at the visit": 5,
    "desk books for a part of the price": 5,
    "desk books at no charge": 2,
    "desk books by link and waits": 6,
}
#: What becomes of a link.
_WITH_LINK: Mapping[str, int] = {
    "pay": 8,
    "pay in two tabs": 2,
    "pay after the deadline": 3,
    "pay in the seconds when the time runs out": 2,
    "go to pay and walk away": 3,
    "desk takes the rest in cash": 5,
    "pay by the link and at the desk": 4,
    "desk gives more time": 3,
    "desk sends the link again": 2,
    "desk gives up the link": 3,
    "walk away": 2,
}
#: What they do once it is booked.
_BOOKED: Mapping[str, int] = {
    "desk takes the rest in cash": 8,
    "desk takes a part in cash": 6,
    "cancel": 8,
    "cancel and take it back": 5,
    "move": 5,
    "move to a dearer service": 4,
    "move to a cheaper service": 8,
    "owner cancels": 5,
    "owner moves": 3,
    "owner moves to a cheaper service": 4,
    "owner gives half back": 4,
    "owner pays it back another way": 8,
    "owner corrects the address": 4,
    "ask for another link": 4,
    "owner cancels at the scheduler": 2,
    "owner moves at the scheduler": 2,
    "refund in the dashboard": 2,
}


def with_caller(story: Story, chance: Random) -> Story:
    """The same story, with somebody for whom the desk books."""
    number, nth = len(story.actors), chance.choice(WHEN)
    books = Act(
        _pause(chance),
        choose(chance, _BOOKS),
        times=chance.choice((1, 1, 1, 2)),
        nth=nth + chance.choice((0, 0, 2, 20)),
        service=chance.choice(("portrait", "portrait", "headshot")),
        whose=caller(number),
    )
    acts = [books]
    if chance.random() < 0.2:  # what a part payment means shows where its booking ends, or costs less
        part = replace(books, what="desk books for a part of the price", nth=chance.choice((0, 0, 30)))
        then = chance.choice(("cancel", "cancel", "move to a cheaper service"))
        return _with(story, [part, Act(_pause(chance), then, nth=part.nth + 2, whose=caller(number))])
    if books.what.endswith("waits"):
        acts.append(_about_it(chance, number, _WITH_LINK, nth))
    acts += [_about_it(chance, number, _BOOKED, nth) for _ in range(chance.choice((1, 1, 2, 2, 3)))]
    return _with(story, acts)


def _with(story: Story, acts: Sequence[Act]) -> Story:
    desk = Actor("desk 1", tuple(replace(act, service=acts[0].service) for act in acts))
    return replace(story, actors=(*story.actors, desk))


def _about_it(chance: Random, number: int, whats: Mapping[str, int], nth: int) -> Act:
    return Act(
        _pause(chance),
        choose(chance, whats),
        times=chance.choice((1, 1, 1, 1, 2)),
        nth=nth + chance.choice((0, 1, 2, 21, 41)),
        whose=caller(number),
    )


def caller(number: int) -> int:
    """Whose booking it is that the actor of this number makes at the desk."""
    return -1 - number


def _pause(chance: Random) -> float:
    return round(chance.choice((0.3, 1, 5, 20, 60, 200, 599, 601, 1859, 2400)) * chance.uniform(0.9, 1.1), 2)
