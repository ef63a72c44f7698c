"""What the time step shows, typed: what times.html reads, by the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from markupsafe import Markup

from app.web.shared.calendar_view import DayView, MonthView
from app.web.shared.page_cache import Pairs


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the time step's forms go: other times as a page, as a part of it, and with a chosen time, which is posted
    where that already takes it. `back` leads to the booking that looks for another time."""

    page: str
    part: str
    choose: str
    posts: bool = True
    back: str = ""


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """The service whose times these are."""

    name: str
    duration: str
    price: str
    free: bool


@dataclass(frozen=True, slots=True)
class PersonChoice:
    """A person whom one may choose, or with an empty `id` anyone. `image` is empty where there is none."""

    id: str
    name: str
    chosen: bool
    image: str


@dataclass(frozen=True, slots=True)
class ZoneLine:
    """The zone that the times are in, and the place's where its clock differs. `choices` are all zones, by region,
    where the visitor wants to choose."""

    name: str
    chosen: bool
    label: str
    place: str
    choices: Sequence[tuple[str, Sequence[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class TimeButton:
    """A time, or a day, to choose: what is sent, and what is read."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class NothingFree:
    """What is said where no time is free, with the next free one; or, without one, until when one can book."""

    sentence: str
    next: TimeButton | None
    until: str


@dataclass(frozen=True, slots=True)
class Taken:
    """That a chosen time could not be had: it is `gone`, or can be tried again, by the page itself where it is known
    when. `times` are what to choose now."""

    sentence: str
    code: str
    gone: bool
    times: Sequence[TimeButton]
    again_at: str
    again_in: int


@dataclass(frozen=True, slots=True)
class OwnHold:
    """The time that this visitor holds already, and where going on and releasing it lead."""

    when: str
    until: str
    go_on: str
    release: str


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """A service that a booking may be moved to."""

    id: str
    name: str
    facts: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class RescheduleLine:
    """The booking that looks for another time, in a line. `staff`: it is the owner who looks."""

    now: str
    staff: bool
    services: Sequence[ServiceChoice]


@dataclass(frozen=True, slots=True)
class TimesScreen:
    """All of it. `day` is None where no time is free, which `empty` then says; `say` is what a screen reader hears when
    the times change; `event` is for the host page. `carried` and `key` are hidden fields, or holes for them."""

    paths: Paths
    service: ServiceLine
    several: bool
    person: str
    place: str
    people: Sequence[PersonChoice]
    month: MonthView
    day: DayView | None
    empty: NothingFree | None
    opened: bool
    zone: ZoneLine
    age: str
    say: str
    taken: Taken | None
    event: dict[str, Any] | None
    times_fields: Pairs
    services_fields: Pairs
    hold_fields: Pairs
    carried: Markup
    key: Markup
    mine: OwnHold | None = None
    reschedule: RescheduleLine | None = None

    @property
    def context(self) -> dict[str, Any]:
        """For the template."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
