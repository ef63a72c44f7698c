"""Compares what is set up at a scheduler with what a studio wants, and plans the changes.

`plan_changes` compares, without asking anyone; a scheduler's `describe` and `apply` do the rest. What one of them
cannot change is a line in `by_hand`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeVar

from app.domain.studio import (
    Hours,
    Person,
    Place,
    Studio,
    StudioService,
    Week,
    days_in_words,
    merged,
    same_name,
    tidy,
    week_in_words,
)


class Part(StrEnum):
    """What can be changed at a scheduler through its API."""

    PLACES = "places"
    SERVICES = "services"
    PEOPLE = "people"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A place as the scheduler has it. Not `enabled`: nobody can book there."""

    id: str
    name: str
    time_zone: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class FoundService:
    """A service as the scheduler has it. `sellable`: Holdfast can offer it. `price` is None where it has none."""

    id: str
    name: str
    duration: timedelta | None
    price: Decimal | None = None
    step: timedelta | None = None
    buffer_before: timedelta = timedelta()
    buffer_after: timedelta = timedelta()
    notice: timedelta = timedelta()
    window: timedelta | None = None
    enabled: bool = True
    sellable: bool = True


@dataclass(frozen=True, slots=True)
class FoundHours:
    """One person's hours at one place. `days` are those from today on whose hours may differ from the week's, with the
    hours that they have. `fixed` is why the week cannot be changed by us, empty if it can."""

    week: Week = field(default_factory=dict)
    days: Mapping[date, Hours] = field(default_factory=dict)
    fixed: str = ""


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """A person or a room as the scheduler has it; `at_once` None is any number. `service_ids` are what is on offer,
    `hours` those at each place, by its id."""

    id: str
    name: str
    at_once: int | None = 1
    service_ids: frozenset[str] = frozenset()
    hours: Mapping[str, FoundHours] = field(default_factory=dict)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Arrangement:
    """All that a scheduler has, oldest first."""

    places: tuple[FoundPlace, ...]
    services: tuple[FoundService, ...]
    people: tuple[FoundPerson, ...]


# -- steps ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakePlace:
    """Create it."""

    place: Place

    def __str__(self) -> str:
        return f"create the place {self.place.name} ({self.place.time_zone})"


@dataclass(frozen=True, slots=True)
class ChangePlace:
    """Give it this time zone, and let it be booked."""

    found: FoundPlace
    time_zone: str

    def __str__(self) -> str:
        if self.found.time_zone == self.time_zone:
            return f"enable the place {self.found.name}"
        return f"set the time zone of {self.found.name} to {self.time_zone} (it is {self.found.time_zone})"


@dataclass(frozen=True, slots=True)
class MakeService:
    """Create it."""

    service: StudioService

    def __str__(self) -> str:
        return f"create the service {self.service.name}, {_minutes(self.service.duration)}"


@dataclass(frozen=True, slots=True)
class ChangeService:
    """Make it as it is wanted; `differs` names what is not. Its name stays, since set-up finds services by their names,
    unless it is to be `renamed`."""

    found: FoundService
    service: StudioService
    differs: tuple[str, ...]
    renamed: bool = False

    def __str__(self) -> str:
        return f"change the service {self.found.name}: {', '.join(self.differs)}"


@dataclass(frozen=True, slots=True)
class MakePerson:
    """Create them."""

    person: Person

    def __str__(self) -> str:
        return f"create {self.person.name}, who takes {_bookings(self.at_once)} at once"

    @property
    def at_once(self) -> int:
        """One unless said otherwise: a calendar's own default may be any number."""
        return self.person.at_once or 1


@dataclass(frozen=True, slots=True)
class ChangePerson:
    """Give them this limit, None being the one that they have, and let them be booked."""

    found: FoundPerson
    at_once: int | None

    def __str__(self) -> str:
        if self.at_once is None or self.found.at_once == self.at_once:
            return f"enable {self.found.name}"
        told = "any number" if self.found.at_once is None else self.found.at_once
        return f"let {self.found.name} take {_bookings(self.at_once)} at once (now {told})"


@dataclass(frozen=True, slots=True)
class Offer:
    """Let a person offer a service."""

    person: str
    service: str

    def __str__(self) -> str:
        return f"let {self.person} offer {self.service}"


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Let a person no longer offer a service."""

    person: str
    service: str

    def __str__(self) -> str:
        return f"let {self.person} no longer offer {self.service}"


@dataclass(frozen=True, slots=True)
class SetWeek:
    """Give a person this week, whole, on this zone's clock."""

    person: str
    week: Week
    time_zone: str

    def __str__(self) -> str:
        return f"set the weekly hours of {self.person}: {week_in_words(self.week)}"


@dataclass(frozen=True, slots=True)
class SetDays:
    """Give a person these hours on these days; None is what the week says. Other days stay as they are."""

    person: str
    days: Mapping[date, Hours | None]
    time_zone: str

    def __str__(self) -> str:
        return f"set days of {self.person}: {days_in_words(self.days)}"


Step = (
    MakePlace
    | ChangePlace
    | MakeService
    | ChangeService
    | MakePerson
    | ChangePerson
    | Offer
    | Withdraw
    | SetWeek
    | SetDays
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change, in an order in which it can. `place` is the name of the place at the scheduler that the
    people's hours are for. `by_hand` is what the owner has to do there."""

    have: Arrangement
    place: str
    steps: tuple[Step, ...]
    by_hand: tuple[str, ...] = ()


class Named(Protocol):
    """What is found by its name."""

    @property
    def name(self) -> str: ...


_Found = TypeVar("_Found", bound=Named)


def by_name(name: str, things: Iterable[_Found]) -> _Found | None:
    """The oldest of this name."""
    return next((thing for thing in things if same_name(thing.name, name)), None)


def plan_changes(have: Arrangement, want: Studio, *, arranges: frozenset[Part], prices: bool, provider: str) -> Plan:
    """What makes `have` into `want`, of which nothing is ever deleted that `want` does not name.

    `arranges` and `prices` are the scheduler's traits, `provider` its name for people. A place of another name is used
    if it is the only one: a slip in a name must not make a second.
    """
    return _Planner(have, want, arranges, prices, provider).plan()


class _Planner:
    def __init__(self, have: Arrangement, want: Studio, arranges: frozenset[Part], prices: bool, provider: str) -> None:
        self._have = have
        self._want = want
        self._arranges = arranges
        self._prices = prices
        self._provider = provider
        self._by_hand: list[str] = []
        named = by_name(want.place.name, have.places)
        self._place = named or (have.places[0] if len(have.places) == 1 else None)

    def plan(self) -> Plan:
        steps = [*self._places(), *self._services(), *self._people()]
        place = self._place.name if self._place else self._want.place.name
        return Plan(self._have, place, tuple(steps), tuple(dict.fromkeys(self._by_hand)))

    def _places(self) -> Iterator[Step]:
        place, zone = self._place, self._want.place.time_zone
        if place is None:
            if Part.PLACES in self._arranges:
                yield MakePlace(self._want.place)
        elif place.time_zone != zone or not place.enabled:
            if Part.PLACES in self._arranges:
                yield ChangePlace(place, zone)
            elif Part.HOURS not in self._arranges:
                self._by_hand.append(f"Set your time zone in {self._provider} to {zone}; it is {place.time_zone}.")

    def _services(self) -> Iterator[Step]:
        for service in self._want.services:
            found = by_name(service.name, self._have.services)
            if Part.SERVICES not in self._arranges:
                if found is None or found.duration != service.duration:
                    act = "Create" if found is None else "Change"
                    self._by_hand.append(
                        f"{act} the event type {service.name} in {self._provider}: {_minutes(service.duration)}."
                    )
            elif found is None:
                yield MakeService(service)
            elif not found.sellable:
                self._by_hand.append(
                    f"{found.name} is of a kind that cannot be sold here; change it in {self._provider}."
                )
            elif differs := tuple(_differences(found, service, self._prices)):
                yield ChangeService(found, service, differs)

    def _people(self) -> Iterator[Step]:
        for number, person in enumerate(self._want.people):
            found = by_name(person.name, self._have.people)
            if Part.PEOPLE not in self._arranges:
                # An account is one person, whatever they are called there.
                found = self._have.people[0] if self._have.people else None
                if found is None or number:
                    self._by_hand.append(
                        f"An account of {self._provider} is one person; {person.name} needs an account and a widget of "
                        f"their own."
                    )
                    continue
            elif found is None:
                yield MakePerson(person)
            elif person.at_once not in {None, found.at_once} or not found.enabled:
                yield ChangePerson(found, person.at_once)
            called = found.name if found else person.name
            if Part.PEOPLE in self._arranges:
                yield from self._offers(called, person, found)
            yield from self._hours(called, person, found)

    def _offers(self, called: str, person: Person, found: FoundPerson | None) -> Iterator[Step]:
        if person.services is None:
            return
        names = {one.id: one.name for one in self._have.services}
        has = [names[one] for one in (found.service_ids if found else ()) if one in names]
        for name in person.services:
            if not _named_in(name, has):
                yield Offer(called, name)
        for name in sorted(has):
            if not _named_in(name, person.services):
                yield Withdraw(called, name)

    def _hours(self, called: str, person: Person, found: FoundPerson | None) -> Iterator[Step]:
        known = (found.hours.get(self._place.id) if found and self._place else None) or FoundHours()
        zone = self._want.place.time_zone
        # Where the place has no zone of its own to change, the hours carry it.
        moves = Part.PLACES not in self._arranges and self._place is not None and self._place.time_zone != zone
        week = known.week if person.week is None else person.week
        changes_week = person.week is not None and (tidy(week) != tidy(known.week) or moves)
        days = {day: hours for day, hours in person.days.items() if _differs(day, hours, known)}
        if not changes_week and not days:
            return
        if Part.HOURS not in self._arranges:
            told = week_in_words(week) if changes_week else days_in_words(days)
            self._by_hand.append(f"Set the hours of {called} in {self._provider}: {told}.")
            return
        if changes_week and known.fixed:
            self._by_hand.append(f"Set the weekly hours of {called} in {self._provider}: {known.fixed}.")
        elif changes_week:
            yield SetWeek(called, tidy(week), zone)
        if days:
            yield SetDays(called, days, zone)


def _differs(day: date, hours: Hours | None, known: FoundHours) -> bool:
    if hours is None:
        return day in known.days
    return day not in known.days or merged(known.days[day]) != merged(hours)


def _differences(found: FoundService, service: StudioService, prices: bool) -> Iterator[str]:
    if found.duration != service.duration:
        yield f"{_minutes(service.duration)} long"
    if prices and (found.price or Decimal(0)) != service.price:
        yield f"price {service.price}" if service.price else "free"
    for name, wanted, has in (
        ("every", service.step, found.step),
        ("free before", service.buffer_before, found.buffer_before),
        ("free after", service.buffer_after, found.buffer_after),
        ("notice", service.notice, found.notice),
        ("bookable ahead", service.window, found.window),
    ):
        if wanted is not None and wanted != has:
            yield f"{name} {_minutes(wanted)}"
    if not found.enabled:
        yield "enabled"


def _named_in(name: str, names: Sequence[str]) -> bool:
    return any(same_name(name, other) for other in names)


def _minutes(span: timedelta) -> str:
    if span and not span % timedelta(days=1):
        return f"{span.days} days"
    return f"{span // timedelta(minutes=1)} minutes"


def _bookings(number: int) -> str:
    return "one booking" if number == 1 else f"{number} bookings"
