"""A believable adviser in New York. Event types cannot be made through the documented API, so the sandbox's own hand
makes them."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from sandbox.calendly import acts
from sandbox.calendly.records import Hours, Question
from sandbox.calendly.state import State

NAME: Final = "Nora Whitfield"
ZONE: Final = "America/New_York"
_DAY: Final = (("09:00", "12:30"), ("13:30", "17:00"))
HOURS: Final[Hours] = {
    "monday": _DAY,
    "tuesday": _DAY,
    "wednesday": (("12:00", "19:00"),),
    "thursday": _DAY,
    "friday": (("09:00", "13:00"),),
}
EVENT_TYPES: Final[dict[str, dict[str, Any]]] = {
    "Intro call": {
        "duration": 15,
        "start_time_increment": 15,
        "notice": timedelta(hours=2),
        "description_plain": "Fifteen minutes to find out whether I can help you. Free of charge.",
        "locations": ({"kind": "google_conference"},),
    },
    "Advice session": {
        "duration": 60,
        "after_buffer": 15,
        "notice": timedelta(hours=4),
        "description_plain": "One hour on one question: retirement, a house, an inheritance. Notes the same day.",
        "locations": ({"kind": "zoom_conference"},),
        "custom_questions": (Question("What would you like to talk about?", type="text"),),
    },
    "Review": {
        "duration": 30,
        "notice": timedelta(hours=4),
        "description_plain": "Half an hour to look at your plan again, in the office.",
        "locations": ({"kind": "physical", "location": "41 Court Street, Brooklyn"},),
    },
}


@dataclass(frozen=True)
class AdviserIds:
    """The ids of the adviser and of the event types, by name; `uris` are the API's names of the latter."""

    user: str
    organization: str
    event_types: dict[str, str]
    uris: dict[str, str]


def seed_adviser(state: State) -> AdviserIds:
    """Turn the first user into the adviser and make the event types; call it once after a reset."""
    adviser = replace(
        state.owner, name=NAME, email="nora@whitfield.example", slug="nora-whitfield", timezone=ZONE, hours=HOURS
    )
    state.users[adviser.id] = adviser
    made = {name: acts.add_event_type(state, name=name, **settings) for name, settings in EVENT_TYPES.items()}
    return AdviserIds(
        user=adviser.id,
        organization=adviser.organization,
        event_types={name: one.id for name, one in made.items()},
        uris={name: state.uri("event_types", one.id) for name, one in made.items()},
    )
