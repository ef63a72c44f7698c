"""A believable coach in London, set up through Cal.com's HTTP API and nothing else.

The account itself cannot be made there: the sandbox begins with `COACH`, and a real one is the owner of the key.
"""

from dataclasses import dataclass
from typing import Any, Final

import httpx

VERSIONS: Final = {"event-types": "2024-06-14", "schedules": "2024-06-11"}

EVENT_TYPES: Final[list[dict[str, Any]]] = [
    {
        "title": "Discovery call",
        "slug": "discovery-call",
        "description": "Twenty minutes to find out whether coaching is for you. Free of charge.",
        "lengthInMinutes": 20,
        "slotInterval": 20,
        "minimumBookingNotice": 60,
        "afterEventBuffer": 10,
    },
    {
        "title": "Coaching session",
        "slug": "coaching-session",
        "description": "One hour, one question, and what you do about it next week.",
        "lengthInMinutes": 60,
        "slotInterval": 30,
        "minimumBookingNotice": 240,
        "afterEventBuffer": 15,
        "locations": [
            {"type": "address", "address": "14 Lamb's Conduit Street, London WC1N 3LL", "public": True},
            {"type": "integration", "integration": "cal-video"},
        ],
    },
    {
        "title": "Interview practice",
        "slug": "interview-practice",
        "description": "Ninety minutes of questions you would rather not get, with notes the same day.",
        "lengthInMinutes": 90,
        "slotInterval": 30,
        "minimumBookingNotice": 1440,
        "afterEventBuffer": 15,
        "bookingFields": [{"type": "text", "slug": "role", "label": "Which role do you apply for?", "required": False}],
    },
]
HOURS: Final[list[dict[str, Any]]] = [
    {"days": ["Monday", "Tuesday", "Thursday"], "startTime": "09:00", "endTime": "12:30"},
    {"days": ["Monday", "Tuesday", "Thursday"], "startTime": "13:30", "endTime": "17:30"},
    {"days": ["Wednesday"], "startTime": "12:00", "endTime": "20:00"},
    {"days": ["Friday"], "startTime": "09:00", "endTime": "13:00"},
]
ZONE: Final = "Europe/London"


@dataclass(frozen=True)
class CoachIds:
    """The ids of what was made: event types by title, the schedule, the webhook (None without one)."""

    username: str
    event_types: dict[str, int]
    schedule: int
    webhook: str | None


async def seed_coach(
    client: httpx.AsyncClient,
    *,
    day_off: str = "2026-12-24",
    webhook_url: str | None = None,
    webhook_secret: str = "calcom-sandbox-secret",  # noqa: S107 - published on purpose
) -> CoachIds:
    """Set up the coach's hours, three event types and, if a url is given, a webhook; return their ids.

    `client` has the base URL (with /v2) and the authorization. The coach is away on `day_off` (`YYYY-MM-DD`): an
    override from midnight to midnight. Raises httpx.HTTPStatusError if Cal.com refuses anything.
    """

    async def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        version = VERSIONS.get(path.partition("/")[0])
        headers = {"cal-api-version": version} if version else {}
        response = await client.request(method, path, json=body, headers=headers)
        response.raise_for_status()
        return response.json()["data"]

    username = str((await call("GET", "me"))["username"])
    away = [{"date": day_off, "startTime": "00:00", "endTime": "00:00"}]
    schedule = await call(
        "POST",
        "schedules",
        {"name": "Coaching hours", "timeZone": ZONE, "isDefault": True, "availability": HOURS, "overrides": away},
    )
    types = {str(body["title"]): int((await call("POST", "event-types", body))["id"]) for body in EVENT_TYPES}
    webhook: str | None = None
    if webhook_url is not None:
        triggers = [f"BOOKING_{what}" for what in ("CREATED", "RESCHEDULED", "REQUESTED", "CANCELLED", "REJECTED")]
        body = {"active": True, "subscriberUrl": webhook_url, "triggers": triggers, "secret": webhook_secret}
        webhook = str((await call("POST", "webhooks", body))["id"])
    return CoachIds(username, types, int(schedule["id"]), webhook)
