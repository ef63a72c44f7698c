"""A change of a service that its owner made in the browser, as it is kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

#: What was changed, what it was, and what it is.
FieldChange = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ServiceVersion:
    """One row of `service_versions`. `edit` is the whole of what differs from widgets.toml from here on, as JSON;
    `changes` are what this one changed, at the scheduler too. `by` is the mail address of who did."""

    widget: str
    service_id: str
    version: int
    edit: Mapping[str, object]
    changes: Sequence[FieldChange]
    by: str
    at: datetime
    told_at: datetime | None = None
