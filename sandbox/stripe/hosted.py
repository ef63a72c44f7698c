"""The hosted payment page: what a buyer sees and does at Stripe. Works without script, refuses framing."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.pages import page_templates
from sandbox.stripe import clockwork, money, payments
from sandbox.stripe.account import Account, Object
from sandbox.stripe.errors import StripeError
from sandbox.stripe.sessions import DELAYED_METHODS

TEMPLATES = page_templates()
TEMPLATES.env.filters["money"] = money.describe

SUBMIT_WORDS = {"book": "Book", "donate": "Donate", "subscribe": "Subscribe"}
DELAYED_WORDS = {
    "sepa_debit": "SEPA Direct Debit",
    "us_bank_account": "US bank account",
    "bacs_debit": "Bacs Direct Debit",
}


def routes(account: Account, deliver: Callable[[], Awaitable[int]]) -> list[BaseRoute]:
    page = HostedPage(account, deliver)
    return [
        Route("/c/pay/{session}", page.show, methods=["GET"]),
        Route("/c/pay/{session}", page.submit, methods=["POST"]),
        Route("/c/pay/{session}/3ds", page.show_3ds, methods=["GET"]),
        Route("/c/pay/{session}/3ds", page.submit_3ds, methods=["POST"]),
        Route("/receipts/{charge}", page.receipt, methods=["GET"]),
    ]


def render(request: Request, name: str, context: Object, status: int = 200) -> Response:
    """A page of the sandbox. `form-action` is left open, since browsers hold it against redirects too."""
    nonce = secrets.token_urlsafe(16)
    return TEMPLATES.TemplateResponse(
        request,
        name,
        {**context, "nonce": nonce},
        status_code=status,
        headers={
            "X-Frame-Options": "DENY",
            "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; "
            f"frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )


class HostedPage:
    def __init__(self, account: Account, deliver: Callable[[], Awaitable[int]]) -> None:
        self._account = account
        self._deliver = deliver
        self._deliveries: set[asyncio.Task[int]] = set()
        self._buyers: dict[str, payments.Buyer] = {}  # who stands before the 3-D Secure page, by Session

    async def show(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or session["status"] != "open":
            return self._closed(request, session)
        return self._form(request, session)

    async def submit(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or session["status"] != "open":
            return self._closed(request, session)
        form = await request.form()
        card = str(form.get("card", ""))
        email = session["customer_email"] or str(form.get("email", "")).strip()
        buyer = payments.Buyer(
            email=email,
            # Stripe wants it for a card. Here nothing of a card is typed, so that trying takes one click.
            name=str(form.get("name", "")).strip() or None,
            phone=str(form.get("phone", "")).strip() or None,
        )
        if "@" not in email:
            return self._form(request, session, "Enter an email address, so the receipt can reach you.", buyer)
        if card not in self._cards(session):
            return self._form(request, session, "Choose how to pay.", buyer)
        payments.confirm(self._account, session, self._cards(session)[card][0], buyer)
        if self._waits_for_3ds(session):
            self._buyers[session["id"]] = buyer
            return RedirectResponse(f"/c/pay/{session['id']}/3ds", status_code=303)
        if session["status"] == "open":
            return self._form(request, session, self._last_error(session), buyer)
        return await self._back_to_shop(session)

    async def show_3ds(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or session["status"] != "open":
            return self._closed(request, session)
        if not self._waits_for_3ds(session):
            return RedirectResponse(f"/c/pay/{session['id']}", status_code=303)
        return render(request, "stripe_3ds.html", self._context(session))

    async def submit_3ds(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or session["status"] != "open":
            return self._closed(request, session)
        if not self._waits_for_3ds(session):
            return RedirectResponse(f"/c/pay/{session['id']}", status_code=303)
        form = await request.form()
        buyer = self._buyers.pop(session["id"])
        payments.authenticate(self._account, session, buyer, passed=form.get("outcome") == "complete")
        if session["status"] == "open":
            return self._form(request, session, self._last_error(session), buyer)
        return await self._back_to_shop(session)

    async def receipt(self, request: Request) -> Response:
        charge = self._account.state.charges.get(request.path_params["charge"])
        if charge is None or not charge["paid"]:
            return render(request, "stripe_closed.html", {"business": self._account.business, "session": None}, 404)
        return render(request, "stripe_receipt.html", {"business": self._account.business, "charge": charge})

    async def _back_to_shop(self, session: Object) -> Response:
        """303 to success_url, after waiting a while for the webhook's 2xx (Stripe docs, Fulfill orders)."""
        wait = self._account.switches.redirect_wait_seconds
        if wait > 0:
            # A task of its own: the wait is bounded, the delivery is not cut off by its end.
            task = asyncio.ensure_future(self._deliver())
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)
            done, _ = await asyncio.wait({task}, timeout=wait)
            for finished in done:
                finished.result()
        url = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return RedirectResponse(url, status_code=303)

    def _form(
        self, request: Request, session: Object, error: str | None = None, buyer: payments.Buyer | None = None
    ) -> Response:
        terms = self._account.state.terms[session["id"]]
        context = self._context(session) | {
            "cards": self._cards(session),
            "error": error,
            "buyer": buyer,
            "button": self._button(session),
            "lines": list(zip(terms.line_items, terms.about, strict=True)),
        }
        return render(request, "stripe_checkout.html", context, 402 if error else 200)

    def _closed(self, request: Request, session: Object | None) -> Response:
        status = 404 if session is None else 200
        return render(request, "stripe_closed.html", {"business": self._account.business, "session": session}, status)

    def _context(self, session: Object) -> Object:
        return {"business": self._account.business, "session": session}

    def _cards(self, session: Object) -> dict[str, tuple[payments.Card, str, str]]:
        """What the buyer can choose: form value → (behaviour, label, small print)."""
        cards: dict[str, tuple[payments.Card, str, str]] = {}
        methods = session["payment_method_types"]
        if "card" in methods or "link" in methods:
            cards["ok"] = ("ok", "Card that pays", "Visa •••• 4242")
            cards["decline"] = ("decline", "Card that is declined", "Visa •••• 0002 — you can try again")
            cards["3ds"] = ("3ds", "Card that needs 3-D Secure", "Visa •••• 3220 — your bank asks first")
        delayed = DELAYED_METHODS.get(session["currency"])
        if delayed in methods:
            cards["delayed"] = ("delayed", DELAYED_WORDS[str(delayed)], "The money takes days to arrive")
        return cards

    def _button(self, session: Object) -> str:
        if word := SUBMIT_WORDS.get(session["submit_type"]):
            return word
        return f"Pay {money.describe(session['amount_total'], session['currency'], session['locale'])}"

    def _session(self, request: Request) -> Object | None:
        clockwork.act(self._account)
        return self._account.state.sessions.get(request.path_params["session"])

    def _intent(self, session: Object) -> Object | None:
        return self._account.state.payment_intents.get(session["payment_intent"] or "")

    def _waits_for_3ds(self, session: Object) -> bool:
        intent = self._intent(session)
        return intent is not None and intent["status"] == "requires_action"

    def _last_error(self, session: Object) -> str:
        intent = self._intent(session)
        if intent is None or intent["last_payment_error"] is None:
            raise StripeError("The payment ended neither paid nor refused.")
        return str(intent["last_payment_error"]["message"])
