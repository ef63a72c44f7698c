"""Every part of the running program, typed: what a door may use.

`app.build` builds them; doors get them by `parts_of(request)`, so that a renamed act breaks the type check at every
door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from jinja2 import Environment
from starlette.requests import HTTPConnection
from starlette.types import Scope

from app.booking.book_for import BookFor
from app.booking.bookings import Bookings
from app.booking.cancel import Cancel
from app.booking.checkout import Checkout
from app.booking.corrections import Corrections
from app.booking.customers import Customers
from app.booking.desk_payments import DeskPayments
from app.booking.follow import Follow
from app.booking.hold import Hold
from app.booking.late_money import LateMoney
from app.booking.manage_links import ManageLinks
from app.booking.own_page import OwnPage
from app.booking.owner_refunds import OwnerRefunds
from app.booking.policy import Policy
from app.booking.reschedule import Reschedule
from app.booking.settle import Settle
from app.booking.sweep import Sweep
from app.mail import Mailer
from app.operations.alerts import Alerts
from app.operations.calendar import Calendar
from app.operations.calendly_connections import CalendlyConnections
from app.operations.erasure import Erasure
from app.operations.health import Health
from app.operations.outgoing_webhooks import OutgoingWebhooks
from app.operations.reconciling import Reconciling
from app.operations.services import Services
from app.operations.staff_access import Staff
from app.operations.webhook_inbox import Inbox
from app.operations.worker import Worker
from app.operations.working_hours import WorkingHours
from app.protection.hold_limits import HoldLimits
from app.protection.idempotency import Idempotency
from app.protection.page_reader import PageReader
from app.protection.rate_limits import RateLimits
from app.protection.signed_links import Links
from app.scheduling.availability import Availability
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics
from app.widgets import Widget


@dataclass(frozen=True, slots=True)
class Parts:
    """Every part, for the doors."""

    settings: Settings
    widgets: Mapping[str, Widget]
    links: Links
    store: Store
    availability: Availability
    bookings: Bookings
    policy: Policy
    hold: Hold
    own_page: OwnPage
    book_for: BookFor
    desk_payments: DeskPayments
    checkout: Checkout
    settle: Settle
    late_money: LateMoney
    cancel: Cancel
    reschedule: Reschedule
    owner_refunds: OwnerRefunds
    manage_links: ManageLinks
    corrections: Corrections
    customers: Customers
    follow: Follow
    sweep: Sweep
    inbox: Inbox
    worker: Worker
    mailer: Mailer
    templates: Environment
    rate_limits: RateLimits
    hold_limits: HoldLimits
    idempotency: Idempotency
    sites: PageReader
    metrics: Metrics
    health: Health
    alerts: Alerts
    erasure: Erasure
    reconciling: Reconciling
    staff: Staff
    services: Services
    calendly: CalendlyConnections
    outgoing_webhooks: OutgoingWebhooks
    working_hours: WorkingHours
    calendar: Calendar
    now: Callable[[], datetime]


def parts_of(connection: HTTPConnection) -> Parts:
    """The parts of the program that answers this request."""
    return parts_in(connection.scope)


def parts_in(scope: Scope) -> Parts:
    """As `parts_of`, for ASGI middleware."""
    return cast("Parts", scope["app"].state.parts)
