"""What the JSON door's models are made of: moments, ids, texts of bounded length, and the two kinds of model."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
#: What RFC 9562 calls a UUID, as text.
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _read_rfc3339(value: object) -> datetime:
    """pydantic reads more than RFC 3339 has: blanks for the T, numbers, times without an offset."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a date and time with an offset, such as 2026-11-24T10:00:00+01:00")
    return datetime.fromisoformat(value)


def _in_utc(moment: datetime) -> datetime:
    """The calendar's very ends overflow on the way to UTC; nobody means them."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return datetime(9999 if moment.year > 2000 else 1, 1, 1, tzinfo=UTC)


Moment = Annotated[AwareDatetime, BeforeValidator(_read_rfc3339), AfterValidator(_in_utc)]
Id = Annotated[str, Field(min_length=1, max_length=100)]
Token = Annotated[str, Field(min_length=1, max_length=400)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Address = Annotated[str, Field(min_length=1, max_length=2000)]
#: A day, or a moment with its offset. The act reads it in full, and says what is wrong by the field's name.
Day = Annotated[
    str,
    Field(
        min_length=10,
        max_length=40,
        json_schema_extra={"pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([Tt].+)?$"},
    ),
]
#: In the document a plain boolean: OpenAPI Generator's Python client (7.26) cannot read an answer with a constant.
Yes = Annotated[Literal[True], WithJsonSchema({"type": "boolean", "description": "Always true."})]
No = Annotated[Literal[False], WithJsonSchema({"type": "boolean", "description": "Always false."})]


class In(BaseModel):
    """What is not set is empty: a null would be a second way to say the same."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)


class Out(BaseModel):
    """Every field is in every answer, whether it is set or not."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
    )


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as RFC 9562 writes it, and neither of its two constants (all zeros, all ones)."""
    return bool(UUID_TEXT.fullmatch(text)) and 0 < UUID(text).int < 2**128 - 1
