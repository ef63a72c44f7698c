"""Schedules: working hours and their overrides (calcom-api.md, section 7.2)."""

from dataclasses import replace
from typing import Final

from sandbox.calcom import fields, views
from sandbox.calcom.errors import forbidden, not_found
from sandbox.calcom.fields import Field
from sandbox.calcom.request import ApiRequest, Operation, Reply, success
from sandbox.calcom.state import OFFICE_HOURS, Schedule, State

VERSIONS: Final = ("2024-06-11",)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIMES: Final = {
    "startTime": Field(fields.clock_time, required=True),
    "endTime": Field(fields.clock_time, required=True),
}
HOURS: Final = fields.list_of(
    fields.object_of({"days": Field(fields.list_of(fields.one_of(*_DAYS)), required=True), **_TIMES})
)
OVERRIDES: Final = fields.list_of(fields.object_of({"date": Field(fields.day, required=True), **_TIMES}))
_KNOWN: Final = {
    "name": Field(fields.filled, required=True),
    "timeZone": Field(fields.zone, required=True),
    "isDefault": Field(fields.boolean, required=True),
    "availability": Field(HOURS),
    "overrides": Field(OVERRIDES),
}


async def _list(request: ApiRequest) -> Reply:
    state = request.state
    mine = [one for one in state.schedules.values() if one.owner_id == request.user.id]
    return success([views.schedule(state, one) for one in mine])


async def _default(request: ApiRequest) -> Reply:
    """The owner's default; null where there is none."""
    state = request.state
    found = state.schedules.get(request.user.default_schedule_id or 0)
    return success(found and views.schedule(state, found))


async def _get(request: ApiRequest) -> Reply:
    return success(views.schedule(request.state, _own(request)))


async def _post(request: ApiRequest) -> Reply:
    state, asked = request.state, request.read(_KNOWN)
    made = Schedule(
        id=state.new_number(),
        owner_id=request.user.id,
        name=asked["name"],
        time_zone=asked["timeZone"],
        availability=asked.get("availability", [OFFICE_HOURS]),
        overrides=asked.get("overrides", []),
    )
    state.schedules[made.id] = made
    if asked["isDefault"]:
        _make_default(state, made)
    return success(views.schedule(state, made), 201)


async def _patch(request: ApiRequest) -> Reply:
    """Replace each array that the body carries. A default stays one until another takes its place."""
    state, present, asked = request.state, _own(request), request.read(_KNOWN, partial=True)
    changed = replace(
        present,
        name=asked.get("name", present.name),
        time_zone=asked.get("timeZone", present.time_zone),
        availability=asked.get("availability", present.availability),
        overrides=asked.get("overrides", present.overrides),
    )
    state.schedules[changed.id] = changed
    if asked.get("isDefault"):
        _make_default(state, changed)
    return success(views.schedule(state, changed))


async def _delete(request: ApiRequest) -> Reply:
    """Another schedule of the owner becomes the default, if there is one; types that used it follow the default."""
    state, gone = request.state, _own(request)
    del state.schedules[gone.id]
    if request.user.default_schedule_id == gone.id:
        left = next((one.id for one in state.schedules.values() if one.owner_id == request.user.id), None)
        state.users[request.user.id] = replace(request.user, default_schedule_id=left)
    for kind in [one for one in state.event_types.values() if one.fields["scheduleId"] == gone.id]:
        state.event_types[kind.id] = replace(kind, fields=kind.fields | {"scheduleId": None})
    return 200, {"status": "success"}


def _own(request: ApiRequest) -> Schedule:
    found = request.state.schedules.get(request.number("scheduleId"))
    if found is None:
        raise not_found(f"Schedule with ID={request.params['scheduleId']} does not exist.")
    if found.owner_id != request.user.id:
        raise forbidden(f"User with ID={request.user.id} does not own schedule with ID={found.id}")
    return found


def _make_default(state: State, schedule: Schedule) -> None:
    owner = state.users[schedule.owner_id]
    state.users[owner.id] = replace(owner, default_schedule_id=schedule.id)


OPERATIONS: Final = [
    Operation("GET", "/schedules", _list, VERSIONS),
    Operation("POST", "/schedules", _post, VERSIONS),
    Operation("GET", "/schedules/default", _default, VERSIONS),
    Operation("GET", "/schedules/{scheduleId}", _get, VERSIONS),
    Operation("PATCH", "/schedules/{scheduleId}", _patch, VERSIONS),
    Operation("DELETE", "/schedules/{scheduleId}", _delete, VERSIONS),
]
