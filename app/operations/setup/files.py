"""The files that a set-up writes: `.env`, `widgets.toml` and `studio.toml`.

What a person has written in them stays where it is: only the lines that have to say something else change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

import tomlkit
from pydantic import SecretStr
from tomlkit.items import AoT, Array, InlineTable, Table

from app.operations.setup.answers import TOP, StudioAnswers
from app.settings import Settings

#: What a value may be made of that needs no quotes, in a shell, for systemd and for Docker.
_BARE: Final = re.compile(r"[A-Za-z0-9_./:@%+=,~-]*")
_NAME: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=")
#: The settings whose values are not shown.
SECRET: Final = {
    name.upper()
    for name, field in Settings.model_fields.items()
    if SecretStr.__name__ in str(field.annotation) or name == "database_url"
}
_HEADER: Final = "# Holdfast's settings; docs/configuration.md explains each. Keep this file to yourself.\n"
_POLICY: Final = ((24, 100), (2, 50))


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file as it is, None where there is none, and as it will be."""

    path: Path
    before: str | None
    after: str

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after

    @property
    def overwrites(self) -> bool:
        """Whether a line that was there goes or changes: what was only added overwrites nothing."""
        return any(line.startswith("-") and not line.startswith("---") for line in self.diff())

    def diff(self) -> list[str]:
        """What changes, as `diff -u` shows it, without the values of secrets."""
        before, after = (_masked(text.splitlines()) for text in (self.before or "", self.after))
        return list(unified_diff(before, after, str(self.path), str(self.path), lineterm="", n=1))

    def write(self) -> None:
        """All of it or nothing: a file that is cut off halfway would stop the next start. It stays its owner's, and
        its group's if they could read it; nobody else reads it."""
        path = self.path.resolve()
        known = path.stat() if self.before is not None else None
        mode = 0o600 | (known.st_mode & 0o040 if known else 0)
        partial = path.with_name(f".{path.name}.new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self.after)
                file.flush()
                os.fsync(file.fileno())
                if known and hasattr(os, "fchown"):
                    # Where root sets up what another user runs.
                    with suppress(PermissionError):
                        os.fchown(file.fileno(), known.st_uid, known.st_gid)
            partial.chmod(mode)
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise


def read(path: Path) -> str | None:
    """A file's text; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def env_change(path: Path, values: Mapping[str, str]) -> FileChange:
    """`.env` with these values: each on the line where it stands, the others at the end."""
    before = read(path)
    lines = (before if before is not None else _HEADER).splitlines()
    left = dict(values)
    for number, line in enumerate(lines):
        found = _NAME.match(line)
        if found and found[1] in left:
            lines[number] = _line(found[1], left.pop(found[1]))
    lines += [_line(name, value) for name, value in left.items()]
    return FileChange(path, before, "\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class SoldService:
    """A service by the scheduler's id. `price` is None where the scheduler has it."""

    id: str
    name: str
    price: Decimal | None


def widgets_change(
    path: Path, answers: StudioAnswers, *, location: tuple[str, str] | None, services: Sequence[SoldService]
) -> FileChange:
    """`widgets.toml` with this studio's widget. `location` is (id, name) of the place, None where there is only one.

    Raises tomlkit.exceptions.ParseError for a file that is no TOML.
    """
    before = read(path)
    document = tomlkit.parse(before or "")
    found = document.get(answers.widget)
    table = found if isinstance(found, Table) else tomlkit.table()
    new = table is not found
    _set(table, "scheduler", answers.scheduler)
    if location:
        _set(table, "location", location[0], comment=location[1] if "location" not in table else "")
    known = table.get("services")
    if isinstance(known, AoT | Array):
        _add_services(known, services)
    elif new or any(one.price is not None for one in services):
        # Without this list everything that the scheduler has is on offer.
        listed = tomlkit.array()
        _add_services(listed, services)
        table["services"] = listed
    _set(table, "currency", answers.currency)
    sites = [str(site) for site in table.get("allowed_origins", ())]
    if set(answers.sites) - set(sites):
        table["allowed_origins"] = [*sites, *(site for site in answers.sites if site not in sites)]
    if new:
        policy = tomlkit.array()
        for hours, percent in _POLICY:
            tier = tomlkit.inline_table()
            tier.update({"at_least_hours": hours, "refund_percent": percent})
            policy.add_line(tier)
        policy.add_line(indent="")
        table["cancellation"] = policy
    _set(table, "owner_name", answers.name)
    _set(table, "owner_email", answers.owner_email)
    if new:
        document[answers.widget] = table
    return FileChange(path, before, tomlkit.dumps(document))


def studio_change(path: Path, answers: StudioAnswers) -> FileChange:
    """`studio.toml`, from which `setup --from` does all of it again."""
    document = tomlkit.document()
    document.add(tomlkit.comment("What `python -m app setup --from` makes of it: change it, and run that again."))
    for name in TOP:
        value = getattr(answers, name)
        if value != type(answers).model_fields[name].default:
            document[name] = list(value) if isinstance(value, tuple) else value
    for kind in ("service", "person"):
        tables = tomlkit.aot()
        for one in getattr(answers, kind):
            table = tomlkit.table()
            for name, value in one.model_dump(exclude_defaults=True).items():
                table[name] = str(value) if isinstance(value, Decimal) else (_plain(value))
            tables.append(table)
        document[kind] = tables
    return FileChange(path, read(path), tomlkit.dumps(document))


def _plain(value: object) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _set(table: Table, name: str, value: str, comment: str = "") -> None:
    """Only where it says something else: an assignment would take its comment with it."""
    if table.get(name) == value:
        return
    item = tomlkit.item(value)
    if comment:
        item.comment(comment)
    table[name] = item


def _add_services(known: AoT | Array, services: Iterable[SoldService]) -> None:
    entries = {str(one.get("id")): one for one in known if isinstance(one, dict)}
    added = False
    for service in services:
        entry = entries.get(service.id)
        price = None if service.price is None else f"{service.price:f}"
        if entry is None:
            if isinstance(known, AoT):
                fresh: Table | InlineTable = tomlkit.table()
            else:
                fresh = tomlkit.inline_table()
            fresh.update({"id": service.id, **({"price": price} if price is not None else {})})
            if isinstance(known, AoT):
                known.append(fresh)
            else:
                known.add_line(fresh, comment=service.name)
                added = True
        elif price is not None and Decimal(str(entry.get("price", 0))) != Decimal(price):
            entry["price"] = price
    if added and isinstance(known, Array):
        known.add_line(indent="")


def _line(name: str, value: str) -> str:
    if _BARE.fullmatch(value):
        return f"{name}={value}"
    escaped = re.sub(r'(["\\$`])', r"\\\1", value)
    return f'{name}="{escaped}"'


def _masked(lines: Iterable[str]) -> list[str]:
    """Lines of settings without the values that nobody should read over a shoulder. That one changed still shows."""
    told = []
    for line in lines:
        found = _NAME.match(line)
        secret = found and (found[1] in SECRET or "SECRET" in found[1] or "TOKEN" in found[1] or "KEY" in found[1])
        if found and secret and found[1].isupper():
            shown = f"{found[1]}=(secret, {len(line) - found.end()} characters)"
            told.append(shown if line[found.end() :].strip() else f"{found[1]}=")
        else:
            told.append(line)
    return told
