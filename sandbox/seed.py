"""A believable portrait studio in Stockholm, created through Hapio's HTTP API and nothing else.

Works against the sandbox and against an empty real project alike.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx

Hours = dict[str, list[tuple[str, str]]]

SERVICES: Final[dict[str, dict[str, Any]]] = {
    "Portrait session": {
        "type": "fixed",
        "duration": "PT1H",
        "price": "1200.000",
        "bookable_interval": "PT30M",
        "buffer_time_after": "PT15M",
        "booking_window_start": "PT2H",
        "booking_window_end": "P60D",
        "cancelation_threshold": "P1D",
        "metadata": {"description": "One hour in the studio, two looks, ten retouched pictures."},
    },
    "Headshot express": {
        "type": "fixed",
        "duration": "PT30M",
        "price": "650.000",
        "bookable_interval": "PT30M",
        "booking_window_start": "PT1H",
        "booking_window_end": "P60D",
        "metadata": {"description": "Half an hour, plain background, three retouched pictures the same day."},
    },
    "Planning call": {
        "type": "fixed",
        "duration": "PT20M",
        "price": None,
        "bookable_interval": "PT20M",
        "metadata": {"description": "Twenty minutes on the phone about your ideas. Free of charge."},
    },
}

_FULL_DAY: Final = [("09:00:00", "12:00:00"), ("13:00:00", "17:00:00")]
HOURS: Final[dict[str, Hours]] = {
    "Astrid Lindqvist": {
        "monday": _FULL_DAY,
        "tuesday": _FULL_DAY,
        "wednesday": _FULL_DAY,
        "thursday": _FULL_DAY,
        "friday": [("09:00:00", "12:00:00"), ("13:00:00", "15:30:00")],
    },
    "Jonas Berg": {
        "tuesday": [("10:00:00", "13:00:00"), ("14:00:00", "18:00:00")],
        "wednesday": [("10:00:00", "13:00:00"), ("14:00:00", "18:00:00")],
        "thursday": [("12:00:00", "16:00:00"), ("16:30:00", "20:00:00")],
        "friday": [("10:00:00", "13:00:00"), ("14:00:00", "18:00:00")],
        "saturday": [("10:00:00", "15:00:00")],
    },
    "Mira Haddad": {
        "monday": [("08:30:00", "12:30:00")],
        "wednesday": [("12:00:00", "16:00:00"), ("16:30:00", "20:00:00")],
        "thursday": [("08:30:00", "12:00:00"), ("12:45:00", "16:30:00")],
    },
}
ZONE: Final = ZoneInfo("Europe/Stockholm")
OFFERS: Final[dict[str, list[str]]] = {
    "Astrid Lindqvist": ["Portrait session", "Headshot express", "Planning call"],
    "Jonas Berg": ["Portrait session", "Headshot express"],
    "Mira Haddad": ["Headshot express", "Planning call"],
}


@dataclass(frozen=True)
class StudioIds:
    """The Hapio ids of the studio's objects, by name."""

    location: str
    services: dict[str, str]
    resources: dict[str, str]


async def seed_studio(
    client: httpx.AsyncClient, *, start_date: str = "2024-01-01", holiday: str = "2026-12-24"
) -> StudioIds:
    """Create the studio in an empty project and return its ids.

    `client` has Hapio's base URL (with /v1) and the authorization. The weekly hours count from `start_date`; the
    studio is closed for the three days from `holiday` on (both `YYYY-MM-DD`). Raises httpx.HTTPStatusError if Hapio
    refuses anything.
    """

    async def create(path: str, body: dict[str, Any]) -> str:
        response = await client.post(path, json=body)
        response.raise_for_status()
        return str(response.json()["id"])

    location = await create(
        "locations",
        {
            "name": "Studio Nord, Hornsgatan 12",
            "time_zone": ZONE.key,
            "resource_selection_strategy": "equalize",
        },
    )
    services = {name: await create("services", {"name": name, **body}) for name, body in SERVICES.items()}
    resources: dict[str, str] = {}
    for name, hours in HOURS.items():
        resources[name] = person = await create("resources", {"name": name, "max_simultaneous_bookings": 1})
        for service in OFFERS[name]:
            (await client.put(f"resources/{person}/services/{services[service]}")).raise_for_status()
        schedule = await create(
            f"resources/{person}/recurring-schedules", {"location_id": location, "start_date": start_date}
        )
        for weekday, blocks in hours.items():
            for start_time, end_time in blocks:
                block = {"weekday": weekday, "start_time": start_time, "end_time": end_time}
                await create(f"resources/{person}/recurring-schedules/{schedule}/schedule-blocks", block)
        closed = {"location_id": location, "is_available": False, **_three_days(holiday)}
        await create(f"resources/{person}/schedule-blocks", closed)
    return StudioIds(location, services, resources)


def _three_days(first: str) -> dict[str, str]:
    start = datetime.combine(date.fromisoformat(first), time(), tzinfo=ZONE)
    return {"starts_at": start.isoformat(), "ends_at": (start + timedelta(days=3)).isoformat()}
