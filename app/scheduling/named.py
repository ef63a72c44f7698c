"""Errors that say which scheduler they come from."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from app.errors import SchedulerError

P = ParamSpec("P")
T = TypeVar("T")
Kind = TypeVar("Kind")


def named(scheduler: str) -> Callable[[type[Kind]], type[Kind]]:
    """Decorator of a scheduler's class: every error that leaves one of its calls has the code of that scheduler,
    whichever of its files has raised it."""

    def decorate(kind: type[Kind]) -> type[Kind]:
        for name, method in list(vars(kind).items()):
            if inspect.iscoroutinefunction(method) and not name.startswith("_"):
                setattr(kind, name, _naming(scheduler, method))
        return kind

    return decorate


def _naming(scheduler: str, method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except SchedulerError as error:
            error.at(scheduler)
            raise

    return call
