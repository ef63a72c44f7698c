"""What an owner has changed in the browser, and a widget with that over what widgets.toml says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from app.domain.service_version import ServiceVersion
from app.domain.words import Words
from app.widgets import ServiceSetting, Widget


class ServiceEdit(BaseModel):
    """What differs from widgets.toml for one service; None is what the file says. Texts are by language, in those that
    differ; an empty one was taken away. `on` False is switched off, True on offer although the file lists others."""

    model_config = ConfigDict(frozen=True)

    name: dict[str, str] | None = None
    description: dict[str, str] | None = None
    image: str | None = None
    price: Decimal | None = None
    on: bool | None = None

    def over(self, file: ServiceSetting, first: str) -> ServiceSetting:
        """The setting with this over it; `first` is the widget's first language."""
        changes: dict[str, object] = {}
        if self.name is not None:
            changes["name"] = Words.of({**texts_of(file.name, first), **self.name})
        if self.description is not None:
            changes["description"] = Words.of({**texts_of(file.description, first), **self.description})
        if self.image is not None:
            changes["image"] = self.image
        if self.price is not None:
            changes["price"] = self.price
        return file.model_copy(update=changes)


class Order(BaseModel):
    """The order of a widget's services; those that are not named come after, as they come without it."""

    model_config = ConfigDict(frozen=True)

    order: tuple[str, ...] = ()


class EditedWidget(Widget):
    """A widget with what its owner has changed in the browser."""

    edits: Mapping[str, ServiceEdit] = {}
    """By the services' ids."""
    order: tuple[str, ...] = ()
    """The services' ids, as far as the owner has put them in order."""

    def edit(self, service_id: str) -> ServiceEdit:
        """What lies over the file for one service."""
        return self.edits.get(service_id) or ServiceEdit()

    def setting(self, service_id: str) -> ServiceSetting | None:
        file = super().setting(service_id)
        if service_id not in self.edits:
            return file
        return self.edits[service_id].over(file or ServiceSetting(id=service_id), self.first_language)

    def in_file(self, service_id: str) -> ServiceSetting:
        """What the file alone says of one service."""
        return super().setting(service_id) or ServiceSetting(id=service_id)

    def ordered(self, known: Sequence[str]) -> list[str]:
        """All of the scheduler's services: the owner's order, then the file's, then the scheduler's."""
        rank = {id_: number for number, id_ in enumerate(self.order)}
        file = super().offered(known)
        every = [*file, *(id_ for id_ in known if id_ not in file)]
        return sorted(every, key=lambda id_: rank.get(id_, len(rank)))

    def offered(self, known: Sequence[str]) -> list[str]:
        file = set(super().offered(known))
        on = {id_: self.edit(id_).on for id_ in known}
        return [id_ for id_ in self.ordered(known) if on[id_] or (on[id_] is None and id_ in file)]

    def switched_off(self) -> frozenset[str]:
        return frozenset(id_ for id_, edit in self.edits.items() if edit.on is False)

    def pictures(self) -> tuple[str, ...]:
        edited = [edit.image for edit in self.edits.values() if edit.image]
        return (*super().pictures(), *edited)


def in_effect(widget: Widget, versions: Sequence[ServiceVersion]) -> Widget:
    """The widget as a file would have it in which the changes were made, for checks that read files."""
    over = edited(widget, versions)
    priced = [id_ for id_, edit in over.edits.items() if edit.price is not None]
    if not widget.services and not priced:
        return widget
    named = dict.fromkeys([*(one.id for one in widget.services), *priced])
    shown = [over.setting(id_) for id_ in named if id_ not in over.switched_off()]
    return widget.model_copy(update={"services": tuple(filter(None, shown))})


def texts_of(words: Words, first: str) -> dict[str, str]:
    """The texts by language, with the one that names none under the first."""
    return dict(words.settled(first).texts)


def edited(widget: Widget, versions: Sequence[ServiceVersion]) -> EditedWidget:
    """The file's widget with the newest changes of its services over it."""
    own = [one for one in versions if one.widget == widget.name]
    edits = {one.service_id: ServiceEdit.model_validate(one.edit) for one in own if one.service_id}
    order = next((Order.model_validate(one.edit).order for one in own if not one.service_id), ())
    file = {name: getattr(widget, name) for name in Widget.model_fields}
    return EditedWidget.model_construct(**file, edits=edits, order=order)
