"""Play a story to its end, and say what came of it."""

from __future__ import annotations

import asyncio
import logging
import random as global_random
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, MutableMapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import structlog

from app.errors import HoldfastError
from proof import alarms
from proof.audit import by_promise, came_of
from proof.books import Books
from proof.disk import writing
from proof.loop import VirtualLoop, no_threads
from proof.people import People
from proof.postgres import PostgresLoop, own_database
from proof.process import make_task
from proof.story import Story
from proof.world import Told, World, open_world
from tests.support.once import empty_database

_DAY = (1, 5, 10, 25, 25, 25, 30, 60, 60, 120, 240, 480, 600)
#: Minutes of the worker's time after the faults are over: every deadline, every pause and every look is behind us, and
#: what the last look found has had its time, too.
QUIET = (*_DAY, 5, 10, 25, 60)
#: After these the worker looks into the providers' lists, whether anything is due or not: at once, and after a day.
_LOOKS = (0, len(_DAY) - 1)
#: Steps that the worker takes at most each time, as long as anything is due: one step takes a hundred mails, and a day
#: of thousands of visits has as many reminders.
_STEPS = 20
#: The folder for the file: in memory, where there is one.
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there


@dataclass
class Outcome:
    """What came of a story. `wrong` has a sentence for each broken promise."""

    story: Story
    wrong: list[str]
    lines: list[Told]
    fates: Counter[Any] = field(default_factory=Counter)
    killed: Counter[Any] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    #: The sentences of the audit by the promise.
    broken: Mapping[str, list[str]] = field(default_factory=dict)


class Opens(Protocol):
    """Opens the world of a story, over a file in a folder or a database."""

    def __call__(self, story: Story, folder: Path, loop: VirtualLoop, *, database_url: str) -> Awaitable[World]: ...


def play(story: Story, *, opens: Opens = open_world) -> Outcome:
    """Play it, in a world of its own. The same story comes out the same."""
    asyncio.run(empty_database())  # made once, by the product's own driver and its threads
    with own_database() if story.database == "postgresql" else nullcontext("") as url:
        return _play_on(story, url, opens)


def _play_on(story: Story, url: str, opens: Opens) -> Outcome:
    global_random.seed(story.seed)  # the Stripe package's pauses
    loop = PostgresLoop(url) if url else VirtualLoop()
    loop.set_task_factory(make_task)
    asyncio.set_event_loop(loop)
    with no_threads(writing), TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        try:
            return loop.run_until_complete(_play(story, Path(folder), loop, url, opens))
        finally:
            asyncio.set_event_loop(None)
            loop.close()


async def _play(story: Story, folder: Path, loop: VirtualLoop, url: str, opens: Opens) -> Outcome:
    world = await opens(story, folder, loop, database_url=url)
    with _errors_noted(world):
        await _act(world)
        if story.never_ends:
            untold, waited = await alarms.stay_broken(world)
            world.wrong += untold
            alarms.mend(world)
        else:
            waited = Counter()
        await _come_to_rest(world)
        books = Books(world)
        await books.read()
        broken, met = by_promise(books), came_of(books) + waited
        await world.processes[0].kill()
    failed = [f"unexpected outside every process: {error!r}"[:300] for error in world.network.failed]
    wrong = [*world.wrong, *failed, *(sentence for sentences in broken.values() for sentence in sentences)]
    return Outcome(story, wrong, world.lines, world.network.fates, world.killed, met, loop.time(), broken)


async def _act(world: World) -> None:
    for process in world.processes:
        await world.up(process)
    begun = world.loop.time()
    people = People(world)
    world.network.launch(world.keep_delivering())
    for spell in world.story.spells:
        world.network.launch(world.cast(spell))
    for never in world.story.never_ends:
        world.network.launch(alarms.cast(world, never))
    await asyncio.gather(*(people.live(number, actor) for number, actor in enumerate(world.story.actors)))
    world.note(f"everybody is done after {world.loop.time() - begun:.0f} s")
    await asyncio.sleep(5)


async def _come_to_rest(world: World) -> None:
    """The faults stop, one process is started again, and its worker does what is due."""
    world.over = True
    world.spells.clear()
    world.network.gone.clear()
    world.network.calm = True
    world.apply_spells()
    world.stripe.faults.clear()
    world.side.faults.clear()
    await world.network.settle()
    for process in world.processes:
        await process.kill()
    process = world.processes[0]
    process.dies_at = 0
    parts = await process.start()
    world.note("the faults are over")
    for number, minutes in enumerate(QUIET):
        world.loop.skip(minutes * 60)
        await world.deliver()
        for step in range(_STEPS):
            if not (step < 2 and number in _LOOKS) and not await parts.store.anything_due():
                break
            await process.run(lambda parts: parts.worker.tick())
        await world.network.settle()  # a message may have led to the next one
    assert parts is process.parts


class _errors_noted:  # noqa: N801 - a context manager
    """Errors that the product did not expect are wrong, whatever it made of them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __enter__(self) -> None:
        self._before = structlog.get_config()
        structlog.configure(processors=[self._note], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    def __exit__(self, *_: object) -> None:
        structlog.configure(**self._before)

    def _note(self, _logger: Any, _name: str, line: MutableMapping[str, Any]) -> Any:
        error = line.get("exc_info")
        if isinstance(error, Exception) and not isinstance(error, HoldfastError):
            self._world.wrong.append(f"unexpected: {line.get('event')} {line.get('act', '')} {error!r}"[:300])
        raise structlog.DropEvent


def told(outcome: Outcome, *, most: int = 400) -> Iterable[str]:
    """What happened, line by line."""
    for line in outcome.lines[:most]:
        minutes, seconds = divmod(line.at, 60)
        yield f"{int(minutes):4}:{seconds:06.3f}  {line.what}"
