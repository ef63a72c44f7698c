"""Setup objects: project, locations, resources, services and which resource offers which service."""

import operator
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.hapio import fields
from sandbox.hapio.crud import Kind, operations
from sandbox.hapio.errors import invalid, not_found
from sandbox.hapio.fields import Field, length
from sandbox.hapio.listing import Lists, Property, by_attribute, equals, metadata_of, stamps, tri_state
from sandbox.hapio.request import ApiRequest, Operation, Reply
from sandbox.hapio.state import Association, Json, Location, Resource, Service, State

_METADATA: Final = {
    "metadata": Field(fields.metadata, nullable=True, default=None),
    "protected_metadata": Field(fields.metadata, nullable=True, default=None),
}
_ENABLED: Final = {"enabled": Field(fields.boolean, default=True)}
_STRATEGY: Final = fields.one_of("randomize", "prioritize", "equalize")
_NAME: Final = Property[Any](fields.string, operator.attrgetter("name"))
_SORTS: Final = by_attribute("name", "created_at", "updated_at")
_DISABLED: Final = tri_state(lambda record: not record.enabled)
_HIDE_DISABLED: Final = {"disabled": "exclude"}

_LOCATION_FIELDS: Final = {
    "name": Field(fields.string, required=True),
    "time_zone": Field(fields.zone_name, required=True),
    "resource_selection_strategy": Field(_STRATEGY, required=True),
    "resource_selection_priority": Field(fields.uuids, default=[]),
    **_METADATA,
    **_ENABLED,
}
_RESOURCE_FIELDS: Final = {
    "name": Field(fields.string, required=True),
    "max_simultaneous_bookings": Field(fields.integer(1), nullable=True, default=None),
    **_METADATA,
    **_ENABLED,
}
_SERVICE_FIELDS: Final = {
    "name": Field(fields.string, required=True),
    "type": Field(fields.one_of("fixed", "flexible", "day"), required=True),
    "price": Field(fields.price, nullable=True, default=None),
    "buffer_time_before": Field(fields.duration, default="PT0S"),
    "buffer_time_after": Field(fields.duration, default="PT0S"),
    "booking_window_start": Field(fields.duration, default="PT0S"),
    "booking_window_end": Field(fields.positive_duration, nullable=True, default=None),
    "cancelation_threshold": Field(fields.duration, default="PT0S"),
    **_METADATA,
    **_ENABLED,
}
_OPTIONAL_LENGTH: Final = Field(fields.positive_duration, nullable=True, default=None)
_TYPE_FIELDS: Final[Mapping[str, Mapping[str, Field]]] = {
    "fixed": {
        "duration": Field(fields.positive_duration, required=True),
        "bookable_interval": _OPTIONAL_LENGTH,
    },
    "flexible": {
        "min_duration": Field(fields.positive_duration, required=True),
        "max_duration": Field(fields.positive_duration, required=True, nullable=True),
        "default_duration": _OPTIONAL_LENGTH,
        "duration_step": Field(fields.positive_duration, required=True),
        "bookable_interval": _OPTIONAL_LENGTH,
    },
    "day": {
        "start_time": Field(fields.times_by_weekday, required=True),
        "end_time": Field(fields.times_by_weekday, required=True),
        "min_days": Field(fields.integer(1), required=True),
        "max_days": Field(fields.integer(1), required=True, nullable=True),
        "default_days": Field(fields.integer(1), nullable=True, default=None),
    },
}


def _read_location(request: ApiRequest, present: Location | None, partial: bool) -> Json:
    return fields.read(request.body, _LOCATION_FIELDS, partial=partial)


def _read_resource(request: ApiRequest, present: Resource | None, partial: bool) -> Json:
    return fields.read(request.body, _RESOURCE_FIELDS, partial=partial)


def _read_service(request: ApiRequest, present: Service | None, partial: bool) -> Json:
    """Read the common fields and those of the type; a changed type needs all of its own fields."""
    values = fields.read(request.body, _SERVICE_FIELDS, partial=partial)
    kind = values["type"] if "type" in values or present is None else present.type
    same_type = present is not None and kind == present.type
    details = fields.read(request.body, _TYPE_FIELDS[kind], partial=partial and same_type)
    if partial and same_type and present is not None:
        details = present.details | details
    return {**values, "details": details}


def _check_service(state: State, service: Service) -> None:
    """Refuse a service whose type-specific fields contradict each other."""
    own = service.details
    errors: dict[str, list[str]] = {}
    if service.type == "flexible":
        shortest = length(own["min_duration"]).approximate()
        longest = own["max_duration"] and length(own["max_duration"]).approximate()
        default = own["default_duration"] and length(own["default_duration"]).approximate()
        if longest and longest < shortest:
            errors["max_duration"] = ["The max duration must not be shorter than the min duration."]
        if default and (default < shortest or (longest and default > longest)):
            errors["default_duration"] = ["The default duration must lie between the min and max duration."]
    elif service.type == "day":
        fewest, most, usual = own["min_days"], own["max_days"], own["default_days"]
        if most is not None and most < fewest:
            errors["max_days"] = ["The max days must be at least the min days."]
        if usual is not None and (usual < fewest or (most is not None and usual > most)):
            errors["default_days"] = ["The default days must lie between the min and max days."]
        if fewest == 1 and any(
            time_on(own["end_time"], weekday) <= time_on(own["start_time"], weekday) for weekday in fields.WEEKDAYS
        ):
            errors["min_days"] = ["The min days can be 1 only if the end time is later than the start time."]
    if errors:
        raise invalid(errors)


def time_on(times: str | dict[str, str], weekday: str) -> str:
    """Return the time that holds on a weekday, from one time or an object of seven."""
    return times if isinstance(times, str) else times[weekday]


LOCATIONS: Final = Kind[Location](
    param="location",
    path="/locations",
    operation="Location",
    entity="location",
    make=Location,
    table=lambda state: state.locations,
    read=_read_location,
    as_json=State.location_json,
    delete=State.delete_location,
    lists=Lists(
        properties={"name": _NAME, **stamps()},
        sorts=_SORTS,
        plain={
            "disabled": _DISABLED,
            "timezone": equals(fields.zone_name, "time_zone"),
            "resource_selection_strategy": equals(_STRATEGY, "resource_selection_strategy"),
        },
        metadata=metadata_of("location"),
    ),
    list_defaults=_HIDE_DISABLED,
)

RESOURCES: Final = Kind[Resource](
    param="resource",
    path="/resources",
    operation="Resource",
    entity="resource",
    make=Resource,
    table=lambda state: state.resources,
    read=_read_resource,
    as_json=State.resource_json,
    delete=State.delete_resource,
    lists=Lists(
        properties={
            "name": _NAME,
            "max_simultaneous_bookings": Property(fields.integer(0), operator.attrgetter("max_simultaneous_bookings")),
            **stamps(),
        },
        sorts=_SORTS,
        plain={"disabled": _DISABLED},
        metadata=metadata_of("resource"),
    ),
    list_defaults=_HIDE_DISABLED,
)

SERVICES: Final = Kind[Service](
    param="service",
    path="/services",
    operation="Service",
    entity="service",
    make=Service,
    table=lambda state: state.services,
    read=_read_service,
    check=_check_service,
    as_json=State.service_json,
    delete=State.delete_service,
    lists=Lists(
        properties={
            "name": _NAME,
            "price": Property(
                lambda text: Decimal(fields.price(text)), lambda service: service.price and Decimal(service.price)
            ),
            **stamps(),
        },
        sorts=_SORTS,
        plain={
            "disabled": _DISABLED,
            "type": equals(fields.one_of("fixed", "flexible", "day"), "type"),
        },
        metadata=metadata_of("service"),
    ),
    list_defaults=_HIDE_DISABLED,
)


async def _project(request: ApiRequest) -> Reply:
    created_at = request.state.project_created_at.isoformat()
    return 200, {
        "id": request.state.project_id,
        "name": "Hapio sandbox",
        "enabled": True,
        "created_at": created_at,
        "updated_at": created_at,
    }


def _pair(request: ApiRequest) -> tuple[str, str]:
    state = request.state
    return request.find(state.resources, "resource").id, request.find(state.services, "service").id


def _associations_of(request: ApiRequest, side: str) -> Reply:
    state = request.state
    record = RESOURCES.find(request) if side == "resource" else SERVICES.find(request)
    found = [a for a in state.associations.values() if getattr(a, f"{side}_id") == record.id]
    return 200, [state.association_json(association) for association in found]


async def _services_of_resource(request: ApiRequest) -> Reply:
    return _associations_of(request, "resource")


async def _resources_of_service(request: ApiRequest) -> Reply:
    return _associations_of(request, "service")


async def _get_association(request: ApiRequest) -> Reply:
    association = request.state.associations.get(_pair(request))
    if association is None:
        raise not_found("association")
    return 200, request.state.association_json(association)


async def _put_association(request: ApiRequest) -> Reply:
    state, pair = request.state, _pair(request)
    known = pair in state.associations
    if not known:
        state.associations[pair] = Association(*pair, created_at=state.stamp())
    return 200 if known else 201, state.association_json(state.associations[pair])


async def _delete_association(request: ApiRequest) -> Reply:
    if request.state.associations.pop(_pair(request), None) is None:
        raise not_found("association")
    return 204, None


def _association_operations(path: str, one: str, name: str) -> list[Operation]:
    lister = _services_of_resource if name == "ResourceService" else _resources_of_service
    return [
        Operation("GET", path, f"get{name}s", "resource_service:view", lister),
        Operation("GET", one, f"get{name}", "resource_service:view", _get_association),
        Operation("PUT", one, f"put{name}", "resource_service:create", _put_association),
        Operation("DELETE", one, f"delete{name}", "resource_service:delete", _delete_association),
    ]


OPERATIONS: Final = [
    Operation("GET", "/project", "getYourProject", None, _project),
    *operations(LOCATIONS),
    *operations(RESOURCES),
    *operations(SERVICES),
    *_association_operations(
        "/resources/{resource}/services", "/resources/{resource}/services/{service}", "ResourceService"
    ),
    *_association_operations(
        "/services/{service}/resources", "/services/{service}/resources/{resource}", "ServiceResource"
    ),
]
