"""Time zones as schedulers name them, for the readers of their answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from app.text.zones import valid_zone


def _known(name: str) -> str:
    if valid_zone(name) is None:
        raise ValueError("no time zone that there is")
    return name


def _known_or_none(name: str) -> str:
    return name if valid_zone(name) else ""


#: A place's zone. An answer with another is unreadable: to believe it would break every page for half a day.
ZoneName = Annotated[str, AfterValidator(_known)]
#: A zone that can be done without; empty where it is none.
MaybeZoneName = Annotated[str, AfterValidator(_known_or_none)]
