"""Connecting to the schedulers whose credentials are set: the only place outside their folders that knows them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.domain.scheduler_names import owner_of, provider_of
from app.scheduling.connected import Connected, World
from app.settings import Settings

#: What people call them.
PROVIDERS: Final[Mapping[str, str]] = {"hapio": "Hapio", "calcom": "Cal.com", "calendly": "Calendly"}


def connect(settings: Settings, world: World, owners: Iterable[str] = ()) -> dict[str, Connected]:
    """Every scheduler of `settings.schedulers`, and each of `owners`, such as `calendly:nora`, by name."""
    theirs = sorted({name for name in owners if owner_of(name) and provider_of(name) in settings.owner_schedulers})
    return {
        **{name: _connect(name, settings, world) for name in settings.schedulers},
        **{name: _connect_owner(name, settings, world) for name in theirs},
    }


# Imported where they are connected: most servers have one scheduler, and its client alone builds all its models.
def _connect(name: str, settings: Settings, world: World) -> Connected:
    if name == "hapio":
        from app.scheduling.hapio.connect import connect_hapio

        return connect_hapio(settings, world)
    if name == "calcom":
        from app.scheduling.calcom.connect import connect_calcom

        return connect_calcom(settings, world)
    from app.scheduling.calendly.connect import connect_calendly

    return connect_calendly(settings, world)


def _connect_owner(name: str, settings: Settings, world: World) -> Connected:
    from app.scheduling.calendly.connect import connect_calendly_owner

    return connect_calendly_owner(settings, world, name)
