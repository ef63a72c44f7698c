"""Makes events, signs them and delivers them: at least once, in no order, as the switches say."""

import copy
import hashlib
import hmac
import json
from datetime import timedelta

import httpx

from sandbox.stripe.account import Account, Delivery, Object
from sandbox.stripe.schema import API_VERSION, check

# Stripe retries in a sandbox three times within a few hours (Stripe docs, Webhooks); the gaps are ours.
RETRY_GAPS = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
TIMEOUT_SECONDS = 20.0

#: The kinds that an endpoint of a service that sells over Checkout is usually set up for, in the Dashboard.
CHECKOUT_EVENTS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)


def emit(account: Account, kind: str, subject: Object, previous: Object | None = None) -> Object:
    """Stores an event with a frozen copy of its object and puts it on its way."""
    data: Object = {"object": copy.deepcopy(subject)}
    if previous is not None:
        data["previous_attributes"] = previous
    subscribed = _subscribed(account, kind)
    event: Object = {
        "id": account.new_id("evt_"),
        "object": "event",
        "api_version": API_VERSION,
        "created": account.seconds(),
        "data": data,
        "livemode": False,
        "pending_webhooks": len(subscribed),
        "request": dict(account.cause),
        "type": kind,
    }
    check(event)
    account.state.events[event["id"]] = event
    due = account.now() + timedelta(seconds=account.switches.delay_seconds)
    for endpoint_id in subscribed:
        for _ in range(2 if account.switches.double else 1):
            account.state.deliveries.append(Delivery(event["id"], kind, due, endpoint_id))
    return event


def _subscribed(account: Account, kind: str) -> list[str]:
    """The endpoints of the account that are sent events of this kind."""
    return [
        endpoint["id"]
        for endpoint in account.webhook_endpoints.values()
        if endpoint["status"] == "enabled" and {kind, "*"} & set(endpoint["enabled_events"])
    ]


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `{timestamp}.{payload}` (Stripe docs, Webhooks)."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256)
    return f"t={timestamp},v1={digest.hexdigest()}"


class Deliverer:
    """Sends what is due to the account's endpoints."""

    def __init__(self, account: Account, client: httpx.AsyncClient) -> None:
        self._account = account
        self._client = client

    async def deliver_due(self) -> int:
        """Tries every delivery that is due now, once; returns how many requests were made."""
        account = self._account
        if account.switches.deliver == "off":
            return 0
        moment = account.now()
        due = [
            one for one in account.state.unended_deliveries.look() if one.state == "pending" and one.due_at <= moment
        ]
        if account.switches.reorder:
            due.reverse()
        sent = 0
        for delivery in due:
            # Another caller may have taken it while we were sending an earlier one.
            if delivery.state != "pending":
                continue
            if account.switches.lose > 0 or delivery.endpoint_id not in account.webhook_endpoints:
                account.switches.lose = max(0, account.switches.lose - 1)
                delivery.state = "lost"
                continue
            delivery.state = "sending"
            sent += 1
            await self._attempt(delivery)
        return sent

    async def _attempt(self, delivery: Delivery) -> None:
        event = self._account.state.events[delivery.event_id]
        endpoint = self._account.webhook_endpoints[delivery.endpoint_id]
        payload = json.dumps(event, indent=2).encode()
        # Signed again at each attempt, so a late retry is not refused for its age.
        signature = sign(payload, self._account.endpoint_secrets[endpoint["id"]], self._account.seconds())
        if self._account.switches.tamper > 0:
            self._account.switches.tamper -= 1
            payload = payload.replace(b'"livemode": false', b'"livemode": true ', 1)
        status: int | None = None
        try:
            response = await self._client.post(
                endpoint["url"],
                content=payload,
                headers={
                    "Content-Type": "application/json; charset=utf-8",
                    "Stripe-Signature": signature,
                    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                },
                timeout=TIMEOUT_SECONDS,
                follow_redirects=False,
            )
            status = response.status_code
        except httpx.TransportError:
            pass  # recorded as an attempt without an answer
        finally:
            # In `finally`: an attempt that was cut off (shutdown, a crash in the receiver) is retried too.
            self._record(delivery, event, status)

    def _record(self, delivery: Delivery, event: Object, status: int | None) -> None:
        delivery.answers.append(status)
        if status is not None and 200 <= status < 300:
            delivery.state = "delivered"
            event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
        elif len(delivery.answers) > len(RETRY_GAPS):
            delivery.state = "failed"
        else:
            delivery.state = "pending"
            delivery.due_at = self._account.now() + RETRY_GAPS[len(delivery.answers) - 1]
