"""The operator's side: switches, faults, clock, and acts that come from outside, over HTTP and as one page."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, Protocol, get_args, runtime_checkable

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sandbox.stripe import clockwork, disputes, hosted, payments, refunds
from sandbox.stripe.account import Account, Fault, FaultKind, RefundMode, Switches
from sandbox.stripe.errors import StripeError
from sandbox.stripe.idempotency import Memory

_FAULTS = TypeAdapter(list[Fault])


@runtime_checkable
class Settable(Protocol):
    """A clock that can be moved (sandbox.clock.Clock)."""

    def set(self, at: datetime) -> None: ...
    def advance(self, by: timedelta) -> None: ...


class ControlError(Exception):
    """The operator asked for something that cannot be; the sentence says what."""


Pay = Callable[[str, payments.Card], Awaitable[str]]


def routes(account: Account, memory: Memory, deliver: Callable[[], Awaitable[int]], pay: Pay) -> list[BaseRoute]:
    desk = _Desk(account, memory, deliver, pay)
    inner = [
        Route("/", desk.page, methods=["GET"]),
        Route("/switches", desk.show_switches, methods=["GET"]),
        Route("/switches", desk.change_switches, methods=["PATCH", "POST"]),
        Route("/faults", desk.show_faults, methods=["GET"]),
        Route("/faults", desk.add_faults, methods=["POST"]),
        Route("/faults", desk.clear_faults, methods=["DELETE"]),
        Route("/clock", desk.set_clock, methods=["PUT"]),
        Route("/reset", desk.reset, methods=["POST"]),
        Route("/calls", desk.show_calls, methods=["GET"]),
        Route("/deliver", desk.deliver, methods=["POST"]),
        Route("/sessions/{id}/pay", desk.pay, methods=["POST"]),
        Route("/sessions/{id}/force_pay", desk.force_pay, methods=["POST"]),
        Route("/payment_intents/{id}/settle_delayed", desk.settle_delayed, methods=["POST"]),
        Route("/payment_intents/{id}/refund", desk.refund, methods=["POST"]),
        Route("/payment_intents/{id}/dispute", desk.dispute, methods=["POST"]),
        Route("/disputes/{id}/close", desk.close_dispute, methods=["POST"]),
        Route("/refunds/{id}", desk.settle_refund, methods=["POST"]),
    ]
    return [Mount("/_sandbox", routes=inner)]


def refused(_: Request, error: Exception) -> Response:
    """What the desk cannot do, as plain JSON: this is our own door, not Stripe's."""
    return JSONResponse({"error": str(error)}, status_code=400)


def change_switches(switches: Switches, changes: dict[str, Any]) -> None:
    """Sets the named switches, all or none. Raises ControlError for an unknown name or a wrong value."""
    try:
        wanted = Switches(**{**asdict(switches), **changes})
    except ValidationError as error:
        raise ControlError(_in_words(error)) from error
    for name in changes:
        setattr(switches, name, getattr(wanted, name))


def force_pay(account: Account, session_id: str) -> None:
    """Money that lands however the Session stands, expired too: the late payment nobody can exclude."""
    session = account.state.sessions.get(session_id)
    if session is None:
        raise ControlError(f"No Session {session_id}")
    if session["status"] == "complete":
        raise ControlError("This Session is paid already; nobody pays twice.")
    if session["status"] == "expired" and not account.switches.allow_late_payment:
        raise ControlError("This Session is expired; switch allow_late_payment on to let money land late.")
    buyer = payments.Buyer(email=session["customer_email"] or "buyer@example.test", name="Late Buyer")
    # A PaymentIntent that ended with the Session stays ended; late money comes as a new one.
    intent = account.state.payment_intents.get(session["payment_intent"] or "")
    if intent is not None and intent["status"] == "canceled":
        session["payment_intent"] = None
    payments.confirm(account, session, "ok", buyer)


def dashboard_refund(account: Account, intent_id: str, amount: int | None) -> dict[str, Any]:
    """A refund made by hand: no call of ours, no metadata of ours. Raises StripeError as for a call."""
    return refunds.create(account, {"payment_intent": intent_id} | ({} if amount is None else {"amount": amount}))


class _Desk:
    def __init__(self, account: Account, memory: Memory, deliver: Callable[[], Awaitable[int]], pay: Pay) -> None:
        self._account = account
        self._memory = memory
        self._deliver = deliver
        self._pay = pay

    async def page(self, request: Request) -> Response:
        clockwork.act(self._account)
        state = self._account.state
        context = {
            "business": self._account.business,
            "now": self._account.now(),
            "sessions": list(state.sessions.values())[::-1],
            "intents": list(state.payment_intents.values())[::-1],
            "refunds": list(state.refunds.values())[::-1],
            "disputes": list(state.disputes.values())[::-1],
            "outcomes": disputes.OUTCOMES,
            "deliveries": state.deliveries[::-1],
            "calls": self._account.calls[:-31:-1],
            "faults": self._account.faults,
            "switches": asdict(self._account.switches),
            "choices": {"deliver": ("on", "off"), "refund_mode": get_args(RefundMode)},
            "fault_kinds": get_args(FaultKind),
        }
        return hosted.render(request, "stripe_desk.html", context)

    async def show_switches(self, _: Request) -> Response:
        return JSONResponse(asdict(self._account.switches))

    async def change_switches(self, request: Request) -> Response:
        changes = await self._body(request)
        if request.method == "POST":
            # A form leaves out the boxes that are not ticked.
            booleans = [field.name for field in fields(Switches) if isinstance(field.default, bool)]
            changes = dict.fromkeys(booleans, False) | changes
        change_switches(self._account.switches, changes)
        return await self._done(request, asdict(self._account.switches))

    async def show_faults(self, _: Request) -> Response:
        return JSONResponse([_shown(fault) for fault in self._account.faults])

    async def add_faults(self, request: Request) -> Response:
        given = await self._body(request)
        if isinstance(given, dict):
            given = [{key: value for key, value in given.items() if value != ""}]
        try:
            faults = _FAULTS.validate_python(given)
        except ValidationError as error:
            raise ControlError(_in_words(error)) from error
        for fault in faults:
            try:
                re.compile(fault.path or "")
            except re.error as error:
                raise ControlError(f"path is not a regular expression: {error}") from error
        self._account.faults.extend(faults)
        return await self._done(request, [_shown(fault) for fault in self._account.faults])

    async def clear_faults(self, _: Request) -> Response:
        self._account.faults.clear()
        return JSONResponse([])

    async def set_clock(self, request: Request) -> Response:
        """`{"at": ISO 8601 with offset}` or `{"advance_seconds": n}`."""
        clock = self._account.now
        if not isinstance(clock, Settable):
            raise ControlError("The clock of this sandbox is the real one.")
        body = await self._body(request)
        try:
            if "advance_seconds" in body:
                clock.advance(timedelta(seconds=int(body["advance_seconds"])))
            else:
                clock.set(datetime.fromisoformat(body["at"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ControlError("Give `at` (ISO 8601 with offset) or `advance_seconds`.") from error
        clockwork.act(self._account)
        return JSONResponse({"now": self._account.now().isoformat()})

    async def reset(self, request: Request) -> Response:
        self._account.reset()
        self._memory.clear()
        return await self._done(request, {})

    async def show_calls(self, _: Request) -> Response:
        return JSONResponse([asdict(call) | {"at": call.at.isoformat()} for call in self._account.calls])

    async def deliver(self, request: Request) -> Response:
        clockwork.act(self._account)
        return await self._done(request, {"sent": await self._deliver()})

    async def pay(self, request: Request) -> Response:
        card = (await self._body(request)).get("card", "ok")
        if card not in get_args(payments.Card):
            raise ControlError(f"card is one of {', '.join(get_args(payments.Card))}")
        ident = request.path_params["id"]
        location = await self._pay(ident, card)
        return await self._done(request, {"location": location})

    async def force_pay(self, request: Request) -> Response:
        clockwork.act(self._account)
        force_pay(self._account, request.path_params["id"])
        return await self._done(request, self._account.state.sessions[request.path_params["id"]])

    async def settle_delayed(self, request: Request) -> Response:
        outcome = (await self._body(request)).get("outcome")
        if outcome not in ("succeeded", "failed"):
            raise ControlError("outcome is succeeded or failed")
        ident = request.path_params["id"]
        payments.settle_delayed(self._account, ident, succeeded=outcome == "succeeded")
        return await self._done(request, self._account.state.payment_intents[ident])

    async def refund(self, request: Request) -> Response:
        """As the owner makes one in the Dashboard: all that is left unless `amount` says less, no metadata of ours."""
        clockwork.act(self._account)
        amount = (await self._body(request)).get("amount") or None
        try:
            amount = None if amount is None else int(amount)
        except (TypeError, ValueError) as error:
            raise ControlError("amount is a number of smallest units") from error
        return await self._done(request, dashboard_refund(self._account, request.path_params["id"], amount))

    async def dispute(self, request: Request) -> Response:
        """`{"reason": …, "inquiry": true}`, both optional."""
        clockwork.act(self._account)
        body = await self._body(request)
        reason, inquiry = str(body.get("reason") or "product_not_received"), bool(body.get("inquiry"))
        made = disputes.open_(self._account, request.path_params["id"], reason, inquiry=inquiry)
        return await self._done(request, made)

    async def close_dispute(self, request: Request) -> Response:
        """`{"status": "won" | "lost" | "warning_closed"}`."""
        clockwork.act(self._account)
        outcome = str((await self._body(request)).get("status"))
        return await self._done(request, disputes.close(self._account, request.path_params["id"], outcome))

    async def settle_refund(self, request: Request) -> Response:
        clockwork.act(self._account)
        status = str((await self._body(request)).get("status"))
        return await self._done(request, refunds.settle(self._account, request.path_params["id"], status))

    async def _body(self, request: Request) -> Any:
        """JSON from programs, a form from the page."""
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return dict((await request.form()).items())
        if not await request.body():
            return {}
        try:
            return await request.json()
        except ValueError as error:
            raise ControlError("The body is not JSON.") from error

    async def _done(self, request: Request, answer: Any) -> Response:
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return RedirectResponse("/_sandbox/", status_code=303)
        return JSONResponse(answer)


def _shown(fault: Fault) -> dict[str, Any]:
    """The fields that its kind has."""
    shared = {"kind", "method", "path", "times"}
    return {name: value for name, value in asdict(fault).items() if fault.kind == "refuse" or name in shared}


def _in_words(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())


def errors() -> dict[Any, Any]:
    """Exception handlers for the desk; Stripe's own refusals reach it too, by acts on the wrong state."""
    return {ControlError: refused, StripeError: refused}
