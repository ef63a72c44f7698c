"""From what happened to what owners' programs have received.

It runs next to the worker and not in its tick, so that a program which does not answer holds up no confirmation. A look
finds what happened since the last one and writes a delivery for each endpoint that wants it; then each endpoint is sent
what is due, one message at a time. Of several processes, one has an endpoint for as long as its lease lasts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.domain.booking import Booking
from app.domain.outgoing_webhooks import (
    KEPT,
    OFF_AFTER,
    PAUSES,
    REST_FROM,
    Delivery,
    Endpoint,
    Happening,
    Wanted,
    pause_after,
    rest_after,
)
from app.errors import BookingConflict, MailError, NotFound, StorageError
from app.mail import Mailer
from app.operations.outgoing_webhooks.messages import customer_of, message_of, test_message
from app.operations.outgoing_webhooks.sender import Sender, Sent
from app.operations.outgoing_webhooks.signature import Secrets
from app.operations.outgoing_webhooks.words import off_words
from app.store import Store
from app.store.outgoing_webhooks import Backlog
from app.widgets import Widget, Widgets

log = structlog.get_logger()

#: Seconds between two looks; a program hears of a booking so long after it at most, and a request later.
LOOK_EVERY = 2.0
#: Endpoints that are sent to at the same time; each of them to one message.
AT_ONCE = 4
#: Longer than the longest request with the write after it. A process that dies leaves its endpoint alone for so long.
LEASE = timedelta(seconds=60)
#: Messages that an endpoint gets before others have their turn.
_IN_A_ROW = 20
_FORGET_EVERY = timedelta(hours=6)
_MAIL_AGAIN = timedelta(hours=1)


class OutgoingWebhooks:
    """`live` is whether real money is moved; `now` gives aware datetimes, `sleep` waits seconds."""

    # Nine: the parts, and what tests put in the place of time, chance and waiting.
    def __init__(
        self,
        *,
        store: Store,
        widgets: Widgets,
        sender: Sender,
        secrets: Secrets,
        mailer: Mailer,
        live: bool,
        now: Callable[[], datetime],
        random: Random,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._widgets = widgets
        self._sender = sender
        self._secrets = secrets
        self._mailer = mailer
        self._live = live
        self._now = now
        self._random = random
        self._sleep = sleep
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._set_up = False
        self._any = any(widget.webhooks for widget in widgets.values())
        self._next_forgetting = now()

    # -- the task ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look and send until cancelled, or told to stop."""
        try:
            while not self._stopping:
                try:
                    await self._step()
                except (SQLAlchemyError, StorageError) as error:  # a database that is busy for once
                    log.warning("webhooks put off", error=type(error).__name__)
                if not self._stopping:
                    await self._sleep(LOOK_EVERY)
        finally:
            tasks = list(self._sending.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    def stop(self) -> None:
        """End `run` after the look under way. A message that is being sent is sent again after the next start."""
        self._stopping = True

    async def tick(self) -> None:
        """One look, and everything that it finds due is sent."""
        await self._step()
        while self._sending:
            await asyncio.gather(*self._sending.values())

    async def _step(self) -> None:
        if not self._set_up:
            await self._store.set_endpoints(self.wanted())
            self._set_up = True
        if self._now() >= self._next_forgetting:
            self._next_forgetting = self._now() + _FORGET_EVERY
            await self._store.forget_deliveries(self._now() - KEPT)
        if not self._any:
            return  # and nothing is asked of the database
        await self._look(await self._store.endpoints())
        await self._send_due()
        await self._tell_owners()

    def wanted(self) -> list[Wanted]:
        """The endpoints as widgets.toml has them."""
        return [
            Wanted(f"{widget.name}.{one.name}", widget.name, one.url, frozenset(one.events), one.personal_data)
            for widget in self._widgets.values()
            for one in widget.webhooks
        ]

    # -- from what happened to deliveries ------------------------------------------------------------------------

    async def _look(self, endpoints: Sequence[Endpoint]) -> None:
        by_widget: dict[str, list[Endpoint]] = {}
        for endpoint in endpoints:
            by_widget.setdefault(endpoint.widget, []).append(endpoint)
        look = await self._store.look_for_happenings(by_widget.keys())
        deliveries: list[Delivery] = []
        for happening in look.happenings:
            try:
                deliveries += await self._deliveries_of(happening, by_widget)
            except (ValueError, LookupError, TypeError) as error:
                # One booking that cannot be read must not keep all others from being told.
                log.error("webhook not made", booking=happening.booking_id, source=happening.source, exc_info=error)
        if deliveries or look.upto > look.line or look.stale:
            await self._store.add_deliveries(look, deliveries)

    async def _deliveries_of(self, happening: Happening, endpoints: Mapping[str, Sequence[Endpoint]]) -> list[Delivery]:
        booking = await self._store.booking(happening.booking_id)
        if booking is None:
            return []
        return [
            self._delivery(happening, endpoint, booking)
            for endpoint in endpoints.get(booking.widget, ())
            if endpoint.wants(happening.event) and self._is_since(endpoint.added_at, happening.at)
        ]

    def _is_since(self, added_at: datetime, at: datetime) -> bool:
        # Where the clock was set back since, times say nothing, and what was told before is not told twice.
        return at >= added_at or added_at > self._now()

    def _delivery(self, happening: Happening, endpoint: Endpoint, booking: Booking) -> Delivery:
        now = self._now()
        # Random, and not made of the row's number: after a restore, another row has it.
        message_id = f"wh_{self._random.getrandbits(96):024x}"
        message = message_of(happening, booking, message_id=message_id, live=self._live)
        return Delivery(
            id=message_id,
            endpoint_id=endpoint.id,
            number=0,
            source=happening.source,
            event=happening.event,
            booking_id=happening.booking_id,
            body=message.model_dump_json(by_alias=True),
            occurred_at=happening.at,
            created_at=now,
            tries=0,
            next_try_at=now,
            delivered_at=None,
            last_error="",
        )

    # -- sending -------------------------------------------------------------------------------------------------

    async def _send_due(self) -> None:
        for endpoint_id in await self._store.endpoints_due():
            if len(self._sending) >= AT_ONCE:
                return
            if endpoint_id not in self._sending:
                self._sending[endpoint_id] = asyncio.create_task(self._send_to(endpoint_id))

    async def _send_to(self, endpoint_id: str) -> None:
        try:
            for _ in range(_IN_A_ROW):
                taken = await self._store.take_delivery(endpoint_id, lease=LEASE, pauses=PAUSES)
                if taken is None or not await self._attempt(*taken):
                    return
        except (SQLAlchemyError, StorageError) as error:  # the attempt was planned before it was made
            log.warning("webhooks put off", endpoint=endpoint_id, error=type(error).__name__)
        except Exception as error:  # one endpoint's fault is nobody else's
            log.error("webhook failed", endpoint=endpoint_id, exc_info=error)
        finally:
            self._sending.pop(endpoint_id, None)

    async def _attempt(self, endpoint: Endpoint, delivery: Delivery) -> bool:
        """Send one message. Whether it was taken."""
        sent = await self._send(endpoint, await self._body(endpoint, delivery))
        told = {"endpoint": endpoint.id, "delivery": delivery.id, "type": str(delivery.event), "tries": delivery.tries}
        if sent.taken:
            await self._store.record_delivered(endpoint, delivery, recovered=endpoint.failures >= REST_FROM)
            log.info("webhook delivered", **told)
            return True
        now, pause = self._now(), pause_after(delivery.tries)
        # Up to a tenth later, so that what failed together does not come back together.
        again_at = now + pause * self._random.uniform(1, 1.1) if pause else None
        off = await self._store.record_failed(
            endpoint,
            delivery,
            error=sent.error,
            again_at=again_at,
            free_at=now + rest_after(endpoint.failures + 1),
            off_before=now - OFF_AFTER,
        )
        (log.error if off or again_at is None else log.warning)(
            "webhook given up" if again_at is None else "webhook put off", reason=sent.error, **told
        )
        return False

    async def _body(self, endpoint: Endpoint, delivery: Delivery) -> bytes:
        """What is stored, with its number and, where it is asked for, the customer as known now."""
        message = json.loads(delivery.body)
        message["number"] = delivery.number
        if endpoint.personal_data:
            customer = customer_of(await self._store.booking(delivery.booking_id))
            message["customer"] = customer.model_dump(by_alias=True) if customer else None
        return json.dumps(message, ensure_ascii=False).encode()

    async def _send(self, endpoint: Endpoint, body: bytes) -> Sent:
        return await self._sender.send(endpoint.url, body, self._secrets.sign(endpoint.id, body, self._now()))

    async def _tell_owners(self) -> None:
        if not self._mailer.enabled:
            return
        for endpoint in await self._store.to_tell_off():
            again_at = None
            try:
                await self._tell_owner(self._widgets.get(endpoint.widget), endpoint)
            except MailError as error:
                log.warning("put off", act="tell_of_webhook", endpoint=endpoint.id, reason=str(error))
                # What is refused permanently is given up; the list, the doctor and the figures say it still.
                again_at = None if error.permanent else self._now() + _MAIL_AGAIN
            await self._store.tell_off_at(endpoint.id, again_at)

    async def _tell_owner(self, widget: Widget | None, endpoint: Endpoint) -> None:
        if widget and widget.owner_email:
            about = f"{endpoint.id} {endpoint.disabled_at}"
            await self._mailer.send_texts(about, {widget.owner_email: off_words(widget, endpoint)})

    # -- the owner's acts ----------------------------------------------------------------------------------------

    async def endpoints(self) -> list[Endpoint]:
        """Every endpoint that widgets.toml named at the last start of the server."""
        return await self._store.endpoints()

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        """One of them. Raises NotFound."""
        found = next((one for one in await self._store.endpoints() if one.id == endpoint_id), None)
        if found is None:
            raise NotFound(endpoint_id)
        return found

    async def deliveries(
        self, endpoint_id: str = "", *, waiting: bool = False, skip: int = 0, most: int
    ) -> list[Delivery]:
        """Deliveries, newest first; `waiting` are those not delivered, given up ones among them."""
        return await self._store.deliveries(endpoint_id, waiting=waiting, skip=skip, most=most)

    async def replay(self, ids: Sequence[str]) -> int:
        """Send these again, with the same id and number, when the server looks next. Returns how many there are."""
        return await self._store.send_again(ids)

    async def replay_one(self, delivery_id: str, *, tries: int, delivered: bool) -> None:
        """Send one again that was seen with so many tries, delivered or not. Raises BookingConflict where that is no
        longer so, or it has not been tried yet."""
        if not await self._store.send_one_again(delivery_id, tries=tries, delivered=delivered):
            raise BookingConflict("changed meanwhile")

    async def replay_waiting(self, endpoint_id: str) -> int:
        """Send again whatever an endpoint has not taken, given up or not. Raises NotFound."""
        endpoint = await self.endpoint(endpoint_id)
        return await self._store.send_waiting_again(endpoint.id)

    async def enable(self, endpoint_id: str) -> None:
        """Switch an endpoint on again: what waits is sent. Raises NotFound."""
        if not await self._store.switch_on(endpoint_id):
            raise NotFound(endpoint_id)

    def secrets(self, endpoint_id: str) -> list[tuple[int, str]]:
        """(version, secret), newest first. Raises NotFound."""
        self._named(endpoint_id)
        return self._secrets.of(endpoint_id)

    async def try_out(self, endpoint_id: str) -> Sent:
        """Send a test message now, and say what came of it. Nothing is written. Raises NotFound."""
        one, now = self._named(endpoint_id), self._now()
        message = test_message(
            message_id=f"wh_{self._random.getrandbits(96):024x}",
            number=int(now.timestamp() * 1000),
            at=now,
            live=self._live,
        )
        body = message.model_dump_json(by_alias=True).encode()
        return await self._sender.send(one.url, body, self._secrets.sign(one.id, body, now))

    async def backlog(self) -> Backlog:
        """How deliveries stand."""
        return await self._store.webhook_backlog()

    def _named(self, endpoint_id: str) -> Wanted:
        found = next((one for one in self.wanted() if one.id == endpoint_id), None)
        if found is None:
            raise NotFound(endpoint_id)
        return found
