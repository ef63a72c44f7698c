"""A strict, stateful Stripe that speaks the real one's HTTP: Checkout Sessions with a hosted page, PaymentIntents,
refunds, disputes, events and signed webhooks. The stripe package works against it unchanged; faults are data."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware

from sandbox.stripe import api, clockwork, control, disputes, endpoints, hosted, refunds
from sandbox.stripe.account import Account, Call, Delivery, Fault, Object, State, Switches
from sandbox.stripe.control import ControlError
from sandbox.stripe.events import CHECKOUT_EVENTS, Deliverer
from sandbox.stripe.idempotency import Memory
from sandbox.stripe.payments import Card
from sandbox.stripe.schema import API_VERSION
from sandbox.stripe.transport import Connection, InProcess

__all__ = ["Call", "ControlError", "Delivery", "Fault", "State", "StripeSandbox", "Switches"]

DELIVERY_POLL_SECONDS = 0.25


class StripeSandbox:
    """One Stripe account in test mode.

    `app` serves `/v1/…`, the hosted page `/c/pay/{session_id}` and the operator's desk `/_sandbox/`.
    `public_url` is where browsers reach it; webhooks go to `webhook_url` and to the endpoints that are made over the
    API, through `webhook_client` if one is given (tests pass one that reaches the product in process).
    `enabled_events` are the kinds that are sent to the former, `*` is all of them; `GET /v1/events` lists all in any
    case.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        seed: int = 0,
        secret_key: str = "sk_test_sandbox",  # noqa: S107 - published on purpose
        public_url: str = "http://stripe.sandbox",
        webhook_secret: str = "whsec_sandbox",  # noqa: S107 - published on purpose
        webhook_client: httpx.AsyncClient | None = None,
        webhook_url: str | None = None,
        enabled_events: Sequence[str] = CHECKOUT_EVENTS,
    ) -> None:
        self._account = Account(now=now, seed=seed, public_url=public_url)
        self._deliverer: Deliverer | None = None
        if webhook_url is not None or webhook_client is not None:
            self._deliverer = Deliverer(self._account, webhook_client or httpx.AsyncClient())
        if webhook_url is not None:
            endpoints.new(
                self._account,
                url=webhook_url,
                enabled_events=list(enabled_events),
                api_version=API_VERSION,
                secret=webhook_secret,
                ident="we_1Sandbox",
            )
        memory = Memory(now)
        self.app = Starlette(
            routes=[
                *api.routes(self._account, memory, secret_key),
                *hosted.routes(self._account, self.deliver_due),
                *control.routes(self._account, memory, self.deliver_due, self._pay),
            ],
            middleware=[Middleware(Connection)],
            exception_handlers={404: api.unknown_url, 405: api.unknown_url, **control.errors()},
        )
        # `/v1/checkout/sessions/` with an empty id must not become a list call by redirect.
        self.app.router.redirect_slashes = False

    @property
    def webhook_endpoints(self) -> dict[str, Object]:
        """As configured in the Dashboard, by id; tests change them."""
        return self._account.webhook_endpoints

    @property
    def endpoint_secrets(self) -> dict[str, str]:
        """Their signing secrets, by the endpoints' ids."""
        return self._account.endpoint_secrets

    @property
    def switches(self) -> Switches:
        return self._account.switches

    @property
    def faults(self) -> list[Fault]:
        """Tests may append to it."""
        return self._account.faults

    @property
    def calls(self) -> list[Call]:
        return self._account.calls

    @property
    def business(self) -> str:
        """The name that buyers read on the payment page; may be set."""
        return self._account.business

    @business.setter
    def business(self, name: str) -> None:
        self._account.business = name

    @property
    def state(self) -> State:
        return self._account.state

    def transport(self) -> httpx.AsyncBaseTransport:
        """For an httpx client that shall reach the sandbox in process."""
        return InProcess(self.app)

    async def deliver_due(self) -> int:
        """Tries each webhook delivery that is due by the clock once; returns how many requests were made."""
        clockwork.act(self._account)
        return await self._deliverer.deliver_due() if self._deliverer else 0

    async def run_deliveries(self) -> None:
        """Delivers for ever; over sockets this runs next to the server, and is ended by cancelling it."""
        while True:
            await self.deliver_due()
            await asyncio.sleep(DELIVERY_POLL_SECONDS)

    async def pay(self, session_id: str, *, card: Card = "ok") -> str:
        """Acts as the buyer through the hosted page, 3-D Secure step included.

        Returns where the browser ends: the success_url with the id filled in, or the page itself when the card is
        declined. Raises ControlError if the page offers no such way to pay (expired, paid, method not allowed).
        """
        return await self._pay(session_id, card)

    def refund_in_dashboard(self, payment_intent_id: str, *, amount: int | None = None) -> Object:
        """Acts as the owner in Stripe's Dashboard: a refund (of all that is left) without any metadata of ours."""
        clockwork.act(self._account)
        return control.dashboard_refund(self._account, payment_intent_id, amount)

    def settle_refund(self, refund_id: str, status: str) -> Object:
        """Acts as the buyer's bank: the refund comes to another status, such as succeeded or failed."""
        clockwork.act(self._account)
        return refunds.settle(self._account, refund_id, status)

    def open_dispute(self, payment_intent_id: str, *, inquiry: bool = False) -> Object:
        """Acts as the buyer's bank, which takes the money back for now; an inquiry only asks."""
        clockwork.act(self._account)
        return disputes.open_(self._account, payment_intent_id, inquiry=inquiry)

    def close_dispute(self, dispute_id: str, outcome: str) -> Object:
        """Acts as the buyer's bank, which decides: won or lost, warning_closed for an inquiry."""
        clockwork.act(self._account)
        return disputes.close(self._account, dispute_id, outcome)

    async def _pay(self, session_id: str, card: Card) -> str:
        base = self._account.public_url
        url = f"{base}/c/pay/{session_id}"
        async with httpx.AsyncClient(transport=self.transport(), base_url=base, timeout=60) as browser:
            shown = await browser.get(url)
            if f'value="{card}"' not in shown.text:
                raise ControlError(f"The page of {session_id} offers no way to pay with {card!r}.")
            form = {"card": card, "email": "buyer@example.test", "name": "Ada Example"}
            answer = await browser.post(url, data=form)
            location = answer.headers.get("location", url)
            if urlsplit(location).path.endswith(f"{session_id}/3ds"):
                answer = await browser.post(f"{url}/3ds", data={"outcome": "complete"})
                location = answer.headers.get("location", url)
        return str(location)
