"""Looking for what no webhook has reported: locks left over at the scheduler, payments at Stripe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from app.booking.adopt import Adopt
from app.booking.tools import Tools
from app.payments.facts import DisputeFacts, RefundFacts
from app.payments.stripe_client import RECENT
from app.scheduling.port import Scheduler

log = structlog.get_logger()

#: Up to when Stripe's lists were read.
_REFUNDS, _DISPUTES = "stripe:refunds_read", "stripe:disputes_read"

_NOTHING = timedelta(0)


class Sweep:
    """Reads the providers' lists."""

    def __init__(self, tools: Tools, adopt: Adopt) -> None:
        self._tools = tools
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._payments = tools.payments
        self._refunds = tools.refunds
        self._strays = tools.strays
        self._cursors = tools.cursors
        self._metrics = tools.metrics
        self._now = tools.now
        self._adopt = adopt

    async def sweep_scheduler(self, created_before: datetime) -> int:
        """Delete our temporary bookings that belong to no open booking. Returns how many."""
        return sum([await self._sweep(scheduler, created_before) for scheduler in self._schedulers.values()])

    async def _sweep(self, scheduler: Scheduler, created_before: datetime) -> int:
        swept = 0
        for stray in await scheduler.locks(created_before=created_before):
            tag = stray.metadata.get("holdfast_id", "")
            holder = await self._store.reservation(tag)
            # A tag that our database does not know belongs to another program: its booking is left alone.
            if holder is None or (holder.occupies and holder.reference in {stray.id, None}):
                continue
            log.warning("swept a temporary booking", holder=tag)
            self._metrics.swept("lock")
            await scheduler.release(stray.id)
            swept += 1
        return swept

    async def sweep_stripe(self, created_after: datetime, *, most: int = RECENT) -> int:
        """Take in payments, refunds and disputes that no webhook reported. Returns how many.

        Of refunds and disputes, what was made since `created_after` is looked at, and, where the last look is longer
        ago, for as long before that. About `most` of them are read; the next look goes on.
        """
        swept = 0
        if self._payments is None:
            return swept
        overlap = self._now() - created_after
        swept += await self._adopt.take_sessions()
        refunds, _ = await self._cursors.take(
            _REFUNDS, self._tools.stripe.recent_refunds, self._take_refunds, overlap=overlap, first=_NOTHING, most=most
        )
        disputes, _ = await self._cursors.take(
            _DISPUTES,
            self._tools.stripe.recent_disputes,
            self._take_disputes,
            overlap=overlap,
            first=_NOTHING,
            most=most,
        )
        return swept + refunds + disputes

    async def _take_refunds(self, listed: Sequence[RefundFacts]) -> int:
        swept = 0
        for facts in listed:
            if await self._refunds.follow_refund(facts) or await self._strays.follow(facts.payment_intent_id):
                self._metrics.swept("refund")
                swept += 1
        return swept

    async def _take_disputes(self, listed: Sequence[DisputeFacts]) -> int:
        swept = 0
        for facts in listed:
            if await self._refunds.follow_dispute(facts):
                self._metrics.swept("dispute")
                swept += 1
        return swept
