"""The documents, and the words that they must avoid."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def avoided() -> list[str]:
    """The words of the first table in CONTRIBUTING."""
    table = text_of(ROOT / "CONTRIBUTING.md").split("\n| avoid | write |\n")[1].split("\n\n")[0]
    return [word for row in table.splitlines()[1:] for word in row.split("|")[1].strip().split(", ")]
