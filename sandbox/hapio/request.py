"""One request as the sandbox's operations see it: authenticated, parsed, with the state it works on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.hapio.errors import not_found
from sandbox.hapio.state import Abilities, Json, State

T = TypeVar("T")

Reply = tuple[int, Any]  # status and JSON body; None is no body


@dataclass(frozen=True)
class ApiRequest:
    """The parts of a request that an operation needs; `url` is the request's address without its query."""

    state: State
    abilities: Abilities
    params: dict[str, str]
    query: dict[str, str]
    body: Json
    url: str

    def find(self, table: dict[str, T], param: str) -> T:
        """Return the record that a path parameter names; raises Refusal 404."""
        record = table.get(self.params[param].lower())
        if record is None:
            raise not_found(param.replace("-", " "))
        return record


Handler = Callable[[ApiRequest], Awaitable[Reply]]


@dataclass(frozen=True)
class Operation:
    """One of the API's 60 operations."""

    method: str
    path: str
    id: str
    ability: str | None
    handler: Handler
