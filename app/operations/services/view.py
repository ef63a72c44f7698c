"""One service as its owner sees it: what the scheduler keeps of it, what lies over widgets.toml, who changed it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from app.domain.catalogue import Resource, Service
from app.domain.service_version import ServiceVersion
from app.operations.services.overlay import EditedWidget, ServiceEdit, texts_of
from app.scheduling.arrangement import Part
from app.scheduling.availability import LeftOut
from app.scheduling.port import Traits


@dataclass(frozen=True, slots=True)
class Line:
    """A service in the list. `service` is None where it cannot be offered, for the reason `left_out`; `missing` are
    the languages of the widget in which it lacks a name or its description."""

    id: str
    name: str
    service: Service | None
    left_out: LeftOut | None
    missing: tuple[str, ...] = ()

    @property
    def on(self) -> bool:
        """Whether visitors can book it."""
        return self.service is not None and self.service.on_offer

    @property
    def can_be_offered(self) -> bool:
        """Whether switching it on is all that it needs."""
        return self.left_out is LeftOut.NOT_LISTED

    @property
    def can_be_opened(self) -> bool:
        """Whether it has a form, where what it lacks can be given."""
        return self.left_out is not LeftOut.NO_LENGTH


@dataclass(frozen=True, slots=True)
class Facts:
    """What the scheduler keeps of a service, as it was just read; `everyone` may offer it, `people` are the ids of
    those who do."""

    name: str
    duration: timedelta
    before: timedelta
    after: timedelta
    notice: timedelta
    price: Decimal | None
    people: frozenset[str]
    everyone: tuple[Resource, ...]
    page: str | None

    @property
    def digest(self) -> str:
        """Another value whenever one of these is."""
        told = (self.name, self.duration, self.before, self.after, self.notice, self.price, sorted(self.people))
        return hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service with everything that its form needs. `provider` is the scheduler's name for people; `history` are
    the latest changes, newest first."""

    widget: EditedWidget
    id: str
    facts: Facts
    traits: Traits
    provider: str
    history: Sequence[ServiceVersion]

    @property
    def number(self) -> int:
        """How many times it was changed."""
        return self.history[0].version if self.history else 0

    @property
    def version(self) -> str:
        """What a form carries, so that a change which was made meanwhile is noticed, here or at the scheduler."""
        return f"{self.number}-{self.facts.digest}"

    @property
    def first(self) -> str:
        """The widget's first language, in which the scheduler's own texts are."""
        return self.widget.first_language

    @property
    def languages(self) -> tuple[str, ...]:
        """The widget's languages, without territories."""
        return tuple(dict.fromkeys(tag.replace("_", "-").partition("-")[0].lower() for tag in self.widget.languages))

    @property
    def edit(self) -> ServiceEdit:
        """What lies over the file."""
        return self.widget.edit(self.id)

    @property
    def keeps_times(self) -> bool:
        """Whether length, buffers and notice can be changed from here."""
        return Part.SERVICES in self.traits.arranges

    @property
    def keeps_people(self) -> bool:
        """Whether who offers it can be changed from here."""
        return Part.PEOPLE in self.traits.arranges

    @property
    def named_in_file(self) -> bool:
        """Whether widgets.toml has a name of its own in the first language, which visitors see instead."""
        return self.first in texts_of(self.widget.in_file(self.id).name, self.first)

    @property
    def renames(self) -> bool:
        """Whether a new name goes to the scheduler."""
        return self.keeps_times and not self.named_in_file

    @property
    def names(self) -> Mapping[str, str]:
        """Its name by language, the scheduler's among them."""
        setting = self.widget.setting(self.id)
        names = texts_of(setting.name, self.first) if setting else {}
        return {self.first: self.facts.name, **names}

    @property
    def descriptions(self) -> Mapping[str, str]:
        """Its description by language."""
        setting = self.widget.setting(self.id)
        return texts_of(setting.description, self.first) if setting else {}

    @property
    def image(self) -> str:
        """The address of its picture."""
        setting = self.widget.setting(self.id)
        return setting.image if setting else ""

    @property
    def price(self) -> Decimal | None:
        """What it costs, in whole units; None where nobody has said."""
        if self.facts.price is not None:
            return self.facts.price
        setting = self.widget.setting(self.id)
        if setting and setting.price is not None:
            return setting.price
        return Decimal(0) if self.traits.prices else None


def missing_in(service: Service, languages: Sequence[str]) -> tuple[str, ...]:
    """The languages that have no name of the service, or no description although others have one."""
    names, told = dict(service.names.texts), dict(service.description.texts)
    return tuple(tag for tag in languages if tag not in names or (told and tag not in told))
