"""widgets.toml → Widget objects: what each embed offers, to which sites, how it looks, under which terms.

Without a file there is one widget, `default`, with every enabled service of the first location.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from email_validator import validate_email
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.domain import Booking, Capture, Money, Terms, Tier

#: Hapio's and Stripe's own limits lie well above these; ours catch slips of the pen.
Text = Annotated[str, Field(min_length=1, max_length=200)]
LongText = Annotated[str, Field(max_length=2000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TierSetting(_Part):
    """One cancellation tier."""

    at_least_hours: Annotated[int, Field(ge=0, le=24 * 365)]
    refund_percent: Annotated[int, Field(ge=0, le=100)]


class MoveSetting(_Part):
    """What a customer may change about a confirmed booking. The limits are frozen into each booking."""

    until_hours: Annotated[int, Field(ge=0, le=24 * 365)] = 24
    at_most: Annotated[int, Field(ge=0, le=100)] = 3
    other_resource: bool = True
    other_service: bool = False
    refund_difference: Literal["by_terms", "full"] = "by_terms"


class Question(_Part):
    """One question of the details form beyond name, email and phone."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    label: Text
    help: LongText = ""
    kind: Literal["text", "textarea", "select", "checkbox"] = "text"
    options: tuple[Text, ...] = ()
    required: bool = False

    @model_validator(mode="after")
    def _select_has_options(self) -> Self:
        if (self.kind == "select") != bool(self.options):
            raise ValueError('options belong to kind = "select", and a select needs some')
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


Color = Annotated[str, BeforeValidator(_color), Field(pattern=r"^#[0-9a-f]{6}$")]


class Theme(_Part):
    """How the widget looks on the owner's page.

    A `background` is what lies behind the widget: its own ground, or, where `transparent`, the page's that shows
    through. It decides between light and dark, because texts have to be readable on it.
    """

    accent: Color = "#2f5d50"
    radius: Annotated[int, Field(ge=0, le=16)] = 10
    density: Literal["compact", "regular", "spacious"] = "regular"
    font: Annotated[str, Field(max_length=200, pattern=r"^[\w\s,'\"-]*$")] = ""
    scheme: Literal["auto", "light", "dark"] = "auto"
    background: Color | Literal[""] = ""
    transparent: bool = False


class ServiceSetting(_Part):
    """A service of Hapio, with what Hapio has no room for. `price` in major units, where Hapio has none."""

    id: str
    description: LongText = ""
    image: Annotated[str, Field(max_length=500)] = ""
    price: Annotated[Decimal, Field(ge=0, max_digits=11)] | None = None


class Widget(_Part):
    """One configured embed.

    `hold_minutes` counts from the lock, `payment_minutes` from the start of paying. `max_holds` are
    unpaid at once, of all visitors together, `max_holds_per_visitor` of one address. `max_free_per_customer` are the
    free bookings to come under one mail address, `max_free_per_day` those made from one network address in a day.
    `phone` says whether the details form asks for one. `country` (ISO, two letters) reads phone numbers without a
    country code.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    title: Text = "Book a time"
    location: str = ""
    services: tuple[ServiceSetting, ...] = ()
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")] = "eur"
    allowed_origins: tuple[str, ...] = ()
    hold_minutes: Annotated[int, Field(ge=2, le=60)] = 10
    max_extensions: Annotated[int, Field(ge=0, le=10)] = 2
    max_holds: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_holds_per_visitor: Annotated[int, Field(ge=1, le=1000)] = 6
    max_free_per_customer: Annotated[int, Field(ge=1, le=1000)] = 2
    max_free_per_day: Annotated[int, Field(ge=1, le=1000)] = 3
    payment_minutes: Annotated[int, Field(ge=5, le=23 * 60)] = 31
    capture: Capture = Capture.AUTOMATIC
    cancellation: tuple[TierSetting, ...] = ()
    undo_minutes: Annotated[int, Field(ge=0, le=60)] = 10
    reschedule: MoveSetting = MoveSetting()
    reminder_hours: Annotated[int, Field(ge=0, le=24 * 14)] = 24
    phone: Literal["off", "optional", "required"] = "optional"
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "SE"
    questions: tuple[Question, ...] = ()
    consent: LongText = ""
    choose_resource: bool = True
    verify_lock: bool = False
    theme: Theme = Theme()
    languages: tuple[str, ...] = ("en",)
    owner_name: Annotated[str, Field(max_length=200)] = ""
    owner_email: Annotated[str, Field(max_length=254)] = ""
    owner_phone: Annotated[str, Field(max_length=40)] = ""
    privacy_url: Annotated[str, Field(max_length=500)] = ""

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_bare(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in {"http", "https"}
                or not parts.netloc
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"{origin!r} is not an origin such as https://www.example.com")
        return origins

    @field_validator("owner_email")
    @classmethod
    def _is_mail_address(cls, address: str) -> str:
        # Customers' mails name it as Reply-To, so a slip here would stop every one of them.
        return validate_email(address, check_deliverability=False).normalized if address else ""

    @field_validator("cancellation")
    @classmethod
    def _tiers_fall(cls, tiers: tuple[TierSetting, ...]) -> tuple[TierSetting, ...]:
        for earlier, later in itertools.pairwise(tiers):
            if later.at_least_hours >= earlier.at_least_hours or later.refund_percent > earlier.refund_percent:
                raise ValueError("tiers must run from many hours and percent to few")
        return tiers

    @field_validator("questions")
    @classmethod
    def _names_are_unique(cls, questions: tuple[Question, ...]) -> tuple[Question, ...]:
        if len({question.name for question in questions}) != len(questions):
            raise ValueError("two questions share a name")
        return questions

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

    def setting(self, service_id: str) -> ServiceSetting | None:
        """What the file says of one service; None if it does not name it."""
        return next((service for service in self.services if service.id == service_id), None)

    def price(self, service_id: str, hapio_price: Decimal | None) -> Money:
        """The price to charge: Hapio's, else the file's, else nothing. ValueError if it cannot be charged."""
        setting = self.setting(service_id)
        value = hapio_price if hapio_price is not None else setting.price if setting else None
        return Money.from_decimal(value or Decimal(0), self.currency)


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


class WidgetsFileError(ValueError):
    """widgets.toml cannot be read; the text names the widget and the setting."""


def load_widgets(path: Path | None) -> Widgets:
    """All widgets by name. Raises WidgetsFileError, which stops the start."""
    if path is None:
        return Widgets(default=Widget(name="default"))
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WidgetsFileError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise WidgetsFileError(f"{path}: {error}") from error
    widgets = Widgets()
    for name, table in tables.items():
        try:
            widgets[name] = Widget.model_validate({**table, "name": name})
        except (ValidationError, TypeError) as error:
            raise WidgetsFileError(f"{path}, widget {name!r}: {error}") from error
    if not widgets:
        raise WidgetsFileError(f"{path} names no widget")
    return widgets
