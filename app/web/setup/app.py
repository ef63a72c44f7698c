"""The server before it is set up: /setup, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from html import escape
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from app.errors import HoldfastError
from app.operations.setup.first_run import FirstRun, Outcome, Wrong
from app.operations.setup.questions import Question
from app.operations.setup_check import Level
from app.text.catalogues import install
from app.web.shared import static_files
from app.web.shared.folders import folder
from app.web.shared.render import asset
from app.web.shared.request_input import read_form
from app.web.shared.security_headers import SecurityHeaders
from app.web.shared.theme import style_hash, theme_css
from app.widgets import Theme

#: Which questions stand together, by their keys.
_GROUPS: Final = (
    ("Your calendar", ("token",)),
    ("Your business", ("name", "time_zone", "currency", "services", "people", "owner_email")),
    ("Where it will be", ("public_url", "sites")),
    ("Payments and mail", ("stripe", "smtp")),
)
_LONG: Final = {"services", "people"}
_MARKER: Final = "<!-- here -->"
#: Seconds that the last page is given to arrive before the server changes under it.
_LAST_PAGE: Final = 1.0


def create_setup_app(first_run: FirstRun) -> Starlette:
    """The ASGI application until `first_run.finished`."""
    pages = _Pages(first_run)
    app = Starlette(
        routes=[
            Route("/setup", pages.show_code),
            Route("/setup", pages.begin, methods=["POST"]),
            Route("/setup/answers", pages.answers, methods=["POST"]),
            Route("/setup/plan", pages.plan, methods=["POST"]),
            Route("/setup/go", pages.go, methods=["POST"]),
            *static_files.routes,
        ],
        exception_handlers={HTTPException: _not_yet, HoldfastError: _not_yet},
    )
    app.router.redirect_slashes = False
    app.add_middleware(SecurityHeaders)
    return app


async def _not_yet(
    request: Request,
    error: Exception,  # noqa: ARG001 - Starlette calls it with the error
) -> Response:
    """Everything else. A reload of a page that was posted begins again."""
    if request.url.path.startswith("/setup/") and request.method == "GET":
        return RedirectResponse("/setup", status_code=303)
    return PlainTextResponse("Not set up yet. Open /setup.", 503, headers={"Retry-After": "60"})


class _Pages:
    def __init__(self, first_run: FirstRun) -> None:
        self._first_run = first_run
        self._theme_css = theme_css(Theme())
        self._templates = Environment(
            loader=FileSystemLoader(folder("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        install(self._templates)
        self._templates.globals |= {"asset": asset, "theme_css": self._theme_css}

    # -- doors -------------------------------------------------------------------------------------------------

    async def show_code(self, request: Request) -> Response:
        """GET /setup"""
        return self._code_page(request)

    async def begin(self, request: Request) -> Response:
        """POST /setup: the code, once."""
        key = self._first_run.begin((await read_form(request)).get("code", "")[:100])
        if key is None:
            return self._code_page(request, "This is not the code. After ten wrong ones there is a new one in the log.")
        return self._answers_page(request, key)

    async def answers(self, request: Request) -> Response:
        """POST /setup/answers: back to them."""
        form = await self._opened(request)
        return self._answers_page(request, form["key"]) if form else self._closed(request)

    async def plan(self, request: Request) -> Response:
        """POST /setup/plan: look at everything, change nothing."""
        form = await self._opened(request)
        if not form:
            return self._closed(request)
        plan = await self._first_run.look(form)
        if isinstance(plan, Wrong):
            return self._answers_page(request, form["key"], plan, status=422)
        context = {"lines": plan.lines, "by_hand": plan.by_hand, "key": form["key"]}
        return self._page("setup/plan.html", "The plan", "Plan", context)

    async def go(self, request: Request) -> Response:
        """POST /setup/go: do it, and tell of each step as it is done. A second click follows the first one's."""
        form = await self._opened(request)
        if not form or not self._first_run.go():
            return self._closed(request)
        page = self._text("setup/going.html", "Setting up", "Live", {"marker": _MARKER})
        head, _, tail = page.partition(escape(_MARKER))
        headers = {**self._headers(), "X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._lines(head, tail, form["key"]), media_type="text/html; charset=utf-8", headers=headers
        )

    async def _lines(self, head: str, tail: str, key: str) -> AsyncIterator[str]:
        yield head
        async for line in self._first_run.follow():
            yield f"<li>{escape(line[:1].upper() + line[1:])}</li>\n"
        outcome = await self._first_run.outcome()
        yield self._templates.get_template("setup/outcome.html").render(_outcome_context(outcome, key))
        yield tail
        if not outcome.refused:
            asyncio.get_running_loop().call_later(_LAST_PAGE, self._first_run.leave)

    # -- pages -------------------------------------------------------------------------------------------------

    async def _opened(self, request: Request) -> dict[str, str] | None:
        """The form, if it has the key."""
        form = await read_form(request)
        return form if self._first_run.is_open(form.get("key", "")) else None

    def _closed(self, request: Request) -> Response:
        return self._code_page(request, "This page has been closed for a while. There is a new code in the log.")

    def _code_page(self, request: Request, wrong: str = "") -> Response:
        plain = request.url.scheme != "https" and request.url.hostname not in {"localhost", "127.0.0.1", "::1"}
        context = {"wrong": wrong, "plain": plain}
        return self._page("setup/code.html", "Set up Holdfast", "Answers", context, status=403 if wrong else 200)

    def _answers_page(self, request: Request, key: str, wrong: Wrong | None = None, *, status: int = 200) -> Response:
        wrong = wrong or Wrong()
        known = {question.key: question for question in self._first_run.questions()}
        # Anyone who came this far came by the address that visitors will use.
        here = f"{request.url.scheme}://{request.url.netloc}"
        show = partial(self._field, wrong=wrong.fields, here=here)
        groups = [(name, [show(known[one]) for one in members]) for name, members in _GROUPS]
        context = {"groups": groups, "key": key, "lines": wrong.lines}
        return self._page("setup/answers.html", "Set up Holdfast", "Answers", context, status=status)

    def _field(self, question: Question, *, wrong: Mapping[str, str], here: str) -> dict[str, object]:
        typed = self._first_run.typed.get(question.key)
        default = question.default or (here if question.key == "public_url" else "")
        return {
            "key": question.key,
            "text": question.text,
            "hint": question.hint,
            "optional": question.optional,
            "long": question.key in _LONG,
            "type": "password" if question.secret else "text",
            "value": "" if question.secret else default if typed is None else typed,
            "kept": question.secret and bool(question.default or question.key in self._first_run.kept()),
            "wrong": wrong.get(question.key, ""),
        }

    def _page(self, name: str, heading: str, step: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
        return HTMLResponse(self._text(name, heading, step, context), status, headers=self._headers())

    def _text(self, name: str, heading: str, step: str, context: Mapping[str, Any]) -> str:
        return self._templates.get_template(name).render({**context, "heading": heading, "step": step})

    def _headers(self) -> dict[str, str]:
        """No script at all, never stored, framed by nobody."""
        rules = (
            "default-src 'none'",
            f"style-src 'self' {style_hash(self._theme_css)}",
            "img-src 'self' data:",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
        return {"Cache-Control": "no-store", "Content-Security-Policy": "; ".join(rules)}


def _outcome_context(outcome: Outcome, key: str) -> dict[str, Any]:
    answers = outcome.answers
    url, name = answers.public_url, answers.widget
    tag = (
        f'<script async src="{url}/embed.js"></script>\n'
        f'<div data-holdfast="{name}"><a href="{url}/w/{name}">Book a time</a></div>'
    )
    # The server does not run yet, and nobody has made a copy of what is not there.
    later = {"address", "worker", "backup", "database"}
    findings = [one for one in outcome.findings if one.level is not Level.OK and one.about not in later]
    return {
        "refused": outcome.refused.splitlines(),
        "mail": outcome.mail,
        "findings": [f"{one.says[:1].upper()}{one.says[1:]}. {one.fix}" for one in findings],
        "tag": tag,
        "widget": f"{url}/w/{name}",
        "staff": f"{url}/staff",
        "key": key,
    }
