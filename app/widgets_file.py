"""widgets.toml → widgets, and what is wrong in it: a sentence for each fault, with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import (
    BaseModel,
    ValidationError,
)

from app.domain.scheduler_names import is_owner, owner_of, owners_name, provider_of
from app.explain import explain, setting_path
from app.settings import SCHEDULERS
from app.webhook_setting import WebhookSetting
from app.widgets import MoveSetting, PersonSetting, Question, ServiceSetting, Theme, TierSetting, Widget, Widgets


class WidgetsFileError(ValueError):
    """widgets.toml cannot be used; the text has a line for each fault: the file, the line in it, and the setting."""


def load_widgets(
    path: Path | None, schedulers: Sequence[str] = SCHEDULERS[:1], owner_schedulers: Sequence[str] = ()
) -> Widgets:
    """All widgets by name, each with its scheduler; `schedulers` are those whose credentials are set, and to
    `owner_schedulers` owners connect accounts of their own. Raises WidgetsFileError, which stops the start."""
    connected = [*schedulers, *(owners_name(name, "<owner>") for name in owner_schedulers)]
    if path is None:
        if len(connected) > 1 or owner_schedulers:
            raise WidgetsFileError(
                f"WIDGETS_FILE is missing: with {_listed(connected)} connected, each widget must name its scheduler"
            )
        return Widgets(default=Widget(name="default", scheduler=schedulers[0]))
    text = _read(path)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WidgetsFileError(_syntax(path, error)) from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number of more than 4,300 digits; brackets in brackets in brackets
        raise WidgetsFileError(f"{path} has a number that is too long, or too many brackets inside others") from error
    widgets = Widgets()
    faults: list[str] = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            line = _line_of(text, (name,))
            faults.append(f"{path}, line {line}: {name} must stand in a widget's table, below [studio] or so")
            continue
        try:
            widgets[name] = _with_scheduler(Widget.model_validate({**table, "name": name}), connected)
        except ValidationError as error:
            faults += _faults(path, text, name, error)
        except WidgetsFileError as error:
            line = _line_of(text, (name, "scheduler"))
            faults.append(f"{path}, line {line}, widget {name}: {error}")
    if faults:
        raise WidgetsFileError("\n".join(faults))
    if not widgets:
        raise WidgetsFileError(f"{path} has no widget: add a table such as [studio]; widgets.example.toml shows one")
    return widgets


def _with_scheduler(widget: Widget, connected: Sequence[str]) -> Widget:
    """`connected` has `<owner>` in the place of an owner's name."""
    name, provider = widget.scheduler, provider_of(widget.scheduler)
    if not name:
        if len(connected) == 1 and not owner_of(connected[0]):
            return widget.model_copy(update={"scheduler": connected[0]})
        raise WidgetsFileError(f"scheduler is missing; it must be one of {_listed(connected)}")
    if provider not in SCHEDULERS:
        raise WidgetsFileError(f'scheduler must be one of {_listed(SCHEDULERS)}, not "{name}"')
    if name != provider and owners_name(provider, "<owner>") in connected:
        if is_owner(owner_of(name)):
            return widget
        raise WidgetsFileError(
            f'scheduler is "{name}"; an owner\'s name has up to 40 small letters, digits and hyphens'
        )
    if name not in connected:
        raise WidgetsFileError(f'scheduler is "{name}", for which no credentials are set')
    return widget


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _read(path: Path) -> str:
    if path.is_dir():
        # Docker makes a folder where the file that it should mount is missing.
        raise WidgetsFileError(f"{path} is a folder; remove it, and put the file there")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise WidgetsFileError(
            f"{path} does not exist; make it from widgets.example.toml, or correct WIDGETS_FILE"
        ) from error
    except OSError as error:
        raise WidgetsFileError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WidgetsFileError(f"{path} is not UTF-8 text: save it as UTF-8") from error


def _syntax(path: Path, error: tomllib.TOMLDecodeError) -> str:
    """tomllib ends its messages with "(at line 3, column 7)"."""
    said = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
    if said is None:
        return f"{path} is not TOML: {error}"
    if said[2] is None:
        return f"{path}: this is not TOML, since it ends too early: {said[1]}"
    return f"{path}, line {said[2]}: this is not TOML: {said[1]}"


def _faults(path: Path, text: str, name: str, error: ValidationError) -> list[str]:
    """One sentence for each setting that is wrong, in the order of the file; of several faults of one setting, the
    first says it best."""
    told: dict[str, tuple[int, str]] = {}
    for fault in error.errors(include_input=False):
        steps = fault["loc"]
        setting = setting_path(steps)
        is_name = steps == ("name",)
        sentence = explain(fault, f"the widget's name {name!r}" if is_name else setting, _known(steps))
        line = _line_of(text, (name, *steps))
        where = f"{path}, line {line}" if line else str(path)
        told.setdefault(
            ".".join(map(str, steps[:3])) if steps else "", (line or 0, f"{where}, widget {name}: {sentence}")
        )
    return [sentence for _, sentence in sorted(told.values(), key=lambda one: one[0])]


def _known(steps: Sequence[str | int]) -> Collection[str]:
    """The settings of the table in which a fault lies."""
    parts: dict[str | int, type[BaseModel]] = {
        "services": ServiceSetting,
        "people": PersonSetting,
        "cancellation": TierSetting,
        "reschedule": MoveSetting,
        "questions": Question,
        "theme": Theme,
        "webhooks": WebhookSetting,
    }
    return (parts.get(steps[0], Widget) if len(steps) > 1 else Widget).model_fields


def _line_of(text: str, steps: Sequence[str | int]) -> int | None:
    """The line where a setting stands, else the nearest line around it: tomllib keeps no positions."""
    lines: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[(\[?)([^\[\]]+)\]", line):
            table = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1]:
                table = (*table, sum(len(known) == len(table) + 1 and known[:-1] == table for known in lines))
            lines.setdefault(table, number)
        elif key := re.match(r"""\s*["']?([\w.-]+)["']?\s*=""", line):
            lines.setdefault((*table, *key[1].split(".")), number)
    near = (tuple(steps[:length]) for length in range(len(steps), 0, -1))
    return next((lines[one] for one in near if one in lines), None)
