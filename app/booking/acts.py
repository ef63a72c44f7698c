"""All acts, built once and given to the doors and the worker.

Read them in the order of a booking's life: hold (or book_for), checkout, take_payment, confirm (with confirmed_since,
offered_times, and late_money for what the customer makes of them), release. Then comes what a confirmed one may still
become (cancel, with undone_since, and reschedule), and what others do (follow, stripe_events, sweep, adopt).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from app.booking.adopt import Adopt
from app.booking.book_for import BookFor
from app.booking.bookings import Bookings
from app.booking.cancel import Cancel
from app.booking.candidates import Candidates
from app.booking.checkout import Checkout
from app.booking.confirm import Confirm
from app.booking.confirmed_since import ConfirmedSince
from app.booking.corrections import Corrections
from app.booking.customers import Customers
from app.booking.desk_payments import DeskPayments
from app.booking.follow import Follow
from app.booking.hold import Hold
from app.booking.late_money import LateMoney
from app.booking.manage_links import ManageLinks
from app.booking.moves import Moves
from app.booking.offered_times import OfferedTimes
from app.booking.own_page import OwnPage
from app.booking.owner_refunds import OwnerRefunds
from app.booking.payment_pages import PaymentPages
from app.booking.policy import Policy
from app.booking.release import Release
from app.booking.reschedule import Reschedule
from app.booking.settle import Settle
from app.booking.stripe_events import StripeEvents
from app.booking.sweep import Sweep
from app.booking.take_payment import TakePayment
from app.booking.tools import Tools
from app.booking.undone_since import Undoable, UndoneSince
from app.protection.hold_limits import HoldLimits


@dataclass(frozen=True, slots=True)
class Acts:
    """Every act, built once."""

    bookings: Bookings
    policy: Policy
    hold: Hold
    own_page: OwnPage
    book_for: BookFor
    desk_payments: DeskPayments
    checkout: Checkout
    settle: Settle
    confirm: Confirm
    late_money: LateMoney
    release: Release
    cancel: Cancel
    undone_since: UndoneSince
    reschedule: Reschedule
    owner_refunds: OwnerRefunds
    manage_links: ManageLinks
    corrections: Corrections
    customers: Customers
    follow: Follow
    adopt: Adopt
    stripe_events: StripeEvents
    sweep: Sweep


def make_acts(
    tools: Tools,
    hold_limits: HoldLimits,
    *,
    inherited: Collection[str],
    choosing: Collection[str],
    undoable: Undoable,
) -> Acts:
    """Build the acts over their tools. `inherited` are the unpaid bookings that the database had before, `choosing`
    those whose customers were offered other times, `undoable` those whose cancellation could still be undone."""
    release = Release(tools)
    offered_times = OfferedTimes(tools, release)
    confirmed_since = ConfirmedSince(tools)
    confirm = Confirm(tools, release, offered_times, confirmed_since)
    late_money = LateMoney(tools, offered_times, confirm, choosing)
    pages = PaymentPages(tools)
    moves = Moves(tools, release, pages)
    take_payment = TakePayment(tools, release, confirm, moves, inherited)
    adopt = Adopt(tools, take_payment, confirm)
    settle = Settle(tools, take_payment, adopt)
    policy, candidates = Policy(tools), Candidates(tools)
    owner_refunds, manage_links = OwnerRefunds(tools), ManageLinks(tools)
    hold = Hold(tools, hold_limits, release, take_payment, adopt, settle, candidates)
    desk_payments = DeskPayments(tools, confirm, take_payment, adopt)
    corrections = Corrections(tools, manage_links)
    return Acts(
        bookings=Bookings(tools),
        policy=policy,
        hold=hold,
        own_page=OwnPage(tools),
        book_for=BookFor(tools, hold, confirm, desk_payments),
        desk_payments=desk_payments,
        checkout=Checkout(tools, confirm, take_payment, adopt, pages),
        settle=settle,
        confirm=confirm,
        late_money=late_money,
        release=release,
        cancel=Cancel(tools, policy, release, confirm, confirmed_since, moves, owner_refunds, late_money),
        undone_since=UndoneSince(tools, undoable),
        reschedule=Reschedule(tools, policy, moves, candidates),
        owner_refunds=owner_refunds,
        manage_links=manage_links,
        corrections=corrections,
        customers=Customers(tools, corrections),
        follow=Follow(tools, moves, policy, take_payment),
        adopt=adopt,
        stripe_events=StripeEvents(tools, take_payment, adopt),
        sweep=Sweep(tools, adopt),
    )
