"""Which times to show, whichever scheduler a widget's calendar is kept at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

from app.domain.catalogue import Service, Slot
from app.domain.reservation import Occupied
from app.errors import SchedulerNotConnected
from app.scheduling.availability.catalogue import Catalogue
from app.scheduling.availability.times import Looks, SchedulerAvailability, Times
from app.widgets import Widget


class Availability:
    """What every door asks about times: each question goes to the availability of the widget's scheduler, where it is
    told. `by_scheduler` has one for each scheduler, by its name."""

    def __init__(self, by_scheduler: Mapping[str, SchedulerAvailability]) -> None:
        self._by_scheduler = by_scheduler
        self._redrawn = 0

    async def catch_up(self) -> None:
        """Take in what other processes have done. Raises StorageError."""
        for one in self._by_scheduler.values():
            await one.catch_up()

    async def aclose(self) -> None:
        """End the reads under way."""
        for one in self._by_scheduler.values():
            await one.aclose()

    def epoch(self) -> int:
        """While this number stays the same, another look need not be taken."""
        return self._redrawn + sum(one.epoch() for one in self._by_scheduler.values())

    @property
    def looks(self) -> Looks:
        """How looks were answered, at all schedulers; `age` is the oldest of the last ones."""
        each = [one.looks for one in self._by_scheduler.values()]
        return Looks(
            cached=sum(looks.cached for looks in each),
            read=sum(looks.read for looks in each),
            stale=sum(looks.stale for looks in each),
            age=max((looks.age for looks in each), default=0.0),
        )

    async def catalogue(self, widget: Widget) -> Catalogue:
        """The widget's location and services."""
        return await self._of(widget).catalogue(widget)

    async def contradicted(self, widget: Widget) -> None:
        """The widget's scheduler has contradicted what is on offer."""
        await self._of(widget).contradicted()

    async def edited(self, widget: Widget, service_id: str, since: datetime) -> None:
        """The owner has changed the service at its scheduler at that moment, here or in another process."""
        await self._of(widget).edited(service_id, since)

    def redraw(self) -> None:
        """What widgets show has changed, and no time of it."""
        self._redrawn += 1

    async def service(self, widget: Widget, service_id: str) -> Service:
        """One service of the widget, also one that is switched off (`on_offer`), else NotFound."""
        return await self._of(widget).service(widget, service_id)

    async def times(
        self,
        widget: Widget,
        service: Service,
        *,
        month: date,
        resource_id: str | None = None,
        reader: str = "",
        needed: bool = False,
    ) -> Times:
        """Every free time of a month."""
        return await self._of(widget).times(
            widget, service, month=month, resource_id=resource_id, reader=reader, needed=needed
        )

    async def find_slot(self, widget: Widget, service: Service, starts_at: datetime) -> Slot | None:
        """The slot that starts then, if it is free."""
        return await self._of(widget).find_slot(widget, service, starts_at)

    async def nearest(
        self, widget: Widget, service: Service, starts_at: datetime, *, resource_id: str | None = None, count: int = 3
    ) -> list[Slot]:
        """The free times closest to one that was lost."""
        return await self._of(widget).nearest(widget, service, starts_at, resource_id=resource_id, count=count)

    async def next_free(
        self,
        widget: Widget,
        service: Service,
        *,
        after: date,
        resource_id: str | None = None,
        months: int = 3,
        reader: str = "",
        zone: str = "",
    ) -> Slot | None:
        """The first free time on or after a day, of the calendar of `zone`."""
        return await self._of(widget).next_free(
            widget, service, after=after, resource_id=resource_id, months=months, reader=reader, zone=zone
        )

    # People and services have ids of their own at each scheduler, so what is told to all matters to one.

    def took(self, occupied: Occupied) -> None:
        """Our own new booking: its time is no longer shown."""
        for one in self._by_scheduler.values():
            one.took(occupied)

    def freed(self, occupied: Occupied, slot: Slot, service_id: str) -> None:
        """Our own release: the time is shown again."""
        for one in self._by_scheduler.values():
            one.freed(occupied, slot, service_id)

    async def reread(self, scheduler: str, starts_from: datetime, ends_to: datetime) -> None:
        """We have changed hours at this scheduler: what is shown of this interval is read again before it is shown."""
        if scheduler in self._by_scheduler:
            await self._by_scheduler[scheduler].reread(starts_from, ends_to)

    def distrust(self, service: Service, starts_at: datetime) -> None:
        """A scheduler refused what we showed."""
        for one in self._by_scheduler.values():
            one.distrust(service, starts_at)

    def hinted(self, scheduler: str, moments: Collection[datetime] = ()) -> None:
        """Someone else has changed something in this scheduler."""
        self._named(scheduler).hinted(moments)

    def occupied(self, widget: Widget) -> tuple[Occupied, ...]:
        """What our own reservations take up."""
        return self._of(widget).occupied()

    def rest(self, scheduler: str, calls: int) -> timedelta:
        """How far apart looks of so many calls to this scheduler should be that nobody waits for."""
        return self._named(scheduler).rest(calls)

    def _of(self, widget: Widget) -> SchedulerAvailability:
        return self._named(widget.scheduler)

    def _named(self, scheduler: str) -> SchedulerAvailability:
        if scheduler not in self._by_scheduler:
            raise SchedulerNotConnected(f"no credentials are set for the scheduler {scheduler!r}").at(scheduler)
        return self._by_scheduler[scheduler]
