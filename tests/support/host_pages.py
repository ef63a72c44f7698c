"""Pages of host sites, and what the embed check says of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape

from tests.support.stack import PUBLIC_URL, Stack

PAGE = "https://studio.example/book"
SCRIPT = f'<script async src="{PUBLIC_URL}/embed.js"></script>'
TAG = f'{SCRIPT}<div data-holdfast="studio"></div>'
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'


@dataclass(frozen=True)
class Found:
    """One finding of a report."""

    level: str
    title: str
    text: str
    fix: str


class Report(list[Found]):
    """What the embed check says of a page."""

    def of(self, title: str) -> Found:
        """The first finding under this title; the gravest, as they are in that order."""
        return next(found for found in self if found.title == title)

    @property
    def problems(self) -> list[str]:
        """What stands in the way."""
        return [found.title for found in self if found.level == "problem"]


def page_of(body: str = TAG, *, head: str = VIEWPORT, lang: str = "en") -> bytes:
    """A page of the studio's site."""
    return f'<!doctype html><html lang="{lang}"><head>{head}</head><body>{body}</body></html>'.encode()


async def report(stack: Stack, page: str = PAGE) -> Report:
    """The embed check's report on a page, as its owner reads it."""
    answer = await stack.client.get("/embed/doctor", params={"widget": "studio", "site": page})
    assert answer.status_code == 200
    items = re.findall(r'(?s)<li class="finding (\w+)">(.*?)</li>', answer.text)
    found = Report()
    for level, item in items:
        fix = re.search(r"(?s)<code[^>]*>(.*?)</code>", item)
        heading, text = re.search(r"<h3>(.*?)</h3>", item), re.search(r"(?s)</h3><p>(.*?)</p>", item)
        assert heading
        assert text
        found.append(Found(level, unescape(heading[1]), unescape(text[1]), unescape(fix[1]) if fix else ""))
    return found


async def examine(stack: Stack, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Report:
    """The report on the studio's page, were it this one."""
    html = {"content-type": "text/html; charset=utf-8"}
    stack.sites.pages[PAGE] = (200, {**html, **(headers or {})}, page_of() if body is None else body)
    return await report(stack)


async def refused(stack: Stack, url: str) -> str:
    """Why the embed check does not read this page; nobody but ourselves was asked."""
    stack.sites.asked.clear()
    answer = await stack.client.get("/embed/doctor", params={"site": url})
    assert [request.headers["host"] for request in stack.sites.asked] == []
    found = re.search(r'(?s)id="d-trouble".*?</strong>(.*?)</p>', answer.text)
    assert found
    return unescape(found[1]).strip()
