"""Imports point down: who may import whom, and where the word of one scheduler may stand."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]

#: The folders are the layers. Each may import what stands in a row below it, or further to the right in its own row.
LAYERS = (
    ("__main__", "cli", "main", "build", "error_answers"),
    ("web", "api"),
    ("parts", "seams"),
    ("operations",),
    ("booking",),
    ("scheduling", "payments", "mail", "protection"),
    ("widgets_file", "store", "widgets"),
    ("text", "telemetry"),
    ("webhook_setting", "environment", "settings", "domain", "errors", "breaker", "explain", "msgid", "tls", "version"),
)


def test_every_module_has_its_layer() -> None:
    found = {path.stem for path in (ROOT / "app").iterdir() if path.suffix == ".py"} - {"__init__"}
    found |= {path.relative_to(ROOT / "app").parts[0] for path in (ROOT / "app").rglob("*/*.py")}
    assert found == {module for layer in LAYERS for module in layer}


def test_the_architecture_page_has_the_rooms_in_this_order() -> None:
    page = (ROOT / "docs/dev/architecture.md").read_text(encoding="utf-8")
    table = page.partition("```\n")[2].partition("```")[0]
    told = [name for line in re.findall(r"^(\w[\w, ]*?)  +", table, re.MULTILINE) for name in line.split(", ")]
    assert told == [module for layer in LAYERS for module in layer if module in told]
    folders = {path.name for path in (ROOT / "app").iterdir() if (path / "__init__.py").exists()}
    assert folders <= {*told}


def test_imports_point_downward_only() -> None:
    place = {module: (row, column) for row, layer in enumerate(LAYERS) for column, module in enumerate(layer)}
    upward = [f"{who} imports {whom} in {path}" for path, who, whom in imports() if place[whom] <= place[who]]
    assert upward == []


def test_doors_meet_neither_the_store_nor_a_provider() -> None:
    """The worker alone reads from the store what is due; it acts through the acts."""
    inside = {"store", "scheduling.hapio", "payments"}
    assert not [(path, whom) for path, who, whom in modules() if who in {"web", "api"} and whom in inside]
    for folder in ("web", "api"):
        for path in (ROOT / "app" / folder).rglob("*.py"):
            assert not re.search(r"parts\.(store|worker)\b", path.read_text(encoding="utf-8")), path.name


def test_the_store_knows_no_provider() -> None:
    providers = {"scheduling", "payments", "mail"}
    assert not [(path, whom) for path, who, whom in imports() if who == "store" and whom in providers]


def test_the_sandbox_and_the_product_stand_apart() -> None:
    users = {path for path in files("app") for name in imported_in(path) if name.split(".")[0] == "sandbox"}
    demo = {f"app/cli/demo/{name}.py" for name in ("demo", "schedulers", "stand_ins")}
    assert {path.relative_to(ROOT).as_posix() for path in users} == {"app/__main__.py", *demo}
    assert not [path for path in files("sandbox") for name in imported_in(path) if name.split(".")[0] == "app"]


#: Where the name of one scheduler may stand, and why.
ONE_SCHEDULER = {
    "app/scheduling/hapio/": "its client",
    "app/operations/setup_check/": "its set-up check names its token and abilities",
    "app/operations/setup/": "a set-up names the token that it asks for",
    "app/cli/setup/": "as the questions do",
    "app/scheduling/connect.py": "the list of schedulers",
    "app/widgets.py": "a widget names its scheduler",
    "app/store/tables.py": "the scheduler of rows that were made when there was one",
    "app/settings.py": "its settings have the provider's names",
    "app/cli/demo/": "the demo starts its sandbox",
    "app/__main__.py": "the demo's help",
    "app/api/": "the JSON surface is stable: hapioBookingId, hapioStatus, its webhook's address",
    "app/errors/": "the JSON surface is stable: HAPIO_API_ERROR",
    "app/store/migrations/versions/": "what older versions called their columns",
}


def test_the_name_of_one_scheduler_stands_nowhere_else() -> None:
    named = {
        path.relative_to(ROOT).as_posix()
        for folder in ("app", "templates", "static")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in {".py", ".html", ".txt", ".js", ".css", ".po"}
        and "hapio" in path.read_text(encoding="utf-8").lower()
    }
    assert {name for name in named if not name.startswith(tuple(ONE_SCHEDULER))} == set()
    assert all(any(name.startswith(where) for name in named) for where in ONE_SCHEDULER)


def files(folder: str) -> Iterator[Path]:
    yield from sorted((ROOT / folder).rglob("*.py"))


def imports() -> Iterator[tuple[str, str, str]]:
    """(file, importing, imported): every import of one of the product's rooms by another."""
    for path in files("app"):
        who = path.relative_to(ROOT / "app").parts[0].removesuffix(".py")
        for name in imported_in(path):
            parts = name.split(".")
            if parts[0] == "app" and len(parts) > 1 and parts[1] != who:
                yield path.relative_to(ROOT).as_posix(), who, parts[1]


def modules() -> Iterator[tuple[str, str, str]]:
    """As `imports`, with the imported room and the room inside it."""
    for path in files("app"):
        who = path.relative_to(ROOT / "app").parts[0].removesuffix(".py")
        for name in imported_in(path):
            parts = name.split(".")[1:]
            for length in (1, 2):
                yield path.relative_to(ROOT).as_posix(), who, ".".join(parts[:length])


def imported_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole way"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
