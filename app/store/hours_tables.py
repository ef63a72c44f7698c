"""The tables of people's hours, and how a row becomes one of the domain's objects and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.domain.hours_change import ChangeKind, HoursChange
from app.domain.studio import Hours, Span
from app.store.tables import (
    Instant,
    Row,
    metadata,
)

#: What staff have changed of people's hours, by whom, and whether the scheduler knows.
hours_changes = sa.Table(
    "hours_changes",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("scheduler", sa.Text, nullable=False),
    sa.Column("resource_id", sa.Text, nullable=False),
    sa.Column("resource_name", sa.Text, nullable=False),
    sa.Column("location_id", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("starts_at", Instant, nullable=False),
    sa.Column("ends_at", Instant, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("week", sa.JSON),
    sa.Column("before", sa.JSON, nullable=False),
    sa.Column("ended_by", sa.Text, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("due", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_at", Instant),
    sa.Column("problem", sa.Text, nullable=False),
    # The slot guard looks there at every hold.
    sa.Index("hours_changes_guard", "resource_id", "ends_at"),
    sa.Index("hours_changes_ends", "ends_at"),
    sa.Index("hours_changes_due", "next_try_at"),
)

#: Everyone's hours as a scheduler last told them, and as they were changed there since. Nothing is missed if it is
#: lost: it is asked again.
known_hours = sa.Table(
    "known_hours",
    metadata,
    sa.Column("scheduler", sa.Text, primary_key=True),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)


def hours_change_row(change: HoursChange) -> dict[str, Any]:
    """The row of a change."""
    row = {one.name: getattr(change, one.name) for one in fields(change)}
    week = None if change.week is None else {str(day): _pairs(hours) for day, hours in change.week.items()}
    return {**row, "week": week, "before": days_to_json(change.before)}


def days_to_json(days: Mapping[date, Hours | None]) -> dict[str, list[list[int]] | None]:
    """Days with their hours, as a column has them."""
    return {day.isoformat(): None if hours is None else _pairs(hours) for day, hours in days.items()}


def to_hours_change(row: Row) -> HoursChange:
    """A change from its row."""
    week = None if row["week"] is None else {int(day): _hours(pairs) for day, pairs in row["week"].items()}
    before = {date.fromisoformat(day): None if pairs is None else _hours(pairs) for day, pairs in row["before"].items()}
    return HoursChange(**{**row, "kind": ChangeKind(row["kind"]), "week": week, "before": before})


def _pairs(hours: Hours) -> list[list[int]]:
    return [[span.opens, span.closes] for span in hours]


def _hours(pairs: list[list[int]]) -> Hours:
    return tuple(Span(opens, closes) for opens, closes in pairs)
