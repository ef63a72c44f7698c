"""Lists as Stripe pages them (newest first), their filters, and `expand`."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.stripe.account import Account, Object
from sandbox.stripe.errors import StripeError, missing

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
MAX_EXPAND_DEPTH = 4

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": int.__gt__,
    "gte": int.__ge__,
    "lt": int.__lt__,
    "lte": int.__le__,
}


def page(kind: str, url: str, items: Iterable[Object], known: dict[str, Object], params: Object) -> Object:
    """One page of `items`, which come oldest first; a cursor may be any id the account knows."""
    limit = params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise StripeError(
            f"Invalid integer: limit must be between 1 and {MAX_LIMIT}",
            code="parameter_invalid_integer",
            param="limit",
        )
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise StripeError("You may only specify one of these parameters: starting_after, ending_before.")
    wanted = params.get("created")
    newest_first = [item for item in items if wanted is None or created_within(item, wanted)][::-1]
    place = {ident: number for number, ident in enumerate(known)} if after or before else {}
    for cursor, param in ((after, "starting_after"), (before, "ending_before")):
        if cursor and cursor not in place:
            raise missing(kind, cursor, param=param, status=400)
    if after:
        newest_first = [item for item in newest_first if place[item["id"]] < place[after]]
    if before:
        newer = [item for item in newest_first if place[item["id"]] > place[before]]
        data = newer[-limit:]
        return {"object": "list", "url": url, "has_more": len(newer) > limit, "data": data}
    return {"object": "list", "url": url, "has_more": len(newest_first) > limit, "data": newest_first[:limit]}


def created_within(item: Object, wanted: int | Object | None) -> bool:
    """`created` is one second, or a range of gt, gte, lt, lte."""
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return bool(item["created"] == wanted)
    return all(_COMPARE[name](item["created"], bound) for name, bound in wanted.items())


def expanded(account: Account, answer: Object, paths: list[str], *, kept: bool = True) -> Object:
    """`answer` with the ids at `paths` (such as `payment_intent.latest_charge`) replaced: a copy that may be `kept`, or
    one that has to be put into words before anything else happens."""
    result = copy.deepcopy(answer) if kept else dict(answer)
    if not kept and result.get("object") == "list":
        result["data"] = [dict(item) for item in result["data"]]
    for path in paths:
        if path.count(".") >= MAX_EXPAND_DEPTH:
            raise StripeError(
                f"You cannot expand more than {MAX_EXPAND_DEPTH} levels of a property. Property: {path}",
                param="expand",
            )
        _expand(account, result, path.split("."), path, kept)
    return result


def _expand(account: Account, subject: Object, parts: list[str], path: str, kept: bool) -> None:
    first, *rest = parts
    if subject.get("object") == "list" and first == "data":
        for item in subject["data"] if rest else []:
            _expand(account, item, rest, path, kept)
        return
    made = _included(account, subject, first)
    if made is not None:
        subject[first] = made
        return
    value = subject.get(first)
    if isinstance(value, str):
        value = _by_id(account, value)
        if value is None:
            raise _unexpandable(path)
    elif first not in subject or not (value is None or isinstance(value, dict)):
        raise _unexpandable(path)
    if value is not None:
        subject[first] = value = copy.deepcopy(value) if kept else dict(value)
    if rest and value is not None:
        _expand(account, value, rest, path, kept)


def _unexpandable(path: str) -> StripeError:
    # Found on the answer, so the work is done by then.
    return StripeError(f"This property cannot be expanded ({path}).", param="expand", executed=True)


def _included(account: Account, subject: Object, name: str) -> Object | None:
    """Sub-lists that are left out unless asked for."""
    if subject.get("object") == "checkout.session" and name == "line_items":
        return _sublist(
            f"/v1/checkout/sessions/{subject['id']}/line_items", account.state.terms[subject["id"]].line_items
        )
    if subject.get("object") == "charge" and name == "refunds":
        own = [one for one in account.state.refunds.values() if one["charge"] == subject["id"]]
        return _sublist(f"/v1/charges/{subject['id']}/refunds", own[::-1])
    return None


def _sublist(url: str, items: list[Object]) -> Object:
    data = copy.deepcopy(items[:DEFAULT_LIMIT])
    return {"object": "list", "url": url, "has_more": len(items) > DEFAULT_LIMIT, "data": data}


def _by_id(account: Account, ident: str) -> Any:
    state = account.state
    for table in (state.payment_intents, state.charges, state.refunds):
        if ident in table:
            return table[ident]
    return None
