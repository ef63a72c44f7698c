"""The shortest story that still fails: whatever can be left out of it is left out, large pieces first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from proof.story import Act, Story

T = TypeVar("T")
#: Whether a story fails in the same way.
Fails = Callable[[Story], bool]
#: Told how many stories were tried, and how many pieces the shortest so far has.
Says = Callable[[int, int], None]


def shrink(story: Story, fails: Fails, *, most: int = 400, says: Says = lambda tries, pieces: None) -> Story:
    """Leave out all, then halves, quarters and single pieces of each kind, as long as it still fails; at most so many
    tries."""
    return _Shrinking(story, fails, most, says).shortest()


class _Shrinking:
    def __init__(self, story: Story, fails: Fails, most: int, says: Says) -> None:
        self._story = story
        self._fails = fails
        self._left = most
        self._says = says
        self._most = most
        self._tried: set[str] = set()

    def shortest(self) -> Story:
        """Round after round, since what could not go before may go without what has gone since."""
        before: Story | None = None
        while before != self._story and self._left:
            before = self._story
            self._round()
        return self._story

    def _round(self) -> None:
        one = self._story
        if one.processes > 1:
            self._take(replace(one, processes=1, deaths=tuple(death for death in one.deaths if death.process == 0)))
        self._fewer(self._story.spells, lambda spells: replace(self._story, spells=spells))
        self._fewer(self._story.never_ends, lambda broken: replace(self._story, never_ends=broken))
        self._fewer(self._story.deaths, lambda deaths: replace(self._story, deaths=deaths))
        self._fewer(self._story.troubles, lambda troubles: replace(self._story, troubles=troubles))
        self._fewer(tuple(number for number, actor in enumerate(self._story.actors) if actor.acts), self._with_actors)
        self._fewer(_acts(self._story), self._with_acts)
        for number, at, act in _acts(self._story):
            if act.times > 1:
                plain = (number, at, replace(act, times=1))
                self._take(self._with_acts(tuple(plain if one[:2] == plain[:2] else one for one in _acts(self._story))))
        self._fewer(tuple(self._story.stripe.items()), lambda items: replace(self._story, stripe=dict(items)))
        self._fewer(tuple(self._story.switches.items()), lambda items: replace(self._story, switches=dict(items)))
        self._fewer(self._story.widget, lambda widget: replace(self._story, widget=widget))

    def _fewer(self, whole: tuple[T, ...], story_with: Callable[[tuple[T, ...]], Story]) -> None:
        """Leave out pieces of this kind: all, then ever smaller parts of them."""
        size = len(whole)
        while size:
            at = 0
            while at < len(whole):
                fewer = whole[:at] + whole[at + size :]
                if self._take(story_with(fewer)):
                    whole = fewer
                else:
                    at += size
            size //= 2

    def _take(self, story: Story) -> bool:
        """Go on with this story, if it fails as well."""
        told = story.dump()
        if story == self._story or told in self._tried or not self._left:
            return False
        self._tried.add(told)
        self._left -= 1
        taken = self._fails(story)
        if taken:
            self._story = story
        self._says(self._most - self._left, _pieces(self._story))
        return taken

    def _with_actors(self, numbers: tuple[int, ...]) -> Story:
        return self._with_acts(tuple(one for one in _acts(self._story) if one[0] in numbers))

    def _with_acts(self, acts: tuple[tuple[int, int, Act], ...]) -> Story:
        # Others name visitors by their number, so that one who does nothing stays where they are.
        actors = tuple(
            replace(actor, acts=tuple(act for whose, _, act in acts if whose == number))
            for number, actor in enumerate(self._story.actors)
        )
        return replace(self._story, actors=actors)


def _acts(story: Story) -> tuple[tuple[int, int, Act], ...]:
    """Everything that is done: whose it is, and the how many-eth."""
    return tuple((number, at, act) for number, actor in enumerate(story.actors) for at, act in enumerate(actor.acts))


def _pieces(story: Story) -> int:
    faults = (story.spells, story.never_ends, story.deaths, story.troubles)
    parts = (*faults, _acts(story), story.stripe, story.switches, story.widget)
    return sum(map(len, parts))
