"""One request as the sandbox's operations see it: authenticated, parsed, with the state it works on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox.calendly.errors import OTHER_ORGANIZATION, denied, detail, invalid, not_found
from sandbox.calendly.records import Json, Token, User
from sandbox.calendly.state import State

T = TypeVar("T")

Reply = tuple[int, Any]  # status and JSON body; None is no body


@dataclass(frozen=True)
class ApiRequest:
    """The parts of a request that an operation needs. `headers` are what it changes in the answer's headers."""

    state: State
    token: Token
    user: User
    params: dict[str, str]
    query: dict[str, str]
    body: Json
    path: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether the caller may see the whole organization."""
        return self.user.role in ("owner", "admin")

    def find(self, table: dict[str, T], param: str = "uuid") -> T:
        """Return the record that a path parameter names; raises Refusal 404."""
        record = table.get(self.params[param])
        if record is None:
            raise not_found()
        return record

    def named(self, kind: str, parameter: str) -> str | None:
        """Return the id in a query parameter that holds a URI; None if it is not given. Raises Refusal 400."""
        given = self.query.get(parameter)
        if given is None:
            return None
        id_ = self.state.id_in(kind, given)
        if id_ is None:
            raise invalid(detail(parameter, f"must be a URI of {kind}"))
        return id_

    def colleague(self, id_: str) -> User:
        """Return a user of the caller's organization; raises Refusal 403."""
        user = self.state.users.get(id_)
        if user is None or user.organization != self.user.organization:
            raise denied(OTHER_ORGANIZATION)
        return user


Handler = Callable[[ApiRequest], Awaitable[Reply]]


@dataclass(frozen=True)
class Operation:
    """One operation of the API, and the scopes of which it needs each."""

    method: str
    path: str
    scopes: tuple[str, ...]
    handler: Handler
