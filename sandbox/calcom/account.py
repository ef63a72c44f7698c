"""Who owns the key, and the key's renewal (calcom-api.md, sections 2 and 6)."""

from datetime import timedelta
from typing import Final

from sandbox.calcom import fields, views
from sandbox.calcom.fields import Field
from sandbox.calcom.request import ApiRequest, Operation, Reply, success
from sandbox.calcom.state import Key

KEY_PREFIX: Final = "cal_"
_DAYS: Final = 30


async def _me(request: ApiRequest) -> Reply:
    return success(views.me(request.user))


async def _refresh_key(request: ApiRequest) -> Reply:
    """Replace the key of the call. It ends in 30 days unless the body says otherwise."""
    state = request.state
    asked = request.read(
        {"apiKeyDaysValid": Field(fields.integer(1)), "apiKeyNeverExpires": Field(fields.boolean)},
    )
    forever = asked.get("apiKeyNeverExpires", False)
    until = None if forever else state.stamp() + timedelta(days=asked.get("apiKeyDaysValid", _DAYS))
    fresh = f"{KEY_PREFIX}{state.new_uuid().replace('-', '')}"
    del state.keys[request.token]
    state.keys[fresh] = Key(request.user.id, until)
    return success({"apiKey": fresh})


OPERATIONS: Final = [
    Operation("GET", "/me", _me),
    Operation("POST", "/api-keys/refresh", _refresh_key),
]
