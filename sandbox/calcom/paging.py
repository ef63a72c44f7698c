"""Offset paging: `take` and `skip`, and what an answer says of its page (calcom-api.md, section 5)."""

from typing import Final

from sandbox.calcom import fields
from sandbox.calcom.fields import Field
from sandbox.calcom.state import Json

MOST: Final = 250
PAGE: Final = {"take": Field(fields.number(1, MOST)), "skip": Field(fields.number(0))}


def pagination(total: int, returned: int, *, take: int, skip: int) -> Json:
    """The `pagination` of a list's answer."""
    pages = -(-total // take)
    return {
        "totalItems": total,
        "remainingItems": max(0, total - skip - returned),
        "returnedItems": returned,
        "itemsPerPage": take,
        "currentPage": skip // take + 1,
        "totalPages": pages,
        "hasNextPage": skip + returned < total,
        "hasPreviousPage": skip > 0,
    }
