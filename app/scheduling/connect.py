"""Connecting to the schedulers whose credentials are set: the one place outside their folders that knows them all."""

from __future__ import annotations

from app.scheduling.calcom.connect import connect_calcom
from app.scheduling.calendly.connect import connect_calendly
from app.scheduling.connected import Connected, World
from app.scheduling.hapio.connect import connect_hapio
from app.settings import Settings

_CONNECT = {"hapio": connect_hapio, "calcom": connect_calcom, "calendly": connect_calendly}


def connect(settings: Settings, world: World) -> dict[str, Connected]:
    """Every scheduler of `settings.schedulers`, by name."""
    return {name: _CONNECT[name](settings, world) for name in settings.schedulers}
