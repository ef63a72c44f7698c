"""A day under constant faults: `make prove-day SCHEDULER=hapio DATABASE=sqlite BOOKINGS=5000 SEED=1`.

One long story: 24 hours in which thousands of visitors arrive, one request in thirty fails, one of three processes
dies every few minutes, and something is always out of order. Then the faults stop, and everybody's books are compared
as after every other story.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import httpx

from proof.audit import PROMISES
from proof.loop import VirtualLoop
from proof.network import FATES, Fate, Network
from proof.play import Outcome, play, told
from proof.postgres import a_server
from proof.story import (
    A_MONTH_ON,
    AFTER_HOLD,
    AFTER_PAID,
    OTHERS,
    SERVICES,
    Act,
    Actor,
    Death,
    Spell,
    Story,
    choose,
)
from proof.world import World, open_world
from tests.support.once import open_api
from tests.support.sides import NAMES, CalcomSide, CalendlySide, HapioSide, Side

DAY = 86_400.0
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
PROCESSES = 3
#: Of a hundred requests to a provider so many meet a fault.
FAULTS = 3.0
#: How far ahead visitors book: so many months have room for five thousand bookings with one to three people.
MONTHS = 24
#: What a visitor does with a held time: most pay.
PAYING: Mapping[str, int] = {**AFTER_HOLD, "pay": 180}
#: What is out of order now and then, how often in the day, and for how many seconds each time.
SPELLS: Mapping[str, tuple[int, float]] = {
    "disk full": (12, 60.0),
    "mail refused for now": (10, 900.0),
    "mail refused for good": (6, 600.0),
    "mail cut": (10, 600.0),
    "webhooks off": (10, 1800.0),
    "clock ahead": (4, 1200.0),
    "clock behind": (4, 1200.0),
    "scheduler gone": (10, 600.0),
    "stripe gone": (10, 600.0),
    "quota used up": (6, 600.0),
}
#: How many deaths each process may die at most. A life has so many steps at most, and more for each booking of the day:
#: a busier day has more steps.
_DEATHS, _LIFE, _LIFE_PER_BOOKING = 400, 1100, 1.6
_KEPT = Path(".cache/proof")


class DayNetwork(Network):
    """Every request may fail, all day."""

    def __init__(self, random: Random) -> None:
        super().__init__(random, ())
        self._fate = Random(f"fates {random.random()}")

    def fate_of(self, provider: str, request: httpx.Request, now: float) -> Fate | None:
        """By chance, the same all day."""
        gone = super().fate_of(provider, request, now)
        if gone or self.calm or self._fate.random() * 100 >= FAULTS:
            return gone
        return self._fate.choice(FATES)


# -- the story ---------------------------------------------------------------------------------------------------


def make_day(seed: int, scheduler: str, bookings: int, database: str = "sqlite") -> Story:
    """The day of this seed."""
    chance = Random(f"day {seed}")
    actors = [_visitor(chance, number) for number in range(bookings)]
    actors += [_other(chance, number, bookings) for number in range(bookings // 4)]
    return Story(
        seed=seed,
        scheduler=scheduler,
        database=database,
        widget=("choose_hours = 2", "reschedule = { other_service = true }"),
        processes=PROCESSES,
        worker_every=30.0,
        actors=tuple(actors),
        deaths=tuple(_deaths(chance, bookings)),
        spells=tuple(_spells(chance)),
        stripe={"allow_late_payment": True, "double": True, "reorder": True},
    )


def _visitor(chance: Random, number: int) -> Actor:
    service = chance.choices(SERVICES, (5, 4, 1))[0]
    hold = Act(
        after=round(chance.uniform(0, DAY), 2),
        what="hold",
        times=chance.choice((1, 1, 1, 1, 2)),
        nth=_time(chance),
        service=service,
        anyone=chance.random() < 0.6,
    )
    paying = Act(after=_paying_pause(chance), what=choose(chance, PAYING), times=chance.choice((1, 1, 1, 1, 2)))
    acts = [hold, replace(paying, service=service)]
    for _ in range(chance.choice((0, 1, 1, 2))):
        change = Act(
            after=_pause(chance, 1859, 3600, 7200), what=choose(chance, AFTER_PAID), times=chance.choice((1, 1, 1, 2))
        )
        acts.append(replace(change, nth=_time(chance), service=service))
    return Actor(f"visitor {number + 1}", tuple(acts))


def _other(chance: Random, number: int, visitors: int) -> Actor:
    act = Act(
        after=round(chance.uniform(600, DAY), 2),
        what=choose(chance, OTHERS),
        whose=chance.randrange(visitors),
        nth=_time(chance),
    )
    return Actor(f"other {number + 1}", (act,))


def _time(chance: Random) -> int:
    """Near months and first times are wanted most, so that visitors meet."""
    month = min(chance.randrange(MONTHS), chance.randrange(MONTHS))
    return month * A_MONTH_ON + chance.choice((0, 0, 1, 2, 5, 20, chance.randrange(200)))


def _pause(chance: Random, *later: float) -> float:
    """Seconds between two clicks: mostly soon, at times about a deadline or `later`."""
    return round(chance.choice((0.3, 1, 5, 20, 60, 60, 200, 400, 601, 1861, *later)) * chance.uniform(0.9, 1.1), 2)


def _paying_pause(chance: Random) -> float:
    """Seconds from a held time to its payment: a minute or two, and one in twenty about a deadline or past it."""
    soon = (0.3, 1, 5, 20, 20, 60, 60, 120, 200, 400)
    return round(chance.choice(soon if chance.random() < 0.95 else (601, 1861)) * chance.uniform(0.9, 1.1), 2)


def _deaths(chance: Random, bookings: int) -> Iterator[Death]:
    for process in range(PROCESSES):
        longest = _LIFE + round(_LIFE_PER_BOOKING * bookings)
        for _ in range(_DEATHS):
            yield Death(process, chance.randint(1, longest), chance.choice((0.1, 2.0, 30.0, 300.0)))


def _spells(chance: Random) -> Iterator[Spell]:
    for what, (times, lasts) in SPELLS.items():
        for number in range(times):
            since = (number + chance.random() * 0.5) * DAY / times  # so that none begins before the last has ended
            yield Spell(what, round(since, 2), round(lasts * chance.uniform(0.3, 1.5), 2))


# -- the world ---------------------------------------------------------------------------------------------------


async def enlarge(side: Side) -> Mapping[str, Any]:
    """Let the studio be booked two years ahead, on a plan that allows for so many bookings; the product's settings."""
    if isinstance(side, HapioSide):
        async with open_api(side.sandbox) as api:
            for service in side.services.values():
                answer = await api.patch(f"/services/{service}", json={"booking_window_end": f"P{31 * MONTHS}D"})
                answer.raise_for_status()
        side.sandbox.calls.clear()
        side.switches({"rate_limit_per_minute": 600})
        return {"hapio_calls_per_month": 500_000}
    if isinstance(side, CalendlySide):
        for event_type in side.services.values():
            side.sandbox.change_event_type(event_type, days_ahead=31 * MONTHS)
        side.switches({"plan": "enterprise"})
        return {"calendly_creates_per_day": 100_000}
    assert isinstance(side, CalcomSide)
    every_day = {"days": WEEKDAYS, "startTime": "07:00", "endTime": "22:00"}  # the coach works alone
    side.sandbox.change_hours([every_day])
    side.switches({"rate_limit_per_minute": 600})
    return {}


class Watched:
    """Opens a day's world and keeps it, for the table."""

    def __init__(self) -> None:
        self.world: World | None = None

    async def __call__(self, story: Story, folder: Path, loop: VirtualLoop, *, database_url: str) -> World:
        network = DayNetwork(Random(f"network {story.seed}"))
        self.world = await open_world(story, folder, loop, database_url=database_url, network=network, prepare=enlarge)
        return self.world


# -- the command -------------------------------------------------------------------------------------------------


def main() -> int:
    """0 where all zeros are zero."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scheduler", default="hapio", choices=NAMES)
    parser.add_argument("--database", default="sqlite", choices=("sqlite", "postgresql"))
    parser.add_argument("--bookings", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = process_time()
    watched = Watched()
    story = make_day(asked.seed, asked.scheduler, asked.bookings, asked.database)
    with a_server() if asked.database == "postgresql" else nullcontext():
        outcome = play(story, opens=watched)
    assert watched.world
    print("\n".join(table(outcome, watched.world)))
    print(f"{process_time() - began:10.0f}  seconds of CPU")
    if outcome.wrong:
        print("\n".join(outcome.wrong[:60]))
        _KEPT.mkdir(parents=True, exist_ok=True)
        file = _KEPT / f"day-{asked.scheduler}-{asked.database}-{asked.seed}.txt"
        file.write_text("\n".join((*outcome.wrong, "", *told(outcome, most=len(outcome.lines)))))
        print(f"All of it, with what everybody did, is in {file}.")
    return int(bool(outcome.wrong))


def table(outcome: Outcome, world: World) -> Iterator[str]:
    """What the day was, and the zeros."""
    met, state = outcome.met, world.stripe.state
    lives = sum(one.lives for one in world.processes)
    yield f"{outcome.story.scheduler} on {outcome.story.database}, seed {outcome.story.seed}"
    counts: dict[str, int] = {
        "bookings": sum(count for name, count in met.items() if name.startswith("status: None ->")),
        "paid at Stripe": sum(bool(one["amount_received"]) for one in state.payment_intents.values()),
        "confirmed": sum(count for name, count in met.items() if name.endswith("-> confirmed")),
        "canceled": sum(count for name, count in met.items() if name.endswith("-> canceled")),
        "expired": sum(count for name, count in met.items() if name.endswith("-> expired")),
        "moved": met["move: done"],
        "refunds": len(state.refunds),
        "disputes": len(state.disputes),
        "mails": len(world.mails),
        "deaths of a process": sum(outcome.killed.values()),
        "starts of a process": lives,
        "faults of requests": sum(outcome.fates.values()),
    }
    yield from (f"{count:10}  {name}" for name, count in counts.items())
    by_fate: Counter[str] = Counter()
    for (provider, _, fate), count in outcome.fates.items():
        by_fate[f"{provider}: {fate}"] += count
    yield from (f"{count:10}    {name}" for name, count in sorted(by_fate.items()))
    for name in PROMISES:
        yield f"{len(outcome.broken[name]):10}  {name}"
    unexpected = len(outcome.wrong) - sum(map(len, outcome.broken.values()))
    yield f"{unexpected:10}  errors that the code did not expect"


if __name__ == "__main__":
    sys.exit(main())
