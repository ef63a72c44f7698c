"""Decodes Stripe's bracketed form bodies and queries into nested values; all leaves stay strings."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from sandbox.stripe.errors import StripeError

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def parse(text: str) -> dict[str, Any]:
    """`a[b]=1&c[0]=x` → `{"a": {"b": "1"}, "c": {"0": "x"}}`. Lists are made by the schema, which alone
    knows whether `0` is a place or a name."""
    return nest(parse_qsl(text, keep_blank_values=True))


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Raises StripeError for keys whose brackets do not match, or that are both a value and a table."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        match = _KEY.fullmatch(key)
        if match is None:
            raise StripeError(f"Invalid request (could not read the parameter name {key!r})", param=key)
        *parents, last = [match[1], *_PART.findall(match[2])]
        table = result
        for part in parents:
            table = table.setdefault(part or str(len(table)), {})
            if not isinstance(table, dict):
                raise StripeError(f"Invalid hash: {key}", param=match[1])
        # `types[]=a&types[]=b` is the other way to write a list.
        table[last or str(len(table))] = value
    return result
