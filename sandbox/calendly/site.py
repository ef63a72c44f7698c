"""Calendly's public pages: book, cancel, reschedule. Anyone who has a link needs no login.

At Calendly they are at calendly.com. Tracking comes from the address, as `utm_source` and so on.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.calendly import acts, fields
from sandbox.calendly.availability import Opening, openings
from sandbox.calendly.pages import render
from sandbox.calendly.records import TRACKING_KEYS, Event, EventType, Invitee, Json
from sandbox.calendly.state import State
from sandbox.faults import BadControl

_SHOWN: Final = 40
_AHEAD: Final = timedelta(days=14)

Page = Callable[[Request], Awaitable[Response]]


def routes(state: State) -> list[BaseRoute]:
    """Return the pages below /site."""
    site = _Site(state)
    return [
        Route("/cancellations/{invitee}", site.cancel, methods=["GET", "POST"]),
        Route("/reschedulings/{invitee}", site.reschedule, methods=["GET", "POST"]),
        Route("/{user}/{slug}", site.book, methods=["GET", "POST"]),
    ]


class _Site:
    def __init__(self, state: State) -> None:
        self._state = state

    async def book(self, request: Request) -> Response:
        state, params = self._state, request.path_params
        event_type = next(
            (
                one
                for one in state.event_types.values()
                if one.slug == params["slug"] and state.users[one.hosts[0]].slug == params["user"]
            ),
            None,
        )
        if event_type is None or not event_type.active:
            return self._page(request, "This calendar is not available.", status=404)
        context: Json = {
            "host": state.users[event_type.hosts[0]],
            "event_type": event_type,
            "times": next_openings(state, event_type),
            "act": "book",
        }
        if request.method == "GET":
            return self._page(request, event_type.name, **context)
        given = await _form(request)
        tracking = {name: request.query_params[name] for name in TRACKING_KEYS if name in request.query_params}
        answers = {question.name: given.get(f"q{question.position}", "") for question in event_type.custom_questions}
        try:
            if any(one.required and one.enabled and not answers[one.name] for one in event_type.custom_questions):
                raise BadControl("answer the required questions")
            invitee = acts.book(
                state,
                event_type.id,
                _start(given),
                name=given.get("name", ""),
                email=given.get("email", ""),
                tracking=tracking,
                answers=answers,
            )
        except BadControl as refusal:
            return self._page(request, event_type.name, status=409, **context, problem=str(refusal))
        return self._done(request, "You are scheduled", invitee)

    async def cancel(self, request: Request) -> Response:
        invitee, event = self._find(request)
        if invitee is None or event is None:
            return self._page(request, "This link is not valid.", status=404)
        if request.method == "GET" or invitee.cancellation:
            title = "This event is cancelled" if invitee.cancellation else "Cancel this event?"
            return self._done(request, title, invitee, act=None if invitee.cancellation else "cancel")
        try:
            cancelled = acts.cancel_as_invitee(self._state, invitee.id, (await _form(request)).get("reason") or None)
        except BadControl as refusal:
            return self._done(request, "This event cannot be cancelled", invitee, status=409, problem=str(refusal))
        return self._done(request, "This event is cancelled", cancelled)

    async def reschedule(self, request: Request) -> Response:
        invitee, event = self._find(request)
        if invitee is None or event is None:
            return self._page(request, "This link is not valid.", status=404)
        if invitee.cancellation:
            return self._done(request, "This event is cancelled", invitee)
        event_type = self._state.event_types[event.event_type]
        times = next_openings(self._state, event_type, ignoring=event)
        if request.method == "GET":
            return self._done(request, "Choose another time", invitee, act="reschedule", times=times)
        try:
            moved = acts.reschedule(self._state, invitee.id, _start(await _form(request)))
        except BadControl as refusal:
            context: Json = {"act": "reschedule", "times": times, "problem": str(refusal)}
            return self._done(request, "Choose another time", invitee, status=409, **context)
        return self._done(request, "Your event is rescheduled", moved)

    def _find(self, request: Request) -> tuple[Invitee | None, Event | None]:
        invitee = self._state.invitees.get(request.path_params["invitee"])
        return invitee, self._state.events[invitee.event] if invitee else None

    def _done(self, request: Request, title: str, invitee: Invitee, status: int = 200, **context: Any) -> Response:
        """Return the page about one invitee's event."""
        event = self._state.events[invitee.event]
        host = self._state.users[event.hosts[0]]
        return self._page(request, title, status=status, host=host, event=event, invitee=invitee, **context)

    def _page(self, request: Request, title: str, status: int = 200, **context: Any) -> Response:
        shown: Json = {"title": title, "act": None, "problem": None, "times": [], "event": None, "host": None}
        return render(request, "calendly_site.html", shown | context, status)


def next_openings(state: State, event_type: EventType, ignoring: Event | None = None) -> list[Opening]:
    """Return the next free starts of an event type, as a page shows them."""
    found = openings(state, event_type, state.now(), state.now() + _AHEAD, ignoring=ignoring)
    return [one for one in found if ignoring is None or one.start != ignoring.start][:_SHOWN]


async def _form(request: Request) -> dict[str, str]:
    async with request.form() as form:
        return {name: str(value) for name, value in form.items()}


def _start(given: dict[str, str]) -> datetime:
    start = fields.moment(given.get("start_time"))
    if start is None:
        raise BadControl("choose a time")
    return start
