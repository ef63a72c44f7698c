"""Questions that every page asks, put into words once.

SQLAlchemy builds a statement, looks its text up, wraps the cursor and each row: 0.3 to 0.7 ms of CPU around some
0.05 ms of the database's, and a booking asks 60 such questions. Here the text, the order of its parameters and the
conversions of its columns are worked out once for each database; docs/dev/decisions/0133 has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from app.store.tables import Instant, Row

#: A time, or the place of one.
Moment = datetime | sa.ColumnElement[Any]
_Convert = Callable[[Any], Any] | None
_Select = sa.Select[Any] | sa.CompoundSelect[Any]


@dataclass(frozen=True, slots=True)
class Worded:
    """A question in one database's words."""

    text: str
    #: By their names, since one may stand in many places: the time is in thirteen of `anything_due`.
    _parameters: Mapping[str, tuple[Any, _Convert]]
    _places: Sequence[str]
    _columns: Sequence[tuple[str, _Convert]]

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        """In the order of the text; fixed ones are filled in."""
        converted = {
            name: convert(values.get(name, fixed)) if convert else values.get(name, fixed)
            for name, (fixed, convert) in self._parameters.items()
        }
        return [converted[name] for name in self._places]

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Row]:
        """What the driver gave, by the columns' names and in Python's types."""
        return [
            {
                name: convert(value) if convert else value
                for (name, convert), value in zip(self._columns, row, strict=True)
            }
            for row in found
        ]


def asked(name: str, kind: type[sa.types.TypeEngine[Any]] = sa.Text) -> sa.ColumnElement[Any]:
    """The place of a value that is named when the question is asked."""
    return sa.bindparam(name, None, type_=kind, required=False)


#: The place of the time at which it is asked.
NOW: Final = asked("now", Instant)


class Prepared:
    """A `SELECT` whose changing values are `asked`, for `Database._fetch`."""

    def __init__(self, statement: _Select) -> None:
        self.statement = statement
        self._worded: dict[str, Worded] = {}

    def on(self, dialect: sa.Dialect) -> Worded:
        """In the words of this database."""
        worded = self._worded.get(dialect.name)
        if worded is None:
            worded = self._worded[dialect.name] = _put_into_words(self.statement, dialect)
        return worded


def _with_fixed_words(statement: _Select) -> _Select:
    """The words that never change, such as a status, written into the text: PostgreSQL plans a text that it has seen
    five times without its parameters, and takes a status that no booking has for one that a tenth of them has."""

    def fix(bound: sa.BindParameter[Any]) -> None:
        if bound.value is not None and isinstance(bound.type, sa.String):
            bound.literal_execute = True

    return visitors.cloned_traverse(statement, {}, {"bindparam": fix})


def _put_into_words(statement: _Select, dialect: sa.Dialect) -> Worded:
    compiled = _with_fixed_words(statement).compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - what a SELECT compiles to
    places = compiled.positiontup or ()
    parameters = {}
    for name in places:
        bound = compiled.binds.get(name)  # the members of a list have none, and are words
        convert = bound.type.dialect_impl(dialect).bind_processor(dialect) if bound is not None else None
        parameters[name] = (compiled.params.get(name), convert)
    columns = [
        (column.key or "", column.type.dialect_impl(dialect).result_processor(dialect, None))
        for column in statement.selected_columns
    ]
    return Worded(str(compiled), parameters, places, columns)
