"""The reading of request bodies and queries: known fields are checked, unknown ones dropped without a word."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sandbox.calcom.times import edge, utc_time, zone_names

Json = dict[str, Any]
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE: Final = re.compile(r"\+[1-9]\d{6,14}")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_URL: Final = re.compile(r"https?://[^\s/]+(/\S*)?")
#: A part of the fixed list; the widget speaks these.
LANGUAGES: Final = (
    *("ar", "ca", "cs", "da", "de", "el", "en", "es", "es-419", "et", "eu", "fi", "fr", "he", "hu", "it", "ja", "km"),
    *("ko", "nl", "no", "pl", "pt", "pt-BR", "ro", "ru", "sk-SK", "sr", "sv", "th", "tr", "uk", "vi", "zh-CN", "zh-TW"),
)


@dataclass(frozen=True)
class Problem:
    """One field that is wrong: the rule's name and its sentence, as class-validator writes them."""

    field: str
    rule: str
    text: str


class FieldError(ValueError):
    """A value that its field does not take; the text completes "<field> ..."."""

    def __init__(self, rule: str, text: str) -> None:
        """Name the rule and say what must be."""
        super().__init__(text)
        self.rule = rule
        self.text = text


class WrongFields(ValueError):
    """At least one field is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        """Keep all of them: the answer lists them together."""
        super().__init__([one.text for one in problems])
        self.problems = problems


Parse = Callable[[object], Any]


@dataclass(frozen=True)
class Field:
    """How one field is read. JSON null counts as left out, unless the field is `nullable`."""

    parse: Parse
    required: bool = False
    nullable: bool = False


def read(source: Mapping[str, Any], fields: Mapping[str, Field], *, partial: bool = False) -> Json:
    """Return the parsed values of the known fields that were given.

    `partial` is for PATCH, where nothing is required. Raises WrongFields.
    """
    values: Json = {}
    problems: list[Problem] = []
    for name, field in fields.items():
        value = source.get(name)
        if value is None:
            if name in source and field.nullable:
                values[name] = None
            elif field.required and not partial:
                problems.append(Problem(name, "isDefined", f"{name} should not be null or undefined"))
            continue
        try:
            values[name] = field.parse(value)
        except FieldError as error:
            problems.append(Problem(name, error.rule, f"{name} {error.text}"))
        except WrongFields as inner:
            problems += [Problem(f"{name}.{one.field}", one.rule, f"{name}.{one.text}") for one in inner.problems]
    if problems:
        raise WrongFields(problems)
    return values


def text(value: object) -> str:
    """Any string."""
    if not isinstance(value, str):
        raise FieldError("isString", "must be a string")
    return value


def filled(value: object) -> str:
    """A string that is not blank."""
    if not text(value).strip():
        raise FieldError("isNotEmpty", "should not be empty")
    return text(value)


def integer(minimum: int, maximum: int | None = None) -> Parse:
    """A JSON integer within bounds."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise FieldError("isInt", "must be an integer number")
        if value < minimum:
            raise FieldError("min", f"must not be less than {minimum}")
        if maximum is not None and value > maximum:
            raise FieldError("max", f"must not be greater than {maximum}")
        return value

    return parse


def number(minimum: int, maximum: int | None = None) -> Parse:
    """An integer within bounds, as a query writes it."""
    bounded = integer(minimum, maximum)

    def parse(value: object) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,12}", value):
            raise FieldError("isNumber", "must be a number conforming to the specified constraints")
        return int(bounded(int(value)))

    return parse


def numbers(value: object) -> list[int]:
    """Integers with commas between them, as a query writes them."""
    return [number(1)(part.strip()) for part in text(value).split(",")]


def boolean(value: object) -> bool:
    """JSON true or false."""
    if not isinstance(value, bool):
        raise FieldError("isBoolean", "must be a boolean value")
    return value


def one_of(*choices: object) -> Parse:
    """One of the given values."""

    def parse(value: object) -> object:
        if value not in choices:
            raise FieldError("isEnum", f"must be one of the following values: {', '.join(map(str, choices))}")
        return value

    return parse


def words(*choices: str) -> Parse:
    """Some of the given words with commas between them, as a query writes them."""

    def parse(value: object) -> list[str]:
        return [str(one_of(*choices)(word.strip())) for word in text(value).split(",")]

    return parse


def list_of(parse: Parse, *, minimum: int = 0) -> Parse:
    """A JSON array."""

    def parse_all(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise FieldError("isArray", "must be an array")
        if len(value) < minimum:
            raise FieldError("arrayMinSize", f"must contain at least {minimum} elements")
        return [parse(item) for item in value]

    return parse_all


def object_of(fields: Mapping[str, Field]) -> Parse:
    """A JSON object with fields of its own; unknown ones are dropped here too."""

    def parse(value: object) -> Json:
        if not isinstance(value, dict):
            raise FieldError("isObject", "must be an object")
        return read(value, fields)

    return parse


def mapping(value: object) -> Json:
    """Any JSON object."""
    if not isinstance(value, dict):
        raise FieldError("isObject", "must be an object")
    return value


def instant(value: object) -> datetime:
    """A UTC instant."""
    at = utc_time(text(value))
    if at is None:
        raise FieldError("isDateString", "must be a valid ISO 8601 date string in UTC")
    return at


def window_start(value: object) -> datetime:
    """The first edge of a window: an instant or a date."""
    at = edge(text(value), end=False)
    if at is None:
        raise FieldError("isDateString", "must be a valid ISO 8601 date string")
    return at


def window_end(value: object) -> datetime:
    """The last edge of a window: an instant or a date."""
    at = edge(text(value), end=True)
    if at is None:
        raise FieldError("isDateString", "must be a valid ISO 8601 date string")
    return at


def day(value: object) -> str:
    """`YYYY-MM-DD`."""
    try:
        return date.fromisoformat(text(value)).isoformat()
    except ValueError as error:
        raise FieldError("isIso8601", "must be a valid ISO 8601 date string") from error


def clock_time(value: object) -> str:
    """`HH:MM`."""
    if not _CLOCK.fullmatch(text(value)):
        raise FieldError("matches", "must be a valid time format HH:MM")
    return text(value)


def zone(value: object) -> str:
    """An IANA time zone."""
    if text(value) not in zone_names():
        raise FieldError("isTimeZone", "must be a valid IANA time-zone")
    return text(value)


def email(value: object) -> str:
    """An email address."""
    if not _EMAIL.fullmatch(text(value)):
        raise FieldError("isEmail", "must be an email")
    return text(value)


def is_phone(number_: str) -> bool:
    """Whether a text is a phone number with its country code."""
    return _PHONE.fullmatch(number_) is not None


def url(value: object) -> str:
    """An http or https address."""
    if not _URL.fullmatch(text(value)):
        raise FieldError("isUrl", "must be a URL address")
    return text(value)


def metadata(value: object) -> Json:
    """At most 50 keys of at most 40 characters; flat; strings of at most 500 characters, numbers, booleans."""
    fits = (
        isinstance(value, dict)
        and len(value) <= 50
        and all(len(key) <= 40 for key in value)
        and all(
            len(item) <= 500 if isinstance(item, str) else isinstance(item, bool | int | float)
            for item in value.values()
        )
    )
    if not fits or not isinstance(value, dict):
        raise FieldError(
            "validateMetadata",
            "must be an object with up to 50 keys, each key name up to 40 characters, "
            "and values with a maximum length of 500 characters.",
        )
    return value
