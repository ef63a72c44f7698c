"""Connecting to the schedulers whose credentials are set: the only place outside their folders that knows them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.domain.scheduler_names import owner_of, provider_of
from app.scheduling.calcom.connect import connect_calcom
from app.scheduling.calendly.connect import connect_calendly, connect_calendly_owner
from app.scheduling.connected import Connected, World
from app.scheduling.hapio.connect import connect_hapio
from app.settings import Settings

#: What people call them.
PROVIDERS: Final[Mapping[str, str]] = {"hapio": "Hapio", "calcom": "Cal.com", "calendly": "Calendly"}
_CONNECT = {"hapio": connect_hapio, "calcom": connect_calcom, "calendly": connect_calendly}
_CONNECT_OWNER = {"calendly": connect_calendly_owner}


def connect(settings: Settings, world: World, owners: Iterable[str] = ()) -> dict[str, Connected]:
    """Every scheduler of `settings.schedulers`, and each of `owners`, such as `calendly:nora`, by name."""
    theirs = sorted({name for name in owners if owner_of(name) and provider_of(name) in settings.owner_schedulers})
    return {
        **{name: _CONNECT[name](settings, world) for name in settings.schedulers},
        **{name: _CONNECT_OWNER[provider_of(name)](settings, world, name) for name in theirs},
    }
