"""Opening hours: recurring schedules with their blocks, and one-off schedule blocks (Hapio API v1.7)."""

import operator
from typing import Any, Final

from sandbox.hapio import fields
from sandbox.hapio.crud import Kind, operations
from sandbox.hapio.errors import invalid
from sandbox.hapio.fields import WEEKDAYS, Field
from sandbox.hapio.listing import Lists, Property, by_attribute, equals, stamps
from sandbox.hapio.request import ApiRequest, Operation
from sandbox.hapio.state import Json, RecurringBlock, RecurringSchedule, ScheduleBlock, State

_RECURRING_FIELDS: Final = {
    "location_id": Field(fields.uuid, required=True),
    "start_date": Field(fields.day, required=True),
    "end_date": Field(fields.day, nullable=True, default=None),
    "interval": Field(fields.integer(1), default=1),
}
_RECURRING_BLOCK_FIELDS: Final = {
    "weekday": Field(fields.one_of(*WEEKDAYS), required=True),
    "start_time": Field(fields.clock_time, required=True),
    "end_time": Field(fields.closing_time, required=True),
}
_BLOCK_FIELDS: Final = {
    "location_id": Field(fields.uuid, required=True),
    "starts_at": Field(fields.timestamp, required=True),
    "ends_at": Field(fields.timestamp, required=True),
    "is_available": Field(fields.boolean, default=True),
}


def _property(parse: Any, name: str) -> dict[str, Property[Any]]:
    return {name: Property(parse, operator.attrgetter(name))}


def _resource_scope(request: ApiRequest) -> Json:
    return {"resource_id": request.find(request.state.resources, "resource").id}


def _recurring_scope(request: ApiRequest) -> Json:
    return {"recurring_schedule_id": RECURRING_SCHEDULES.find(request).id}


def _read_recurring(request: ApiRequest, present: RecurringSchedule | None, partial: bool) -> Json:
    return _known_location(request.state, fields.read(request.body, _RECURRING_FIELDS, partial=partial))


def _read_recurring_block(request: ApiRequest, present: RecurringBlock | None, partial: bool) -> Json:
    return fields.read(request.body, _RECURRING_BLOCK_FIELDS, partial=partial)


def _read_block(request: ApiRequest, present: ScheduleBlock | None, partial: bool) -> Json:
    return _known_location(request.state, fields.read(request.body, _BLOCK_FIELDS, partial=partial))


def _known_location(state: State, values: Json) -> Json:
    if "location_id" in values and values["location_id"] not in state.locations:
        raise invalid({"location_id": ["The selected location id is invalid."]})
    return values


def _check_recurring(state: State, schedule: RecurringSchedule) -> None:
    if schedule.end_date is not None and schedule.end_date < schedule.start_date:
        raise invalid({"end_date": ["The end date must be a date after or equal to start date."]})


def _check_recurring_block(state: State, block: RecurringBlock) -> None:
    if block.end_time <= block.start_time:
        raise invalid({"end_time": ["The end time must be later than the start time."]})
    for other in state.recurring_blocks.values():
        if (
            other.id != block.id
            and other.recurring_schedule_id == block.recurring_schedule_id
            and other.weekday == block.weekday
            and other.start_time < block.end_time
            and block.start_time < other.end_time
        ):
            raise invalid({"start_time": ["The schedule block overlaps with another schedule block."]})


def _check_block(state: State, block: ScheduleBlock) -> None:
    if block.ends_at <= block.starts_at:
        raise invalid({"ends_at": ["The ends at must be a date after starts at."]})
    for other in state.schedule_blocks.values():
        if (
            other.id != block.id
            and (other.resource_id, other.location_id) == (block.resource_id, block.location_id)
            and other.is_available == block.is_available
            and other.starts_at < block.ends_at
            and block.starts_at < other.ends_at
        ):
            raise invalid({"starts_at": ["The schedule block overlaps with another schedule block."]})


def _expires_on_or_after(text: object) -> Any:
    on = fields.day(text)
    return lambda schedule: schedule.end_date is None or schedule.end_date >= on


def _takes_effect_by(text: object) -> Any:
    on = fields.day(text)
    return lambda schedule: schedule.start_date <= on


def _ends_after(text: object) -> Any:
    at = fields.timestamp(text)
    return lambda block: block.ends_at > at


def _starts_before(text: object) -> Any:
    at = fields.timestamp(text)
    return lambda block: block.starts_at < at


def _delete_recurring_block(state: State, block: RecurringBlock) -> None:
    del state.recurring_blocks[block.id]


def _delete_block(state: State, block: ScheduleBlock) -> None:
    del state.schedule_blocks[block.id]


RECURRING_SCHEDULES: Final = Kind[RecurringSchedule](
    param="recurring-schedule",
    path="/resources/{resource}/recurring-schedules",
    operation="ResourceRecurringSchedule",
    entity="recurring_schedule",
    make=RecurringSchedule,
    table=lambda state: state.recurring_schedules,
    read=_read_recurring,
    check=_check_recurring,
    as_json=State.recurring_schedule_json,
    delete=State.delete_recurring_schedule,
    scope=_resource_scope,
    lists=Lists(
        properties={**_property(fields.day, "start_date"), **_property(fields.day, "end_date"), **stamps()},
        sorts=by_attribute("start_date", "end_date", "created_at", "updated_at"),
        plain={
            "from": _expires_on_or_after,
            "to": _takes_effect_by,
            "location": equals(fields.uuid, "location_id"),
        },
    ),
)

RECURRING_BLOCKS: Final = Kind[RecurringBlock](
    param="schedule-block",
    path="/resources/{resource}/recurring-schedules/{recurring-schedule}/schedule-blocks",
    operation="ResourceRecurringScheduleBlock",
    entity="recurring_schedule_block",
    make=RecurringBlock,
    table=lambda state: state.recurring_blocks,
    read=_read_recurring_block,
    check=_check_recurring_block,
    as_json=State.recurring_block_json,
    delete=_delete_recurring_block,
    scope=_recurring_scope,
    lists=Lists(
        properties={
            **_property(fields.clock_time, "start_time"),
            **_property(fields.closing_time, "end_time"),
            **stamps(),
        },
        sorts={
            "weekday": lambda block: WEEKDAYS.index(block.weekday),
            **by_attribute("start_time", "end_time", "created_at", "updated_at"),
        },
        plain={"weekday": equals(fields.one_of(*WEEKDAYS), "weekday")},
    ),
)

SCHEDULE_BLOCKS: Final = Kind[ScheduleBlock](
    param="schedule-block",
    path="/resources/{resource}/schedule-blocks",
    operation="ResourceScheduleBlock",
    entity="schedule_block",
    make=ScheduleBlock,
    table=lambda state: state.schedule_blocks,
    read=_read_block,
    check=_check_block,
    as_json=State.schedule_block_json,
    delete=_delete_block,
    scope=_resource_scope,
    lists=Lists(
        properties={
            **_property(fields.timestamp, "starts_at"),
            **_property(fields.timestamp, "ends_at"),
            **stamps(),
        },
        sorts=by_attribute("starts_at", "ends_at", "created_at", "updated_at"),
        plain={
            "from": _ends_after,
            "to": _starts_before,
            "location": equals(fields.uuid, "location_id"),
        },
    ),
)

OPERATIONS: Final[list[Operation]] = [
    *operations(SCHEDULE_BLOCKS),
    *operations(RECURRING_SCHEDULES),
    *operations(RECURRING_BLOCKS),
]
