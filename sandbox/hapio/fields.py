"""Value formats of the Hapio API and the reading of request fields against them.

Strict on purpose: what the notes on Hapio's formats do not allow is refused with a 422 that names the field.
Durations are echoed as sent, hence kept as strings and turned into a `Length` where time is computed.
"""

import re
import zoneinfo
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final

from sandbox.hapio.errors import invalid

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MISSING: Final = object()

_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")
_PRICE = re.compile(r"[0-9]{1,12}\.[0-9]{3}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_DURATION = re.compile(
    r"P(?:(?P<weeks>[0-9]{1,4})W"
    r"|(?=[0-9T])(?:(?P<years>[0-9]{1,4})Y)?(?:(?P<months>[0-9]{1,4})M)?(?:(?P<days>[0-9]{1,4})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,4})H)?(?:(?P<minutes>[0-9]{1,4})M)?(?:(?P<seconds>[0-9]{1,4})S)?)?)"
)


class FieldError(ValueError):
    """A value that its field does not take; the text completes "The <field> ..."."""


@dataclass(frozen=True)
class Length:
    """A duration: months and days follow the calendar of a zone, the rest is elapsed time."""

    months: int = 0
    days: int = 0
    elapsed: timedelta = timedelta(0)

    def __add__(self, other: "Length") -> "Length":
        return Length(self.months + other.months, self.days + other.days, self.elapsed + other.elapsed)

    def after(self, at: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
        """Return the UTC instant this long after `at`."""
        if self.months or self.days:
            at = _calendar_move(at, zone, self.months, self.days)
        return at + self.elapsed

    def before(self, at: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
        """Return the UTC instant this long before `at`."""
        if self.months or self.days:
            at = _calendar_move(at, zone, -self.months, -self.days)
        return at - self.elapsed

    def approximate(self) -> timedelta:
        """Return a timedelta good for comparing two lengths, not for computing a time."""
        return timedelta(days=self.months * 30.4375 + self.days) + self.elapsed


def _calendar_move(at: datetime, zone: zoneinfo.ZoneInfo, months: int, days: int) -> datetime:
    local = at.astimezone(zone)
    if months:
        year, month0 = divmod(local.year * 12 + local.month - 1 + months, 12)
        last_day = monthrange(year, month0 + 1)[1]
        local = local.replace(year=year, month=month0 + 1, day=min(local.day, last_day))
    return (local + timedelta(days=days)).astimezone(UTC)


@lru_cache(maxsize=4096)
def length(text: str) -> Length:
    """Parse an ISO 8601 duration of Hapio's kind; raises FieldError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise FieldError("must be a valid ISO 8601 duration.")
    n = {name: int(value or 0) for name, value in found.groupdict().items()}
    return Length(
        months=n["years"] * 12 + n["months"],
        days=n["weeks"] * 7 + n["days"],
        elapsed=timedelta(hours=n["hours"], minutes=n["minutes"], seconds=n["seconds"]),
    )


def string(value: object) -> str:
    """Accept text that is not blank."""
    if not isinstance(value, str):
        raise FieldError("must be a string.")
    if not value.strip():
        raise FieldError("field is required.")
    return value


def boolean(value: object) -> bool:
    """Accept JSON true and false."""
    if not isinstance(value, bool):
        raise FieldError("field must be true or false.")
    return value


def flag(value: object) -> bool:
    """Accept the texts `true` and `false` of a query."""
    if value not in ("true", "false"):
        raise FieldError("field must be true or false.")
    return value == "true"


def integer(minimum: int, maximum: int | None = None) -> Callable[[object], int]:
    """Accept JSON integers, or their text in a query, within bounds."""

    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise FieldError("must be an integer.")
        if value < minimum:
            raise FieldError(f"must be at least {minimum}.")
        if maximum is not None and value > maximum:
            raise FieldError(f"must not be greater than {maximum}.")
        return value

    return parse


def one_of(*choices: str) -> Callable[[object], str]:
    """Accept one of the given words."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise FieldError("is invalid; allowed: " + ", ".join(choices) + ".")
        return value

    return parse


def timestamp(value: object) -> datetime:
    """Accept `Y-m-d\\TH:i:sP`: seconds, no fraction, numeric offset with a colon. Returns UTC."""
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise FieldError("does not match the format Y-m-d\\TH:i:sP.")


def day(value: object) -> date:
    """Accept `YYYY-MM-DD`."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise FieldError("does not match the format Y-m-d.")


def clock_time(value: object) -> str:
    """Accept `hh:mm:ss`; kept as text, since 24:00:00 has no other form and text sorts as time does."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise FieldError("does not match the format H:i:s.")
    return value


def closing_time(value: object) -> str:
    """Accept `hh:mm:ss` and `24:00:00`."""
    return "24:00:00" if value == "24:00:00" else clock_time(value)


def times_by_weekday(value: object) -> str | dict[str, str]:
    """Accept one time, or an object with a time for each of the seven weekdays."""
    if not isinstance(value, dict):
        return clock_time(value)
    if set(value) != set(WEEKDAYS):
        raise FieldError("must have a time for each weekday.")
    return {weekday: clock_time(value[weekday]) for weekday in WEEKDAYS}


def duration(value: object) -> str:
    """Accept an ISO 8601 duration without fractions, zero included."""
    if not isinstance(value, str):
        raise FieldError("must be a valid ISO 8601 duration.")
    length(value)
    return value


def positive_duration(value: object) -> str:
    """Accept a duration longer than nothing."""
    if length(text := duration(value)) == Length():
        raise FieldError("must not be zero.")
    return text


def price(value: object) -> str:
    """Accept text with exactly three decimals."""
    if not isinstance(value, str) or not _PRICE.fullmatch(value):
        raise FieldError("must be a string with exactly three decimals.")
    return value


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone_name(value: object) -> str:
    """Accept an IANA time zone name."""
    if not isinstance(value, str) or value not in _zones():
        raise FieldError("must be a valid time zone.")
    return value


def uuid(value: object) -> str:
    """Accept a UUID; returned in lower case."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise FieldError("must be a valid UUID.")
    return value.lower()


def uuids(value: object) -> list[str]:
    """Accept an array of UUIDs."""
    if not isinstance(value, list):
        raise FieldError("must be an array.")
    return [uuid(item) for item in value]


def metadata(value: object) -> dict[str, Any]:
    """Accept a JSON object; key order is lost, as Hapio loses it."""
    if value == []:
        return {}
    if not isinstance(value, dict):
        raise FieldError("must be an object.")
    return {key: _shuffle(value[key]) for key in _shuffled(value)}


def _shuffled(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=lambda key: (len(key), key))


def _shuffle(value: object) -> object:
    if isinstance(value, dict):
        return {key: _shuffle(value[key]) for key in _shuffled(value)}
    return [_shuffle(item) for item in value] if isinstance(value, list) else value


def php_json(value: Any) -> Any:
    """Return metadata as Hapio returns it: an empty object becomes an empty array."""
    if isinstance(value, dict):
        return {key: php_json(item) for key, item in value.items()} or []
    return [php_json(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Field:
    """How one request field is read; `required` and `default` count where the whole object is sent."""

    parse: Callable[[object], Any]
    required: bool = False
    nullable: bool = False
    default: Any = MISSING


def read(body: Mapping[str, Any], fields: Mapping[str, Field], *, partial: bool = False) -> dict[str, Any]:
    """Return the parsed values of the known fields; unknown keys are ignored, as Hapio ignores them.

    A left-out field takes its default, and is left out of the result if it has none or `partial` is set.
    Raises Refusal 422 naming every wrong field.
    """
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, field in fields.items():
        value = body.get(name, MISSING)
        if value is MISSING:
            if not partial and field.required:
                errors[name] = [f"The {label(name)} field is required."]
            elif not partial and field.default is not MISSING:
                values[name] = field.default
        elif value is None:
            if field.nullable:
                values[name] = None
            else:
                errors[name] = [f"The {label(name)} field must have a value."]
        else:
            try:
                values[name] = field.parse(value)
            except FieldError as error:
                errors[name] = [f"The {label(name)} {error}"]
    if errors:
        raise invalid(errors)
    return values


def label(name: str) -> str:
    """Return a field's name as a message spells it."""
    return name.replace("_", " ")


@lru_cache(maxsize=16384)
def wall(on: date, at: str, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return the UTC instant of a local wall time; `24:00:00` is the next midnight.

    A time skipped by a clock change counts with the offset before the change (02:30 becomes 03:30), a doubled
    one is the first of the two; so does PHP, which Hapio's formats point to.
    """
    if at == "24:00:00":
        on, at = on + timedelta(days=1), "00:00:00"
    return datetime.combine(on, time.fromisoformat(at), tzinfo=zone).astimezone(UTC)
