"""Lists in pages: `count`, `page_token`, `sort` (Calendly API v2, pagination and sorting).

Unknown query parameters are ignored. A page token is the place in the list: a list that changes meanwhile may show an
entry twice or not at all, as any list without a cursor.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from sandbox.calendly.errors import detail, invalid
from sandbox.calendly.records import Json
from sandbox.calendly.request import ApiRequest, Reply

R = TypeVar("R")

_MOST: Final = 100
_USUAL: Final = 20
_PLACE: Final = re.compile(r"from:\d{6}")


def paginate(request: ApiRequest, records: list[R], show: Callable[[R], Json]) -> Reply:
    """Answer one page of a list."""
    count, offset = _count(request), _offset(request)
    page = records[offset : offset + count]
    following = offset + count if offset + count < len(records) else None
    before = max(0, offset - count) if offset else None
    pagination = {
        "count": len(page),
        "next_page": _link(request, following),
        "previous_page": _link(request, before),
        "next_page_token": None if following is None else _token(following),
        "previous_page_token": None if before is None else _token(before),
    }
    return 200, {"collection": [show(one) for one in page], "pagination": pagination}


def ordered(request: ApiRequest, records: Iterable[R], keys: Mapping[str, Callable[[R], Any]], default: str) -> list[R]:
    """Return the records in the order that `sort` asks for, as `field:direction`; the direction may be left out."""
    name, _, direction = request.query.get("sort", default).partition(":")
    if name not in keys or direction not in ("", "asc", "desc"):
        raise invalid(detail("sort", f"must be {' or '.join(keys)} with asc or desc"))
    return sorted(records, key=keys[name], reverse=direction == "desc")


def choice(request: ApiRequest, parameter: str, *choices: str) -> str | None:
    """Return a query parameter that is one of few; None if it is not given. Raises Refusal 400."""
    given = request.query.get(parameter)
    if given is not None and given not in choices:
        raise invalid(detail(parameter, f"must be one of: {', '.join(choices)}"))
    return given


def _count(request: ApiRequest) -> int:
    given = request.query.get("count", str(_USUAL))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= _MOST:
        raise invalid(detail("count", f"must be between 1 and {_MOST}"))
    return int(given)


def _offset(request: ApiRequest) -> int:
    given = request.query.get("page_token")
    if given is None:
        return 0
    try:
        place = base64.urlsafe_b64decode(given.encode()).decode()
    except (binascii.Error, ValueError):
        place = ""
    if not _PLACE.fullmatch(place):
        raise invalid(detail("page_token", "is invalid"))
    return int(place.removeprefix("from:"))


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"from:{offset:06}".encode()).decode()


def _link(request: ApiRequest, offset: int | None) -> str | None:
    if offset is None:
        return None
    query = request.query | {"page_token": _token(offset)}
    return f"{request.state.api_url}{request.path}?{urlencode(query)}"
