"""The owner's page: choose a widget and how it looks, see it live, copy what puts it on a site; and the embed check.

It shows nothing that is not public anyway: widgets' names are addresses, and their sites stand in headers. Options
travel in the address, so that the page works without script and a setup can be sent to anyone who pastes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final, Literal
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.booking.customer_form import clean
from app.domain.colours import contrast
from app.domain.urls import origin_of
from app.errors import RateLimited, SchedulerError
from app.msgid import N_
from app.parts import parts_of
from app.protection.page_reader import Trouble, UnreadablePage
from app.protection.rate_limits import EMBED_CHECK, client_address
from app.text import catalogues, languages
from app.web.embed.embed_check import Case, Finding, explain, origins_toml, page_checks_of, script_tag
from app.web.embed.platforms import PLATFORMS
from app.web.shared.render import NOBODY, Shell, make_page, render_text
from app.web.shared.theme import Style, asked_style, dressed, fitting_scheme, palette, style_hash, theme_css
from app.widgets import Theme, Widget

Mode = Literal["inline", "popup", "float"]
MODES: Final[tuple[Mode, ...]] = ("inline", "popup", "float")

#: Fonts that machines have, by kind (modernfontstacks.com), under names that owners know.
FONTS: Final[Mapping[str, str]] = {
    N_("System font"): "system-ui",
    N_("Humanist"): "Seravek, Gill Sans Nova, Ubuntu, Calibri, sans-serif",
    N_("Geometric"): "Avenir, Montserrat, Corbel, URW Gothic, sans-serif",
    N_("Classical serif"): "Charter, Bitstream Charter, Cambria, serif",
    N_("Old-style serif"): "Iowan Old Style, Palatino Linotype, Palatino, serif",
    N_("Rounded"): "ui-rounded, Hiragino Maru Gothic ProN, Quicksand, sans-serif",
    N_("Monospace"): "ui-monospace, Cascadia Code, Menlo, Consolas, monospace",
}
#: As high as the times need next to each other, and above each other on phones, without a media query.
FRAME_STYLE: Final = "width: 100%; height: max(760px, min(1080px, (760px - 100vw) * 999)); border: 0"
_LONGEST: Final = 500
_NO_SHORTCODE: Final = r'["<>\[\]]'


@dataclass(frozen=True, slots=True)
class Choice:
    """What the owner chose. `style` is what differs from the widget's own look; `site` is the page's address, where
    it is known."""

    widget: Widget
    mode: Mode = "inline"
    service: str = ""
    language: str = ""
    style: Style = ()
    label: str = ""
    site: str = ""

    @property
    def theme(self) -> Theme:
        """How the widget will look."""
        return dressed(self.widget.theme, self.style)


def read_choice(query: Mapping[str, str], widgets: Mapping[str, Widget]) -> Choice:
    """What an address asks for; what cannot be done is left aside."""
    widget = widgets.get(query.get("widget", "")) or next(iter(widgets.values()))
    mode: Mode = next((mode for mode in MODES if mode == query.get("mode")), "inline")
    language = query.get("lang", "")
    site = query.get("site", "").strip()[:_LONGEST]
    if site and "://" not in site:
        site = f"https://{site}"
    own = widget.theme
    style = asked_style(query)
    return Choice(
        widget=widget,
        mode=mode,
        service=query.get("service", "")[:100],
        language=language if language in widget.languages else "",
        style=tuple(pair for pair in style if dressed(own, (pair,)) != own),
        label=clean(query.get("label", ""), most=60),
        site=site if origin_of(site) else "",
    )


# What to paste


def script_snippet(choice: Choice, base: str, label: str) -> str:
    """The loader's tag and the element that it fills. `label` is the words of a button or link.

    The link inside is what visitors without script have; the loader takes its place.
    """
    name = choice.widget.name
    options = _attributes(choice)
    tag = script_tag(f"{base}/embed.js")
    plain = replace(choice, style=(), site="")
    link = f'href="{escape(_address(plain, base))}"'
    if choice.mode == "float":
        words = f' data-label="{escape(choice.label)}"' if choice.label else ""
        return tag.replace("></script>", f' data-holdfast-float="{name}"{words}{options}></script>')
    if choice.mode == "popup":
        return f'{tag}\n<a {link} data-holdfast-popup="{name}"{options}>{escape(label)}</a>'
    return f'{tag}\n<div data-holdfast="{name}"{options}>\n  <a {link}>{escape(label)}</a>\n</div>'


def element_snippet(choice: Choice, base: str, label: str) -> str:
    """The custom element, which frameworks leave alone; or a button of the page's that opens the dialog by script."""
    tag = script_tag(f"{base}/embed.js")
    if choice.mode == "popup":
        asked = json.dumps(dict(_pairs(choice))).replace("<", "\\u003c")
        script = f'document.getElementById("book").onclick = () => Holdfast.open("{choice.widget.name}", {asked});'
        return f'{tag}\n<button id="book">{escape(label)}</button>\n<script>{script}</script>'
    link = f'<a href="{escape(_address(replace(choice, style=(), site=""), base))}">{escape(label)}</a>'
    element = f'<holdfast-booking widget="{choice.widget.name}"{_attributes(choice, "")}>'
    return f"{tag}\n{element}\n  {link}\n</holdfast-booking>"


def react_snippet(choice: Choice, base: str, label: str) -> str:
    """The same as a component of `integrations/react`. Attributes in JSX are escaped as in HTML."""
    name = choice.widget.name
    if choice.mode == "popup":
        given = json.dumps(dict(_pairs(choice)))
        return (
            'import { openHoldfast } from "holdfast-react";\n\n'
            f'<button onClick={{() => openHoldfast("{base}", "{name}", {given})}}>{{{json.dumps(label)}}}</button>'
        )
    component = f'<HoldfastBooking server="{base}" widget="{name}"{_attributes(choice, "")} />'
    return f'import {{ HoldfastBooking }} from "holdfast-react";\n\n{component}'


def shortcode_snippet(choice: Choice, label: str) -> str:
    """The shortcode of `integrations/wordpress`. What would end it, or an attribute of it, is left out."""
    pairs = [("widget", choice.widget.name), *_pairs(choice)]
    if choice.mode == "popup":
        pairs += [("mode", "popup"), ("label", label)]
    return "[holdfast" + "".join(f' {key}="{re.sub(_NO_SHORTCODE, "", value)}"' for key, value in pairs) + "]"


def frame_snippet(choice: Choice, base: str, label: str) -> str:
    """A bare frame, for sites that take no script."""
    source = escape(_address(choice, base))
    return f'<iframe src="{source}" title="{escape(label)}" loading="lazy"\n  style="{FRAME_STYLE}"></iframe>'


def link_snippet(choice: Choice, base: str, label: str) -> str:
    """A link to the widget as a page of its own."""
    return f'<a href="{escape(_address(choice, base))}">{escape(label)}</a>'


def theme_snippet(choice: Choice) -> str:
    """The chosen look as the widget's own in widgets.toml; empty where it is that already."""
    if not choice.style:
        return ""
    lines = [f"[{choice.widget.name}.theme]"]
    for name, value in choice.theme.model_dump().items():
        if value != Theme.model_fields[name].default:
            told = str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else f'"{value}"'
            lines.append(f"{name} = {told}")
    return "\n".join(lines)


def _attributes(choice: Choice, prefix: str = "data-") -> str:
    """The options as a tag's attributes."""
    return "".join(f' {prefix}{name}="{escape(value)}"' for name, value in _pairs(choice))


def _pairs(choice: Choice) -> list[tuple[str, str]]:
    """The options that differ from the widget's own. The floating button is on the page before the widget is asked for
    anything, so it is told the accent in any case."""
    pairs = [("service", choice.service), ("lang", choice.language)]
    if choice.mode == "float" and "accent" not in dict(choice.style):
        pairs.append(("accent", choice.theme.accent))
    pairs += [(name, f"#{value}" if name in {"accent", "background"} else value) for name, value in choice.style]
    return [(name, value) for name, value in pairs if value]


def _address(choice: Choice, base: str) -> str:
    pairs = [("service", choice.service), ("lang", choice.language), *choice.style, ("host", choice.site)]
    query = urlencode([pair for pair in pairs if pair[1]])
    return f"{base}/w/{choice.widget.name}" + (f"?{query}" if query else "")


# Screens


async def show_snippets(request: Request) -> Response:
    """GET /embed: everything that puts a widget on a site."""
    parts = parts_of(request)
    choice = read_choice(request.query_params, parts.widgets)
    shell = _shell(request)
    _ = catalogues.translator(shell.language).gettext
    base = parts.settings.public_url
    label = choice.label or _label(choice, shell.language)
    context = {
        "choice": choice,
        "theme": choice.theme,
        "widgets": list(parts.widgets.values()),
        "services": await _services(request, choice.widget, shell.language),
        "languages": [
            (tag, languages.LANGUAGES[languages.base_language(tag)].native_name) for tag in choice.widget.languages
        ],
        "fonts": [(value, _(name)) for name, value in FONTS.items()],
        "query": urlencode(_query(choice)),
        "label": label,
        "readable": _readable(choice.theme, _),
        "snippets": list(_snippets(choice, base, label, _)),
        "look": theme_snippet(choice),
        "origin": origin_of(choice.site),
        "allowed": origin_of(choice.site) in choice.widget.allowed_origins,
        "origins": origins_toml([*choice.widget.allowed_origins, origin_of(choice.site)]),
        "platforms": [(platform.name, [_(step) for step in platform.steps]) for platform in PLATFORMS],
        "base": base,
    }
    return _render(request, "embed/embed.html", context, shell)


def _snippets(choice: Choice, base: str, label: str, _: Callable[[str], str]) -> Iterator[tuple[str, str, str]]:
    """(kind, its name, what to paste). The floating button belongs to no place in a page, so only its tag makes it."""
    yield "script", _("Script"), script_snippet(choice, base, label)
    if choice.mode != "float":
        yield "element", _("Element"), element_snippet(choice, base, label)
        yield "react", "React", react_snippet(choice, base, label)
        yield "wordpress", "WordPress", shortcode_snippet(choice, label)
    yield "frame", _("Frame"), frame_snippet(choice, base, label)
    yield "link", _("Link"), link_snippet(choice, base, label)


async def show_preview(request: Request) -> Response:
    """GET /embed/preview: a page like a host's, with the tag in it; framed by our own page only."""
    parts = parts_of(request)
    choice = read_choice(request.query_params, parts.widgets)
    language = choice.language or choice.widget.languages[0]
    label = choice.label or _label(choice, language)
    shell = Shell(NOBODY, language)
    theme = choice.theme
    scheme = fitting_scheme(theme.background) if theme.background else theme.scheme
    ground = f":root{{--ground:{theme.background}}}" if theme.background else ""
    context = {
        "choice": choice,
        "scheme": scheme,
        "ground": ground,
        # Our own address, whatever name the owner reached us by: the frame has to be where this page is.
        "snippet": script_snippet(choice, "", label),
        "frame": _address(replace(choice, site=""), ""),
        "label": label,
        "owner": choice.widget.owner_name or choice.widget.heading(language),
    }
    sheets = (style_hash(ground),) if ground else ()
    return _render(request, "embed/preview.html", context, shell, framed=True, sheets=sheets)


async def show_embed_check(request: Request) -> Response:
    """GET /embed/doctor: why the page at `site` does not show the widget, and how to fix it."""
    parts, asked = parts_of(request), request.query_params
    choice = read_choice(asked, parts.widgets)
    shell = _shell(request)
    _ = catalogues.translator(shell.language).gettext
    typed, trouble = asked.get("site", "").strip()[:_LONGEST], ""
    findings: Sequence[Finding] = ()
    address, status = choice.site, 200
    if typed:
        try:
            await parts.rate_limits.check(EMBED_CHECK, client_address(request.scope))
            # Our own reader, sent here by a page or under a name of ours that we do not know.
            if request.headers.get("user-agent") == parts.sites.agent:
                raise UnreadablePage(Trouble.ITSELF, typed)
            case = await _read_case(request, choice, typed)
            findings, address = await page_checks_of(request).examine(case, _), case.page.url
        except UnreadablePage as error:
            trouble = explain(error.trouble, _)
        except RateLimited as error:
            trouble, status = _("Too many tries in a short time. Please wait a moment and try again."), error.status
    context = {
        "choice": choice,
        "widgets": list(parts.widgets.values()),
        "typed": typed,
        "trouble": trouble,
        "findings": findings,
        "address": address,
        "inside": f"{address.partition('#')[0]}#holdfast-doctor" if address else "",
        "query": urlencode(_query(choice)),
    }
    return _render(request, "embed/check.html", context, shell, status=status)


async def _read_case(request: Request, choice: Choice, typed: str) -> Case:
    parts = parts_of(request)
    page = await parts.sites.read(choice.site or typed)
    base, own = parts.settings.public_url, None
    try:
        own = await parts.sites.read(f"{base}/w/{choice.widget.name}", framed=True)
    except UnreadablePage:
        own = None
    return Case(choice.site, page, own, choice.widget, tuple(parts.widgets), base)


async def _services(request: Request, widget: Widget, language: str) -> Sequence[tuple[str, str]]:
    """The services to open on; none while the scheduler does not say."""
    try:
        catalogue = await parts_of(request).availability.catalogue(widget)
    except SchedulerError:
        return ()
    services = [(service.id, service.name_in(language)) for service in catalogue.services]
    return services if len(services) > 1 else ()


def _query(choice: Choice) -> list[tuple[str, str]]:
    pairs = [
        ("widget", choice.widget.name),
        ("mode", choice.mode),
        ("service", choice.service),
        ("lang", choice.language),
        *choice.style,
        ("label", choice.label),
        ("site", choice.site),
    ]
    return [(name, value) for name, value in pairs if value]


def _label(choice: Choice, language: str) -> str:
    """What the button says if the owner says nothing."""
    return catalogues.translator(choice.language or language).gettext("Book a time")


def _readable(theme: Theme, _: Callable[[str], str]) -> list[dict[str, str]]:
    """What becomes of the accent on light and dark, with the contrast of the words on it."""
    schemes = [fitting_scheme(theme.background)] if theme.background else ["light", "dark"]
    if not theme.background and theme.scheme != "auto":
        schemes = [theme.scheme]
    shown = []
    for scheme in schemes:
        colors = palette(theme.accent, "dark" if scheme == "dark" else "light", theme.background)
        shown.append(
            {
                "name": _("On dark") if scheme == "dark" else _("On light"),
                "accent": colors["accent"],
                "ink": colors["on-accent"],
                "ground": colors["surface"],
                "text": colors["accent-strong"],
                "button": f"{contrast(colors['on-accent'], colors['accent']):.1f}",
                "link": f"{contrast(colors['accent-strong'], colors['surface']):.1f}",
                "kept": "yes" if colors["accent-edge"] == theme.accent else "",
            }
        )
    return shown


def _shell(request: Request) -> Shell:
    """The page's own language is the browser's: `lang` chooses the widget's."""
    return Shell(NOBODY, languages.negotiate(None, request.headers.get("accept-language"), NOBODY.languages))


def _render(
    request: Request,
    name: str,
    context: Mapping[str, Any],
    shell: Shell,
    *,
    framed: bool = False,
    sheets: Sequence[str] = (),
    status: int = 200,
) -> Response:
    """A page for owners: our own scripts, our own frames, and framed by nobody but ourselves."""
    page = make_page(request, shell, fragment=False)
    text = render_text(parts_of(request).templates, name, {**context, "page": page})
    policy = "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            " ".join(("style-src 'self'", style_hash(theme_css(shell.theme)), *sheets)),
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'self'" if framed else "frame-ancestors 'none'",
        )
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy}
    return HTMLResponse(text, status_code=status, headers=headers)


routes = [
    Route("/embed", show_snippets),
    Route("/embed/preview", show_preview),
    Route("/embed/doctor", show_embed_check),
]
