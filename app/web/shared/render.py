"""Templates to answers: the page around every screen, single blocks for htmx, the policy that goes with a page, and
the one handler for errors that people see."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from math import ceil
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.domain import urls
from app.domain.booking import Booking
from app.domain.words import Words
from app.errors import (
    HoldfastError,
    LinkExpired,
    LinkRefused,
    NotFound,
    RateLimited,
    SchedulerError,
    ServiceOff,
    StripeError,
    TooLarge,
)
from app.errors.after_paying import DO_NOT_PAY_AGAIN, is_failure, sentences_after_paying
from app.msgid import N_
from app.parts import parts_of
from app.protection.rate_limits import SLOTS, client_address
from app.settings import Settings
from app.text import catalogues, languages
from app.web.shared import host_events
from app.web.shared.folders import folder
from app.web.shared.request_input import asked_address, asked_path, asked_query
from app.web.shared.security_headers import HTTPS_ONLY
from app.web.shared.theme import Style, asked_style, dressed, style_hash, theme_css
from app.widgets import Theme, Widget

STATIC = folder("static")

#: In the page and not next to it: one request less before the first times are seen. A page is 5 KB heavier for it,
#: compressed, which htmx pays once a visit.
_SHEET = (STATIC / "widget.min.css").read_text(encoding="utf-8")

#: Pages whose acts cost money must not be laid under another site's buttons, nor their errors, which lead on to them.
NEVER_FRAMED = ("/manage/", "/staff")

#: Every language that we speak, for pages that belong to no widget.
NOBODY = Widget(name="nobody", title=Words.of("Holdfast"), languages=tuple(languages.LANGUAGES))


@dataclass(frozen=True, slots=True)
class Page:
    """What the page around a screen needs to know. `path` is where the widget's first screen lives, `hosts` names the
    origins that the frame may talk to."""

    language: str
    direction: Literal["ltr", "rtl"]
    title: str
    logo: str
    path: str
    owner: str
    owner_email: str
    owner_phone: str
    privacy_url: str
    theme_css: str
    htmx_url: str
    htmx_integrity: str
    alone: bool
    fragment: bool
    back_to_host: str
    host_name: str
    hosts: str


@dataclass(frozen=True, slots=True)
class Shell:
    """Whose page it is and how it is shown: the widget, the language, the host page's wishes."""

    widget: Widget
    language: str
    style: Style = ()
    host: str = ""

    @property
    def theme(self) -> Theme:
        """How the widget looks here: as its owner set it, and as this tag asks."""
        return dressed(self.widget.theme, self.style)


def make_templates(settings: Settings, compiled: BytecodeCache | None = None) -> Environment:
    """The template environment that screens and mails share. `compiled` keeps what was compiled for the next one."""
    environment = Environment(
        loader=FileSystemLoader(folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=compiled,
    )
    catalogues.install(environment)
    environment.globals["asset"] = asset
    environment.globals["sheet"] = _SHEET
    environment.globals["settings"] = settings
    return environment


@cache
def asset(name: str) -> str:
    """The address of a file in static/, with its content's hash, so that browsers may keep it permanently."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def wants_block(request: Request) -> bool:
    """Whether htmx asks, and so swaps a part of the page it has."""
    return request.headers.get("hx-request") == "true"


def is_alone(request: Request) -> bool:
    """Whether the page fills a window of its own. Old browsers do not say, and are taken to be framed."""
    return request.headers.get("sec-fetch-dest") == "document"


def trusted_host(host: str, widget: Widget) -> str:
    """The address of the embedding page if its origin may frame the widget, else nothing."""
    return host if host == host.strip() and urls.origin_of(host) in widget.allowed_origins else ""


def booking_shell(request: Request, booking: Booking, widget: Widget) -> Shell:
    """A booking's pages speak the language and know the host page that it was held in."""
    return Shell(widget, booking.visitor.language, asked_style(request.query_params), booking.visitor.host)


def render(
    request: Request,
    name: str,
    context: Mapping[str, Any],
    *,
    shell: Shell,
    block: str | None = None,
    status: int = 200,
    framed: bool = True,
) -> Response:
    """One screen as a page, or as the named block (htmx gets `main` unless told otherwise). Never stored: screens
    that may be are cached by `app.web.visitor.widget`. `framed` says whether the widget's sites may frame it."""
    if block is None and wants_block(request):
        block = "main"
    page = make_page(request, shell, fragment=block is not None, framed=framed)
    text = render_text(parts_of(request).templates, name, {**context, "page": page}, block=block)
    headers = {"Cache-Control": "no-store"}
    if block is None:
        settings = parts_of(request).settings
        headers |= page_headers(settings, shell.widget, shell.theme, framed=framed)
    elif block == "main":
        headers |= follow(request)
    return HTMLResponse(text, status_code=status, headers=headers)


def render_text(templates: Environment, name: str, context: Mapping[str, Any], *, block: str | None = None) -> str:
    """The text of a template, or of one of its blocks alone."""
    template = templates.get_template(name)
    context = {**context, "language": context["page"].language}
    if block is None:
        return template.render(context)
    text = "".join(template.blocks[block](template.new_context(context)))
    if block != "main":
        return text
    # htmx gives the window the title that comes with a step (WCAG 2.4.2).
    title = "".join(template.blocks["title"](template.new_context(context)))
    owner = f" · {escape(context['page'].owner)}" if context["page"].owner else ""
    return f"<title>{title}{owner}</title>{text}"


def follow(request: Request) -> dict[str, str]:
    """Let the address bar follow a step that htmx made, so that reload and back do what they do without script."""
    if request.method != "GET":
        return {}
    was = urls.split(request.headers.get("hx-current-url", ""))
    same = (
        was is not None
        and unquote(was.path) == request.scope["path"]
        and _step(was.query) == _step(asked_query(request))
    )
    return {"HX-Replace-Url" if same else "HX-Push-Url": asked_address(request)}


def _step(query: str) -> list[tuple[str, str]]:
    """What makes a page of the same path another step, so that Back leads to the one before, and not off the site."""
    return sorted((name, value) for name, value in parse_qsl(query) if name in {"service", "step"})


def make_page(request: Request, shell: Shell, *, fragment: bool, framed: bool = True) -> Page:
    """The page around a screen of this request. What may not be `framed` fills a window of its own, whatever old
    browsers fail to say."""
    widget, settings = shell.widget, parts_of(request).settings
    alone = is_alone(request) or not framed
    host = trusted_host(shell.host, widget) if alone else ""
    return Page(
        language=shell.language,
        direction=languages.direction(shell.language),
        title=widget.heading(shell.language),
        logo=widget.logo if alone else "",
        path=f"/w/{widget.name}",
        owner=widget.owner_name,
        owner_email=widget.owner_email,
        owner_phone=widget.owner_phone,
        privacy_url=widget.privacy_url,
        theme_css=theme_css(shell.theme),
        htmx_url=settings.htmx_url,
        htmx_integrity=settings.htmx_integrity,
        alone=alone,
        fragment=fragment,
        back_to_host=host,
        host_name=urlsplit(host).hostname or "",
        hosts=" ".join(widget.allowed_origins) if framed else "",
    )


def page_headers(settings: Settings, widget: Widget, theme: Theme, *, framed: bool) -> dict[str, str]:
    """Who may frame the page, and what it may load; see `security_headers` for what every answer carries.

    A site that isolates itself (COOP and COEP, for shared memory) frames only pages that opt in: `framed` ones do, and
    promise that what they load opted in, too. Owners' pictures, and a self-hosted htmx without its hash, cannot promise
    that, so there `credentialless` fetches them without cookies instead; Safari does not know it, and frames such a
    widget on ordinary sites only.
    """
    headers = {"Content-Security-Policy": policy(settings, widget, theme, framed=framed)}
    if settings.public_url.startswith("https://"):  # a warm page passes by `SecurityHeaders`, which says so elsewhere
        headers["Strict-Transport-Security"] = HTTPS_ONLY
    if framed:
        elsewhere = urlsplit(settings.htmx_url).netloc and not settings.htmx_integrity
        foreign = elsewhere or bool(widget.pictures())
        headers["Cross-Origin-Embedder-Policy"] = "credentialless" if foreign else "require-corp"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return headers


def policy(settings: Settings, widget: Widget, theme: Theme, *, framed: bool) -> str:
    """The page's Content-Security-Policy.

    `form-action` names Stripe's page too, because browsers check it again on the redirect after the form.
    """
    return _policy(
        settings.htmx_url,
        settings.stripe_checkout_origins,
        widget.allowed_origins if framed else None,
        style_hash(theme_css(theme)),
        pictures=bool(widget.pictures()),
        plain=_plain_origins(widget.pictures()),
    )


@lru_cache(maxsize=256)
def _policy(
    htmx_url: str,
    checkout_origins: tuple[str, ...],
    frame_origins: tuple[str, ...] | None,
    sheet: str,
    *,
    pictures: bool,
    plain: str,
) -> str:
    ancestors = "'none'" if frame_origins is None else " ".join(("'self'", *frame_origins))
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *_script_source(htmx_url))),
            f"style-src 'self' {style_hash(_SHEET)} {sheet}",
            "img-src 'self' data:" + (" https:" if pictures else "") + plain,
            "connect-src 'self'",
            "form-action 'self' " + " ".join(checkout_origins),
            "base-uri 'none'",
            f"frame-ancestors {ancestors}",
        )
    )


def _script_source(url: str) -> tuple[str, ...]:
    """The one file elsewhere that may run. Its whole address, since a network such as jsDelivr holds every package
    there is; as a policy writes it, without the query, and with what would end the source escaped (CSP Level 3,
    section 2.3.1)."""
    parts = urlsplit(url)
    if not parts.netloc:
        return ()
    return (f"{parts.scheme}://{parts.netloc}{parts.path}".replace(";", "%3B").replace(",", "%2C"),)


def picture_sources(widgets: Iterable[Widget]) -> str:
    """Where the owners' pictures come from, as a policy writes it."""
    return "https:" + _plain_origins(tuple(image for widget in widgets for image in widget.pictures()))


@lru_cache(maxsize=256)
def _plain_origins(pictures: tuple[str, ...]) -> str:
    """The origins of pictures without TLS, such as a developer's own machine, for the policy."""
    found = {
        f" {parts.scheme}://{parts.netloc}" for one in pictures if (parts := urls.split(one)) and parts.scheme == "http"
    }
    return "".join(sorted(found))


# Errors

_HEADINGS: tuple[tuple[type[HoldfastError], str], ...] = (
    (LinkExpired, N_("This link has expired")),
    (LinkRefused, N_("This link does not work")),
    (ServiceOff, N_("Not bookable right now")),
    (NotFound, N_("Page not found")),
    (RateLimited, N_("One moment, please")),
    (TooLarge, N_("This is too long")),
    (SchedulerError, N_("The calendar is not responding")),
    (StripeError, N_("The payment page is not responding")),
)
_OTHER_HEADING = N_("That did not work")
#: Where someone may be who has paid: the page of a booking, and whatever its links and buttons lead to.
_AFTER_PAYING = re.compile(r"(/b/[^/]+|/manage/(?!(?:sent|resend)$)[^/]+|/r/[^/]+)(/.*)?")
_MOMENT = N_("One moment, please")
#: Addresses of a booking that show no page.
_NO_PAGE = ("/calendar.ics",)


async def render_error(request: Request, error: HoldfastError) -> Response:
    """An error as a page, or as the main block for htmx: what happened, whether money moved, what to do next. Where
    someone may just have paid, nothing is said that would make them pay a second time."""
    shell = await _affordable(request, error_shell(request))
    _ = catalogues.translator(shell.language).gettext
    heading = next((text for kind, text in _HEADINGS if isinstance(error, kind)), _OTHER_HEADING)
    lines = [error.sentence]
    if _after_paying(request, error):
        heading, lines = _MOMENT, sentences_after_paying(error)
    elif _AFTER_PAYING.fullmatch(request.scope["path"]):
        lines.append(DO_NOT_PAY_AGAIN)
    lines = [_(line) for line in lines]
    if isinstance(error, RateLimited) and error.retry_after > 0:
        lines.append(_when_again(error.retry_after, shell.language))
    response = render(
        request,
        "shared/message.html",
        {
            "heading": _(heading),
            "lines": lines,
            "way_on": _way_on(request, error, shell),
            "event": host_events.problem(error.code),
        },
        shell=shell,
        status=error.status,
        framed=not request.scope["path"].startswith(NEVER_FRAMED),
    )
    wait = getattr(error, "retry_after", 0)
    if wait:
        response.headers["Retry-After"] = str(ceil(wait))
    return response


def _when_again(seconds: int, language: str) -> str:
    """When a limit ends. Not by the clock, because nobody has said in which zone this visitor is."""
    minutes = ceil(seconds / 60)
    said = catalogues.translator(language).ngettext(
        "You can try again in %(num)s minute.", "You can try again in %(num)s minutes.", minutes
    )
    return said % {"num": minutes}


async def _affordable(request: Request, shell: Shell) -> Shell:
    """The same, in the look that the address asks for as long as its colors are not asked for too often: each new look
    takes some milliseconds, and errors come before anything else is counted."""
    if not shell.style:
        return shell
    try:
        await parts_of(request).rate_limits.check(SLOTS, client_address(request.scope))
    except RateLimited:
        return replace(shell, style=())
    return shell


def _after_paying(request: Request, error: HoldfastError) -> bool:
    """Whether this may be shown to someone who has paid, by a page that exists and cannot be shown. Why a form is
    refused, its error says."""
    if not _AFTER_PAYING.fullmatch(request.scope["path"]) or isinstance(error, LinkRefused | NotFound):
        return False
    return request.method != "POST" or is_failure(error) or isinstance(error, RateLimited)


def error_shell(request: Request) -> Shell:
    """The shell that the door has set, else one that the address and the browser allow."""
    shell = getattr(request.state, "shell", None)
    if isinstance(shell, Shell):
        return shell
    widget = parts_of(request).widgets.get(request.path_params.get("widget", ""), NOBODY)
    return widget_shell(request, widget)


def widget_shell(request: Request, widget: Widget) -> Shell:
    """A widget's pages speak the language that the address asks for, else the browser's. Pages of no widget have one
    look."""
    query = request.query_params
    language = languages.negotiate(query.get("lang"), request.headers.get("accept-language"), widget.languages)
    style = () if widget is NOBODY else asked_style(query)
    return Shell(widget, language, style, query.get("host", ""))


def _way_on(request: Request, error: HoldfastError, shell: Shell) -> dict[str, str] | None:
    _ = catalogues.translator(shell.language).gettext
    if _after_paying(request, error):
        return {"href": _booking_page(request), "label": _("Open this page again")}
    if error.retry and request.method == "GET":
        return {"href": asked_address(request), "label": _("Try again")}
    if shell.widget is not NOBODY:
        return {"href": f"/w/{shell.widget.name}", "label": _("See free times")}
    return None


def _booking_page(request: Request) -> str:
    """The page that was asked for; the booking's own where none was, but a form sent or a file asked for."""
    path = asked_path(request)
    if request.method == "POST" or path.endswith(_NO_PAGE):
        return "/".join(path.split("/")[:3])
    return asked_address(request)
