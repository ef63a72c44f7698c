"""What an operator or a test can turn on the Calendly sandbox: its switches, and the race gate.

Everything here is invented for the sandbox; nothing of it exists at Calendly. The switches cover what Calendly's
documents leave open (Calendly API v2, what a sandbox must imitate), so that the product can be run against either
answer.
"""

from dataclasses import asdict, fields
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked

from sandbox.deliveries import Mode
from sandbox.faults import BadControl

Plan = Literal["free", "free_old", "trial", "paid", "enterprise"]
NotNegative = Annotated[int, Field(ge=0)]


@checked(config=ConfigDict(validate_assignment=True, extra="forbid", strict=True))
class Switches:
    """The sandbox's open questions and their present answers.

    `free_old` is the free plan before 3 November 2026, which may neither book nor subscribe. `creates_per_day` takes
    the place of the plan's own number. `token` is about all access tokens at once; `refresh_reply_lost` rotates the
    refresh token and drops the connection.
    """

    race_mode: Literal["atomic", "gap"] = "atomic"
    race_parties: NotNegative = 0  # gap: hold creates after their check until so many have passed it; 0 = no gate
    race_wait_seconds: NotNegative = 2  # gap with parties: give up waiting for the others after this
    taken_body: Literal["already_filled", "start_time", "conflict"] = "already_filled"
    window_limit_days: Literal[7, 31] = 31
    plan: Plan = "paid"
    creates_per_day: NotNegative | None = None
    refused_creates_count: bool = True
    create_headers: Literal["calls", "creates"] = "calls"  # which allowance the headers of a create show
    cancel_with_reason: Literal["accepted", "refused"] = "accepted"
    tracking_after_reschedule: Literal["kept", "lost"] = "kept"
    listing_lag_seconds: NotNegative = 0
    location_kind: Literal["required", "optional"] = "required"
    conference_lag_seconds: NotNegative = 0  # how long a conference has no link after the create
    webhooks: Mode | Literal["disabled"] = "once"
    retry_signature: Literal["renewed", "kept"] = "renewed"  # whether a retry has a new `t`
    local_webhook_urls: bool = False  # take http and loopback addresses, for the demo
    token: Literal["valid", "expired", "revoked", "scope_missing", "refresh_reply_lost"] = "valid"
    external_calendar: Literal["ok", "failing"] = "ok"

    def update(self, changes: object) -> None:
        """Apply a JSON object of changes, all or none; raises BadControl."""
        if not isinstance(changes, dict):
            raise BadControl("switches are a JSON object")
        try:
            wanted = Switches(**{**asdict(self), **changes})
        except (TypeError, ValidationError) as error:
            raise BadControl(_in_words(error)) from error
        for name in changes:
            setattr(self, name, getattr(wanted, name))

    def reset(self) -> None:
        """Put every switch back to its default."""
        for one in fields(self):
            setattr(self, one.name, one.default)


def _in_words(error: TypeError | ValidationError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
