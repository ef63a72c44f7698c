"""The tables of outgoing webhooks, and how their rows become the domain's objects."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.domain.outgoing_webhooks import Delivery, Endpoint, WebhookEvent
from app.store.tables import (
    Instant,
    Row,
    Whole,
    index_where,
    metadata,
    outbox,
    refunds,
)

webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("widget", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", sa.JSON, nullable=False),
    sa.Column("personal_data", sa.Boolean, nullable=False),
    sa.Column("number", Whole, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
    sa.Column("free_at", Instant, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("failing_since", Instant),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Column("delivered_at", Instant),
    sa.Column("disabled_at", Instant),
    sa.Column("removed_at", Instant),
    sa.Column("tell_at", Instant),
)

_WAITING = sa.text("next_try_at IS NOT NULL")
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, sa.ForeignKey("webhook_endpoints.id"), nullable=False),
    sa.Column("number", Whole, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.id"), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_at", Instant),
    sa.Column("delivered_at", Instant),
    sa.Column("last_error", sa.Text, nullable=False),
    # Two processes that read the same line make one delivery of it.
    sa.UniqueConstraint("source", "endpoint_id"),
    sa.Index("webhook_deliveries_number", "endpoint_id", "number"),
    sa.Index("webhook_deliveries_due", "endpoint_id", "number", sqlite_where=_WAITING, postgresql_where=_WAITING),
    sa.Index("webhook_deliveries_created", "created_at"),
    sa.Index("webhook_deliveries_booking", "booking_id"),
)


#: What is told of mails and refunds; in these words, since a partial index serves only the condition that it was made
#: with. Of other mails and refunds nothing is kept in it.
NEEDS_OWNER = sa.text("outbox.kind IN ('trouble_owner', 'refund_failed_owner', 'disputed_owner')")
SENT_BACK = sa.text("refunds.status IN ('succeeded', 'paid_another_way')")
NEVER_DELIVERED = sa.text("webhook_deliveries.next_try_at IS NULL AND webhook_deliveries.delivered_at IS NULL")
index_where("outbox_attention", outbox.c.created_at, NEEDS_OWNER)
index_where("refunds_sent", refunds.c.updated_at, SENT_BACK)
index_where("webhook_deliveries_given_up", webhook_deliveries.c.endpoint_id, NEVER_DELIVERED)


def endpoint_row(endpoint: Endpoint) -> dict[str, Any]:
    """What an endpoint's row is made of, but for its counter."""
    names = [column.name for column in webhook_endpoints.c if column.name not in {"events", "number"}]
    return {**{name: getattr(endpoint, name) for name in names}, "events": sorted(endpoint.events)}


def to_endpoint(row: Row) -> Endpoint:
    """An endpoint from its row."""
    values = {**row, "events": frozenset(map(WebhookEvent, row["events"]))}
    del values["number"]
    return Endpoint(**values)


def to_delivery(row: Row) -> Delivery:
    """A delivery from its row."""
    return Delivery(**{**row, "event": WebhookEvent(row["event"])})
