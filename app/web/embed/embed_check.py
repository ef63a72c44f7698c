"""The embed check: reads a page that is to show a widget as a browser would, and says what blocks it, with
the exact lines that mend it.

`examine` is pure: what was read goes in, findings come out. What only shows in a browser (whether the frame appears,
how high it is) is looked at by `static/embed-check.js`, which the loader starts in the page itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Final, Literal, TypeVar, cast
from urllib.parse import parse_qs

from starlette.requests import Request

from app.domain import urls
from app.domain.urls import origin_of
from app.protection.page_reader import Page, Trouble
from app.text import languages
from app.web.embed.attribute_values import as_loader_reads, height_of
from app.web.embed.content_security_policy import Policy, read_policies
from app.web.shared.theme import STYLES, asked_style
from app.widgets import Widget

T = TypeVar("T")

Level = Literal["problem", "advice", "good"]
Attributes = Mapping[str, str]
Gettext = Callable[[str], str]

#: What a sandboxed frame needs: forms, its own origin, and the way to Stripe's page and to the calendar file.
SANDBOX: Final = (
    "allow-scripts",
    "allow-forms",
    "allow-same-origin",
    "allow-popups",
    "allow-downloads",
    "allow-top-navigation-by-user-activation",
)
#: What a bare frame should have: the time step in one column needs about this much.
_LOW: Final = 700
_ELEMENTS: Final = ("data-holdfast", "data-holdfast-popup", "data-holdfast-float")
#: How much of a page the parser is given at a time, and the longest tag that it may wait for the end of, in letters. It
#: looks at an unfinished tag again with each step, and at its end (`close`) once for every "<" in it: half a megabyte
#: of "<a <a <a" would take over an hour.
_STEP: Final = 4096
LONGEST_TAG: Final = 16 * 1024
#: Tags of a kind that are kept: each may become several findings.
_MOST_TAGS: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` is text to copy, `where` says where it belongs."""

    level: Level
    title: str
    text: str
    fix: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """What was read. `own` is our widget's page as it is served at its public address, None if that was not possible;
    `asked` is the address that was typed."""

    asked: str
    page: Page
    own: Page | None
    widget: Widget
    widgets: Sequence[str]
    public_url: str

    @property
    def loader(self) -> str:
        """The loader's address."""
        return f"{self.public_url}/embed.js"

    @property
    def frame(self) -> str:
        """The widget's address."""
        return f"{self.public_url}/w/{self.widget.name}"


@dataclass(slots=True)
class Tags:
    """What a page's HTML says that matters here."""

    language: str = ""
    viewport: bool = False
    policies: list[str] = field(default_factory=list)
    scripts: list[Attributes] = field(default_factory=list)
    elements: list[Attributes] = field(default_factory=list)
    frames: list[Attributes] = field(default_factory=list)
    #: Whether the reading ended before the page did.
    cut: bool = False


def examine(case: Case, gettext: Gettext) -> list[Finding]:
    """Everything that the page's headers and tags tell, problems first."""
    tags = read_tags(case.page.text)
    policies = read_policies(case.page.headers.get_list("content-security-policy"))
    policies += read_policies(tags.policies, in_page=True)
    found = [
        *_answer(case, gettext),
        *_cut(tags, gettext),
        *_framing(case, gettext),
        *_served(case, gettext),
        *_tags(case, tags, gettext),
        *_policy(case, tags, policies, gettext),
        *_isolation(case, gettext),
        *_language(case, tags, gettext),
        *_phone(tags, gettext),
    ]
    order: Sequence[Level] = ("problem", "advice", "good")
    return sorted(found, key=lambda finding: order.index(finding.level))


class PageChecks:
    """Examines pages in one thread of its own: what a stranger's page costs to parse holds nobody else up."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed-check")

    async def examine(self, case: Case, gettext: Gettext) -> list[Finding]:
        """As the function of that name."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, examine, case, gettext)

    def close(self) -> None:
        """Begin no more examinations."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def page_checks_of(request: Request) -> PageChecks:
    """The thread of the program that answers this request."""
    return cast("PageChecks", request.app.state.page_checks)


def explain(trouble: Trouble, gettext: Gettext) -> str:
    """Why a page could not be read."""
    _ = gettext
    match trouble:
        case Trouble.ADDRESS:
            return _("This is not the address of a web page. It should start with https:// and name a site.")
        case Trouble.PRIVATE:
            return _(
                "We only read pages that anyone can reach, on the usual ports. To check a site on your own network, "
                "add its origin to allowed_origins."
            )
        case Trouble.UNKNOWN:
            return _("We could not find a site with that name. Is it spelt correctly?")
        case Trouble.CERTIFICATE:
            return _("The site's certificate is not valid for this name, so browsers refuse it, and so do we.")
        case Trouble.REDIRECTS:
            return _("The address redirects again and again and never reaches a page.")
        case Trouble.ITSELF:
            return _("This is the address of the embed check itself, which cannot check itself.")
        case Trouble.NO_ANSWER:
            return _("The site did not answer within ten seconds.")


# What each part finds


def _answer(case: Case, _: Gettext) -> Iterator[Finding]:
    page = case.page
    if page.status >= 400:
        text = _("It answered with status %(status)s, so we checked an error page. Is the page published?") % {
            "status": page.status
        }
        yield Finding("problem", _("The page does not open"), text)
    if origin_of(case.asked) != page.origin:
        text = _("%(asked)s leads to %(origin)s. Browsers use that site's name, so that is the site we checked.")
        said = text % {"asked": origin_of(case.asked), "origin": page.origin}
        yield Finding("advice", _("The page is at another address"), said)
    if page.url.startswith("https:") and case.public_url.startswith("http:"):
        text = _(
            "The page uses https and the widget does not, so browsers block the frame. Serve the widget over https."
        )
        yield Finding(
            "problem", _("The widget does not use https"), text, "PUBLIC_URL=https://…", _("Environment variables")
        )


def _cut(tags: Tags, _: Gettext) -> Iterator[Finding]:
    if tags.cut:
        text = _("One of its tags has no end, or is longer than 16 KB. We did not check what comes after it.")
        yield Finding("advice", _("The page was only partly read"), text)


def _framing(case: Case, _: Gettext) -> Iterator[Finding]:
    origin, widget = case.page.origin, case.widget
    if origin in widget.allowed_origins:
        yield Finding("good", _("The site is allowed to show the widget"), _("%(site)s is allowed.") % {"site": origin})
        return
    text = _("Browsers will not show the widget on %(site)s, because that site is not in its allowed_origins.")
    fix = f"[{widget.name}]\nallowed_origins = {origins_toml([*widget.allowed_origins, origin])}"
    title = _("The site is not allowed to show the widget")
    yield Finding("problem", title, text % {"site": origin}, fix, _("widgets.toml, then restart Holdfast"))


def origins_toml(origins: Sequence[str]) -> str:
    """A list of origins as widgets.toml has it."""
    return "[" + ", ".join(f'"{origin}"' for origin in origins) + "]"


def _served(case: Case, _: Gettext) -> Iterator[Finding]:
    """Our own answer, as it comes out of whatever stands before us."""
    own, title, good = case.own, _("Our headers after your proxy"), True
    if own is None:
        text = _("We could not reach %(address)s from here. If visitors can, all is well.") % {"address": case.frame}
        yield Finding("advice", title, text)
        return
    if own.header("x-frame-options"):
        text = _("Your proxy adds X-Frame-Options, which makes browsers refuse every frame. Remove it.")
        yield Finding("problem", title, text, "proxy_hide_header X-Frame-Options;", _("nginx, for example"))
        good = False
    ancestors = [
        policy.directives["frame-ancestors"]
        for policy in read_policies(own.headers.get_list("content-security-policy"))
        if "frame-ancestors" in policy.directives
    ]
    wanted = set(case.widget.allowed_origins)
    if not all(wanted <= set(sources) for sources in ancestors) or not ancestors:
        text = _("Your proxy replaces our Content-Security-Policy, which says which sites may show the widget.")
        yield Finding("problem", title, text)
        good = False
    if good:
        yield Finding("good", title, _("They arrive as we send them."))


def _policy(case: Case, tags: Tags, policies: Sequence[Policy], _: Gettext) -> Iterator[Finding]:
    page, title = case.page.url, _("Your site's Content-Security-Policy")
    nonce = next((script.get("nonce", "") for script in _loaders(case, tags)), "")
    good = True
    for policy in policies:
        mended, needs = policy, ""
        if not policy.allows("frame", case.frame, page=page):
            mended = mended.with_source("frame", case.public_url)
            needs = _("It blocks the frame.")
        if not policy.allows("script", case.loader, page=page, nonce=nonce) and not _bare(case, tags):
            if policy.wants_nonce:
                good = False
                text = _("It only allows scripts with a nonce. Add the page's nonce to our tag.")
                yield Finding("problem", title, text, script_tag(case.loader, "…"), _("Your page"))
            else:
                mended = mended.with_source("script", case.public_url)
                needs = _("It blocks the script and the frame.") if needs else _("It blocks the script.")
        if needs:
            good = False
            said = needs + " " + _("With this change it allows what the widget needs, and nothing else.")
            meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(str(mended))}">'
            header = f"Content-Security-Policy: {mended}"
            where = _("Your page, in place of the meta element") if policy.in_page else _("Your site's header")
            yield Finding("problem", title, said, meta if policy.in_page else header, where)
        missing = _missing(policy.directives.get("sandbox"))
        if missing:
            good = False
            yield Finding("problem", title, _("Its sandbox does not allow what the widget needs."), " ".join(missing))
    if good:
        text = _("It allows the widget.") if policies else _("There is none, so nothing is blocked.")
        yield Finding("good", title, text)


def _isolation(case: Case, _: Gettext) -> Iterator[Finding]:
    title = _("Isolation")
    embedder = case.page.header("cross-origin-embedder-policy").partition(";")[0].strip().lower()
    if embedder not in {"require-corp", "credentialless"}:
        text = _("The page is not cross-origin isolated, so the widget needs nothing special.")
        yield Finding("good", title, text)
        return
    own = case.own
    if own is None:
        return
    ready = own.header("cross-origin-embedder-policy") in {"require-corp", "credentialless"}
    if ready and own.header("cross-origin-resource-policy") == "cross-origin":
        yield Finding(
            "good", title, _("The page is cross-origin isolated, and the widget sends the headers that this needs.")
        )
        return
    text = _(
        "The page is cross-origin isolated, but our headers do not arrive as we send them. Let them through unchanged."
    )
    fix = "Cross-Origin-Embedder-Policy: require-corp\nCross-Origin-Resource-Policy: cross-origin"
    yield Finding("problem", title, text, fix, _("The headers that %(address)s has to send") % {"address": case.frame})


def _tags(case: Case, tags: Tags, _: Gettext) -> Iterator[Finding]:
    title, name = _("The tag"), case.widget.name
    element = f'<div data-holdfast="{name}"></div>'
    if held_back := [script for script in tags.scripts if _is_loader(case, script) and not _runs(script)]:
        text = _(
            "A consent tool is blocking the script (type=%(type)s). The widget sets no cookies and stores nothing, "
            "so it needs no consent: remove it from that tool's list."
        )
        said = text % {"type": held_back[0].get("type", "")}
        yield Finding("problem", title, said, script_tag(case.loader), _("Your page"))
        return
    elsewhere = [script["src"] for script in tags.scripts if "/embed.js" in script.get("src", "")]
    loaders, named = _loaders(case, tags), [*_named(tags)]
    if named and not loaders:
        text = _("The widget's element is there, but the script that fills it is missing.")
        if elsewhere:
            text = _("The script comes from a different address than this server's.")
        yield Finding("problem", title, text, script_tag(case.loader), _("Your page"))
    elif loaders and not named:
        text = _("The script is there, but no element says where the widget goes.")
        yield Finding("problem", title, text, element, _("Your page, where the widget should be"))
    elif loaders:
        yield Finding("good", title, _("The script is there, and so is the widget. The frame sizes itself."))
    elif not tags.frames or not any(_frames_us(case, frame) for frame in tags.frames):
        text = _(
            "The page's HTML has neither our script nor our frame. If your site builder adds them with a script of "
            "its own, check from inside the page; otherwise paste this."
        )
        yield Finding("problem", title, text, f"{script_tag(case.loader)}\n{element}", _("Your page"))
    unknown = sorted({word for word in named if word not in case.widgets})
    if unknown:
        text = _("There is no widget called %(name)s. The widgets are: %(names)s.")
        said = text % {"name": ", ".join(unknown), "names": ", ".join(case.widgets)}
        yield Finding("problem", title, said, f'data-holdfast="{name}"', _("Your page"))
    for attributes in [*tags.elements, *(script for script in loaders if "data-holdfast-float" in script)]:
        yield from _options(attributes, _)
    for frame in tags.frames:
        if _frames_us(case, frame):
            yield from _bare_frame(case, frame, _)


def _options(attributes: Attributes, _: Gettext) -> Iterator[Finding]:
    for name in STYLES:
        value = as_loader_reads(attributes.get(f"data-{name}", ""))
        if value and not asked_style({name: value}):
            text = _('data-%(name)s="%(value)s" is not a value that we know, so it is ignored.')
            yield Finding("advice", _("The tag"), text % {"name": name, "value": value})


def _bare_frame(case: Case, frame: Attributes, _: Gettext) -> Iterator[Finding]:
    title = _("The frame without the script")
    source = urls.split(urls.join(case.page.url, frame.get("src", "")) or "")
    if "src" not in frame:
        text = _("A consent tool or a lazy loader is blocking the frame. The widget needs no consent: let it load.")
        yield Finding("problem", title, text)
        return
    missing = _missing(frame["sandbox"].split() if "sandbox" in frame else None)
    if missing:
        wanted = " ".join(dict.fromkeys([*frame["sandbox"].split(), *missing]))
        text = _("Its sandbox attribute does not allow what booking and paying need.")
        yield Finding("problem", title, text, f'sandbox="{wanted}"', _("Your page"))
    host = next(iter(parse_qs(source.query if source else "").get("host", ())), "")
    if origin_of(host) != case.page.origin:
        text = _("It does not say which page it is on, so visitors cannot return here after paying.")
        yield Finding("advice", title, text, f"host={case.page.url}", _("The frame's address, URL-encoded"))
    if not frame.get("title"):
        text = _("It has no title, so screen readers cannot say what it is.")
        yield Finding("advice", title, text, 'title="Book a time"', _("Your page"))
    height = height_of(frame)
    if height is not None and height < _LOW:
        text = _(
            "It is %(height)s px high. The times need about 760 px, or 1080 px on phones; if the frame is lower, "
            "visitors have to scroll inside it."
        )
        fix = 'style="width: 100%; height: max(760px, min(1080px, (760px - 100vw) * 999)); border: 0"'
        yield Finding("advice", title, text % {"height": height}, fix, _("Your page"))
    if not missing:
        yield Finding(
            "good", title, _("The frame is there. With the script it would size itself and lead visitors back here.")
        )


def _language(case: Case, tags: Tags, _: Gettext) -> Iterator[Finding]:
    title, offered = _("Language"), case.widget.languages
    named = (as_loader_reads(one.get("data-lang", "")) for one in tags.elements)
    asked = next(filter(None, named), tags.language)
    if not asked:
        text = _("The page does not state its language, so the widget uses the visitor's.")
        yield Finding("advice", title, text, f'<html lang="{offered[0]}">', _("Your page"))
        return
    base = asked.replace("_", "-").partition("-")[0].lower()
    if base in {language.partition("-")[0] for language in offered}:
        yield Finding(
            "good", title, _("The page's language is “%(language)s”, and so is the widget's.") % {"language": asked}
        )
        return
    text = _("The page's language is “%(language)s”; the widget speaks %(offered)s.")
    said = text % {"language": asked, "offered": ", ".join(offered)}
    listed = ", ".join(f'"{language}"' for language in (*offered, base))
    fix = f"[{case.widget.name}]\nlanguages = [{listed}]" if base in languages.LANGUAGES else ""
    yield Finding("advice", title, said, fix, _("widgets.toml, then restart Holdfast") if fix else "")


def _phone(tags: Tags, _: Gettext) -> Iterator[Finding]:
    title = _("Phones")
    if tags.viewport:
        yield Finding("good", title, _("The page is set up for phones, so the widget is, too."))
        return
    text = _("Phones show the page as a shrunken desktop page, and the widget with it.")
    fix = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield Finding("problem", title, text, fix, _("Your page, in its head"))


# Reading HTML


def script_tag(address: str, nonce: str = "") -> str:
    """The loader's tag."""
    return f'<script async src="{escape(address)}"' + (f' nonce="{nonce}"' if nonce else "") + "></script>"


def _is_loader(case: Case, script: Attributes) -> bool:
    source = next((script[name] for name in ("src", "data-src") if script.get(name)), "")
    return bool(source) and (urls.join(case.page.url, source) or "").partition("?")[0] == case.loader


def _runs(script: Attributes) -> bool:
    return "src" in script and script.get("type", "").lower() in {"", "text/javascript", "module"}


def _loaders(case: Case, tags: Tags) -> list[Attributes]:
    return [script for script in tags.scripts if _is_loader(case, script) and _runs(script)]


def _named(tags: Tags) -> Iterator[str]:
    """Every widget that the page asks the loader for."""
    for attributes in (*tags.elements, *tags.scripts):
        yield from (as_loader_reads(attributes[name]).lower() or "default" for name in _ELEMENTS if name in attributes)


def _frames_us(case: Case, frame: Attributes) -> bool:
    source = frame.get("src") or frame.get("data-src", "")
    return (urls.join(case.page.url, source) or "").startswith(f"{case.public_url}/w/")


def _bare(case: Case, tags: Tags) -> bool:
    """Whether the page shows the widget without the script."""
    return not _loaders(case, tags) and any(_frames_us(case, frame) for frame in tags.frames)


def _missing(granted: Sequence[str] | None) -> list[str]:
    """What a sandbox leaves out; nothing where there is no sandbox."""
    if granted is None:
        return []
    given = {word.lower() for word in granted}
    return [word for word in SANDBOX if not given & {word, word.removesuffix("-by-user-activation")}]


def read_tags(text: str) -> Tags:
    """The tags that matter, from HTML however broken, in time that grows with its length alone."""
    reader = _Reader()
    for start in range(0, len(text), _STEP):
        try:
            reader.feed(text[start : start + _STEP])
        except AssertionError:  # how html.parser refuses some declarations, such as "<![<"
            reader.tags.cut = True
        # A script's text is not a tag: waiting for its end costs one search each step.
        if len(reader.rawdata) > LONGEST_TAG and reader.cdata_elem is None:
            reader.tags.cut = True
        if reader.tags.cut:
            break
    return reader.tags


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags = Tags()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in reversed(attrs)}  # browsers take the first of a name
        match tag:
            case "html":
                self.tags.language = self.tags.language or attributes.get("lang", "").strip()
            case "meta" if attributes.get("name", "").lower() == "viewport":
                self.tags.viewport = True
            case "meta" if attributes.get("http-equiv", "").lower() == "content-security-policy":
                _keep(self.tags.policies, attributes.get("content", ""))
            case "script":
                _keep(self.tags.scripts, attributes)
            case "iframe":
                _keep(self.tags.frames, attributes)
            case "holdfast-booking":  # the same options under plain names
                attributes = {f"data-{name}": value for name, value in attributes.items()}
                attributes["data-holdfast"] = attributes.get("data-widget", "default")
        if tag != "script" and any(name in attributes for name in _ELEMENTS):
            _keep(self.tags.elements, attributes)


def _keep(found: list[T], one: T) -> None:
    if len(found) < _MOST_TAGS:
        found.append(one)
