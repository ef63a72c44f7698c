"""The tables. How their rows become the domain's objects stands in `rows.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

#: A row, by the names of its columns.
Row = Mapping[Any, Any]


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite has no zones, so they are taken off and put back here; on PostgreSQL the
    columns are without a zone, too, so that no setting of the server's or a session's has a say."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC without its zone. ValueError for a naive datetime."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The same instant, aware."""
        return value.replace(tzinfo=UTC) if value else None


#: Money in smallest units, and seconds since 1970: SQLite's integers have 64 bits, PostgreSQL's have 32 unless asked.
Whole = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

#: In `bookings.customer_email`, of a customer without an address; no address is like it.
NO_ADDRESS = "-"

metadata = sa.MetaData()

bookings = sa.Table(
    "bookings",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("widget", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    # Checked at the end of the transaction, since each of the two rows names the other.
    sa.Column(
        "reservation_id",
        sa.Text,
        sa.ForeignKey(
            "reservations.id", name="bookings_reservation", deferrable=True, initially="DEFERRED", use_alter=True
        ),
        nullable=False,
    ),
    sa.Column("any_resource", sa.Boolean, nullable=False),
    sa.Column("terms", sa.JSON, nullable=False),
    sa.Column("deadline", Instant, nullable=False),
    sa.Column("extensions", sa.Integer, nullable=False),
    sa.Column("was_expired", sa.Boolean, nullable=False),
    sa.Column("payment_id", sa.Text),
    sa.Column("end_reason", sa.Text),
    sa.Column("customer", sa.JSON),
    sa.Column("visitor_key", sa.Text, nullable=False),
    sa.Column("visitor", sa.JSON, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("confirmed_at", Instant),
    sa.Column("next_try_at", Instant),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("canceled_at", Instant),
    sa.Column("undo_until", Instant),
    sa.Column("moves", sa.Integer, nullable=False),
    sa.Column("no_show", sa.Boolean, nullable=False),
    sa.Column("link_version", sa.Integer, nullable=False),
    # Empty where nobody has put a name to it, `NO_ADDRESS` where who did has none.
    sa.Column("customer_email", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False, server_default="online"),
    sa.Column("pay_link", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("customer_key", sa.Text, nullable=False, server_default=""),
    sa.Column("customer_search", sa.Text, nullable=False, server_default=""),
    # No two bookings have the same time of the same person.
    sa.Index("bookings_reserved", "reservation_id", unique=True),
    sa.Index("bookings_due", "status", "deadline"),
    sa.Index("bookings_visitor", "visitor_key"),
    sa.Index("bookings_email", "customer_email"),
    # Whole: the last pages of the list of customers read it alone, a tenth of the rows' bytes.
    sa.Index("bookings_customer", "customer_key", "created_at", "status", "id"),
    sa.Index("bookings_search", "customer_search", "created_at", "id"),
    sa.Index("bookings_created", "created_at"),
)

#: What our bookings claim of the scheduler's time: the time that each has, those that moves go to or have left.
reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.id"), nullable=False, index=True),
    sa.Column("scheduler", sa.Text, nullable=False, server_default="hapio"),
    sa.Column("service_id", sa.Text, nullable=False),
    sa.Column("service_name", sa.Text, nullable=False),
    sa.Column("resource_id", sa.Text, nullable=False),
    sa.Column("resource_name", sa.Text, nullable=False),
    sa.Column("location_id", sa.Text, nullable=False),
    sa.Column("location_name", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("starts_at", Instant, nullable=False),
    sa.Column("ends_at", Instant, nullable=False),
    sa.Column("buffer_starts_at", Instant, nullable=False),
    sa.Column("buffer_ends_at", Instant, nullable=False),
    sa.Column("places", sa.Integer, nullable=False),
    sa.Column("occupies", sa.Boolean, nullable=False),
    sa.Column("reference", sa.Text),
    sa.Column("unsure", sa.Boolean, nullable=False),
    sa.Column("canceled", sa.Boolean, nullable=False),
    sa.Column("due", sa.Text),
    sa.Column("next_try_at", Instant),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("any_time", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("offered_until", Instant),
    # When it last came to take up time or ceased to, or what is due about it changed: other processes read what is new
    # since they looked.
    sa.Column("occupancy_at", Instant),
    sa.Index("reservations_occupancy", "occupancy_at"),
    sa.Index(
        # By the end first: what is over is most of it, and the guard never looks there.
        "reservations_guard",
        "resource_id",
        "buffer_ends_at",
        "buffer_starts_at",
        sqlite_where=sa.text("occupies = 1"),
        postgresql_where=sa.text("occupies"),
    ),
    sa.Index(
        "reservations_ahead",
        "buffer_ends_at",
        sqlite_where=sa.text("occupies = 1"),
        postgresql_where=sa.text("occupies"),
    ),
    sa.Index("reservations_due", "due"),
    sa.Index("reservations_reference", "reference"),
    sa.Index("reservations_starts", "starts_at"),
)

_OPEN = sa.text("state IN ('held', 'moving')")
moves = sa.Table(
    "moves",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.id"), nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reservation_id", sa.Text, sa.ForeignKey("reservations.id"), nullable=False),
    sa.Column("from_reservation_id", sa.Text, sa.ForeignKey("reservations.id"), nullable=False),
    sa.Column("amount", Whole, nullable=False),
    sa.Column("from_amount", Whole, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("payment_id", sa.Text),
    sa.Column("end_reason", sa.Text),
    sa.Column("deadline", Instant, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("next_try_at", Instant),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("refund_due", Whole, nullable=False, server_default="0"),
    sa.Column("refund_cap", sa.Integer, nullable=False, server_default="100"),
    # One open move a booking: two tabs cannot both be on the way.
    sa.Index("moves_open", "booking_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    # SQLite looks there for anyone who points at a new reservation.
    sa.Index("moves_from", "from_reservation_id"),
    sa.Index("moves_reserved", "reservation_id", unique=True),
    sa.Index("moves_due", "state", "deadline"),
    sa.Index("moves_created", "created_at"),
)

payments = sa.Table(
    "payments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.id"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("amount", Whole, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("capture", sa.Text, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("session_id", sa.Text, unique=True),
    sa.Column("session_url", sa.Text),
    sa.Column("payment_intent_id", sa.Text, unique=True),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("captured", Whole, nullable=False),
    sa.Column("looks", sa.Integer, nullable=False),
    sa.Column("next_look_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("move_id", sa.Text, sa.ForeignKey("moves.id")),
    sa.Column("dispute", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False, server_default="stripe"),
    sa.UniqueConstraint("booking_id", "attempt"),
    sa.Index("payments_due", "state", "next_look_at"),
    sa.Index("payments_created", "created_at"),
)

refunds = sa.Table(
    "refunds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.id"), nullable=False),
    sa.Column("payment_id", sa.Text, sa.ForeignKey("payments.id"), nullable=False),
    sa.Column("amount", Whole, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("stripe_refund_id", sa.Text, unique=True),
    sa.Column("first_tried_at", Instant),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("due_at", Instant, nullable=False, server_default="1970-01-01 00:00:00.000000"),
    sa.Column("problem", sa.Text, nullable=False, server_default=""),
    sa.Column("refusals", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("payment_id", "reason", "cause"),
    sa.Index("refunds_due", "next_try_at"),
    sa.Index("refunds_booking", "booking_id"),
    sa.Index("refunds_created", "created_at"),
)

history = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.id"), nullable=False, index=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("booking_id", sa.Text, sa.ForeignKey("bookings.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_at", Instant),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Index("outbox_due", "next_try_at"),
    sa.Index("outbox_booking", "booking_id"),
    sa.Index("outbox_sent", "sent_at"),
)

#: Whose money we have. In these words, since no index may serve it: nearly every payment is one, and SQLite, which has
#: no figures of that, would go through all of them for those of one booking.
CAPTURED = payments.c.state.concat("") == "captured"

#: No visit is longer: anyone who asks what is not over yet need not look at what began before.
LONGEST_VISIT = timedelta(days=7)

#: A booking's status, where a span of time is asked for: in these words for the same reason, since nearly every booking
#: is confirmed.
STATUS_IN_SPAN = bookings.c.status.concat("")

#: What someone may have to look at, however long ago. In these words, since a partial index serves only the condition
#: that it was made with.
DISPUTED = sa.text("payments.dispute <> ''")
FAILED = sa.text("refunds.status IN ('canceled', 'failed')")
#: What the owner has to refund by hand; the problem is `app.domain.refund.IN_PERSON`.
BY_HAND = sa.text("refunds.problem = 'in person' AND refunds.status = 'requested'")
GIVEN_UP = sa.text("outbox.sent_at IS NULL AND outbox.next_try_at IS NULL AND outbox.last_error <> 'no longer true'")


def index_where(name: str, column: sa.Column[Any], condition: sa.TextClause, *more: sa.Column[Any]) -> sa.Index:
    """A partial index for a condition, which names its table in statements and must not in the index."""
    words = sa.text(str(condition).replace(f"{column.table.name}.", ""))
    return sa.Index(name, column, *more, sqlite_where=words, postgresql_where=words)


index_where("payments_disputed", payments.c.booking_id, DISPUTED)
index_where("refunds_failed", refunds.c.created_at, FAILED)
index_where("refunds_by_hand", refunds.c.due_at, BY_HAND)
index_where("outbox_given_up", outbox.c.created_at, GIVEN_UP)
# By `sent_at` first, which is empty in all of them: else SQLite takes `outbox_sent`, with all that was never due.
index_where("outbox_given_up_due", outbox.c.sent_at, GIVEN_UP, outbox.c.due_at)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("object_type", sa.Text, nullable=False),
    sa.Column("livemode", sa.Boolean, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.Column("booking_id", sa.Text),
    sa.Column("payment_intent_id", sa.Text),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_at", Instant),
    sa.Column("last_error", sa.Text),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("processed_at", Instant),
    # What is done has no next try; without this, every tick would read every event ever received.
    sa.Index("inbox_due", "next_try_at"),
    sa.Index("inbox_processed", "processed_at"),
)

#: Money that our own payment pages took for bookings which this database does not know: it was lost, or put back as it
#: was before they were made. `returned` is what has gone back since, `outcome` how the rest was settled.
stray_payments = sa.Table(
    "stray_payments",
    metadata,
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("payment_intent_id", sa.Text),
    sa.Column("booking_id", sa.Text, nullable=False),
    sa.Column("amount", Whole, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("returned", Whole, nullable=False),
    sa.Column("paid_at", Instant, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("told_at", Instant),
    sa.Column("next_try_at", Instant),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("settled_at", Instant),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Index("stray_payments_intent", "payment_intent_id"),
)

#: What was answered under a program's key. No answer yet: the call is running, or died while it ran.
idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("running_until", Instant, nullable=False),
    sa.Column("forget_at", Instant, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", sa.LargeBinary),
    sa.Index("idempotency_forget", "forget_at"),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", Whole, nullable=False),
)

#: Links that staff asked for, and what became of them: used once, then the sign-in that they opened.
sign_ins = sa.Table(
    "sign_ins",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("used_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("stays", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("ends_at", Instant),
)

#: What staff wrote down about customers, by `app.domain.customer.customer_key`.
customer_notes = sa.Table(
    "customer_notes",
    metadata,
    sa.Column("customer_key", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("written_by", sa.Text, nullable=False),
    sa.Column("written_at", Instant, nullable=False),
)

#: What bookings are searched by: each `bookings.customer_search` once, under a hash of it.
search_texts = sa.Table(
    "search_texts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)

#: What begins at each character of such a text, followed by the text's id. Bytes, which every database compares alike,
#: whatever language it sorts by.
search_parts = sa.Table(
    "search_parts",
    metadata,
    sa.Column("part", sa.LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)

#: Accounts at schedulers that owners have connected; the tokens are sealed.
scheduler_tokens = sa.Table(
    "scheduler_tokens",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("account_name", sa.Text, nullable=False),
    sa.Column("access", sa.Text, nullable=False),
    sa.Column("refresh", sa.Text, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("lease_until", Instant),
    sa.Column("broken", sa.Text, nullable=False),
    sa.Column("tell_at", Instant),
    sa.Column("connected_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Index("scheduler_tokens_account", "account", unique=True),
)


#: What an owner has changed of a service in the browser, over what widgets.toml says. Each change is a row, and the
#: newest of a service counts; under an empty `service_id` lies the order of the widget's services. `told_at` is when
#: the scheduler had taken what is its to keep, null where nothing was.
service_versions = sa.Table(
    "service_versions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("widget", sa.Text, nullable=False),
    sa.Column("service_id", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("edit", sa.JSON, nullable=False),
    sa.Column("changes", sa.JSON, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("told_at", Instant),
    sa.UniqueConstraint("widget", "service_id", "version"),
)


#: Months as a scheduler last told them, for all processes; `holder` reads one until `lease_until`, and is empty where
#: that failed. Nothing of it is missed if it is lost.
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("scheduler", sa.Text, nullable=False),
    sa.Column("starts_from", Instant, nullable=False),
    sa.Column("ends_to", Instant, nullable=False),
    sa.Column("asked_at", Instant),
    sa.Column("cost", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("lease_until", Instant),
    sa.Column("doubted_at", Instant),
)
