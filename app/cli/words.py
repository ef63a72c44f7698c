"""A booking in the owner's words: one line of a list, or all of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, time
from itertools import groupby

from app.booking.bookings import BookingView
from app.cli.arguments import COMPLETED, NO_SHOW
from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryEntry
from app.domain.money import Money
from app.domain.move import MoveState
from app.domain.payment import Payment, PaymentMethod
from app.domain.refund import Refund, RefundStatus, failures, payable_another_way
from app.text.formats import format_day, format_money, format_span, format_time
from app.text.history_words import HISTORY, PAID_HOW, REFUND_STANDS, history_words
from app.text.zones import local, offset_label, zone_info


def standing(booking: Booking, now: datetime) -> str:
    """The word for where the booking stands, as --status takes it."""
    if booking.status is Status.CONFIRMED and booking.no_show:
        return NO_SHOW
    return COMPLETED if booking.over(now) else booking.status.value


def money(money: Money) -> str:
    return format_money(money, "en").replace("\N{NO-BREAK SPACE}", " ")


def when(moment: datetime, zone: str) -> str:
    return f"{format_day(moment, zone, 'en', 'medium')}, {format_time(moment, zone, 'en')} {offset_label(zone, moment)}"


def span(start: datetime, end: datetime, zone: str) -> str:
    return (
        f"{format_day(start, zone, 'en', 'medium')}, {format_span(start, end, zone, 'en')} {offset_label(zone, start)}"
    )


def head(booking: Booking) -> list[str]:
    return [
        f"{booking.id}: {booking.service_name} with {booking.resource_name}",
        f"     {span(booking.starts_at, booking.ends_at, booking.time_zone)} ({booking.time_zone})",
    ]


def end(booking: Booking, now: datetime) -> str:
    """Who cancelled it, when, and how long that may be taken back."""
    told = [HISTORY.get(str(booking.end_reason), "Cancelled").lower()]
    if booking.canceled_at:
        told.append(when(booking.canceled_at, booking.time_zone))
    if booking.undo_until and booking.undo_until > now:
        told.append(f"the customer can undo this until {when(booking.undo_until, booking.time_zone)}")
    return ", ".join(told)


def sheet(view: BookingView, now: datetime) -> list[str]:
    """Everything about one booking, as lines."""
    booking, customer = view.booking, view.booking.customer
    zone, price = booking.time_zone, booking.terms.price
    rows: list[tuple[str, Iterable[str]]] = [
        ("What", [booking.service_name]),
        ("When", [f"{span(booking.starts_at, booking.ends_at, zone)} ({zone})"]),
        ("Where", [booking.location_name]),
        ("With", [booking.resource_name]),
    ]
    if customer:
        rows += [
            ("Customer", [customer.name, customer.email, customer.phone]),
            ("Email", [f"not delivered: {view.mail_problem}" if view.mail_problem else ""]),
            ("Message", customer.notes.splitlines()),
            *((name, answer.splitlines()) for name, answer in customer.answers.items()),
        ]
    rows += [
        ("Price", [money(price) if price else "free"]),
        ("Terms", _terms(booking) if price else []),
        ("Moved", [f"{booking.moves} of {booking.terms.most_moves} times"]),
        ("Move", [_open_move(view)]),
        ("Cancelled", [end(booking, now)] if booking.status is Status.CANCELED else []),
        ("Payments", [_payment_line(payment) for payment in view.payments]),
        ("Refunds", [_refund_line(view, refund) for refund in view.refunds]),
        ("Remaining", [money(Money(view.left, price.currency))] if view.payments else []),
        ("History", [_history_line(entry, booking) for entry in view.history]),
    ]
    return [f"{booking.id}  {standing(booking, now)}", *_rows(rows)]


def _terms(booking: Booking) -> list[str]:
    steps = booking.terms.steps(booking.starts_at)
    lines = [f"{percent}% back until {when(until, booking.time_zone)}" for until, percent in steps if percent]
    return [*lines, "after that, no refund" if lines else "no refund"]


def _open_move(view: BookingView) -> str:
    move, zone = view.move, view.booking.time_zone
    if move is None:
        return ""
    to = when(move.starts_at, zone)
    if move.state is MoveState.MOVING:
        return f"being moved to {to}"
    return f"to {to}, if the difference is paid by {when(move.deadline, zone)}"


def _payment_line(payment: Payment) -> str:
    disputed = f"disputed: {payment.dispute}" if payment.dispute else ""
    state = f"taken: {PAID_HOW[payment.method]}" if payment.in_person else payment.state
    return ", ".join(filter(None, [money(payment.price), state, disputed, payment.payment_intent_id]))


def _refund_line(view: BookingView, refund: Refund) -> str:
    said = f"{money(refund.amount)}, {refund_stands(view, refund)}"
    payable = refund.id in payable_another_way(view.payments, view.refunds)
    return ", ".join(filter(None, [said, refund.stripe_refund_id, refund.id if payable else ""]))


def refund_stands(view: BookingView, refund: Refund) -> str:
    payment = next((payment for payment in view.payments if payment.id == refund.payment_id), None)
    if refund.status == RefundStatus.REQUESTED:
        if payment and payment.in_dispute:
            return "waiting for the bank to decide the dispute"
        if refund.next_try_at and not refund.tries:
            return f"will be sent on {when(refund.next_try_at, view.booking.time_zone)}"
    if payment and payment.in_person and refund.status == RefundStatus.REQUESTED:
        return "paid on the spot: refund it yourself, then mark it with paid-another-way"
    if refund.delayed:
        return f"delayed ({refund.problem}); we keep trying"
    if failures(view.payments, view.refunds).get(refund.id) == 0:
        return "failed at Stripe; settled since"
    return REFUND_STANDS.get(refund.status, refund.status)


def _history_line(entry: HistoryEntry, booking: Booking) -> str:
    detail, zone = entry.detail, booking.time_zone
    words = [history_words(entry).rstrip(".")]
    if "from" in detail and "to" in detail:
        words.append(" to ".join(when(datetime.fromisoformat(detail[end]), zone) for end in ("from", "to")))
    if detail.get("who"):
        words.append(f"by {detail['who']}")
    elif "by" in detail:
        words.append("by the owner" if detail["by"] == Actor.OWNER else "by the customer")
    if "paid" in detail:
        words += [money(Money(detail["paid"], booking.terms.price.currency)), PAID_HOW[PaymentMethod(detail["how"])]]
    if "until" in detail:
        words.append(f"until {when(datetime.fromisoformat(detail['until']), zone)}")
    amount = detail.get("amount", detail.get("back"))
    if amount is not None:
        words.append(f"{money(Money(amount, booking.terms.price.currency))} back")
    if "dispute" in detail:
        words.append(str(detail["dispute"]))
    return f"{when(entry.at, zone)}  {', '.join(words)}"


def _rows(rows: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """Labels with their lines next to them; a label without any is left out."""
    kept = [(plain(label), [plain(line) for line in lines if line.strip()]) for label, lines in rows]
    width = max(_width(label) for label, lines in kept if lines)
    return [
        f"  {_pad(label if number == 0 else '', width)}  {line}"
        for label, lines in kept
        for number, line in enumerate(lines)
    ]


def table(bookings: Sequence[Booking], now: datetime, width: int) -> str:
    """A heading for each day, a line for each booking; long names are shortened to fit the terminal."""
    cells = [
        [
            _clock(booking),
            plain(booking.service_name),
            plain(booking.resource_name),
            plain(booking.customer.name if booking.customer else ""),
            money(booking.terms.price) if booking.terms.price else "free",
            standing(booking, now),
            booking.id,
        ]
        for booking in bookings
    ]
    widths = [max(_width(row[column]) for row in cells) for column in range(7)]
    names = (1, 2, 3)
    while sum(widths) + 2 * len(widths) > width and max(widths[column] for column in names) > 8:
        widths[max(names, key=lambda column: widths[column])] -= 1
    lines: list[str] = []
    rows = zip(bookings, cells, strict=True)
    for (day, zone), group in groupby(
        rows, key=lambda row: (local(row[0].starts_at, row[0].time_zone).date(), row[0].time_zone)
    ):
        noon = datetime.combine(day, time(12), zone_info(zone))
        lines += ["", f"{format_day(noon, zone, 'en')} ({zone})"]
        for _, row in group:
            lines.append(
                "  " + "  ".join(_pad(_cut(text, room), room) for text, room in zip(row, widths, strict=True)).rstrip()
            )
    return "\n".join(lines[1:])


def _clock(booking: Booking) -> str:
    zone = booking.time_zone
    return f"{format_span(booking.starts_at, booking.ends_at, zone, 'en')} {offset_label(zone, booking.starts_at)}"


def plain(text: str) -> str:
    """Without what would steer the terminal: what customers type is printed."""
    return "".join(char if char.isprintable() else " " for char in text)


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) >= width:
        text = text[:-1]
    return text.rstrip() + "…"
