"""What each widget offers: services, people and opening places, read rarely and once for all widgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

import structlog

from app.domain.catalogue import Location, Resource, Service
from app.domain.charge_minimum import chargeable, least_charge
from app.domain.money import Money
from app.domain.words import Words
from app.errors import NotFound, SchedulerError
from app.scheduling.availability.budget import CallBudget
from app.scheduling.availability.cached import NEVER, Cached
from app.scheduling.port import Scheduler, SchedulerService
from app.widgets import Widget

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: These things change rarely, and reading them again costs three calls and one for each service.
_FRESH = timedelta(hours=12)
#: About what reading them again costs, in calls.
_COST = 6
#: How far apart these things are read again when the scheduler contradicts them, at least; the pause doubles while
#: nothing else than before is found, so that a refusal that is always the same costs no calls.
_PAUSE = timedelta(minutes=1)
#: How soon a value that was read behind the scenes is noticed.
_LOOK = timedelta(minutes=1)


class LeftOut(StrEnum):
    """Why a service cannot be offered."""

    #: The scheduler has no price, and neither has anyone else.
    NO_PRICE = "no_price"
    #: Stripe charges no such amount.
    NOT_CHARGEABLE = "not_chargeable"
    #: It has no length of its own.
    NO_LENGTH = "no_length"
    #: widgets.toml lists others, and nobody has switched it on.
    NOT_LISTED = "not_listed"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What one widget offers, in the widget's order. `off` are the services that the owner has switched off: bookings
    of theirs can still be moved. `left_out` has (id, name, why) of those that cannot be offered."""

    location: Location
    services: tuple[Service, ...]
    off: tuple[Service, ...] = ()
    left_out: tuple[tuple[str, str, LeftOut], ...] = ()

    def find(self, service_id: str) -> Service | None:
        """One of the services, also one that is switched off."""
        return next((one for one in (*self.services, *self.off) if one.id == service_id), None)


@dataclass(frozen=True, slots=True)
class _Studio:
    """Everything that can be offered, for all widgets."""

    locations: tuple[Location, ...]
    services: tuple[SchedulerService, ...]
    resources: tuple[Resource, ...]


@dataclass(slots=True)
class _Built:
    """A widget's catalogue, and when to look whether it still holds."""

    widget: Widget
    catalogue: Catalogue
    look_at: datetime


class Catalogues:
    """The catalogue of each widget."""

    def __init__(
        self,
        scheduler: Scheduler,
        budget: CallBudget,
        now: Callable[[], datetime],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._scheduler = scheduler
        self._budget = budget
        self._now = now
        self._tasks = tasks
        self._studio = Cached(self._read_studio, now, tasks)
        self._offers: dict[str, Cached[frozenset[str]]] = {}
        self._built: dict[str, _Built] = {}
        self._reread_at = self._reread_from = NEVER
        self._pause = _PAUSE
        self._left_out: set[tuple[str, str, str]] = set()

    async def of(self, widget: Widget) -> Catalogue:
        """As Availability.catalogue tells."""
        built = self._built.get(widget.name)
        # Not after a clock that was set back, either.
        if built and built.widget is widget and built.look_at - _LOOK <= self._now() < built.look_at:
            return built.catalogue
        known = built.catalogue if built and built.widget is widget else None
        try:
            catalogue = await self._build(widget)
        except SchedulerError:
            if known is None:
                raise
            catalogue = known
        if catalogue == known:
            catalogue = known
        self._built[widget.name] = _Built(widget, catalogue, self._now() + _LOOK)
        return catalogue

    async def reread(self, *, surely: bool = False) -> bool:
        """Read everything again, because the scheduler has said something else than what is kept here: at once, if that
        was not done a moment ago, or `surely`. Returns whether it was tried. What cannot be read stays as it is."""
        now = self._now()
        if self._reread_at <= now < self._reread_from and not surely:
            return False
        before = self._values()
        self._reread_at, self._reread_from = now, now + self._pause
        with suppress(SchedulerError):
            studio = await self._studio.read()
            there = {service.id for service in studio.services}
            self._offers = {id_: offer for id_, offer in self._offers.items() if id_ in there}
            await asyncio.gather(*(offer.read() for offer in self._offers.values()))
        self._pause = _PAUSE if self._values() != before else min(2 * self._pause, _FRESH)
        self._built.clear()
        return True

    def length(self, service_id: str) -> timedelta | None:
        """How long this service lasts, as it was last read; None where that is not known."""
        services = self._studio.value.services if self._studio.value else ()
        return next((one.duration for one in services if one.id == service_id), None)

    def _values(self) -> tuple[object, ...]:
        return self._studio.value, {id_: offer.value for id_, offer in self._offers.items()}

    async def _build(self, widget: Widget) -> Catalogue:
        studio = await self._kept(self._studio)
        places = (place for place in studio.locations if widget.location in {"", place.id})
        location = next(places, None)
        if location is None:
            raise NotFound(f"widget {widget.name!r}: its location is not among the scheduler's")
        known = {service.id: service for service in studio.services}
        withdrawn = [id_ for id_ in known if id_ in widget.switched_off()]
        wanted = [known[id_] for id_ in [*widget.offered(list(known)), *withdrawn]]
        fixed = [one for one in wanted if one.duration is not None]
        offers = await asyncio.gather(*(self._kept(self._offer(service.id)) for service in fixed))
        services: list[Service] = []
        left_out = {one.id: LeftOut.NO_LENGTH for one in wanted if one.duration is None}
        left_out |= {id_: LeftOut.NOT_LISTED for id_ in known if known[id_] not in wanted}
        for service, offer in zip(fixed, offers, strict=True):
            made = self._service(widget, service, tuple(one for one in studio.resources if one.id in offer))
            if isinstance(made, Service):
                services.append(made)
            else:
                left_out[service.id] = made
        return Catalogue(
            location,
            tuple(one for one in services if one.on_offer),
            tuple(one for one in services if not one.on_offer),
            tuple((id_, known[id_].name, why) for id_, why in left_out.items()),
        )

    def _service(self, widget: Widget, service: SchedulerService, resources: tuple[Resource, ...]) -> Service | LeftOut:
        setting = widget.setting(service.id)
        if not self._scheduler.traits.prices and (setting is None or setting.price is None):
            self._leave_out(widget, service, 'it has no price in widgets.toml; write price = "0" for a free one')
            return LeftOut.NO_PRICE
        try:
            price = widget.price(service.id, service.price)
        except ValueError as error:
            self._leave_out(widget, service, str(error))
            return LeftOut.NOT_CHARGEABLE
        if not chargeable(price):
            least = Money(least_charge(price.currency), price.currency)
            reason = f"Stripe charges no {price.to_decimal()} {price.currency}, the least is {least.to_decimal()}"
            self._leave_out(widget, service, reason)
            return LeftOut.NOT_CHARGEABLE
        first = widget.first_language
        names = (setting.name if setting else Words()).over(Words.of(service.name), first)
        return Service(
            id=service.id,
            name=names.said(first, first),
            names=names,
            description=(setting.description if setting else Words()).settled(first),
            image=setting.image if setting else "",
            duration=service.duration or timedelta(),
            buffer_before=service.buffer_before,
            buffer_after=service.buffer_after,
            booking_window_end=service.booking_window_end,
            price=price,
            resources=resources,
            booking_window_start=service.booking_window_start or timedelta(),
            on_offer=service.id not in widget.switched_off(),
            page=service.page,
        )

    def _leave_out(self, widget: Widget, service: SchedulerService, reason: str) -> None:
        """Say so in the log, once for each reason: the offer is looked over every minute."""
        if (widget.name, service.id, reason) not in self._left_out:
            self._left_out.add((widget.name, service.id, reason))
            log.warning("service left out", widget=widget.name, service=service.id, reason=reason)

    def _offer(self, service_id: str) -> Cached[frozenset[str]]:
        if service_id not in self._offers:
            self._offers[service_id] = Cached(lambda: self._read_offer(service_id), self._now, self._tasks)
        return self._offers[service_id]

    async def _read_offer(self, service_id: str) -> frozenset[str]:
        return frozenset(await self._scheduler.service_resource_ids(service_id))

    async def _kept(self, cached: Cached[T]) -> T:
        if cached.value is None:
            return await cached.read()
        if abs(self._now() - cached.asked_at) >= _FRESH and self._budget.may_read(_COST):
            cached.refresh()
        return cached.value

    async def _read_studio(self) -> _Studio:
        return _Studio(
            tuple(await self._scheduler.locations()),
            tuple(await self._scheduler.services()),
            tuple(await self._scheduler.resources()),
        )
