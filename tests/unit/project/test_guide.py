"""The form of the documents: links lead somewhere, the first page is short, decisions have their price."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.__main__ import main
from app.domain.booking import Status
from tests.support.documents import ROOT, avoided, text_of

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
DECISIONS = ROOT / "docs/dev/decisions"
#: What may point a reader to a page.
SPEAKERS = [
    *(ROOT / "app").rglob("*.py"),
    *(ROOT / "static").glob("*.js"),
    *(ROOT / "deploy").iterdir(),
    *(ROOT / name for name in (".env.example", "widgets.example.toml", "compose.yaml", "Makefile", "Dockerfile")),
]


def prose(page: Path) -> str:
    """A page without its code."""
    blocks = re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "", blocks)


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get, as GitHub makes them."""
    blocks = re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", blocks, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def leads_somewhere(target: str, base: Path) -> bool:
    path, _, anchor = target.partition("#")
    file = (base.parent / path).resolve() if path else base
    return file.exists() and (not anchor or anchor in anchors(file))


# Links


@pytest.mark.parametrize("name", NAMES)
def test_every_link_between_documents_leads_somewhere(name: str) -> None:
    page = ROOT / name
    inside = [link for link in links(page) if "://" not in link]
    assert [link for link in inside if not leads_somewhere(link, page)] == []


def test_a_link_without_its_heading_would_be_found() -> None:
    assert leads_somewhere("docs/by-hand.md#hapio", ROOT / "README.md")
    assert not leads_somewhere("docs/by-hand.md#hapios", ROOT / "README.md")
    assert not leads_somewhere("docs/setup.md", ROOT / "README.md")


def test_every_page_that_the_code_names_is_there() -> None:
    named = {name for file in SPEAKERS for name in re.findall(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?", text_of(file))}
    assert [name for name in named if not leads_somewhere(name, ROOT / "README.md")] == []
    assert len(named) > 10


def test_the_code_links_to_no_page_that_was_removed() -> None:
    assert [file.name for file in SPEAKERS if re.search(r"\bREADME[,.]|\bARCHITECTURE\b", text_of(file))] == []


def test_the_first_page_leads_to_every_other() -> None:
    """Decisions are led to by their index, glossaries by the guide for translators."""
    known = {link.partition("#")[0] for link in links(ROOT / "README.md")}
    apart = ("README.md", "docs/dev/decisions/0", "docs/glossaries/")
    assert [name for name in NAMES if name not in known and not name.startswith(apart)] == []
    glossaries = {f"docs/{link}" for link in links(ROOT / "docs/translating.md") if link.startswith("glossaries/")}
    assert glossaries == {name for name in NAMES if name.startswith("docs/glossaries/")}


# Sizes


def test_the_first_page_is_short_and_begins_with_the_tag() -> None:
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 150
    first_screen = "\n".join(lines[:40])
    assert '<script async src="' in first_screen
    assert 'data-holdfast="' in first_screen
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_the_architecture_can_be_read_in_one_go() -> None:
    assert len(text_of(ROOT / "docs/dev/architecture.md").splitlines()) <= 260


# Decisions


def test_every_decision_has_its_reason_its_price_and_its_line_in_the_index() -> None:
    index = text_of(DECISIONS / "README.md")  # by subject; a later decision keeps its later number
    listed = sorted(re.findall(r"^- \[(\d{4}) (.+)\]\((.+)\)$", index, re.MULTILINE))
    pages = sorted(page for page in DECISIONS.glob("*.md") if page.name != "README.md")
    assert [name for _, _, name in listed] == [page.name for page in pages]
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page, (number, title, _) in zip(pages, listed, strict=True):
        assert page.name.startswith(f"{number}-")
        text = text_of(page)
        assert text.startswith(f"# {number}: {title}\n"), page.name
        assert "\n**Reason.** " in text, page.name
        assert "\n**Price.** " in text, page.name


# Pictures


def test_git_keeps_the_pictures_that_a_document_shows_and_no_other() -> None:
    shown = {
        (page.parent / link).resolve().relative_to(ROOT).as_posix()
        for page in PAGES
        for link in links(page)
        if link.endswith(".png")
    }
    lines = text_of(ROOT / ".gitignore").splitlines()
    assert "/docs/screenshots/*" in lines
    assert {line.removeprefix("!/") for line in lines if line.startswith("!/docs/screenshots/")} == shown


# Words


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"CONTRIBUTING.md", "CHANGELOG.md"}])
def test_no_document_has_a_word_that_contributing_tells_to_avoid(name: str) -> None:
    words = prose(ROOT / name).lower()
    assert [word for word in avoided() if re.search(rf"\b{word}\b", words)] == []


def test_the_words_to_avoid_are_read_from_the_table() -> None:
    assert {"somebody", "past us", "shall", "owed"} <= set(avoided())


def helps(*words: str) -> Iterator[tuple[str, str]]:
    """What a command and all of its acts say with --help, but for the statuses, which are the code's words."""
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
        main([*words, "--help"])
    text = " ".join(said.getvalue().split())
    yield " ".join(words), text.replace(", ".join(Status), "")
    acts = re.search(r"positional arguments: \{([\w,-]+)\}", text)
    for act in acts[1].split(",") if acts else ():
        yield from helps(*words, act)


def test_no_help_has_a_word_that_contributing_tells_to_avoid() -> None:
    texts = dict(helps())
    assert {"bookings book", "webhooks replay", "doctor"} <= set(texts)
    words = avoided()
    found = {name: [word for word in words if re.search(rf"\b{word}\b", text.lower())] for name, text in texts.items()}
    assert {name: words for name, words in found.items() if words} == {}
