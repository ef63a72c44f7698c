"""Names of schedulers: a provider's own, or one for each owner who has connected an account there."""

from __future__ import annotations

import re
from typing import Final

_OWNER: Final = re.compile(r"[a-z0-9-]{1,40}")


def owners_name(provider: str, owner: str) -> str:
    """The name of an owner's account at a provider, such as `calendly:nora`."""
    return f"{provider}:{owner}"


def provider_of(scheduler: str) -> str:
    """The provider of a scheduler, for any account."""
    return scheduler.partition(":")[0]


def owner_of(scheduler: str) -> str:
    """Whose account it is; empty for the provider's own name."""
    return scheduler.partition(":")[2]


def is_owner(text: str) -> bool:
    """Whether an owner can be named so."""
    return _OWNER.fullmatch(text) is not None
