"""One Stripe account: its objects, its clock, its ids, its switches. Everything else acts on this."""

import random
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from sandbox.growing import Unended

Object = dict[str, Any]

RefundMode = Literal["succeed", "pending", "fail_later", "insufficient_funds", "refused"]
_STRICT = ConfigDict(validate_assignment=True, extra="forbid")


@checked(config=_STRICT)
class Switches:
    """How the sandbox misbehaves. Durations are seconds; `lose` and `tamper` count down to 0.

    `deliver="off"` keeps what is due until it is on again. `lose` swallows deliveries with their retries,
    `tamper` changes a signed body once. `allow_late_payment` permits force_pay on an expired Session.
    `local_endpoints` permits endpoints on this machine, which Stripe refuses.
    """

    deliver: Literal["on", "off"] = "on"
    delay_seconds: int = 0
    double: bool = False
    reorder: bool = False
    lose: int = 0
    tamper: int = 0
    refund_mode: RefundMode = "succeed"
    refund_settle_seconds: int = 3600
    allow_late_payment: bool = False
    redirect_wait_seconds: float = 10.0
    latency_seconds: float = 0.0
    local_endpoints: bool = False


FaultKind = Literal[
    "error_before",
    "error_after",
    "drop_before",
    "drop_after",
    "hang",
    "html_body",
    "rate_limited",
    "refuse",
    "forbidden",
]


@checked(config=_STRICT)
class Fault:
    """Strikes the next `times` API calls (None: all until it is cleared) whose method and path (a regular
    expression, searched) match.

    The fields from `status` on are the answer of kind `refuse`, in the words of Stripe's error object; `executed`
    says that Stripe remembers the refusal under the idempotency key.
    """

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    times: Annotated[int, Field(ge=1)] | None = 1
    status: Annotated[int, Field(ge=400, le=599)] = 400
    type: Literal["api_error", "card_error", "idempotency_error", "invalid_request_error"] = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    message: str = "Sandbox: refused by a fault."
    executed: bool = False


@dataclass
class Call:
    """One API call as it arrived. `status` is None when no answer was given."""

    at: datetime
    method: str
    path: str
    params: Object
    status: int | None
    idempotency_key: str | None


@dataclass
class Delivery:
    """One event on its way to a webhook endpoint."""

    event_id: str
    event_type: str
    due_at: datetime
    endpoint_id: str
    state: Literal["pending", "sending", "delivered", "failed", "lost"] = "pending"
    answers: list[int | None] = field(default_factory=list)  # None: no answer


@dataclass
class Terms:
    """What a Session was created with and does not show in its object."""

    line_items: list[Object]
    intent_data: Object
    capture_method: str
    #: What the page says of each line under its name.
    about: tuple[str, ...] = ()


@dataclass
class State:
    """All Stripe objects by id, oldest first."""

    sessions: dict[str, Object] = field(default_factory=dict)
    terms: dict[str, Terms] = field(default_factory=dict)
    payment_intents: dict[str, Object] = field(default_factory=dict)
    charges: dict[str, Object] = field(default_factory=dict)
    refunds: dict[str, Object] = field(default_factory=dict)
    refunds_due: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    disputes: dict[str, Object] = field(default_factory=dict)
    events: dict[str, Object] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        #: What time alone may still change, and what is still to be delivered.
        self.unended_sessions = Unended(self.sessions.values(), lambda one: one["status"] != "open")
        self.unended_intents = Unended(
            self.payment_intents.values(), lambda one: one["status"] in {"succeeded", "canceled"}
        )
        self.unended_deliveries = Unended(self.deliveries, lambda one: one.state in {"delivered", "failed", "lost"})


class Account:
    def __init__(self, *, now: Callable[[], datetime], seed: int, public_url: str) -> None:
        self.now = now
        self.public_url = public_url.rstrip("/")
        self.business = "Sandbox Studio"
        self.switches = Switches()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.state = State()
        #: Configured in the Dashboard or over the API, so a reset leaves them.
        self.webhook_endpoints: dict[str, Object] = {}
        self.endpoint_secrets: dict[str, str] = {}
        self.cause: Object = {"id": None, "idempotency_key": None}
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - repeatable ids, no secrets

    def reset(self) -> None:
        """As on the first day. `switches`, `faults` and `calls` stay the same objects, `state` is a new one."""
        self.switches.__init__()  # type: ignore[misc]  # tests hold this very object
        self.faults.clear()
        self.calls.clear()
        self.state = State()

    def seconds(self) -> int:
        """The clock as Stripe's Unix time."""
        return int(self.now().timestamp())

    def new_id(self, prefix: str, length: int = 24) -> str:
        letters = string.ascii_letters + string.digits
        return prefix + "".join(self._random.choice(letters) for _ in range(length))

    @contextmanager
    def caused_by(self, request_id: str, idempotency_key: str | None) -> Iterator[None]:
        """Events made inside name this request, as Stripe's do. Nothing may be awaited inside."""
        self.cause = {"id": request_id, "idempotency_key": idempotency_key}
        try:
            yield
        finally:
            self.cause = {"id": None, "idempotency_key": None}
