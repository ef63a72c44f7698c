"""What can be booked at Calendly, and how its times are read."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.catalogue import Location, Resource, Slot
from app.errors import SchedulerError, SchedulerForbidden, SchedulerNotFound, SchedulerUnauthorized
from app.scheduling.port import LockKind
from sandbox.calendly import ALL_SCOPES, Fault, Question
from tests.support.calendly_adviser import HOUR, MONDAY, TEN, CalendlyAdviser, open_adviser

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
async def adviser() -> AsyncIterator[CalendlyAdviser]:
    async with open_adviser() as adviser:
        yield adviser


async def times(
    adviser: CalendlyAdviser, starts_from: datetime = MONDAY, ends_to: datetime = MONDAY + 40 * DAY
) -> list[Slot]:
    return await adviser.scheduler.bookable_slots(
        adviser.session, location_id=adviser.ids.user, starts_from=starts_from, ends_to=ends_to
    )


async def test_a_length_that_the_owner_changes_is_known_as_soon_as_ever_although_the_clock_was_set_back(
    adviser: CalendlyAdviser,
) -> None:
    await times(adviser)
    adviser.clock.advance(-HOUR)
    types = adviser.sandbox.state.event_types
    types[adviser.session] = replace(types[adviser.session], duration=30)
    adviser.clock.advance(2 * MINUTE)
    [first, *_] = await times(adviser)
    assert first.ends_at - first.starts_at == 30 * MINUTE


def windows(adviser: CalendlyAdviser) -> int:
    return adviser.asked("/event_type_available_times")


async def test_calendly_locks_nothing_mails_by_itself_and_has_no_prices(adviser: CalendlyAdviser) -> None:
    traits = adviser.scheduler.traits
    assert (traits.lock, traits.keeps_metadata, traits.mails_customer, traits.prices) == (
        LockKind.NONE,
        False,
        True,
        False,
    )


async def test_the_tokens_user_is_the_place_and_the_person(adviser: CalendlyAdviser) -> None:
    scheduler, user = adviser.scheduler, adviser.ids.user
    assert await scheduler.locations() == [Location(user, "", "America/New_York")]
    assert await scheduler.resources() == [Resource(user, "Nora Whitfield", 1)]
    assert await scheduler.service_resource_ids(adviser.session) == [user]


async def test_another_zone_and_another_name_are_noticed_when_places_and_people_are_read_again(
    adviser: CalendlyAdviser,
) -> None:
    await adviser.scheduler.locations()
    users = adviser.sandbox.state.users
    users[adviser.ids.user] = replace(users[adviser.ids.user], timezone="Europe/Paris", name="Nora Hale")
    assert (await adviser.scheduler.locations())[0].time_zone == "Europe/Paris"
    assert (await adviser.scheduler.resources())[0].name == "Nora Hale"


async def test_event_types_are_services_without_a_price(adviser: CalendlyAdviser) -> None:
    services = {service.id: service for service in await adviser.scheduler.services()}
    assert {service.name for service in services.values()} == {"Intro call", "Advice session", "Review"}
    session = services[adviser.session]
    assert (session.duration, session.price) == (HOUR, None)
    assert (session.buffer_before, session.buffer_after) == (timedelta(), 15 * MINUTE)
    assert session.page == "https://calendly.com/nora-whitfield/advice-session"


async def test_the_oldest_event_type_comes_first(adviser: CalendlyAdviser) -> None:
    adviser.clock.advance(MINUTE)
    adviser.sandbox.add_event_type("A new one", 30)
    assert [service.name for service in await adviser.scheduler.services()][-1] == "A new one"


async def test_event_types_beyond_one_page_are_read_to_the_last(adviser: CalendlyAdviser) -> None:
    for number in range(120):
        adviser.sandbox.add_event_type(f"Session {number:03}", 30)
    assert len(await adviser.scheduler.services()) == 123


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"kind": "group", "invitee_limit": 5},
        {"pooling_type": "collective"},
        {"booking_method": "poll"},
        {"locations": [{"kind": "ask_invitee"}]},
        {"locations": [{"kind": "outbound_call"}]},
        {"locations": [{"kind": "zoom_conference"}, {"kind": "physical", "location": "Here"}]},
        {"custom_questions": [Question("Your age?", required=True)]},
    ],
    ids=lambda changes: " ".join(changes),
)
async def test_an_event_type_that_cannot_be_sold_is_left_out(adviser: CalendlyAdviser, changes: dict[str, Any]) -> None:
    adviser.sandbox.change_event_type(adviser.session, **changes)
    assert adviser.session not in {service.id for service in await adviser.scheduler.services()}
    adviser.sandbox.delete_event_type(adviser.review)
    assert [service.name for service in await adviser.scheduler.services()] == ["Intro call"]


@pytest.mark.parametrize(
    "changes",
    [
        {"custom_questions": [Question("Anything else?"), Question("Age?", required=True, enabled=False)]},
        {"locations": []},
        {"locations": [{"kind": "inbound_call", "location": "+1 212 555 0100"}]},
    ],
    ids=lambda changes: " ".join(changes),
)
async def test_what_asks_the_customer_nothing_can_be_sold(adviser: CalendlyAdviser, changes: dict[str, Any]) -> None:
    adviser.sandbox.change_event_type(adviser.session, **changes)
    assert adviser.session in {service.id for service in await adviser.scheduler.services()}


async def test_every_start_comes_with_its_end_its_buffers_and_the_user(adviser: CalendlyAdviser) -> None:
    slots = {slot.starts_at: slot for slot in await times(adviser)}
    assert slots[TEN] == Slot(TEN, TEN + HOUR, TEN, TEN + HOUR + 15 * MINUTE, (adviser.ids.user,))
    assert all(start.tzinfo is UTC for start in slots)
    assert list(slots) == sorted(slots)


async def test_a_long_stretch_is_read_in_windows_of_31_days_that_meet(adviser: CalendlyAdviser) -> None:
    in_one = {slot.starts_at for day in range(41) for slot in await times(adviser, MONDAY + day * DAY, day_after(day))}
    before = windows(adviser)
    slots = await times(adviser, MONDAY, MONDAY + 41 * DAY)
    assert windows(adviser) - before == 2
    assert [slot.starts_at for slot in slots] == sorted(in_one)
    assert adviser.scheduler.calls_to_list(1) == 2


def day_after(day: int) -> datetime:
    return MONDAY + (day + 1) * DAY


async def test_where_only_a_week_may_be_asked_for_weeks_are_asked_for_from_then_on(adviser: CalendlyAdviser) -> None:
    whole = await times(adviser)
    adviser.sandbox.switches.window_limit_days = 7
    before = windows(adviser)
    assert await times(adviser) == whole
    assert windows(adviser) - before == 1 + 6
    assert await times(adviser) == whole
    assert windows(adviser) - before == 1 + 6 + 6
    assert adviser.scheduler.calls_to_list(1) == 5
    assert adviser.scheduler.calls_to_list(1000) == 10


async def test_a_refusal_for_another_reason_does_not_shorten_the_windows(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.faults.append(Fault("refuse", path="available_times", status=400, times=2))
    with pytest.raises(SchedulerError) as refused:
        await times(adviser)
    assert refused.value.http_status == 400
    before = windows(adviser)
    await times(adviser)
    assert windows(adviser) - before == 2


async def test_nothing_is_asked_of_the_past(adviser: CalendlyAdviser) -> None:
    adviser.clock.advance(timedelta(hours=26, seconds=1))  # Tuesday, a second past ten
    slots = await times(adviser, MONDAY)
    assert slots
    assert all(slot.starts_at > adviser.clock() for slot in slots)
    assert await times(adviser, MONDAY, TEN) == []
    [asked] = [call.query for call in adviser.sandbox.calls if call.path == "/event_type_available_times"][:1]
    assert "start_time=2026-11-24T15%3A02%3A00.000000Z" in asked


async def test_times_can_be_read_before_anything_else(adviser: CalendlyAdviser) -> None:
    assert await times(adviser, MONDAY, MONDAY + 2 * DAY)
    assert len(adviser.sandbox.calls) == 3
    await times(adviser, MONDAY, MONDAY + 2 * DAY)
    assert len(adviser.sandbox.calls) == 4


async def test_a_deleted_event_type_and_an_id_that_is_none_are_not_found(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.delete_event_type(adviser.session)
    with pytest.raises(SchedulerNotFound):
        await times(adviser)
    for id_ in ("", "..", "a/b", "x?y=1"):
        with pytest.raises(SchedulerNotFound):
            await adviser.scheduler.bookable_slots(
                id_, location_id=adviser.ids.user, starts_from=MONDAY, ends_to=MONDAY + DAY
            )
    assert not [call for call in adviser.sandbox.calls if call.path.endswith(("..", "/a/b", "x"))]


@pytest.mark.parametrize("switch", ["expired", "revoked"])
async def test_a_token_that_is_over_is_told_as_such(adviser: CalendlyAdviser, switch: str) -> None:
    adviser.sandbox.switches.update({"token": switch})
    with pytest.raises(SchedulerUnauthorized):
        await adviser.scheduler.services()


async def test_a_scope_that_is_missing_is_named(adviser: CalendlyAdviser) -> None:
    adviser.sandbox.set_scopes(sorted(ALL_SCOPES - {"event_types:read"}))
    with pytest.raises(SchedulerForbidden, match="event_types:read"):
        await adviser.scheduler.services()


async def test_the_minutes_calls_are_known_as_calendly_tells_them(adviser: CalendlyAdviser) -> None:
    assert (adviser.scheduler.pulse.remaining, adviser.scheduler.pulse.limit) == (None, None)
    await adviser.scheduler.services()
    assert (adviser.scheduler.pulse.remaining, adviser.scheduler.pulse.limit) == (498, 500)
    adviser.clock.advance(MINUTE)
    assert adviser.scheduler.pulse.remaining is None
    await adviser.scheduler.services()
    adviser.clock.advance(-HOUR)
    assert adviser.scheduler.pulse.remaining is None
    adviser.sandbox.switches.plan = "free"
    await adviser.scheduler.services()
    assert adviser.scheduler.pulse.limit == 50


@pytest.mark.parametrize("shown", ["calls", "creates"])
async def test_the_days_creates_are_never_taken_for_the_minutes_calls(adviser: CalendlyAdviser, shown: str) -> None:
    adviser.sandbox.switches.update({"create_headers": shown})
    await adviser.booked()
    assert adviser.scheduler.pulse.limit == 500
