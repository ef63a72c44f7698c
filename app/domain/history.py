"""A booking's history, line by line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.booking import Status


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a booking's history."""

    at: datetime
    what: str
    status: Status
    detail: Mapping[str, Any]
