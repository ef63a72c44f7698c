"""The owner's and the stranger's page at /_sandbox/, and the same over HTTP: acts, switches, faults, what there is."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.calcom import availability, views
from sandbox.calcom.acts import BY_NAME, Acts
from sandbox.calcom.control import choices
from sandbox.calcom.state import Json, State
from sandbox.calcom.times import iso
from sandbox.faults import FAULT_KINDS, BadControl, parse_fault
from sandbox.operating import common_routes, read_json, strict
from sandbox.pages import page_templates

Deliver = Callable[[], Awaitable[int]]

_TEMPLATES = page_templates()
_FORM: Final = "application/x-www-form-urlencoded"


def desk_routes(state: State, acts: Acts, deliver: Deliver) -> list[BaseRoute]:
    """Return the routes below /_sandbox."""
    desk = _Desk(state, acts, deliver)
    return [
        Route("/", desk.page, methods=["GET"]),
        Route("/acts/{name}", desk.strict(desk.act), methods=["POST"]),
        Route("/switches", strict(desk.show_switches), methods=["GET"]),
        Route("/switches", strict(desk.patch_switches), methods=["PATCH"]),
        Route("/deliver", desk.strict(desk.deliver), methods=["POST"]),
        Route("/bookings", desk.show_bookings, methods=["GET"]),
        Route("/reservations", desk.show_reservations, methods=["GET"]),
        Route("/deliveries", desk.show_deliveries, methods=["GET"]),
        # The page's forms, where the routes of all sandboxes speak JSON.
        Route("/forms/switches", desk.strict(desk.set_switches), methods=["POST"]),
        Route("/forms/faults", desk.strict(desk.add_fault), methods=["POST"]),
        Route("/forms/clear_faults", desk.strict(desk.clear_faults), methods=["POST"]),
        Route("/forms/reset", desk.strict(desk.reset), methods=["POST"]),
        *common_routes(state),
    ]


class _Desk:
    def __init__(self, state: State, acts: Acts, deliver: Deliver) -> None:
        self._state = state
        self._acts = acts
        self._deliver = deliver

    def strict(self, endpoint: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
        """Answer a form with the page again, and anything else with JSON; BadControl is a 400 either way."""

        async def answer(request: Request) -> Response:
            form = request.headers.get("content-type", "").startswith(_FORM)
            try:
                result = await endpoint(request)
            except BadControl as error:
                if form:
                    return self._page(request, str(error), 400)
                return JSONResponse({"message": str(error)}, 400)
            return RedirectResponse("/_sandbox/", 303) if form else JSONResponse(result)

        return answer

    async def page(self, request: Request) -> Response:
        return self._page(request)

    def _page(self, request: Request, error: str | None = None, status: int = 200) -> Response:
        state, owner = self._state, self._state.owner
        zone = owner.zone
        nonce = secrets.token_urlsafe(16)
        context = {
            "nonce": nonce,
            "error": error,
            "owner": owner,
            "now": state.now().astimezone(zone),
            "key_valid": state.key_of(state.token) is not None,
            "hours": state.schedules.get(owner.default_schedule_id or 0),
            "types": list(state.event_types.values()),
            "next_free": {kind.id: self._next_free(kind.id, zone) for kind in state.event_types.values()},
            "reservations": list(state.reservations.values())[::-1],
            "bookings": list(state.bookings.values())[::-1],
            "successors": {one.from_uid: one.uid for one in state.bookings.values() if one.from_uid},
            "blocks": list(state.blocks.values()),
            "webhooks": list(state.webhooks.values()),
            "deliveries": state.deliveries.queue[:-31:-1],
            "calls": state.calls[:-31:-1],
            "faults": state.faults,
            "fault_kinds": FAULT_KINDS,
            "switches": {name: (value, choices(name)) for name, value in asdict(state.switches).items()},
            "at": lambda moment: _local(moment, zone),
            "days": lambda names: ", ".join(name[:3] for name in names),
        }
        return _TEMPLATES.TemplateResponse(
            request,
            "calcom_desk.html",
            context,
            status_code=status,
            headers={
                "X-Frame-Options": "DENY",
                "Content-Security-Policy": f"default-src 'none'; img-src data:; style-src 'nonce-{nonce}'; "
                "base-uri 'none'; frame-ancestors 'none'",
                "Cache-Control": "no-store",
            },
        )

    def _next_free(self, type_id: int, zone: ZoneInfo) -> str:
        """The next start that a stranger could book, for the form; empty where there is none within two weeks."""
        state, kind = self._state, self._state.event_types[type_id]
        now = state.now()
        for days in range(14):
            window = (now + days * availability.DAY, now + (days + 1) * availability.DAY)
            for start in availability.slot_starts(state, kind, kind.minutes, window):
                return start.astimezone(zone).isoformat(timespec="minutes")
        return ""

    async def act(self, request: Request) -> Any:
        name = request.path_params["name"]
        if name not in BY_NAME:
            raise BadControl(f"there is no act {name!r}; there are {', '.join(BY_NAME)}")
        return BY_NAME[name](self._acts, await self._body(request))

    async def show_switches(self, request: Request) -> Response:
        return JSONResponse(asdict(self._state.switches))

    async def patch_switches(self, request: Request) -> Response:
        self._state.switches.update(await read_json(request))
        return JSONResponse(asdict(self._state.switches))

    async def set_switches(self, request: Request) -> Json:
        """From a form, where every value is text."""
        given = await self._body(request)
        self._state.switches.update({name: _value(name, text) for name, text in given.items()})
        return asdict(self._state.switches)

    async def add_fault(self, request: Request) -> None:
        given = {name: text for name, text in (await self._body(request)).items() if text != ""}
        numbers = {name: int(text) for name, text in given.items() if name in ("times", "status") and text.isdecimal()}
        self._state.faults.append(parse_fault(given | numbers))

    async def clear_faults(self, request: Request) -> None:
        self._state.faults.clear()

    async def reset(self, request: Request) -> None:
        self._state.clear()

    async def deliver(self, request: Request) -> Json:
        return {"sent": await self._deliver()}

    async def show_bookings(self, request: Request) -> Response:
        """All of them, as the API shows them, without the list's lag."""
        state = self._state
        return JSONResponse([views.booking(state, one, "2024-08-13") for one in state.bookings.values()])

    async def show_reservations(self, request: Request) -> Response:
        return JSONResponse([views.reservation(one) for one in self._state.reservations.values()])

    async def show_deliveries(self, request: Request) -> Response:
        return JSONResponse(
            [
                {
                    "trigger": one.kind,
                    "url": one.endpoint.url,
                    "state": one.state,
                    "answers": one.answers,
                    "due_at": iso(one.due_at),
                    "body": one.body.decode(),
                }
                for one in self._state.deliveries.queue
            ]
        )

    async def _body(self, request: Request) -> Json:
        """JSON from programs, a form from the page."""
        if request.headers.get("content-type", "").startswith(_FORM):
            return dict((await request.form()).items())
        if not await request.body():
            return {}
        raw = await read_json(request)
        if not isinstance(raw, dict):
            raise BadControl("the body is a JSON object")
        return raw


def _value(name: str, text: str) -> Any:
    """A switch's value from the text of a form; an empty one is None."""
    for choice in choices(name):
        if str(choice) == text:
            return choice
    if text == "":
        return None
    return int(text) if text.isdecimal() else text


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%a %d %b %H:%M")
