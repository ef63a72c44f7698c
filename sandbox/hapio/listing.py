"""Lists: pagination, sorting and bracket filters (Hapio API v1.7, common list parameters).

Strict where Hapio's answer is unknown: an undocumented query parameter, operator or sort key is a 422, because at
best it would be ignored and the list be another than the one asked for.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from sandbox.hapio import fields
from sandbox.hapio.errors import forbidden, invalid
from sandbox.hapio.request import ApiRequest, Reply
from sandbox.hapio.state import Json

R = TypeVar("R")

OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_PROPERTY = re.compile(r"(\w+)\[(\w+)\]")
_METADATA = re.compile(r"(\w*metadata)\[([^\[\]]+)\]\[(\w+)\]")
PAGE_FIELDS: Final = {
    "page": fields.Field(fields.integer(1), default=1),
    "per_page": fields.Field(fields.integer(1, 100), default=100),
}


@dataclass(frozen=True)
class Property(Generic[R]):
    """A property that brackets can filter: how its text is parsed, where its value is."""

    parse: Callable[[object], Any]
    value: Callable[[R], Any]


@dataclass(frozen=True)
class MetadataSource(Generic[R]):
    """A metadata object that brackets can filter, and the abilities of which one is needed (none: public)."""

    value: Callable[[R], Json | None]
    readable_with: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Lists(Generic[R]):
    """What the list of one kind of record can be filtered and sorted by."""

    properties: Mapping[str, Property[R]]
    sorts: Mapping[str, Callable[[R], Any]]
    plain: Mapping[str, Callable[[object], Callable[[R], bool]]] = field(default_factory=dict)
    metadata: Mapping[str, "MetadataSource[R]"] = field(default_factory=dict)
    default_sort: str = "created_at"


def stamps() -> dict[str, Property[Any]]:
    """Return the properties that every record has."""
    return {name: Property(fields.timestamp, operator.attrgetter(name)) for name in ("created_at", "updated_at")}


def by_attribute(*names: str) -> dict[str, Callable[[Any], Any]]:
    """Return sort keys that are attributes of the same name."""
    return {name: operator.attrgetter(name) for name in names}


def metadata_of(entity: str) -> dict[str, MetadataSource[Any]]:
    """Return the two metadata objects of an entity as filters."""
    return {
        "metadata": MetadataSource(operator.attrgetter("metadata")),
        "protected_metadata": MetadataSource(
            operator.attrgetter("protected_metadata"), frozenset({f"{entity}:protected_metadata"})
        ),
    }


def equals(parse: Callable[[object], Any], attribute: str) -> Callable[[object], Callable[[Any], bool]]:
    """Return a plain filter on an attribute."""

    def make(text: object) -> Callable[[Any], bool]:
        wanted = parse(text)
        return lambda record: bool(getattr(record, attribute) == wanted)

    return make


def tri_state(is_such: Callable[[Any], bool]) -> Callable[[object], Callable[[Any], bool]]:
    """Return an exclude/include/only filter."""
    word = fields.one_of("exclude", "include", "only")

    def make(text: object) -> Callable[[Any], bool]:
        if (choice := word(text)) == "include":
            return lambda record: True
        return lambda record: is_such(record) == (choice == "only")

    return make


def select(
    request: ApiRequest, records: Iterable[R], lists: Lists[R], defaults: Mapping[str, str] | None = None
) -> list[R]:
    """Return the records that pass the query's filters, sorted; raises Refusal 422 on a bad query.

    `defaults` are plain filters that apply when the query does not name them.
    """
    tests: list[Callable[[R], bool]] = []
    errors: Json = {}
    order = ""
    for name, text in {**(defaults or {}), **request.query}.items():
        try:
            if name == "sort":
                order = text
                _sort_keys(order, lists)
            elif name not in PAGE_FIELDS:
                tests.append(_filter(request, name, text, lists))
        except fields.FieldError as error:
            errors[name] = [f"The {fields.label(name)} {error}"]
    if errors:
        raise invalid(errors)
    found = [record for record in records if all(test(record) for test in tests)]
    found.sort(key=lambda record: str(record.id))  # type: ignore[attr-defined]  # every record has an id
    for value, descending in reversed(_sort_keys(order or f"{lists.default_sort}.asc", lists)):
        # A missing value sorts first, as MySQL sorts NULL
        found.sort(key=lambda record: ((v := value(record)) is not None, v), reverse=descending)
    return found


def _sort_keys(order: str, lists: Lists[R]) -> list[tuple[Callable[[R], Any], bool]]:
    keys = []
    for part in order.split(","):
        name, _, direction = part.partition(".")
        if name not in lists.sorts or direction not in ("asc", "desc"):
            raise fields.FieldError(f"{part!r} is invalid; allowed: {', '.join(lists.sorts)} with .asc or .desc.")
        keys.append((lists.sorts[name], direction == "desc"))
    return keys


def _filter(request: ApiRequest, name: str, text: str, lists: Lists[R]) -> Callable[[R], bool]:
    if name in lists.plain:
        return lists.plain[name](text)
    if (found := _PROPERTY.fullmatch(name)) and found[1] in lists.properties:
        prop, compare = lists.properties[found[1]], _operator(found[2])
        wanted = prop.parse(text)
        return lambda record: (value := prop.value(record)) is not None and compare(value, wanted)
    if (found := _METADATA.fullmatch(name)) and found[1] in lists.metadata:
        source, path, compare = lists.metadata[found[1]], found[2].split("->"), _operator(found[3])
        if source.readable_with and not source.readable_with & request.abilities:
            raise forbidden()
        return lambda record: _metadata_matches(source.value(record), path, compare, text)
    raise fields.FieldError("is not a known query parameter.")


def _operator(name: str) -> Callable[[Any, Any], bool]:
    if name not in OPERATORS:
        raise fields.FieldError(f"operator {name!r} is invalid; allowed: {', '.join(OPERATORS)}.")
    return OPERATORS[name]


def _metadata_matches(stored: Any, path: Sequence[str], compare: Callable[[Any, Any], bool], text: str) -> bool:
    for key in path:
        if not isinstance(stored, dict) or key not in stored:
            return False
        stored = stored[key]
    if isinstance(stored, bool):
        stored = "true" if stored else "false"
    if isinstance(stored, int | float):
        try:
            return compare(Decimal(str(stored)), Decimal(text))
        except InvalidOperation:
            return False
    return isinstance(stored, str) and compare(stored, text)


def paginate(request: ApiRequest, records: Sequence[R], as_json: Callable[[R], Json]) -> Reply:
    """Return one page with links and meta; only that page is rendered."""
    asked = fields.read(request.query, PAGE_FIELDS)
    page, per_page, total = asked["page"], asked["per_page"], len(records)
    last_page = max(1, -(-total // per_page))
    first = (page - 1) * per_page
    shown = records[first : first + per_page]

    def link(number: int) -> str:
        query = {**{k: v for k, v in request.query.items() if k != "page"}, "page": str(number)}
        return f"{request.url}?{urlencode(query)}"

    return 200, {
        "data": [as_json(record) for record in shown],
        "links": {
            "first": link(1),
            "last": link(last_page),
            "prev": link(page - 1) if page > 1 else None,
            "next": link(page + 1) if page < last_page else None,
        },
        "meta": {
            "current_page": page,
            "from": first + 1 if shown else None,
            "last_page": last_page,
            "path": request.url,
            "per_page": per_page,
            "to": first + len(shown) if shown else None,
            "total": total,
        },
    }
