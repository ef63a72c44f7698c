"""Write docs/configuration.md from the settings' and the widgets' own models.

The models say what each setting means, which values it takes and what its default is, so the page cannot disagree with
them. A test compares the page with what this script writes.
"""

import json
import types
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.domain.words import Words
from app.settings import Settings, WebhookScheme
from app.widgets import Widget

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
#: The last word of a setting's name that is a unit.
UNITS = ("minutes", "hours", "percent")

SETTINGS = """# Configuration

<!-- Written by `make configuration` from app/settings.py and app/widgets.py. Change the text there. -->

Settings come from the environment and `widgets.toml`. Both are read once, at start. [Set up](set-up.md) walks through
the few that you need.

## Settings

Every command reads the `.env` in the directory where it is started, or the file after `--env`. An environment variable
overrides the file. Values in the file are taken literally, with or without quotes. [.env.example](../.env.example) has
every setting.

Instead of `NAME` you can set `NAME_FILE` to the path of a file whose content is the value. With a wrong value the
server does not start, and names the variable. "None" in the last column means not set.
"""
SCHEME = """### How Hapio signs its webhooks

Hapio does not document this, so the default of `HAPIO_WEBHOOK_SCHEME` is an assumption. If Hapio's webhooks are refused
(status 400), try other words, such as `encoding=base64 unit=iso`. What you leave out keeps its default.
"""
WIDGETS = """## Widgets

Each widget is a table in `widgets.toml`. The table's name is its address: `[studio]` is served at `/w/studio`. Names
have small letters, digits and hyphens. [widgets.example.toml](../widgets.example.toml) shows every setting with an
example.

A text that may be a table by language is written `title = "Book a time"`, in the widget's first language, or
`title = { en = "Book a time", sv = "Boka en tid" }`. A reader gets it in the page's language, else in the widget's
first language, else in the first of the table.

Changes that you make on the staff page (**Services**) are stored in the database and override this file. The page says
so, and can go back to the file.

Bookings of a widget that you rename or remove can still be seen, cancelled and refunded, but not moved. Mails about
them go to the owner's address of the remaining widgets, if they all name the same one.
"""


def page() -> str:
    """The page as it has to be."""
    words = {name: field.alias or name for name, field in WebhookScheme.model_fields.items()}
    parts = [
        SETTINGS,
        table(Settings, write=plain, name=str.upper),
        SCHEME,
        table(WebhookScheme, write=plain, name=lambda field: words[field]),
        WIDGETS,
        table(Widget, write=json.dumps, leave_out={"name"}),
    ]
    return "\n".join(parts)


def table(
    model: type[BaseModel],
    *,
    write: Callable[[Any], str],
    name: Callable[[str], str] = str,
    leave_out: Collection[str] = (),
) -> str:
    """All settings of a model, and those of its parts under `part.setting`."""
    rows = ["| name | meaning | values | default |", "| --- | --- | --- | --- |"]
    for field_name, field in fields(model):
        if field_name not in leave_out:
            cells = (f"`{name(field_name)}`", meaning(field), values(field_name, field, write), default(field, write))
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field of a model, with those of its parts after it."""
    for name, field in model.model_fields.items():
        part = next((one for one in plain_types(field.annotation) if is_model(one)), None)
        # A part that is always there has nothing of its own to set.
        if part is None or field.default in (None, ()):
            yield prefix + name, field
        if part is not None:
            yield from fields(part, f"{prefix}{name}.")


def meaning(field: FieldInfo) -> str:
    """What the model says about the setting, on one line."""
    if not field.description:
        raise ValueError(f"a setting has no docstring: {field}")
    return " ".join(field.description.split())


def values(name: str, field: FieldInfo, write: Callable[[Any], str]) -> str:
    """Which values the type allows."""
    kinds = plain_types(field.annotation)
    choices = [value for kind in kinds for value in choices_of(kind) if value]
    if choices:
        return ", ".join(f"`{write(choice)}`" for choice in choices)
    if bool in kinds:
        return "`true`, `false`"
    if tuple in kinds:
        return "several, with commas" if write is plain else "a list"
    if int in kinds:
        least, most = bound(field, "ge"), bound(field, "le")
        unit = next((f" {unit}" for unit in UNITS if name.endswith(unit)), "")
        return f"{least} to {most}{unit}" if most is not None else f"{least} or more{unit}"
    if Words in kinds:
        return "text, or a table by language"
    return "an amount" if Decimal in kinds else "text"


def bound(field: FieldInfo, name: str) -> int | None:
    return next((getattr(one, name) for one in field.metadata if hasattr(one, name)), None)


def choices_of(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(one.value for one in kind) if isinstance(kind, type) and issubclass(kind, Enum) else ()


def plain_types(annotation: Any) -> list[Any]:
    """The types in an annotation, without Annotated, unions and the elements of plain lists."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return plain_types(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [kind for one in get_args(annotation) for kind in plain_types(one)]
    if origin is tuple:
        return [tuple, *filter(is_model, plain_types(get_args(annotation)[0]))]
    return [annotation]


def is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def plain(value: Any) -> str:
    """A default as an environment variable gives it."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def default(field: FieldInfo, write: Callable[[Any], str]) -> str:
    """The default, as it would be written."""
    if field.is_required():
        return "required"
    return "none" if field.default in (None, "", (), Words()) else f"`{write(field.default)}`"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
