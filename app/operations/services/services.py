"""The acts: list a widget's services, open one, save it, switch it on or off, put them in order.

A change is first stored as a row, which two people cannot both write. Then the part that the scheduler stores is sent
there. If the scheduler refuses it, the person who typed it is told, and our row stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import structlog

from app.domain.scheduler_names import provider_of
from app.domain.service_version import FieldChange, ServiceVersion
from app.domain.studio import StudioService
from app.domain.words import Words
from app.errors import BookingConflict, NotFound, SchedulerError
from app.operations.services.form import Fault, Typed, read_form
from app.operations.services.overlay import EditedWidget, Order, ServiceEdit, edited, texts_of
from app.operations.services.view import Facts, Line, ServiceView, missing_in
from app.scheduling.arrangement import (
    Arrangement,
    ChangeService,
    FoundPerson,
    FoundService,
    Offer,
    Plan,
    Step,
    Withdraw,
)
from app.scheduling.availability import Availability
from app.scheduling.port import Scheduler
from app.scheduling.schedulers import Schedulers
from app.store import Store
from app.widgets import Widget

log = structlog.get_logger()

#: Changes of one service that its page lists.
HISTORY: Final = 10
#: As often an act that carries no version begins again when another desk was faster.
_TRIES: Final = 5
#: Letters of a text that the history keeps.
_SHORT: Final = 60


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a form: `same` changed nothing; `wrong` has `faults` by field; `overtaken` was changed meanwhile,
    by another desk or at the scheduler; of `down` nothing was kept, since the scheduler does not answer; `refused` is
    kept here, while the scheduler did not take its part (`error`). `view` is the service as it stands after that."""

    state: Literal["saved", "same", "wrong", "overtaken", "down", "refused"]
    view: ServiceView
    faults: Mapping[str, Fault] = field(default_factory=dict)
    error: SchedulerError | None = None


class Services:
    """Lists and changes services. `widgets` are the live ones, which get what was changed; `providers` are the
    schedulers' names for people; `changed` tells other processes."""

    def __init__(
        self,
        *,
        widgets: dict[str, Widget],
        store: Store,
        schedulers: Schedulers,
        availability: Availability,
        providers: Mapping[str, str],
        changed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._widgets = widgets
        self._file = dict(widgets)
        self._store = store
        self._schedulers = schedulers
        self._availability = availability
        self._providers = providers
        self._changed = changed
        self._now = now
        #: What was read last of each service, by widget and id: a form with a slip in it costs no calls.
        self._facts: dict[tuple[str, str], Facts] = {}
        #: One at a time, so that each caller finds all changes applied.
        self._turn = asyncio.Lock()
        #: What this process has sent to schedulers is not read again.
        self._told_here: set[tuple[str, str, int]] = set()
        self._mark: tuple[int, datetime | None] | None = None

    # -- reading ---------------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """Take in what was changed in other processes; one question where nothing was. Raises StorageError."""
        await self._take_in()

    async def lines(self, widget_name: str) -> list[Line]:
        """Everything that the widget's scheduler has, in the widget's order. Raises NotFound and SchedulerError."""
        widget = self._widget(widget_name)
        catalogue = await self._availability.catalogue(widget)
        services = {one.id: one for one in (*catalogue.services, *catalogue.off)}
        others = {id_: (name, why) for id_, name, why in catalogue.left_out}
        languages = dict.fromkeys(tag.replace("_", "-").partition("-")[0].lower() for tag in widget.languages)
        return [
            Line(id_, service.name, service, None, missing_in(service, tuple(languages)))
            if (service := services.get(id_))
            else Line(id_, others[id_][0], None, others[id_][1])
            for id_ in widget.ordered([*services, *others])
        ]

    def is_ordered(self, widget_name: str) -> bool:
        """Whether the owner has put the widget's services in an order. Raises NotFound."""
        return bool(self._widget(widget_name).order)

    async def open(self, widget_name: str, service_id: str) -> ServiceView:
        """One service, as its scheduler has it now: three calls. Raises NotFound and SchedulerError."""
        widget = self._widget(widget_name)
        scheduler = self._schedulers.of(widget.scheduler)
        found = next((one for one in await scheduler.services() if one.id == service_id), None)
        if found is None or found.duration is None:
            raise NotFound(service_id)
        people = await scheduler.resources()
        offering = set(await scheduler.service_resource_ids(service_id))
        facts = Facts(
            name=found.name,
            duration=found.duration,
            before=found.buffer_before,
            after=found.buffer_after,
            notice=found.booking_window_start or timedelta(),
            price=found.price,
            people=frozenset(one.id for one in people if one.id in offering),
            everyone=tuple(people),
            page=found.page,
        )
        self._facts[widget_name, service_id] = facts
        return await self._view(widget, service_id, facts, scheduler)

    async def _known(self, widget_name: str, service_id: str) -> ServiceView | None:
        """The service as it was read last in this process."""
        facts, widget = self._facts.get((widget_name, service_id)), self._widget(widget_name)
        return await self._view(widget, service_id, facts, self._schedulers.of(widget.scheduler)) if facts else None

    async def _view(self, widget: EditedWidget, service_id: str, facts: Facts, scheduler: Scheduler) -> ServiceView:
        return ServiceView(
            widget=widget,
            id=service_id,
            facts=facts,
            traits=scheduler.traits,
            provider=self._providers[provider_of(widget.scheduler)],
            history=await self._store.service_versions(widget.name, service_id, most=HISTORY),
        )

    def _widget(self, name: str) -> EditedWidget:
        widget = self._widgets.get(name)
        if widget is None:
            raise NotFound(name)
        return widget if isinstance(widget, EditedWidget) else edited(widget, ())

    # -- changing --------------------------------------------------------------------------------------------

    async def save(self, widget_name: str, service_id: str, form: Mapping[str, str], *, by: str) -> Saved:
        """Change a service to what was typed, at the scheduler and here. `form` has the `version` that was shown.
        Raises NotFound, StorageError, and SchedulerError where the scheduler has not told of the service yet."""
        known = await self._known(widget_name, service_id)
        faults = read_form(known, form)[1] if known else {}
        if known and faults:
            return Saved("wrong", known, faults)
        try:
            view = await self.open(widget_name, service_id)
        except SchedulerError as silence:
            if known is None:
                raise
            return Saved("down", known, error=silence)
        typed, faults = read_form(view, form)
        if form.get("version") != view.version:
            return Saved("overtaken", view, faults)
        if faults:
            return Saved("wrong", view, faults)
        edit, ours = self._edit(view, typed)
        theirs = list(_at_scheduler(view, typed))
        if not ours and not theirs:
            return Saved("same", view)
        version = self._version(view, edit, [*ours, *theirs], by)
        if not await self._store.add_service_version(version):
            return Saved("overtaken", await self.open(widget_name, service_id))
        done: list[FieldChange] = list(ours)
        error = await self._tell(view, typed, done) if theirs else None
        if theirs:
            self._told_here.add((version.widget, version.service_id, version.version))
            await self._store.told_of_service(version, done)
            await self._availability.edited(view.widget, service_id, self._now())
        log.info("service changed", widget=widget_name, service=service_id, what=[what for what, _, _ in done])
        await self._published()
        if error:
            return Saved("refused", await self._view_after(view), error=error)
        return Saved("saved", await self._view_after(view))

    async def switch(self, widget_name: str, service_id: str, *, on: bool, by: str) -> None:
        """Offer a service, or stop that. What is held or booked stays as it is. Raises NotFound, SchedulerError."""
        widget = self._widget(widget_name)
        line = next((one for one in await self.lines(widget_name) if one.id == service_id), None)
        if line is None:
            raise NotFound(service_id)
        if line.on == on:
            return
        for _ in range(_TRIES):
            edit = widget.edit(service_id).model_copy(update={"on": on})
            change = ("on", "", "1") if on else ("on", "1", "")
            number = await self._number(widget_name, service_id)
            if await self._store.add_service_version(
                ServiceVersion(widget_name, service_id, number + 1, _json(edit), [change], by, self._now())
            ):
                log.info("service switched", widget=widget_name, service=service_id, on=on)
                await self._published()
                return
            await self._take_in()
            widget = self._widget(widget_name)
        raise BookingConflict("others keep changing it")

    async def put_in_order(self, widget_name: str, service_id: str, *, earlier: bool, by: str) -> None:
        """Show a service one place earlier or later. Raises NotFound, SchedulerError."""
        for _ in range(_TRIES):
            ids = [one.id for one in await self.lines(widget_name) if one.service]
            if service_id not in ids:
                raise NotFound(service_id)
            at = ids.index(service_id)
            other = at - 1 if earlier else at + 1
            if not 0 <= other < len(ids):
                return
            ids[at], ids[other] = ids[other], ids[at]
            if await self._put_order(widget_name, ids, by):
                return
        raise BookingConflict("others keep changing it")

    async def order_of_file(self, widget_name: str, *, by: str) -> None:
        """Show the services in the order of widgets.toml again. Raises NotFound."""
        self._widget(widget_name)
        for _ in range(_TRIES):
            if await self._put_order(widget_name, (), by):
                return
        raise BookingConflict("others keep changing it")

    async def _put_order(self, widget_name: str, ids: Sequence[str], by: str) -> bool:
        number = await self._number(widget_name, "")
        edit = Order(order=tuple(ids)).model_dump(mode="json")
        change = ("order", "", "")
        version = ServiceVersion(widget_name, "", number + 1, edit, [change], by, self._now())
        added = await self._store.add_service_version(version)
        await self._published()
        return added

    async def _number(self, widget_name: str, service_id: str) -> int:
        newest = await self._store.service_versions(widget_name, service_id, most=1)
        return newest[0].version if newest else 0

    def _version(self, view: ServiceView, edit: ServiceEdit, changes: Sequence[FieldChange], by: str) -> ServiceVersion:
        return ServiceVersion(view.widget.name, view.id, view.number + 1, _json(edit), changes, by, self._now())

    async def _view_after(self, view: ServiceView) -> ServiceView:
        """As the scheduler has it now; as it was read before where it does not answer."""
        try:
            return await self.open(view.widget.name, view.id)
        except (SchedulerError, NotFound):
            scheduler = self._schedulers.of(view.widget.scheduler)
            return await self._view(self._widget(view.widget.name), view.id, view.facts, scheduler)

    # -- what lies here --------------------------------------------------------------------------------------

    def _edit(self, view: ServiceView, typed: Typed) -> tuple[ServiceEdit, list[FieldChange]]:
        """What lies over the file from now on, and what of that is new."""
        file, old = view.widget.in_file(view.id), view.edit
        named = [tag for tag in view.languages if tag != view.first or view.named_in_file]
        price = old.price
        if typed.price != view.price:
            # The scheduler's price wins over ours, except for "free", which some schedulers tell as no price.
            price = typed.price if not view.traits.prices or not typed.price else None
            price = None if price == (file.price if not view.traits.prices else (file.price or Decimal(0))) else price
        edit = ServiceEdit(
            name=None if "name" in typed.back else _differing(view, file.name, old.name, typed.names, named),
            description=None
            if "description" in typed.back
            else _differing(view, file.description, old.description, typed.descriptions, view.languages),
            image=None if "image" in typed.back or typed.image == file.image else typed.image,
            price=None if "price" in typed.back else price,
            on=old.on,
        )
        return edit, list(_changes(view, edit))

    # -- telling the scheduler -------------------------------------------------------------------------------

    async def _tell(self, view: ServiceView, typed: Typed, done: list[FieldChange]) -> SchedulerError | None:
        """Tell the scheduler what is its to keep, adding what it took to `done`. Each step names only what it is about,
        since names tell things apart in a plan, and two people may have the same."""
        scheduler, facts = self._schedulers.of(view.widget.scheduler), view.facts
        name = typed.names.get(view.first, facts.name) if view.renames else facts.name
        service = FoundService(view.id, name, typed.duration)
        try:
            own = [change for change in _at_scheduler(view, typed) if not change[0].startswith("person ")]
            if own:
                found = FoundService(view.id, facts.name, facts.duration)
                wanted = StudioService(
                    name=name,
                    duration=typed.duration,
                    price=(typed.price if typed.price != view.price else facts.price) or Decimal(0),
                    buffer_before=typed.before if typed.before != facts.before else None,
                    buffer_after=typed.after if typed.after != facts.after else None,
                    notice=typed.notice if typed.notice != facts.notice else None,
                )
                what = tuple(change[0] for change in own)
                await _apply(scheduler, found, None, ChangeService(found, wanted, what, renamed=name != facts.name))
                done += own
            for person in facts.everyone:
                before, after = person.id in facts.people, person.id in typed.people
                if before != after:
                    step: Step = Offer(person.name, name) if after else Withdraw(person.name, name)
                    await _apply(scheduler, service, FoundPerson(person.id, person.name), step)
                    done.append(_person_change(person.name, on=after))
        except SchedulerError as error:
            log.warning("service not changed there", service=view.id, error=type(error).__name__)
            return error
        return None

    # -- taking in -------------------------------------------------------------------------------------------

    async def _published(self) -> None:
        await self._take_in()
        self._changed()

    async def _take_in(self) -> None:
        """Put what was changed over the file's widgets, and read again what schedulers were told in other processes."""
        async with self._turn:
            mark = await self._store.service_versions_mark()
            if mark == self._mark:
                return
            versions = await self._store.newest_service_versions()
            before, self._mark = self._mark, mark
            for name, file in self._file.items():
                newest = edited(file, versions)
                if newest != self._widgets[name] and (newest.edits or newest.order or self._widgets[name] != file):
                    self._widgets[name] = newest
                    self._availability.redraw()
            if before is None:
                return
            told_after = before[1] or datetime.min.replace(tzinfo=UTC)
            for one in versions:
                key = (one.widget, one.service_id, one.version)
                if key in self._told_here:
                    self._told_here.discard(key)
                elif one.widget in self._widgets and one.told_at and one.told_at > told_after:
                    await self._availability.edited(self._widgets[one.widget], one.service_id, one.told_at)


def _differing(
    view: ServiceView, file: Words, old: Mapping[str, str] | None, typed: Mapping[str, str], shown: Sequence[str]
) -> dict[str, str] | None:
    """The texts that are not the file's, in the languages that the form has; those of others stay as they are."""
    there = texts_of(file, view.first)
    kept = {tag: text for tag, text in (old or {}).items() if tag not in view.languages}
    new = {tag: typed.get(tag, "") for tag in shown if typed.get(tag, "") != there.get(tag, "")}
    return {**kept, **new} or None


async def _apply(scheduler: Scheduler, service: FoundService, person: FoundPerson | None, step: Step) -> None:
    have = Arrangement((), (service,), (person,) if person else ())
    await scheduler.apply(Plan(have, "", (step,)), lambda _step: None)


def _json(edit: ServiceEdit) -> dict[str, object]:
    return edit.model_dump(mode="json", exclude_none=True)


def _changes(view: ServiceView, edit: ServiceEdit) -> Iterator[FieldChange]:
    """What differs, to a reader, between what lies here now and what will."""
    file, first = view.widget.in_file(view.id), view.first
    before, after = view.edit.over(file, first), edit.over(file, first)
    for field_name, was, now in (
        ("name", texts_of(before.name, first), texts_of(after.name, first)),
        ("description", texts_of(before.description, first), texts_of(after.description, first)),
    ):
        for tag in dict.fromkeys([*was, *now]):
            if was.get(tag) != now.get(tag):
                yield f"{field_name} {tag}", _short(was.get(tag, "")), _short(now.get(tag, ""))
    if before.image != after.image:
        yield "image", _short(before.image), _short(after.image)
    if before.price != after.price and not view.traits.prices:
        yield "price", _price_text(before.price), _price_text(after.price)


def _at_scheduler(view: ServiceView, typed: Typed) -> Iterator[FieldChange]:
    """What the scheduler has to be told."""
    facts = view.facts
    name = typed.names.get(view.first, facts.name)
    if view.renames and name != facts.name:
        yield f"name {view.first}", _short(facts.name), _short(name)
    if view.keeps_times:
        for what, was, now in (
            ("duration", facts.duration, typed.duration),
            ("before", facts.before, typed.before),
            ("after", facts.after, typed.after),
            ("notice", facts.notice, typed.notice),
        ):
            if was != now:
                yield what, str(int(was.total_seconds() // 60)), str(int(now.total_seconds() // 60))
    if view.traits.prices and typed.price != view.price:
        yield "price", _price_text(view.price), _price_text(typed.price)
    if view.keeps_people:
        for person in facts.everyone:
            if (person.id in facts.people) != (person.id in typed.people):
                yield _person_change(person.name, on=person.id in typed.people)


def _person_change(name: str, *, on: bool) -> FieldChange:
    return (f"person {name}", "", "1") if on else (f"person {name}", "1", "")


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _price_text(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"
