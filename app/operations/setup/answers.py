"""What has to be known: the answers of the wizard and of the page, and the file studio.toml that has the same.

Keys, tokens and the mail server's address are not among them: they are settings, and stand in `.env`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.domain.charge_minimum import chargeable
from app.domain.money import Money
from app.domain.studio import Hours, Person, Place, Studio, StudioService, days_in_words, same_name
from app.explain import explain, setting_path
from app.operations.setup.short_forms import read_dates, read_week
from app.settings import SCHEDULERS
from app.text.zones import valid_zone
from app.widgets import Amount, beyond_stripe

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_Minutes = Annotated[int, Field(ge=0, le=24 * 60)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class AnswersError(ValueError):
    """The answers cannot be used; the text has a line for each fault."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ServiceAnswer(_Part):
    """`[[service]]`"""

    name: _Name
    """What visitors read."""
    minutes: Annotated[int, Field(ge=1, le=24 * 60)]
    """How long it takes."""
    price: Amount = Decimal(0)
    """In major units, such as "65.00"; 0 is free."""
    start_every: _Minutes | None = None
    """Minutes between two starts. Without it, what the scheduler has."""
    minutes_before: _Minutes | None = None
    """Minutes kept free before it."""
    minutes_after: _Minutes | None = None
    """Minutes kept free after it."""
    notice_hours: Annotated[int, Field(ge=0, le=24 * 60)] | None = None
    """How many hours before the start it can be booked at the latest."""
    days_ahead: Annotated[int, Field(ge=1, le=730)] | None = None
    """How many days ahead it can be booked at the earliest."""

    @property
    def service(self) -> StudioService:
        """As a scheduler is given it."""
        return StudioService(
            name=self.name,
            duration=self.minutes * _MINUTE,
            price=self.price,
            step=_times(self.start_every or None, _MINUTE),
            buffer_before=_times(self.minutes_before, _MINUTE),
            buffer_after=_times(self.minutes_after, _MINUTE),
            notice=_times(self.notice_hours, _HOUR),
            window=_times(self.days_ahead, _DAY),
        )


class PersonAnswer(_Part):
    """`[[person]]`: a person or a room."""

    name: _Name
    """What visitors read."""
    hours: str
    """The weekly hours, such as "Mon-Fri 9-12 13-17, Sat 10-14"."""
    services: tuple[str, ...] | None = None
    """The names of the services on offer. Without it, all."""
    at_once: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many bookings at the same time."""
    closed: tuple[str, ...] = ()
    """Days off, such as "2026-12-24" or "2026-12-24..2026-12-26"."""

    @field_validator("hours")
    @classmethod
    def _is_a_week(cls, text: str) -> str:
        read_week(text)
        return text

    @field_validator("closed")
    @classmethod
    def _are_days(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            list(read_dates(text))
        return texts


class StudioAnswers(_Part):
    """All of it, as studio.toml has it."""

    name: _Name
    """The studio's name, on pages and in mails; the place at the scheduler, too."""
    scheduler: str
    """Where the calendar is kept."""
    time_zone: str
    """The IANA name of the place's time zone."""
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")]
    """The currency of all prices."""
    public_url: str
    """Where visitors will reach Holdfast."""
    owner_email: str
    """Gets a mail for each booking, and signs in to the staff page."""
    sites: tuple[str, ...] = ()
    """The sites that show the widget."""
    closed: tuple[str, ...] = ()
    """Days on which everyone is off."""
    widget: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = "studio"
    """The widget's name in its address."""
    mail_from: str = ""
    """The sender of mails. Without it, the owner's name and address."""
    service: Annotated[tuple[ServiceAnswer, ...], Field(min_length=1)]
    """What is sold."""
    person: Annotated[tuple[PersonAnswer, ...], Field(min_length=1)]
    """Who offers it, and when."""

    @field_validator("scheduler")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in SCHEDULERS:
            raise ValueError(f"must be one of {', '.join(SCHEDULERS)}")
        return name

    @field_validator("currency", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        zone = valid_zone(name.strip())
        if zone is None:
            raise ValueError("must be a time zone such as Europe/Stockholm")
        return zone

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        return origin(url, "must be an address such as https://book.example.com, with nothing after the host")

    @field_validator("sites")
    @classmethod
    def _are_origins(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        told = "must be addresses such as https://www.example.com, with nothing after the host"
        return tuple(dict.fromkeys(origin(site, told) for site in sites))

    @field_validator("owner_email")
    @classmethod
    def _is_mail_address(cls, address: str) -> str:
        try:
            return validate_email(address.strip(), check_deliverability=False).normalized
        except EmailNotValidError as error:
            raise ValueError("must be an email address such as hello@example.com") from error

    @field_validator("closed")
    @classmethod
    def _are_days(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            list(read_dates(text))
        return texts

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [one.name for one in self.service]
        for one in self.service:
            try:
                price = Money.from_decimal(one.price, self.currency)
            except ValueError as error:
                raise ValueError(f"{one.name}: {one.price} {self.currency.upper()} cannot be charged") from error
            if not chargeable(price):
                raise ValueError(f"{one.name}: {beyond_stripe(price)}")
        for person in self.person:
            for wanted in person.services or ():
                if not any(same_name(wanted, name) for name in names):
                    raise ValueError(f"{person.name} offers {wanted}, which is not among the services")
        for kind, told in (("service", names), ("person", [one.name for one in self.person])):
            if len({name.strip().casefold() for name in told}) < len(told):
                raise ValueError(f"two of the same {kind} name; each needs its own")
        return self

    @property
    def sender(self) -> str:
        """MAIL_FROM."""
        plain = re.sub(r'[<>",;:\\()\[\]]', "", self.name).strip()
        return self.mail_from or f"{plain} <{self.owner_email}>"

    @property
    def studio(self) -> Studio:
        """As a scheduler is given it."""
        everyone: dict[date, Hours | None] = {day: () for text in self.closed for day in read_dates(text)}
        people = [
            Person(
                name=one.name,
                at_once=one.at_once,
                services=one.services or tuple(service.name for service in self.service),
                week=read_week(one.hours),
                days={**everyone, **{day: () for text in one.closed for day in read_dates(text)}},
            )
            for one in self.person
        ]
        return Studio(Place(self.name, self.time_zone), tuple(one.service for one in self.service), tuple(people))

    @property
    def paid(self) -> bool:
        """Whether anything costs money."""
        return any(one.price for one in self.service)

    def told(self) -> list[str]:
        """The answers for people, a line each."""
        closed: dict[date, Hours | None] = {day: () for text in self.closed for day in read_dates(text)}
        return [
            f"{self.name}, {self.time_zone}, prices in {self.currency.upper()}",
            *(f"{one.name}: {one.minutes} minutes, {one.price or 'free'}" for one in self.service),
            *(f"{one.name}: {one.hours}" for one in self.person),
            *([f"everyone is off: {days_in_words(closed)}"] if closed else []),
        ]


def origin(url: str, sentence: str) -> str:
    """The scheme and host of an address; https where none was typed. ValueError with the sentence for any other."""
    typed = url.strip().rstrip("/")
    typed = typed if "://" in typed else f"https://{typed}"
    parts = urlsplit(typed)
    try:
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or typed != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc or " " in typed:
        raise ValueError(sentence)
    return typed.lower()


#: What of the answers stands at the top of studio.toml, in this order.
TOP: Final = (
    "name",
    "scheduler",
    "time_zone",
    "currency",
    "public_url",
    "sites",
    "owner_email",
    "closed",
    "widget",
    "mail_from",
)


def check_answers(values: Mapping[str, Any]) -> StudioAnswers:
    """The answers. Raises AnswersError with a line for each fault."""
    try:
        return StudioAnswers.model_validate(values)
    except ValidationError as error:
        faults = []
        found = error.errors(include_input=False)
        inside = {fault["loc"][0] for fault in found if len(fault["loc"]) > 1}
        for fault in found:
            steps = fault["loc"]
            if fault["type"] == "too_short" and steps[0] in inside:
                continue  # pydantic leaves out what is wrong, and then counts
            parts: dict[str, type[_Part]] = {"service": ServiceAnswer, "person": PersonAnswer}
            known = parts.get(str(steps[0])) if len(steps) > 2 else None
            number = f" {steps[1] + 1}" if len(steps) > 1 and isinstance(steps[1], int) else ""
            path = setting_path(steps)
            name = f"{steps[0]}{number}.{path.partition('.')[2]}" if number and "." in path else path
            faults.append(explain(fault, name, (known or StudioAnswers).model_fields))
        raise AnswersError("\n".join(dict.fromkeys(faults))) from None


def read_answers(path: Path) -> StudioAnswers:
    """From studio.toml. Raises AnswersError, whose lines name the file."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AnswersError(f"{path} does not exist; docs/set-up.md#without-questions shows one") from error
    except OSError as error:
        raise AnswersError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnswersError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise AnswersError(f"{path} is not TOML: {error}") from error
    try:
        return check_answers(values)
    except AnswersError as error:
        raise AnswersError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def _times(number: int | None, unit: timedelta) -> timedelta | None:
    return None if number is None else number * unit
