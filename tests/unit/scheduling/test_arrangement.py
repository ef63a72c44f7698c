"""A studio is made at its scheduler as it is wanted: once, whatever breaks off, and without touching the rest."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.domain.studio import (
    MIDNIGHT,
    Hours,
    Person,
    Place,
    Span,
    Studio,
    StudioService,
    merged,
    week_in_words,
    without,
)
from app.errors import SchedulerError, SchedulerFailed
from app.scheduling.arrangement import Plan, SetDays, Step, plan_changes
from app.scheduling.calcom.scheduler import CalcomScheduler
from app.scheduling.calcom.webhook import TRIGGERS
from app.scheduling.hapio.scheduler import HapioScheduler
from app.scheduling.port import Scheduler
from sandbox.faults import Fault, FaultKind
from sandbox.hapio import HapioSandbox
from sandbox.hapio.state import State
from tests.support.calcom_coach import CalcomCoach, open_coach
from tests.support.calendly_adviser import open_adviser
from tests.support.hapio_studio import HapioStudio, Wire, open_studio

HOUR = timedelta(hours=1)
NINE_TO_FIVE = (Span(9 * 60, 17 * 60),)
MORNING = (Span(9 * 60, 12 * 60),)
WEEK = dict.fromkeys(range(5), NINE_TO_FIVE)
CLOSED: Hours = ()
CHRISTMAS: Mapping[date, Hours | None] = {date(2026, 12, day): CLOSED for day in (24, 25, 26)}
WANTED = Studio(
    Place("Studio Söder", "Europe/Stockholm"),
    (
        StudioService("Portrait", HOUR, Decimal(1200), step=HOUR / 2, buffer_after=HOUR / 4, notice=2 * HOUR),
        StudioService("Planning call", HOUR / 3, Decimal(0)),
    ),
    (
        Person("Maja", services=("Portrait", "Planning call"), week=WEEK, days=CHRISTMAS),
        Person("Jonas", services=("Portrait",), week={5: (*MORNING, Span(13 * 60, MIDNIGHT))}),
    ),
)


async def plan(scheduler: Scheduler, wanted: Studio = WANTED) -> Plan:
    traits = scheduler.traits
    have = await scheduler.describe()
    return plan_changes(have, wanted, arranges=traits.arranges, prices=traits.prices, provider="the calendar")


async def make(scheduler: Scheduler, wanted: Studio = WANTED) -> list[Step]:
    done: list[Step] = []
    await scheduler.apply(await plan(scheduler, wanted), done.append)
    return done


@pytest.fixture
async def empty() -> AsyncIterator[HapioStudio]:
    """A project of Hapio's with nothing in it."""
    async with open_studio() as studio:
        studio.sandbox = HapioSandbox(now=studio.clock)
        studio.sandbox.switches.rate_limit_per_minute = 1000
        studio.wire = Wire(studio.sandbox.transport())
        studio.client = studio.make_client(studio.sandbox.token)
        yield studio
        await studio.client.aclose()


@pytest.fixture
async def coach() -> AsyncIterator[CalcomCoach]:
    async with open_coach() as coach:
        yield coach


def made(state: State) -> dict[str, Any]:
    """Everything there is, without ids."""
    names = {one.id: one.name for one in state.services.values()}
    names |= {one.id: one.name for one in state.resources.values()}
    owners = {one.id: names[one.resource_id] for one in state.recurring_schedules.values()}
    return {
        "places": [(one.name, one.time_zone) for one in state.locations.values()],
        "services": sorted((one.name, one.price, one.details["duration"]) for one in state.services.values()),
        "people": sorted((one.name, one.max_simultaneous_bookings) for one in state.resources.values()),
        "offers": sorted((names[person], names[service]) for person, service in state.associations),
        "week": sorted(
            (owners[one.recurring_schedule_id], one.weekday, one.start_time, one.end_time)
            for one in state.recurring_blocks.values()
        ),
        "days": sorted(
            (names[one.resource_id], one.starts_at.isoformat(), one.ends_at.isoformat(), one.is_available)
            for one in state.schedule_blocks.values()
        ),
    }


EVERYTHING = {
    "places": [("Studio Söder", "Europe/Stockholm")],
    "services": [("Planning call", None, "PT20M"), ("Portrait", "1200.000", "PT1H")],
    "people": [("Jonas", 1), ("Maja", 1)],
    "offers": [("Jonas", "Portrait"), ("Maja", "Planning call"), ("Maja", "Portrait")],
    "week": sorted(
        [("Maja", day, "09:00:00", "17:00:00") for day in ("monday", "tuesday", "wednesday", "thursday", "friday")]
        + [("Jonas", "saturday", "09:00:00", "12:00:00"), ("Jonas", "saturday", "13:00:00", "24:00:00")]
    ),
    "days": [("Maja", "2026-12-23T23:00:00+00:00", "2026-12-26T23:00:00+00:00", False)],
}


# Hapio


async def test_an_empty_project_becomes_the_studio_and_a_second_time_nothing_is_left_to_do(empty: HapioStudio) -> None:
    scheduler = HapioScheduler(empty.client)
    first = await plan(scheduler)
    assert [str(step) for step in first.steps][:3] == [
        "create the place Studio Söder (Europe/Stockholm)",
        "create the service Portrait, 60 minutes",
        "create the service Planning call, 20 minutes",
    ]
    assert "set the weekly hours of Maja: Mon–Fri 09:00–17:00" in map(str, first.steps)
    assert "set days of Maja: 2026-12-24 to 2026-12-26 closed" in map(str, first.steps)
    assert await make(scheduler) == list(first.steps)
    assert made(empty.sandbox.state) == EVERYTHING
    assert (await plan(scheduler)).steps == ()


async def test_broken_off_after_any_call_and_run_again_there_is_one_of_everything(empty: HapioStudio) -> None:
    """The answer to each call is lost in turn, after it took effect, and with it the process."""
    await make(HapioScheduler(empty.client))
    calls = sum(call.method != "GET" for call in empty.sandbox.calls)
    assert calls > 15
    for number in range(calls):
        empty.sandbox.reset()
        empty.sandbox.switches.rate_limit_per_minute = 1000
        empty.wire = _DiesAfter(number, empty.sandbox.transport())
        with pytest.raises(_Died):
            await make(HapioScheduler(empty.make_client(empty.sandbox.token)))
        empty.wire = Wire(empty.sandbox.transport())
        again = HapioScheduler(empty.make_client(empty.sandbox.token))
        await make(again)
        assert made(empty.sandbox.state) == EVERYTHING, number
        assert (await plan(again)).steps == ()


async def test_lost_answers_make_nothing_twice(empty: HapioStudio) -> None:
    kinds: tuple[FaultKind, ...] = ("drop_after", "error_after", "truncated_json")
    for kind in kinds:
        empty.sandbox.reset()
        empty.sandbox.switches.rate_limit_per_minute = 1000
        for path in ("/locations$", "/services$", "/resources$", "schedules$", "schedule-blocks$"):
            empty.sandbox.faults.append(Fault(kind, method="POST", path=path))
        await make(HapioScheduler(empty.client))
        assert made(empty.sandbox.state) == EVERYTHING, kind


@pytest.mark.parametrize(
    ("kind", "method"), [("rate_limited", "GET"), ("drop_before", "GET"), ("rate_limited", "POST")]
)
async def test_a_lost_answer_is_not_forgotten_over_what_is_said_of_the_next_call(
    empty: HapioStudio, kind: FaultKind, method: str
) -> None:
    """Whether the look for what it has made fails, or the next attempt at it."""
    scheduler = HapioScheduler(empty.client)
    steps = await plan(scheduler)
    first: FaultKind = "error_before" if method == "POST" else "error_after"
    empty.sandbox.faults.append(Fault(first, method="POST", path="/locations$"))
    empty.sandbox.faults.append(Fault(kind, method=method, path="/locations$", times=9, retry_after=30))
    with pytest.raises(SchedulerFailed):
        await scheduler.apply(steps, lambda _step: None)


async def test_after_the_last_attempt_nothing_is_waited_for(empty: HapioStudio) -> None:
    scheduler = HapioScheduler(empty.client)
    steps = await plan(scheduler)
    empty.sandbox.faults.append(Fault("error_before", method="POST", path="/locations$", times=3))
    with pytest.raises(SchedulerFailed):
        await scheduler.apply(steps, lambda _step: None)
    assert len(empty.waits) == 2


async def test_only_what_differs_is_changed_and_nothing_that_is_not_named() -> None:
    async with open_studio() as studio:
        before = made(studio.sandbox.state)
        wanted = Studio(
            Place("Studio Nord, Hornsgatan 12", "Europe/Stockholm"),
            (StudioService("headshot EXPRESS", HOUR / 2, Decimal(700)),),
            (Person("Jonas Berg", at_once=2), Person("Mira Haddad", services=("Headshot express",))),
        )
        assert [str(step) for step in await make(HapioScheduler(studio.client), wanted)] == [
            "change the service Headshot express: price 700",
            "let Jonas Berg take 2 bookings at once (now 1)",
            "let Mira Haddad no longer offer Planning call",
        ]
        after = made(studio.sandbox.state)
        assert {kind for kind in before if before[kind] != after[kind]} == {"services", "people", "offers"}


async def test_an_owner_who_changes_hours_changes_nothing_else() -> None:
    """What a page for hours does: nothing but them is named."""
    async with open_studio() as studio:
        scheduler = HapioScheduler(studio.client)
        resources = studio.sandbox.state.resources
        resources[studio.astrid] = replace(resources[studio.astrid], max_simultaneous_bookings=3)
        before = made(studio.sandbox.state)
        [place] = (await scheduler.describe()).places
        astrid = Person("Astrid Lindqvist", week={0: MORNING}, days={date(2026, 11, 30): CLOSED})
        wanted = Studio(Place(place.name, place.time_zone), (), (astrid,))
        assert [str(step) for step in await make(scheduler, wanted)] == [
            "set the weekly hours of Astrid Lindqvist: Mon 09:00–12:00",
            "set days of Astrid Lindqvist: 2026-11-30 closed",
        ]
        after = made(studio.sandbox.state)
        assert {kind for kind in before if before[kind] != after[kind]} == {"week", "days"}


async def test_a_place_of_another_name_is_used_where_it_is_the_only_one() -> None:
    async with open_studio() as studio:
        wanted = Studio(Place("Studio Norr", "Europe/Helsinki"), (), ())
        assert [str(step) for step in (await plan(HapioScheduler(studio.client), wanted)).steps] == [
            "set the time zone of Studio Nord, Hornsgatan 12 to Europe/Helsinki (it is Europe/Stockholm)"
        ]


async def test_one_day_of_a_holiday_is_opened_and_the_others_stay_closed(empty: HapioStudio) -> None:
    scheduler = HapioScheduler(empty.client)
    await make(scheduler)
    maja = replace(WANTED.people[0], days={date(2026, 12, 25): None, date(2026, 12, 28): MORNING})
    open_again = replace(WANTED, people=(maja,))
    [step] = await make(scheduler, open_again)
    assert isinstance(step, SetDays)
    [person] = [one for one in (await scheduler.describe()).people if one.name == "Maja"]
    [hours] = person.hours.values()
    assert hours.days == {date(2026, 12, 24): CLOSED, date(2026, 12, 26): CLOSED, date(2026, 12, 28): MORNING}
    assert (await plan(scheduler, open_again)).steps == ()


async def test_schedules_that_come_and_go_are_left_to_the_owner() -> None:
    async with open_studio() as studio:
        schedules = studio.sandbox.state.recurring_schedules
        for id_, one in schedules.items():
            schedules[id_] = replace(one, interval=2)
        wanted = replace(WANTED, services=(), people=(Person("Astrid Lindqvist", week=WEEK),))
        found = await plan(HapioScheduler(studio.client), wanted)
        assert [str(step) for step in found.steps] == []
        assert "Set the weekly hours of Astrid Lindqvist in the calendar: it has schedules there" in found.by_hand[0]


# Cal.com


async def test_event_types_and_hours_are_made_at_calcom_and_the_rest_is_told(coach: CalcomCoach) -> None:
    wanted = replace(WANTED, place=Place("Coaching", "Europe/Paris"))
    found = await plan(coach.scheduler, wanted)
    assert found.by_hand == (
        "An account of the calendar is one person; Jonas needs an account and a widget of their own.",
    )
    await make(coach.scheduler, wanted)
    [schedule] = [one for one in coach.sandbox.state.schedules.values() if one.name == "Coaching hours"]
    assert schedule.time_zone == "Europe/Paris"
    weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
    assert schedule.availability == [{"days": weekdays, "startTime": "09:00", "endTime": "17:00"}]
    assert [one["date"] for one in schedule.overrides] == ["2026-12-24", "2026-12-25", "2026-12-26"]
    [portrait] = [one for one in coach.sandbox.state.event_types.values() if one.fields["title"] == "Portrait"]
    assert (portrait.minutes, portrait.fields["afterEventBuffer"], portrait.price) == (60, 15, 0)
    assert (await plan(coach.scheduler, wanted)).steps == ()


async def test_an_event_type_whose_answer_was_lost_is_there_once(coach: CalcomCoach) -> None:
    coach.sandbox.faults.append(Fault("drop_after", method="POST", path="/event-types$", times=2))
    await make(coach.scheduler)
    titles = [one.fields["title"] for one in coach.sandbox.state.event_types.values()]
    assert sorted(titles).count("Portrait") == 1


async def test_a_day_that_is_set_at_calcom_leaves_other_days_as_they_were(coach: CalcomCoach) -> None:
    scheduler: CalcomScheduler = coach.scheduler
    maja = Person("Maya", days={date(2026, 12, 31): (Span(10 * 60, MIDNIGHT),)})
    await make(scheduler, Studio(Place("", "Europe/London"), (), (maja,)))
    [person] = (await scheduler.describe()).people
    [hours] = person.hours.values()
    assert hours.days == {date(2026, 12, 24): CLOSED, date(2026, 12, 31): (Span(10 * 60, MIDNIGHT),)}


# Calendly


async def test_what_to_do_at_calendly_is_told_and_nothing_is_done() -> None:
    async with open_adviser() as adviser:
        found = await plan(adviser.scheduler)
        assert found.steps == ()
        assert "Create the event type Portrait in the calendar: 60 minutes." in found.by_hand
        assert any(
            told.startswith("Set the hours of Nora Whitfield in the calendar: Mon–Fri") for told in found.by_hand
        )
        with pytest.raises(SchedulerError):
            await adviser.scheduler.apply(replace(found, steps=(SetDays("Nora", {}, "Europe/Paris"),)), print)


async def test_webhooks_are_subscribed_once_with_the_newest_secret(coach: CalcomCoach) -> None:
    url = "https://book.example/api/webhooks/calcom"
    for secret in ("first", "second"):
        await coach.scheduler.subscribe(url, secret)
    [webhook] = [one for one in coach.sandbox.state.webhooks.values() if one.endpoint.url == url]
    assert (webhook.endpoint.secret, webhook.active, sorted(webhook.triggers)) == ("second", True, sorted(TRIGGERS))
    async with open_adviser() as adviser:
        for secret in ("first", "second"):
            await adviser.scheduler.subscribe("https://book.example/api/webhooks/calendly", secret)
        subscribed = [call for call in adviser.sandbox.calls if (call.method, call.status) == ("POST", 201)]
        ended = [call for call in adviser.sandbox.calls if call.method == "DELETE"]
        assert (len(subscribed), len(ended)) == (2, 1)


# Hours


def test_hours_are_merged_cut_and_told() -> None:
    assert merged([Span(60, 120), Span(0, 60), Span(90, 100), Span(200, 300)]) == (Span(0, 120), Span(200, 300))
    assert without([Span(0, 300)], [Span(60, 90), Span(250, 400)]) == (Span(0, 60), Span(90, 250))
    assert week_in_words({0: MORNING, 1: MORNING, 2: MORNING, 5: (Span(0, MIDNIGHT),)}) == (
        "Mon–Wed 09:00–12:00, Sat 00:00–24:00"
    )
    assert week_in_words({}) == "closed"
    with pytest.raises(ValueError, match="begin before they end"):
        Span(600, 600)


class _Died(Exception):
    """The process ended."""


class _DiesAfter(Wire):
    """The process ends when the nth write has taken effect, before its answer is read."""

    def __init__(self, writes: int, inner: httpx.AsyncBaseTransport) -> None:
        super().__init__(inner)
        self._left = writes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method != "GET":
            if not self._left:
                raise _Died
            self._left -= 1
        return response
