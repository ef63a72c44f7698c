"""A widget: what an embed offers, to which sites, how it looks, under which terms. `widgets_file.py` reads them.

Without a file there is one widget, `default`, with every enabled service of the first location.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self, TypeVar

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from app.domain import urls
from app.domain.amounts import read_number
from app.domain.booking import Booking
from app.domain.charge_minimum import chargeable, least_charge
from app.domain.money import Money
from app.domain.reservation import Reservation
from app.domain.terms import Capture, Terms, Tier
from app.domain.words import Said, Words, base
from app.text.catalogues import translator
from app.text.languages import LANGUAGES
from app.webhook_setting import WebhookSetting

#: The scheduler's and Stripe's own limits lie well above these; ours catch slips of the pen.
Text = Annotated[str, Field(min_length=1, max_length=200)]
LongText = Annotated[str, Field(max_length=2000)]
#: The most letters of a text in one language: of a heading, a name or a question, and of what may be several sentences.
MOST_LETTERS, MOST_LETTERS_LONG = 200, 2000


def _own_words(value: object, most: int) -> Words:
    """Text in quotes, or a table by language. Raises ValueError with the end of a sentence about the setting."""
    if isinstance(value, Words):
        return value
    texts = {"": value} if isinstance(value, str) else value
    if not isinstance(texts, Mapping) or not all(isinstance(one, str) for one in texts.values()):
        raise ValueError('must be text in quotes, or one for each language, such as { en = "…", sv = "…" }')
    unknown = [str(tag) for tag in texts if tag and tag not in LANGUAGES]
    if unknown:
        raise ValueError(f'names the language "{unknown[0]}"; there are {", ".join(sorted(LANGUAGES))}')
    if any(len(one) > most for one in texts.values()):
        raise ValueError(f"must not be longer than {most} characters")
    return Words.of(texts)


def _some(words: Words) -> Words:
    if not words:
        raise ValueError("needs at least 1 character")
    return words


#: An owner's text: in the widget's first language, or in several. The long one may be several sentences.
OwnWords = Annotated[Words, PlainValidator(lambda value: _own_words(value, MOST_LETTERS))]
OwnLongWords = Annotated[Words, PlainValidator(lambda value: _own_words(value, MOST_LETTERS_LONG))]
SomeWords = Annotated[OwnWords, AfterValidator(_some)]
Named = TypeVar("Named", "Question", WebhookSetting)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TierSetting(_Part):
    """One cancellation tier."""

    at_least_hours: Annotated[int, Field(ge=0, le=24 * 365)]
    """Up to this many hours before the start …"""
    refund_percent: Annotated[int, Field(ge=0, le=100)]
    """… this share of the price is refunded."""


class MoveSetting(_Part):
    """What a customer may change about a confirmed booking. The limits are frozen into each booking."""

    until_hours: Annotated[int, Field(ge=0, le=24 * 365)] = 24
    """Customers may move a booking until this many hours before the start."""
    at_most: Annotated[int, Field(ge=0, le=100)] = 3
    """How often a customer may move a booking. With 0 they cannot."""
    other_resource: bool = True
    """Whether customers may move a booking to another person or room."""
    other_service: bool = False
    """Whether customers may move a booking to another service, whose price may differ."""
    refund_difference: Literal["by_terms", "full"] = "by_terms"
    """What a move to a lower price refunds: with `by_terms` the share of the difference that a cancellation at
    that moment would refund, with `full` all of it."""


class Question(_Part):
    """One question of the details form beyond name, email and phone."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """The name that the answer is stored under."""
    label: SomeWords
    """The question."""
    help: OwnLongWords = Words()
    """A line under the question."""
    kind: Literal["text", "textarea", "select", "checkbox"] = "text"
    """The kind of field."""
    options: tuple[SomeWords, ...] = ()
    """The answers to choose from, for a `select` only. What is chosen is kept in the widget's first language."""
    required: bool = False
    """Whether it must be answered. A required checkbox must be ticked."""

    @model_validator(mode="after")
    def _select_has_options(self) -> Self:
        if (self.kind == "select") != bool(self.options):
            raise ValueError('has options without kind = "select", or is a select without any')
        return self


def _color(value: object) -> object:
    """#rrggbb in small letters, also from `#abc`, without the sign, which addresses would have to escape, and from
    `rgb(1, 2, 3)`, as browsers tell a color."""
    if not isinstance(value, str):
        return value
    told = re.fullmatch(r"rgb\((\d{1,3}), (\d{1,3}), (\d{1,3})\)", value)
    if told and all(int(channel) < 256 for channel in told.groups()):
        return "#" + "".join(f"{int(channel):02x}" for channel in told.groups())
    if not re.fullmatch(r"#?([0-9a-fA-F]{3}){1,2}", value):
        return value
    digits = value.removeprefix("#").lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def _amount(value: object) -> object:
    """A text as people write amounts; a number is left to TOML's rules."""
    number = read_number(value, decimals=3) if isinstance(value, str) else value
    if number is None:
        raise PydanticKnownError("decimal_parsing")
    return number


Amount = Annotated[Decimal, BeforeValidator(_amount)]

Color = Annotated[str, BeforeValidator(_color), Field(pattern=r"^#[0-9a-f]{6}$")]


class Theme(_Part):
    """How the widget looks on the owner's page.

    A `background` is what lies behind the widget: its own, or, where `transparent`, the page's. It decides between
    light and dark, because text has to be readable on it.
    """

    accent: Color = "#2f5d50"
    """The colour of buttons and marks, adjusted where text would be hard to read."""
    radius: Annotated[int, Field(ge=0, le=16)] = 10
    """How round corners are, in pixels."""
    density: Literal["compact", "regular", "spacious"] = "regular"
    """How much space there is between things."""
    font: Annotated[str, Field(max_length=200, pattern=r"^[\w\s,'\"-]*$")] = ""
    """A CSS list of fonts that visitors' devices have, such as `Georgia, serif`."""
    scheme: Literal["auto", "light", "dark"] = "auto"
    """Light or dark; `auto` follows the visitor's device."""
    background: Color | Literal[""] = ""
    """The colour behind everything. It then decides between light and dark itself."""
    transparent: bool | None = None
    """Whether your page's background shows through. If unset, it does where our script puts the widget into a page and
    no `background` is set: the script reads the colour behind it, so that text is readable there. With `true`, name the
    colour in `background` for frames without the script."""


class ServiceSetting(_Part):
    """A service of the scheduler's, with what it has no room for."""

    id: str
    """The service's id in the scheduler."""
    name: OwnWords = Words()
    """The service's name, if it should differ from the scheduler's, for example in other languages."""
    description: OwnLongWords = Words()
    """A sentence under the service's name."""
    image: Annotated[str, Field(max_length=500)] = ""
    """The https address of a picture."""
    price: Annotated[Amount, Field(ge=0, max_digits=11)] | None = None
    """The price if the scheduler has none, in whole units of the currency, such as `"65.00"`; `0` is free. Cal.com and
    Calendly have no prices, so their services are left out without one here. A Hapio service without a price is
    free."""


class PersonSetting(_Part):
    """A person or room of the scheduler's, with what it has no room for."""

    id: str
    """The id in the scheduler."""
    image: Annotated[str, Field(max_length=500)] = ""
    """The https address of a portrait, shown as a small circle next to the name."""


class Widget(_Part):
    """One configured embed."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    """The table's name, a part of the address."""
    scheduler: str = ""
    """Where the calendar is kept: `hapio`, `calcom` or `calendly`, or `calendly:` and an owner's name, such as
    `calendly:nora`, for an account that is connected on the staff page. Without it the one whose credentials are set;
    if several are, each widget must say it."""
    title: OwnWords = Words()
    """The heading of the list of services. Without it "Book a time" in the reader's language."""
    location: str = ""
    """The id of the scheduler's location. Without it the project's first one is used."""
    services: tuple[ServiceSetting, ...] = ()
    """The services on offer, in order. Without it every enabled one that has a fixed length."""
    people: tuple[PersonSetting, ...] = ()
    """Portraits of the people, or pictures of the rooms, that visitors choose from."""
    logo: Annotated[str, Field(max_length=500)] = ""
    """The https address of a logo, shown over the services where the widget is a page of its own."""
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")] = "eur"
    """The currency of all prices, since the scheduler's prices have none: an ISO code in lower case."""
    allowed_origins: tuple[str, ...] = ()
    """The sites that may frame the widget: scheme and host, with a port if there is one, no path. Without it the
    widget works only as a page of its own."""
    hold_minutes: Annotated[int, Field(ge=2, le=60)] = 10
    """How long a chosen time is held."""
    max_extensions: Annotated[int, Field(ge=0, le=10)] = 10
    """How often a visitor may start those minutes again, for two hours in all."""
    max_holds: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many unpaid holds all visitors together may have at once. From a quarter of this number a hold asks
    for a small proof of work, and beyond it for a much larger one."""
    max_holds_per_visitor: Annotated[int, Field(ge=1, le=1000)] = 6
    """The same for one visitor, and for everyone at one network address. Raise it if many people book from one
    office."""
    max_free_per_customer: Annotated[int, Field(ge=1, le=1000)] = 2
    """How many upcoming free bookings one email address may have. Letter case, and anything after a `+`, make no
    difference."""
    max_free_per_day: Annotated[int, Field(ge=1, le=1000)] = 3
    """How many free bookings one network address may make in a day. Raise it if many people book from one office."""
    payment_minutes: Annotated[int, Field(ge=5, le=23 * 60)] = 31
    """How long paying may take, counted from the click on Pay. Stripe's own shortest time is 30 minutes; a
    shorter one is kept by ending Stripe's page early."""
    capture: Capture | None = None
    """`manual` only holds the money at first, and takes it once the booking is final in the scheduler; `automatic`
    takes it at once. Without it `manual` where the scheduler cannot keep a time from others (Cal.com, Calendly), so
    that a customer who loses the time to a stranger was never charged; else `automatic`."""
    cancellation: tuple[TierSetting, ...] = ()
    """What a cancellation refunds, from many hours before the start to few. Without it nothing."""
    undo_minutes: Annotated[int, Field(ge=0, le=60)] = 10
    """How long a customer may undo a cancellation. The refund waits that long; with 0 it goes out at once."""
    choose_hours: Annotated[int, Field(ge=0, le=72)] = 24
    """When a payment arrives after its time has gone to someone else, up to three other times are held for so many
    hours, and the customer chooses one or gets the money back. With 0 the money goes back at once."""
    reschedule: MoveSetting = MoveSetting()
    """How customers may move a booking."""
    reminder_hours: Annotated[int, Field(ge=0, le=24 * 14)] = 24
    """How many hours before the start the customer is reminded by mail. With 0 there is no reminder."""
    phone: Literal["off", "optional", "required"] = "optional"
    """Whether the form asks for a phone number."""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "SE"
    """The country of phone numbers without a country code: two capital letters."""
    questions: tuple[Question, ...] = ()
    """What the form asks in addition to name, email, phone and message."""
    consent: OwnLongWords = Words()
    """The text next to a box that must be ticked. Without it there is no box. Handling a booking needs no consent under
    the GDPR (article 6.1 b): to inform customers without asking, use `notice`."""
    address: LongText = ""
    """The street address that customers come to. Confirmed pages and mails link it to a map. Without it there is no
    map."""
    bring: OwnLongWords = Words()
    """What customers should bring or know, shown on the confirmed page, in the confirmation and in the reminder."""
    notice: OwnLongWords = Words()
    """A sentence above the button that books, for example what you use the details for."""
    review: bool = False
    """Whether a page shows everything once more before paying. Without it the customer pays from the details form,
    where time, price and terms are above the button: one tap less."""
    choose_resource: bool = True
    """Whether visitors choose a person or room. If not, the one with the fewest bookings around that time is booked."""
    verify_lock: bool = False
    """Whether each hold is checked against other programs that book in the same account of the scheduler. Costs one
    more call to the scheduler for each hold."""
    theme: Theme = Theme()
    """How the widget looks. A tag on a page may ask for something else."""
    languages: tuple[str, ...] = ("en",)
    """The languages to choose from: `ar`, `da`, `de`, `en`, `es`, `fi`, `fr`, `he`, `it`, `ja`, `nb`, `nl`, `pl`, `pt`,
    `sv`, `tr`, `uk`, `zh`. The first is the fallback, and the language of mails to the owner."""
    owner_name: Annotated[str, Field(max_length=200)] = ""
    """Your name on pages and in mails."""
    owner_email: Annotated[str, Field(max_length=254)] = ""
    """Your address for mails about each booking and each change. Customers' replies go there."""
    owner_phone: Annotated[str, Field(max_length=40)] = ""
    """Shown where customers need help."""
    privacy_url: Annotated[str, Field(max_length=500)] = ""
    """Linked at the foot of every page."""
    webhooks: tuple[WebhookSetting, ...] = ()
    """Your programs that are told about bookings: docs/webhooks.md."""

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_bare(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_browser_origin(origin) for origin in origins)

    @field_validator("owner_email")
    @classmethod
    def _is_mail_address(cls, address: str) -> str:
        # Customers' mails name it as Reply-To, so a slip here would stop every one of them.
        try:
            return validate_email(address, check_deliverability=False).normalized if address else ""
        except EmailNotValidError as error:
            raise ValueError("must be an email address such as hello@example.com") from error

    @field_validator("cancellation")
    @classmethod
    def _tiers_fall(cls, tiers: tuple[TierSetting, ...]) -> tuple[TierSetting, ...]:
        for earlier, later in itertools.pairwise(tiers):
            if later.at_least_hours >= earlier.at_least_hours or later.refund_percent > earlier.refund_percent:
                raise ValueError("has tiers that do not run from many hours and percent to few")
        return tiers

    @field_validator("questions", "webhooks")
    @classmethod
    def _names_are_unique(cls, named: tuple[Named, ...], info: ValidationInfo) -> tuple[Named, ...]:
        if len({one.name for one in named}) != len(named):
            raise ValueError(f"has two {info.field_name} of the same name")
        return named

    @field_validator("languages")
    @classmethod
    def _are_spoken(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if not tags or any(re.split("[-_]", tag)[0].lower() not in LANGUAGES for tag in tags):
            raise ValueError(f"must name one or more of {', '.join(sorted(LANGUAGES))}")
        return tags

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The cancellation policy as the terms freeze it."""
        return tuple(Tier(tier.at_least_hours, tier.refund_percent) for tier in self.cancellation)

    @property
    def hold_time(self) -> timedelta:
        """How long a hold lasts before paying starts."""
        return timedelta(minutes=self.hold_minutes)

    @property
    def payment_time(self) -> timedelta:
        """How long paying may take."""
        return timedelta(minutes=self.payment_minutes)

    def terms(self, price: Money) -> Terms:
        """What a booking of this price is held under."""
        return Terms(
            price=price,
            tiers=self.tiers,
            move_hours=self.reschedule.until_hours,
            most_moves=self.reschedule.at_most,
            undo_minutes=self.undo_minutes,
            by_terms=self.reschedule.refund_difference == "by_terms",
        )

    @property
    def first_language(self) -> str:
        """The language of texts that name none, and of those for the owner."""
        return base(self.languages[0])

    def said(self, words: Words, language: str = "") -> Said:
        """An owner's text for a reader of this language; empty is the owner."""
        return words.said(language or self.first_language, self.first_language)

    def heading(self, language: str = "") -> Said:
        """The widget's title for a reader of this language; empty is the owner."""
        if self.title:
            return self.said(self.title, language)
        return Said(translator(language or self.languages[0]).gettext("Book a time"))

    def service_name(self, service_id: str, name: str, language: str = "") -> Said:
        """What a service is called to a reader of this language; `name` is the scheduler's, for which no setting is
        needed."""
        setting = self.setting(service_id)
        words = setting.name.over(Words.of(name), self.first_language) if setting else Words.of(name)
        return self.said(words, language)

    def spoken_claim(self, reservation: Reservation, language: str) -> Reservation:
        """The claim with its service's name for a reader of this language, for showing."""
        name = self.service_name(reservation.service_id, reservation.service_name, language)
        return replace(reservation, service_name=name)

    def spoken(self, booking: Booking) -> Booking:
        """The booking with its service's name in the customer's language, for showing."""
        return replace(booking, reservation=self.spoken_claim(booking.reservation, booking.visitor.language))

    def answer(self, name: str, text: str, language: str = "") -> tuple[Said, Said]:
        """A question and what was answered, for a reader of this language. One that is no longer asked has its name."""
        question = next((one for one in self.questions if one.name == name), None)
        if question is None:
            return Said(name), Said(text)
        chosen = next((one for one in question.options if self.said(one) == text), None)
        return self.said(question.label, language), self.said(chosen, language) if chosen else Said(text)

    def setting(self, service_id: str) -> ServiceSetting | None:
        """What the file says of one service; None if it does not name it."""
        return next((service for service in self.services if service.id == service_id), None)

    def offered(self, known: Sequence[str]) -> list[str]:
        """The ids of the services on offer, in their order; `known` are the scheduler's."""
        there = set(known)
        return [one.id for one in self.services if one.id in there] if self.services else list(known)

    def switched_off(self) -> frozenset[str]:
        """The ids of the services that the owner has switched off."""
        return frozenset()

    def pictures(self) -> tuple[str, ...]:
        """The address of every picture that its pages show."""
        named = (self.logo, *(one.image for one in self.services), *(one.image for one in self.people))
        return tuple(image for image in named if image)

    def price(self, service_id: str, scheduler_price: Decimal | None) -> Money:
        """The price to charge: the scheduler's, else the file's, else nothing. ValueError if it cannot be charged."""
        setting = self.setting(service_id)
        value = scheduler_price if scheduler_price is not None else setting.price if setting else None
        return Money.from_decimal(value or Decimal(0), self.currency)


def _browser_origin(text: str) -> str:
    """The origin as browsers write it. Raises ValueError."""
    parts, origin = urls.split(text.strip()), urls.origin_of(text)
    host = origin.partition("://")[2].partition(":")[0]
    if (
        parts is None
        or not (re.fullmatch(r"[a-z0-9._-]+", host) or "[" in host)  # blanks and signs would end browsers' list
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError(f'names "{text}", which is not an origin such as https://www.example.com')
    return re.sub(r"\.+(?=(:\d+)?$)", "", origin)


class Widgets(dict[str, Widget]):
    """All widgets by name, and what stands in for those that bookings name and the file does not any more."""

    def of(self, booking: Booking) -> Widget:
        """The widget that the booking was made in, or a stand-in."""
        return self.get(booking.widget) or self._stand_in(booking)

    def _stand_in(self, booking: Booking) -> Widget:
        """What the booking's own row tells, with nothing on offer and nothing to change. The owner is the file's, if it
        knows only one: with several, another business could be sent this one's customers."""
        owned = {widget.owner_email: widget for widget in self.values() if widget.owner_email}
        owner = next(iter(owned.values())) if len(owned) == 1 else Widget(name=booking.widget)
        return Widget(
            name=booking.widget,
            scheduler=booking.reservation.scheduler,
            title=booking.location_name or booking.service_name,
            location=booking.location_id,
            currency=booking.terms.price.currency,
            undo_minutes=0,
            reschedule=MoveSetting(at_most=0),
            theme=owner.theme,
            languages=owner.languages,
            owner_name=owner.owner_name,
            owner_email=owner.owner_email,
            owner_phone=owner.owner_phone,
            privacy_url=owner.privacy_url,
        )


def unchargeable_prices(widgets: Mapping[str, Widget]) -> Iterator[tuple[str, str, str]]:
    """(widget, service, why) for each price of the file that cannot be charged. They stop no start, since a price of
    the scheduler's wins over the file's."""
    for widget in widgets.values():
        for service in widget.services:
            try:
                price = Money.from_decimal(service.price or Decimal(0), widget.currency)
            except ValueError as error:
                yield widget.name, service.id, str(error)
                continue
            if not chargeable(price):
                yield widget.name, service.id, beyond_stripe(price)


def beyond_stripe(price: Money) -> str:
    """Why Stripe does not charge a price, with the least that it charges where the price is below that."""
    told, least = f"{price.to_decimal()} {price.currency.upper()}", least_charge(price.currency)
    if price.amount < least:
        return f"{told} is less than Stripe charges, which is {Money(least, price.currency).to_decimal()} or more"
    return f"{told} is more than Stripe charges at once"
