"""What the runs have met: every point at which a fault may strike, every state, every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.booking import TRANSITIONS
from app.domain.history import HistoryWord
from app.domain.move import MOVE_TRANSITIONS
from proof import alarms
from proof.network import FATES
from proof.play import Outcome
from proof.story import NEVER_ENDING
from tests.support.sides import NAMES

#: Ends of moves, by their states.
_ENDS = sorted({state for states in MOVE_TRANSITIONS.values() for state in states if not MOVE_TRANSITIONS[state]})

#: What must have waited while a part of the world was broken for good, and why it can.
WAITED: Mapping[tuple[str, str], str] = {
    ("scheduler", alarms.CONFIRM): "a paid time is made final there",
    ("scheduler", alarms.MOVE): "the new time is had there",
    ("scheduler", alarms.RELEASE): "a time is given back there",
    ("scheduler", alarms.CLOSE): "a process that was started anew asks there first",
    ("stripe", alarms.END): "its payment page is closed before a booking ends",
    ("stripe", alarms.CONFIRM): "a payment is read, or taken, before a booking is confirmed",
    ("stripe", alarms.REFUND): "it sends the money back",
    ("stripe", alarms.EVENT): "its messages are hints, and it has to be read",
    ("refunds", alarms.REFUND): "it refuses to send money back",
    ("refunds", alarms.UNDER_WAY): "it sends it when the balance suffices",
    ("refunds", alarms.FAILED): "the bank does not take it",
    ("mail", alarms.MAIL): "the server takes none, or never says so",
    ("mail", alarms.GIVEN_UP): "the server knows no such address, or four days are over",
    ("disk", alarms.WRITE): "everything is written before it is done",
}
#: Of these, what a story in 2,000 meets: only a long search must have.
_RARELY_WAITED = {("stripe", alarms.CONFIRM)}
_ALL_FATES = {provider: tuple(f"{provider}: {fate}" for fate in FATES) for provider in ("scheduler", "stripe")}
_SPELLS = (
    "disk full",
    "mail refused for now",
    "mail refused for good",
    "mail cut",
    "webhooks off",
    "scheduler gone",
    "stripe gone",
)
#: In which state a booking should have been when what went wrong, and why they can meet. Left out is what cannot: a
#: booking that awaits its payment asks nothing of the scheduler, one that is offered asks nothing of anybody; and the
#: wrong clock, under which nobody knows what was when.
STRUCK: Sequence[tuple[str, Sequence[str], str]] = (
    ("held", _ALL_FATES["scheduler"], "the time is locked"),
    ("held", _ALL_FATES["stripe"], "the payment page is made"),
    ("awaiting_payment", _ALL_FATES["stripe"], "the page is read, and closed"),
    ("paid", _ALL_FATES["scheduler"], "the time is made final"),
    ("paid", _ALL_FATES["stripe"], "held money is taken, and the payment read again"),
    ("confirmed", _ALL_FATES["scheduler"], "the booking is looked at, and moved without a difference"),
    ("confirmed", _ALL_FATES["stripe"], "payments are looked for, and given back"),
    ("moving", _ALL_FATES["scheduler"], "the new time is locked, and had"),
    ("moving", _ALL_FATES["stripe"], "the difference is paid"),
    ("canceled", _ALL_FATES["scheduler"], "the time is given back"),
    ("canceled", _ALL_FATES["stripe"], "the money is given back"),
    ("expired", _ALL_FATES["scheduler"], "the time is given back"),
    ("expired", _ALL_FATES["stripe"], "a payment that comes too late is read"),
    *(
        (state, ("killed at database",), "each change is written")
        for state in ("held", "awaiting_payment", "paid", "confirmed", "moving", "canceled", "expired", "offered")
    ),
    *((state, ("killed at scheduler",), "it is asked") for state in ("held", "paid", "moving", "canceled", "expired")),
    *((state, ("killed at stripe",), "it is asked") for state in ("held", "awaiting_payment", "paid", "canceled")),
    *((state, ("killed at mail",), "its mails are sent") for state in ("confirmed", "canceled", "expired")),
    *(
        (state, _SPELLS, "whatever is out of order begins at any moment")
        for state in ("held", "awaiting_payment", "confirmed", "canceled")
    ),
)
#: Lines that no story's history has, and why.
_IN_NO_STORY: Mapping[HistoryWord, str] = {
    HistoryWord.PRICE_CHANGED: "nobody changes a price",
    HistoryWord.PAYMENT_FAILED: "the studio's currency has no delayed method; a page that says so is met by chance",
    HistoryWord.NO_SHOW: "nobody stays until the visit",
    HistoryWord.CAME_AFTER_ALL: "nobody stays until the visit",
    HistoryWord.DETAILS_CORRECTED: "it is the address that is corrected",
    HistoryWord.MAILS_RESENT: "no desk looks for mails that were given up",
    HistoryWord.FORGOTTEN: "nobody asks to be forgotten",
}


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
        return [*missing, *self._never_waited(WAITED.keys() - _RARELY_WAITED)]

    def _never_waited(self, pairs: Collection[tuple[str, str]]) -> Iterator[str]:
        for part, kind in sorted(pairs):
            whats = [what for what in NEVER_ENDING if NEVER_ENDING[what] == part]
            if not any(self.met[f"never ends: {what}, {kind}"] for what in whats):
                yield f"never ends: {part}, {kind}"

    def never_together(self) -> list[str]:
        """States and faults that a long search should have brought together, and what else is rare, and this one has
        not met."""
        wanted = [(state, fault) for state, faults, _ in STRUCK for fault in faults]
        never = [f"{state}, {fault}" for state, fault in wanted if not self.met[f"struck: {state}, {fault}"]]
        words = [word for word in HistoryWord if word not in _IN_NO_STORY and not self.met[f"history: {word}"]]
        return [*never, *(f"history: {word}" for word in words), *self._never_waited(_RARELY_WAITED)]

    def table(self) -> Iterator[str]:
        """For people."""
        bookings = sum(count for name, count in self.met.items() if name.startswith("status: None -> "))
        yield f"{self.runs} runs, {bookings} bookings, {self.seconds / 86_400:.0f} days of virtual time"
        yield f"{sum(self.fates.values())} faults at {len(self.fates)} points, {sum(self.killed.values())} deaths"
        pairs = [name for name in self.met if name.startswith("struck: ")]
        yield f"{len(pairs)} pairs of a booking's state and a fault"
        for name, count in sorted(self.met.items()):
            yield f"  {count:7}  {name}"
        points: Counter[tuple[str, str]] = Counter()
        for (provider, _, fate), count in self.fates.items():
            points[provider, fate] += count
        for (provider, fate), count in sorted(points.items()):
            yield f"  {count:7}  {provider}: {fate}"
        for (where, what), count in sorted(self.killed.items()):
            yield f"  {count:7}  killed at {where}, {what}"
