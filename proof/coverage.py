"""What the runs have met: every point at which a fault may strike, every state, every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.domain.booking import TRANSITIONS
from app.domain.move import MOVE_TRANSITIONS
from proof.network import FATES
from proof.play import Outcome
from tests.support.sides import NAMES

#: Ends of moves, by their states.
_ENDS = sorted({state for states in MOVE_TRANSITIONS.values() for state in states if not MOVE_TRANSITIONS[state]})


@dataclass
class Coverage:
    """Counted over runs, and added up over processes."""

    runs: int = 0
    seconds: float = 0.0
    #: Seconds of CPU.
    cpu: float = 0.0
    fates: Counter[Any] = field(default_factory=Counter)
    killed: Counter[Any] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """One more run."""
        self.runs += 1
        self.seconds += outcome.seconds
        self.fates.update(outcome.fates)
        self.killed.update(outcome.killed)
        self.met.update(outcome.met)

    def merge(self, other: Coverage) -> None:
        """The runs of another process."""
        self.runs += other.runs
        self.seconds += other.seconds
        self.cpu += other.cpu
        for name in ("fates", "killed", "met"):
            getattr(self, name).update(getattr(other, name))

    def never(self) -> list[str]:
        """What a search of any length must have met, and this one has not."""
        wanted = [f"status: {before} -> {after}" for before, afters in TRANSITIONS.items() for after in sorted(afters)]
        wanted += [f"move: {state}" for state in _ENDS]
        missing = [name for name in wanted if not self.met[name]]
        struck = {(provider, fate) for provider, _, fate in self.fates}
        missing += [
            f"fault: {provider}, {fate}"
            for provider in (*NAMES, "stripe")
            for fate in FATES
            if (provider, fate) not in struck
        ]
        died = {where for where, _ in self.killed}
        missing += [f"killed at: {where}" for where in (*NAMES, "stripe", "database", "mail") if where not in died]
        return missing

    def table(self) -> Iterator[str]:
        """For people."""
        bookings = sum(count for name, count in self.met.items() if name.startswith("status: None -> "))
        yield f"{self.runs} runs, {bookings} bookings, {self.seconds / 86_400:.0f} days of virtual time"
        yield f"{sum(self.fates.values())} faults at {len(self.fates)} points, {sum(self.killed.values())} deaths"
        for name, count in sorted(self.met.items()):
            yield f"  {count:7}  {name}"
        points: Counter[tuple[str, str]] = Counter()
        for (provider, _, fate), count in self.fates.items():
            points[provider, fate] += count
        for (provider, fate), count in sorted(points.items()):
            yield f"  {count:7}  {provider}: {fate}"
        for (where, what), count in sorted(self.killed.items()):
            yield f"  {count:7}  killed at {where}, {what}"
