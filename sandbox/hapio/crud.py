"""The six operations that every setup object has: list, create, show, replace, patch, delete.

What differs from kind to kind is told by a `Kind`; what is alike is written once, here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from sandbox.hapio.errors import forbidden, not_found
from sandbox.hapio.listing import Lists, paginate, select
from sandbox.hapio.request import ApiRequest, Operation, Reply
from sandbox.hapio.state import Abilities, Json, State

E = TypeVar("E")


def _no_scope(request: ApiRequest) -> Json:
    return {}


def _no_check(state: State, record: Any) -> None:
    return None


@dataclass(frozen=True)
class Kind(Generic[E]):
    """One kind of setup object.

    `read` parses a body into the record's attributes (given the present record, if any, and whether only sent fields
    count); `scope` looks up the parents in the path and returns the attributes that tie the record to them; `check`
    raises when the record as a whole breaks a rule.
    """

    param: str
    path: str
    operation: str
    entity: str
    make: Callable[..., E]
    table: Callable[[State], dict[str, E]]
    read: Callable[[ApiRequest, E | None, bool], Json]
    as_json: Callable[[State, E, Abilities], Json]
    delete: Callable[[State, E], None]
    lists: Lists[E]
    scope: Callable[[ApiRequest], Json] = _no_scope
    check: Callable[[State, E], None] = _no_check
    list_defaults: Mapping[str, str] = field(default_factory=dict)

    def find(self, request: ApiRequest) -> E:
        """Return the record in the path, under its parents; raises Refusal 404."""
        scope = self.scope(request)
        record = request.find(self.table(request.state), self.param)
        if any(getattr(record, name) != value for name, value in scope.items()):
            raise not_found(self.param.replace("-", " "))
        return record


def operations(kind: Kind[E]) -> list[Operation]:
    """Return the six operations of a kind."""

    def show_json(request: ApiRequest, record: E) -> Json:
        return kind.as_json(request.state, record, request.abilities)

    def store(request: ApiRequest, record: E) -> None:
        kind.check(request.state, record)
        kind.table(request.state)[record.id] = record  # type: ignore[attr-defined]  # every record has an id

    async def list_all(request: ApiRequest) -> Reply:
        scope = kind.scope(request)
        records = [
            record
            for record in kind.table(request.state).values()
            if all(getattr(record, name) == value for name, value in scope.items())
        ]
        found = select(request, records, kind.lists, kind.list_defaults)
        return paginate(request, found, lambda record: show_json(request, record))

    async def create(request: ApiRequest) -> Reply:
        scope = kind.scope(request)
        _guard_protected(request, kind)
        values = kind.read(request, None, False)
        at = request.state.stamp()
        record = kind.make(id=request.state.new_id(), created_at=at, updated_at=at, **scope, **values)
        store(request, record)
        return 201, show_json(request, record)

    async def show(request: ApiRequest) -> Reply:
        return 200, show_json(request, kind.find(request))

    async def change(request: ApiRequest, *, partial: bool) -> Reply:
        record = kind.find(request)
        _guard_protected(request, kind)
        values = kind.read(request, record, partial)
        if f"{kind.entity}:protected_metadata" not in request.abilities:
            values.pop("protected_metadata", None)  # a PUT must not wipe what its token cannot see
        changed = replace(record, **values)  # type: ignore[type-var]  # records are dataclasses
        if changed != record:
            changed = replace(changed, updated_at=request.state.stamp())  # type: ignore[type-var]
            store(request, changed)
        return 200, show_json(request, changed)

    async def put(request: ApiRequest) -> Reply:
        return await change(request, partial=False)

    async def patch(request: ApiRequest) -> Reply:
        return await change(request, partial=True)

    async def delete(request: ApiRequest) -> Reply:
        kind.delete(request.state, kind.find(request))
        return 204, None

    one, name, entity = f"{kind.path}/{{{kind.param}}}", kind.operation, kind.entity
    return [
        Operation("GET", kind.path, f"get{name}s", f"{entity}:view", list_all),
        Operation("POST", kind.path, f"post{name}", f"{entity}:create", create),
        Operation("GET", one, f"get{name}", f"{entity}:view", show),
        Operation("PUT", one, f"put{name}", f"{entity}:update", put),
        Operation("PATCH", one, f"patch{name}", f"{entity}:update", patch),
        Operation("DELETE", one, f"delete{name}", f"{entity}:delete", delete),
    ]


def _guard_protected(request: ApiRequest, kind: Kind[Any]) -> None:
    if "protected_metadata" in request.body and f"{kind.entity}:protected_metadata" not in request.abilities:
        raise forbidden()
