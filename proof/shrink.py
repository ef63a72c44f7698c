"""The shortest story that still fails: whatever can be left out of it is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from proof.story import Actor, Story

T = TypeVar("T")
#: Whether a story fails in the same way.
Fails = Callable[[Story], bool]


def shrink(story: Story, fails: Fails, *, most: int = 400) -> Story:
    """Leave out one thing after the other as long as it still fails; at most so many tries."""
    tries = 0
    shorter = True
    while shorter:
        shorter = False
        for candidate in _shorter(story):
            tries += 1
            if tries > most:
                return story
            if fails(candidate):
                story, shorter = candidate, True
                break
    return story


def _shorter(story: Story) -> Iterator[Story]:
    """The story with one thing less, or one thing plainer; the largest things first."""
    if story.processes > 1:
        yield replace(story, processes=1, deaths=tuple(one for one in story.deaths if one.process == 0))
    for shorter in _less(story.spells):
        yield replace(story, spells=shorter)
    for fewer in _less(story.deaths):
        yield replace(story, deaths=fewer)
    for calmer in _less(story.troubles):
        yield replace(story, troubles=calmer)
    yield from _with_fewer_acts(story)
    for key in story.stripe:
        if story.stripe[key]:
            yield replace(story, stripe={name: value for name, value in story.stripe.items() if name != key})
    if story.switches:
        yield replace(story, switches={})
    for line in story.widget:
        yield replace(story, widget=tuple(one for one in story.widget if one != line))


def _less(whole: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """None of them, then all but one."""
    if len(whole) > 1:
        yield ()
    for number in range(len(whole)):
        yield whole[:number] + whole[number + 1 :]


def _with_fewer_acts(story: Story) -> Iterator[Story]:
    for number, actor in enumerate(story.actors):
        if actor.acts:
            # Others name visitors by their number, so that one who does nothing stays where they are.
            yield _with(story, number, replace(actor, acts=()))
        for at, act in enumerate(actor.acts):
            if len(actor.acts) > 1:
                yield _with(story, number, replace(actor, acts=actor.acts[:at] + actor.acts[at + 1 :]))
            if act.times > 1:
                plain = replace(act, times=1)
                yield _with(story, number, replace(actor, acts=(*actor.acts[:at], plain, *actor.acts[at + 1 :])))


def _with(story: Story, number: int, actor: Actor) -> Story:
    actors = story.actors
    return replace(story, actors=(*actors[:number], actor, *actors[number + 1 :]))
