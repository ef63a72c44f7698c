"""The documents say what is: settings, widgets, commands, abilities, files, tests and imports are held to the code.

`test_guide` holds their form: links, sizes, pictures, words.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe
from pydantic import BaseModel, SecretStr

from app.domain.booking import Actor, Status
from app.domain.words import Words
from app.errors import HoldfastError
from app.settings import Settings, read_settings
from app.webhook_setting import WebhookSetting
from app.widgets import MoveSetting, PersonSetting, Question, ServiceSetting, Theme, TierSetting, Widget
from app.widgets_file import load_widgets
from scripts import configuration
from tests.support.stack import Stack
from tests.unit.booking import changes_model
from tests.unit.booking.lifecycle_model import MUTANTS

ROOT = Path(__file__).parents[3]
#: Every document but the changelog, whose entries are about what was.
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if path.name != "CHANGELOG.md"
}
ARCHITECTURE = DOCUMENTS["docs/dev/architecture.md"]
CONFIGURATION = DOCUMENTS["docs/configuration.md"]
SET_UP = DOCUMENTS["docs/by-hand.md"]
PARTS: dict[str, type[BaseModel]] = {
    "services": ServiceSetting,
    "people": PersonSetting,
    "cancellation": TierSetting,
    "reschedule": MoveSetting,
    "questions": Question,
    "theme": Theme,
    "webhooks": WebhookSetting,
}


# Settings and widgets


def test_the_example_environment_names_every_setting_once_with_its_default() -> None:
    lines = re.findall(
        r"^(# )?([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(name for _, name, _ in lines) == sorted(field.upper() for field in Settings.model_fields)
    required = {name for commented, name, _ in lines if not commented}
    assert required == {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}

    given = {"HAPIO_API_TOKEN": "token", "SECRET_KEYS": "k" * 32, "PUBLIC_URL": "https://book.example"}
    told = {name: "".join(shlex.split(value)) for _, name, value in lines}
    assert read_settings({**told, **given}) == read_settings(given)


def test_the_configuration_is_what_the_models_say() -> None:
    assert configuration.page() == CONFIGURATION, "run `make configuration`"


def test_the_configuration_tells_every_setting_with_its_default() -> None:
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| .+ \| (.+) \|$", section(CONFIGURATION, "## Settings"), re.MULTILINE))
    assert told == {name.upper(): plain_default(Settings, name) for name in Settings.model_fields}


def test_the_example_of_widgets_loads_and_shows_every_setting() -> None:
    example = load_widgets(ROOT / "widgets.example.toml")["studio"]
    assert set(widget_fields()) == {*shown(example)} - {"name"}


def test_the_configuration_tells_every_setting_of_a_widget_with_its_default() -> None:
    told = dict(re.findall(r"^\| `([a-z_.]+)` \| .+ \| (.+) \|$", section(CONFIGURATION, "## Widgets"), re.MULTILINE))
    assert told == {
        name: quoted_default(PARTS.get(parent, Widget) if child else Widget, child or parent)
        for name in widget_fields()
        for parent, _, child in [name.partition(".")]
    }


def widget_fields() -> Iterator[str]:
    """Every setting of a widget; those of its parts under `part.setting`. The table's name is no setting."""
    for name in Widget.model_fields:
        if name not in {"name", "reschedule", "theme"}:
            yield name
        for child in PARTS[name].model_fields if name in PARTS else ():
            yield f"{name}.{child}"


def shown(part: BaseModel, prefix: str = "") -> Iterator[str]:
    """Every setting that this very widget was given, with those of its parts."""
    for name in part.model_fields_set:
        value = getattr(part, name)
        parts = [value] if isinstance(value, BaseModel) else value if name in PARTS and not prefix else []
        if not isinstance(value, BaseModel):
            yield prefix + name
        for inner in parts:
            yield from shown(inner, f"{name}.")


def plain_default(model: type[BaseModel], name: str) -> str:
    """A default as an environment variable would give it."""
    return as_told(model, name, lambda value: ",".join(value) if isinstance(value, tuple) else str(value))


def quoted_default(model: type[BaseModel], name: str) -> str:
    """A default as TOML writes it."""
    return as_told(model, name, json.dumps)


def as_told(model: type[BaseModel], name: str, write: Any) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.default
    assert not isinstance(value, SecretStr)
    return "none" if value in (None, "", (), Words()) else f"`{write(value)}`"


# What the guide asks of the reader


def test_every_command_that_the_documents_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    texts = [text for document in DOCUMENTS.values() for text in code(document)]
    named = {name for text in texts for name in re.findall(r"\bmake ([a-z0-9-]+)", text)}
    assert {"demo", "test"} <= named <= targets

    commands, acts = (
        set(re.findall(r'add_parser\(\s*"([a-z-]+)"', (ROOT / file).read_text(encoding="utf-8")))
        for file in ("app/__main__.py", "app/cli/arguments.py")
    )
    named = {name for text in texts for name in re.findall(r"-m app ([a-z][a-z-]*)", text)}
    assert commands - named == set(), "no page names these"
    assert named - commands == set()
    assert {name for text in texts for name in re.findall(r"-m app bookings ([a-z-]+)", text)} == acts


def test_the_guide_tells_every_option_of_the_owners_commands() -> None:
    defined = set(re.findall(r'"(--[a-z]+)"', (ROOT / "app/cli/arguments.py").read_text(encoding="utf-8")))
    assert set(re.findall(r"--[a-z]+", section(DOCUMENTS["docs/owner.md"], "## Commands"))) == defined


def test_the_webhook_endpoint_has_the_version_that_the_pinned_package_speaks() -> None:
    assert f"`{stripe.api_version}`" in SET_UP


ABILITIES = sorted(set(re.findall(r"\b[a-z_]+:(?:view|create|update|delete|ignore_[a-z_]+)\b", SET_UP)))


async def test_a_token_with_the_abilities_that_the_guide_names_is_enough(stack: Stack) -> None:
    assert await refused(stack, ABILITIES) == []


@pytest.mark.parametrize("left_out", ABILITIES)
async def test_no_ability_that_the_guide_names_is_one_too_many(stack: Stack, left_out: str) -> None:
    assert await refused(stack, [ability for ability in ABILITIES if ability != left_out])


async def refused(stack: Stack, abilities: Iterable[str]) -> list[str]:
    """Which of the calls of a booking's life, moved, cancelled and taken back, and of a visitor who walks away, such a
    token may not make."""
    stack.hapio.state.tokens["hapio-sandbox-token"] = frozenset(abilities)
    with suppress(HoldfastError):
        booking = await stack.hold(await stack.free_slot(nth=20))
        await stack.paid(booking)
        assert await stack.status(booking) in {Status.PAID, Status.CONFIRMED}
        customer = Actor.CUSTOMER
        start = await stack.free_slot(nth=30)
        await stack.parts.reschedule.booking(booking.id, starts_at=start, by=customer)
        await stack.parts.cancel.booking(booking.id, by=customer)
        assert (await stack.parts.cancel.undo(booking.id)).starts_at == start
        await stack.parts.hold.give_up((await stack.hold()).id)
    await stack.tick(after=timedelta(days=1))
    return [f"{call.method} {call.path}" for call in stack.hapio.calls if call.status == 403]


# What is where, and who may know whom


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_and_test_in_the_documents_exists(document: str) -> None:
    tests = set(defined(ROOT / "tests"))
    for text in code(DOCUMENTS[document]):
        if re.fullmatch(r"test_\w+", text):
            assert text in tests
        if re.fullmatch(r"(app|tests|scripts|templates|static|deploy|docs)/[\w./]*", text):
            assert (ROOT / text).exists(), text


def test_every_function_that_the_architecture_names_exists() -> None:
    functions = set(defined(ROOT / "app"))
    named = {text for text in code(ARCHITECTURE) if re.fullmatch(r"[A-Z]\w+\.\w+|_[a-z]\w+", text)}
    assert {text.rpartition(".")[2] for text in named} <= functions
    assert len(named) > 40


def test_every_mutant_that_the_architecture_names_is_in_the_model() -> None:
    rows = re.findall(r"mutants? ((?:`[a-z-]+`(?:, )?)+)", ARCHITECTURE)
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == {*MUTANTS, *changes_model.MUTANTS}


def defined(folder: Path) -> Iterator[str]:
    """The names of all functions and methods in a folder."""
    for path in folder.rglob("*.py"):
        yield from re.findall(r"^ *(?:async )?def (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)


# Reading the documents


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its kind."""
    return text.split(f"\n{heading}\n")[1].split("\n## ")[0]


def code(text: str) -> list[str]:
    """Every fenced block and every span of code."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^ *```\w*\n.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [*blocks, *re.findall(r"`([^`\n]+)`", rest)]
