"""The Hapio sandbox's own side: switches, faults, limits, abilities, and its answers to Hapio's open questions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from sandbox.clock import Clock
from sandbox.hapio import ALL_ABILITIES, ConnectionDropped, Fault, HapioSandbox
from sandbox.hapio.app import OPERATIONS
from sandbox.seed import StudioIds, seed_studio
from sandbox.serve import serve_app
from tests.contract.hapio_fixtures import Json, Project, Studio

FRIDAY = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    """Stand still on a Friday morning."""
    return Clock(FRIDAY)


@pytest.fixture
def sandbox(clock: Clock) -> HapioSandbox:
    """An empty Hapio project."""
    return HapioSandbox(now=clock)


@pytest.fixture
async def client(sandbox: HapioSandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose token may do everything."""
    headers = {"authorization": f"Bearer {sandbox.token}"}
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://hapio.test/v1", headers=headers) as client:
        yield client


@pytest.fixture
async def control(sandbox: HapioSandbox) -> AsyncIterator[httpx.AsyncClient]:
    """The operator's client."""
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://hapio.test/_sandbox") as client:
        yield client


@pytest.fixture
def project(client: httpx.AsyncClient, clock: Clock) -> Project:
    """Shorthands for making things."""
    return Project(client, now=clock)


def limited(sandbox: HapioSandbox, *without: str) -> dict[str, str]:
    """Return the headers of a token that lacks some abilities."""
    sandbox.state.tokens["limited"] = ALL_ABILITIES - set(without)
    return {"authorization": "Bearer limited"}


async def race(project: Project, studio: Studio, contenders: int = 5) -> list[int]:
    """Book one time several times at once and return the statuses."""
    body = studio.booking("10:00", "10:30")
    answers = await asyncio.gather(*(project.client.post("bookings", json=body) for _ in range(contenders)))
    return sorted(answer.status_code for answer in answers)


# switches


async def test_one_of_five_wins_when_the_check_is_atomic(project: Project) -> None:
    assert await race(project, await project.studio()) == [201, 422, 422, 422, 422]


@pytest.mark.parametrize("parties", [0, 5])
async def test_all_five_win_when_the_check_is_not_atomic(sandbox: HapioSandbox, project: Project, parties: int) -> None:
    studio = await project.studio()
    sandbox.switches.update({"race_mode": "non_atomic", "race_parties": parties})
    assert await race(project, studio) == [201] * 5
    assert len(sandbox.state.bookings) == 5


async def test_a_race_that_nobody_joins_goes_on_alone(sandbox: HapioSandbox, project: Project) -> None:
    studio = await project.studio()
    sandbox.switches.update({"race_mode": "non_atomic", "race_parties": 2, "race_wait_seconds": 0})
    assert not await project.refused(studio, "10:00", "10:30")
    assert await project.refused(studio, "10:00", "10:30")


async def test_a_move_decided_in_a_race_does_not_bring_back_a_deleted_booking(
    sandbox: HapioSandbox, project: Project
) -> None:
    studio = await project.studio()
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    sandbox.switches.race_mode = "non_atomic"
    move = {"starts_at": studio.at("11:00"), "ends_at": studio.at("11:30")}
    moved, deleted = await asyncio.gather(project.client.patch(path, json=move), project.client.delete(path))
    assert (moved.status_code, deleted.status_code) == (404, 204)
    assert sandbox.state.bookings == {}


async def test_locks_vanish_after_the_switched_minutes_and_final_bookings_stay(
    sandbox: HapioSandbox, clock: Clock, project: Project
) -> None:
    studio = await project.studio()
    lock = await project.book(studio, "10:00", "10:30", is_temporary=True)
    final = await project.book(studio, "11:00", "11:30")
    clock.advance(timedelta(days=1))
    assert (await project.client.get(f"bookings/{lock['id']}")).status_code == 200
    sandbox.switches.temporary_expiry_minutes = 24 * 60 + 1
    assert (await project.client.get(f"bookings/{lock['id']}")).status_code == 200
    clock.advance(timedelta(minutes=1))
    assert (await project.client.get(f"bookings/{lock['id']}")).status_code == 404
    assert set(sandbox.state.bookings) == {final["id"]}
    assert "10:00" in await project.starts(studio)


async def test_locks_can_be_made_to_take_no_room(sandbox: HapioSandbox, project: Project) -> None:
    studio = await project.studio()
    await project.book(studio, "10:00", "10:30", is_temporary=True)
    sandbox.switches.temporary_blocks_capacity = False
    assert "10:00" in await project.starts(studio)
    assert not await project.refused(studio, "10:00", "10:30")
    assert await project.refused(studio, "10:00", "10:30")


async def test_a_broken_booking_rule_is_told_in_either_shape(sandbox: HapioSandbox, project: Project) -> None:
    studio = await project.studio()
    body = studio.booking("03:00", "03:30")
    plain = (await project.client.post("bookings", json=body)).json()
    assert set(plain) == {"message"}
    sandbox.switches.rule_error_shape = "A"
    assert (await project.client.post("bookings", json=body)).json()["errors"] == {"starts_at": [plain["message"]]}


async def test_canceled_bookings_are_listed_by_default_or_not(sandbox: HapioSandbox, project: Project) -> None:
    studio = await project.studio()
    booking = await project.book(studio, "10:00", "10:30")
    await project.client.patch(f"bookings/{booking['id']}", json={"is_canceled": True})
    assert (await project.client.get("bookings")).json()["data"] == []
    sandbox.switches.canceled_default = "include"
    assert len((await project.client.get("bookings")).json()["data"]) == 1


async def test_times_come_in_the_locations_offset_or_in_utc(sandbox: HapioSandbox, project: Project) -> None:
    studio = await project.studio()
    booking = await project.book(studio, "10:00", "10:30")
    assert booking["starts_at"] == "2026-12-04T10:00:00+01:00"
    assert booking["created_at"] == "2026-11-20T08:00:00+00:00"
    sandbox.switches.response_offset = "utc"
    again = (await project.client.get(f"bookings/{booking['id']}")).json()
    assert again["starts_at"] == "2026-12-04T09:00:00+00:00"
    assert (await project.slots(studio))[0]["starts_at"] == "2026-12-04T07:00:00+00:00"


async def test_the_minute_limit_refuses_and_tells_when_to_come_back(
    sandbox: HapioSandbox, clock: Clock, client: httpx.AsyncClient
) -> None:
    sandbox.switches.rate_limit_per_minute = 2
    left = [(await client.get("project")).headers["x-ratelimit-remaining"] for _ in range(2)]
    clock.advance(timedelta(seconds=20))
    refused = await client.get("project")
    assert left == ["1", "0"]
    assert (refused.status_code, refused.json()) == (429, {"message": "Too Many Attempts."})
    assert (refused.headers["retry-after"], refused.headers["x-ratelimit-limit"]) == ("40", "2")
    clock.advance(timedelta(seconds=40))
    assert (await client.get("project")).status_code == 200


async def test_a_refused_request_has_no_effect(sandbox: HapioSandbox, project: Project) -> None:
    sandbox.switches.rate_limit_per_minute = 1
    await project.resource()
    assert (await project.client.post("resources", json={"name": "Jonas"})).status_code == 429
    assert len(sandbox.state.resources) == 1


async def test_the_months_quota_ends_with_the_month(
    sandbox: HapioSandbox, clock: Clock, client: httpx.AsyncClient
) -> None:
    sandbox.switches.monthly_quota = 1
    assert (await client.get("project")).status_code == 200
    refused = await client.get("project")
    assert refused.status_code == 429
    clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
    assert clock().date() == date(2026, 12, 1)
    assert (await client.get("project")).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"race_mode": "sometimes"},
        {"rate_limit_per_minute": "100"},
        {"rate_limit_per_minute": 0},
        {"temporary_blocks_capacity": 1},
        {"canceled_default": None},
        {"no_such_switch": True},
        [],
    ],
)
async def test_a_switch_that_makes_no_sense_is_refused_and_nothing_is_turned(
    sandbox: HapioSandbox, control: httpx.AsyncClient, change: Any
) -> None:
    before = (await control.get("switches")).json()
    mixed = {"monthly_quota": 7, **change} if isinstance(change, dict) else change
    assert (await control.patch("switches", json=mixed)).status_code == 400
    assert (await control.get("switches")).json() == before
    assert (await control.patch("switches", json={"monthly_quota": 7})).json()["monthly_quota"] == 7
    assert sandbox.switches.monthly_quota == 7


# faults


@pytest.mark.parametrize(
    ("kind", "effect"),
    [
        ("error_before", False),
        ("error_after", True),
        ("drop_before", False),
        ("drop_after", True),
        ("hang", False),
        ("hang_after", True),
        ("html_body", False),
        ("truncated_json", True),
        ("rate_limited", False),
    ],
)
async def test_a_fault_strikes_the_next_matching_request_once(
    sandbox: HapioSandbox, control: httpx.AsyncClient, project: Project, kind: str, effect: bool
) -> None:
    fault = {"kind": kind, "method": "POST", "path": "/resources$", "status": 503}
    assert (await control.post("faults", json=fault)).status_code == 201
    assert (await project.client.get("resources")).status_code == 200
    await project.location()
    outcome: Any
    try:
        answer = await project.client.post("resources", json={"name": "Astrid"})
        outcome = answer.status_code
    except httpx.TransportError as error:
        outcome = type(error)
    expected = {
        "error_before": 503,
        "error_after": 503,
        "drop_before": httpx.ReadError,
        "drop_after": httpx.ReadError,
        "hang": httpx.ReadTimeout,
        "hang_after": httpx.ReadTimeout,
        "html_body": 502,
        "truncated_json": 201,
        "rate_limited": 429,
    }
    assert outcome == expected[kind]
    assert len(sandbox.state.resources) == int(effect)
    assert (await control.get("faults")).json() == []
    await project.resource()


async def test_bodies_of_faults_are_as_broken_as_real_ones(sandbox: HapioSandbox, client: httpx.AsyncClient) -> None:
    sandbox.faults += [Fault("html_body"), Fault("truncated_json"), Fault("rate_limited", retry_after=7)]
    page = await client.get("project")
    assert page.text.startswith("<html>")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        (await client.get("project")).json()
    assert (await client.get("project")).headers["retry-after"] == "7"


async def test_a_fault_strikes_as_often_as_asked(sandbox: HapioSandbox, client: httpx.AsyncClient) -> None:
    sandbox.faults.append(Fault("error_before", times=2))
    assert [(await client.get("project")).status_code for _ in range(3)] == [500, 500, 200]


async def test_hapio_can_be_made_to_refuse_an_operation_with_a_given_answer(
    sandbox: HapioSandbox, control: httpx.AsyncClient, project: Project
) -> None:
    studio = await project.studio()
    body = {"message": "The resource is not available at this time."}
    fault = {"kind": "refuse", "method": "POST", "path": "/bookings$", "status": 422, "body": body, "times": None}
    assert (await control.post("faults", json=fault)).json()[0]["times"] is None
    for _ in range(20):
        answer = await project.client.post("bookings", json=studio.booking("10:00", "10:30"))
        assert (answer.status_code, answer.json()) == (422, body)
    assert sandbox.state.bookings == {}
    await control.delete("faults")
    made = await project.client.post("bookings", json=studio.booking("10:00", "10:30"))
    assert made.status_code == 201


async def test_hapio_can_be_silent_for_ever(sandbox: HapioSandbox, client: httpx.AsyncClient) -> None:
    sandbox.faults.append(Fault("hang", times=None))
    for _ in range(20):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("project")


async def test_a_plain_asgi_transport_sees_a_dropped_connection_as_its_own_error(sandbox: HapioSandbox) -> None:
    sandbox.faults.append(Fault("drop_before"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app), base_url="http://h") as client:
        with pytest.raises(ConnectionDropped):
            await client.get("/v1/project")


async def test_over_a_socket_the_connection_is_cut_or_silent(sandbox: HapioSandbox) -> None:
    headers = {"authorization": f"Bearer {sandbox.token}"}
    body = {"name": "Astrid"}
    async with (
        serve_app(sandbox.app, port=0) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", headers=headers, timeout=0.2) as client,
    ):
        sandbox.faults += [Fault("drop_before"), Fault("drop_after"), Fault("hang")]
        for number, error in enumerate((httpx.NetworkError, httpx.NetworkError, httpx.ReadTimeout)):
            with pytest.raises((error, httpx.RemoteProtocolError)):
                await client.post("resources", json=body)
            assert len(sandbox.state.resources) == min(number, 1)
        assert (await client.get("project")).status_code == 200
    assert [call.status for call in sandbox.calls] == [None, None, None, 200]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "explode"},
        {"kind": "hang", "times": 0},
        {"kind": "refuse", "body": "no"},
        {"kind": "hang", "path": "("},
        {"kind": "hang", "colour": 1},
        {"kind": "hang", "method": 1},
        "hang",
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(
    sandbox: HapioSandbox, control: httpx.AsyncClient, fault: Any
) -> None:
    assert (await control.post("faults", json=fault)).status_code == 400
    assert sandbox.faults == []


# the operator's other controls


async def test_the_clock_is_set_and_advanced_over_http(clock: Clock, control: httpx.AsyncClient) -> None:
    await control.put("clock", json={"now": "2027-01-01T10:00:00+01:00"})
    assert (await control.put("clock", json={"advance_seconds": 60})).json() == {"now": "2027-01-01T09:01:00+00:00"}
    assert clock() == datetime(2027, 1, 1, 9, 1, tzinfo=UTC)
    for bad in ({"now": "2027-01-01T10:00:00"}, {"now": "soon"}, {}, {"now": "2027-01-01T10:00:00+01:00", "by": 1}):
        assert (await control.put("clock", json=bad)).status_code == 400


async def test_a_following_clock_moves_on_its_own_and_by_order() -> None:
    clock = Clock()
    before = clock()
    clock.advance(timedelta(hours=1))
    assert timedelta(hours=1) <= clock() - before < timedelta(hours=1, minutes=1)
    with pytest.raises(ValueError, match="aware"):
        clock.set(datetime(2027, 1, 1))  # noqa: DTZ001 - the naive time is the point


async def test_a_reset_project_is_new_and_gives_the_same_ids_again(
    sandbox: HapioSandbox, control: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    first = await seed_studio(client)
    sandbox.switches.monthly_quota = 99
    sandbox.faults.append(Fault("hang"))
    assert (await control.post("reset")).status_code == 204
    assert (sandbox.state.bookings, sandbox.state.locations, sandbox.calls, sandbox.faults) == ({}, {}, [], [])
    assert sandbox.switches.monthly_quota is None
    assert await seed_studio(client) == first


async def test_calls_and_bookings_can_be_read(
    sandbox: HapioSandbox, control: httpx.AsyncClient, project: Project
) -> None:
    studio = await project.studio()
    booking = await project.book(studio, "10:00", "10:30", is_temporary=True)
    assert (await control.get("bookings")).json() == [booking]
    last = (await control.get("calls")).json()[-1]
    assert (last["method"], last["path"], last["status"]) == ("POST", "/v1/bookings", 201)
    assert last["body"]["service_id"] == studio.service
    assert sandbox.token not in (await control.get("calls")).text


async def test_a_token_made_by_the_operator_can_do_what_it_says(
    control: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    token = {"token": "reader", "abilities": ["booking:view"]}
    assert (await control.post("tokens", json=token)).status_code == 204
    reader = {"authorization": "Bearer reader"}
    assert (await client.get("bookings", headers=reader)).status_code == 200
    assert (await client.get("services", headers=reader)).status_code == 403
    assert (await control.post("tokens", json={"token": "x", "abilities": ["fly"]})).status_code == 400


# abilities


def test_all_sixty_operations_exist() -> None:
    assert len({operation.id for operation in OPERATIONS}) == 60
    assert {operation.ability for operation in OPERATIONS} - {None} <= ALL_ABILITIES


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
async def test_an_operation_needs_its_ability(sandbox: HapioSandbox, client: httpx.AsyncClient, operation: Any) -> None:
    path = operation.path.replace("{", "").replace("}", "")
    headers = limited(sandbox, operation.ability or "")
    answer = await client.request(operation.method, path, headers=headers)
    assert answer.status_code == (403 if operation.ability else 200)


@pytest.mark.parametrize(
    "flag", ["ignore_schedule", "ignore_fully_booked", "ignore_bookable_slots", "ignore_booking_window"]
)
async def test_breaking_a_booking_rule_needs_its_ability(sandbox: HapioSandbox, project: Project, flag: str) -> None:
    studio = await project.studio()
    headers = limited(sandbox, f"booking:{flag}")
    for value, status in ((True, 403), (False, 201)):
        body = studio.booking("10:00", "10:30") | {flag: value}
        assert (await project.client.post("bookings", json=body, headers=headers)).status_code == status


async def test_protected_metadata_is_for_tokens_that_may_see_it(sandbox: HapioSandbox, project: Project) -> None:
    created = await project.create("resources", {"name": "Astrid", "protected_metadata": {"salary": 1}})
    path, headers = f"resources/{created['id']}", limited(sandbox, "resource:protected_metadata")
    assert created["protected_metadata"] == {"salary": 1}
    assert "protected_metadata" not in (await project.client.get(path, headers=headers)).json()
    query = {"protected_metadata[salary][eq]": "1"}
    assert (await project.client.get("resources", params=query, headers=headers)).status_code == 403
    assert len((await project.client.get("resources", params=query)).json()["data"]) == 1
    write = {"name": "Astrid", "protected_metadata": None}
    assert (await project.client.put(path, json=write, headers=headers)).status_code == 403
    assert (await project.client.put(path, json={"name": "A"}, headers=headers)).status_code == 200
    assert (await project.client.get(path)).json()["protected_metadata"] == {"salary": 1}


# strictness


async def test_a_browser_may_ask_from_any_origin_and_sends_no_token_when_it_asks_first(sandbox: HapioSandbox) -> None:
    preflight = {
        "origin": "https://studio.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://hapio.test") as browser:
        for path in ("/v1/locations", "/v1/bookings", "/v1/nowhere"):
            answer = await browser.options(path, headers=preflight)
            assert 200 <= answer.status_code < 300
            assert answer.headers["access-control-allow-origin"] == "*"
            allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].lower().split(",")}
            assert {"authorization", "content-type"} <= allowed
            methods = {name.strip() for name in answer.headers["access-control-allow-methods"].split(",")}
            assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= methods
        refused = await browser.get("/v1/locations", headers={"origin": "https://studio.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")


async def test_a_preflight_uses_up_neither_the_limit_nor_a_fault(
    sandbox: HapioSandbox, client: httpx.AsyncClient
) -> None:
    sandbox.switches.rate_limit_per_minute = 1
    sandbox.faults.append(Fault("error_before"))
    for _ in range(3):
        assert (await client.options("locations")).is_success
    assert (await client.get("locations")).status_code == 500
    assert (await client.get("locations")).status_code == 200


async def test_fully_booked_takes_a_location_and_ignores_it(client: httpx.AsyncClient, project: Project) -> None:
    studio = await project.studio()
    window = {"from": "2026-11-21T00:00:00+01:00", "to": "2026-11-28T00:00:00+01:00"}
    path = f"resources/{studio.resource}/fully-booked"
    without = await client.get(path, params=window)
    for location in (studio.location, "no-id-at-all"):
        answer = await client.get(path, params={"location": location, **window})
        assert (answer.status_code, answer.json()["data"]) == (200, without.json()["data"])
    assert (await client.get(path, params={"colour": "red", **window})).status_code == 422


async def test_an_unknown_query_parameter_is_refused_rather_than_ignored(client: httpx.AsyncClient) -> None:
    for query in (
        {"resource_id": "x"},
        {"per_page": "101"},
        {"page": "0"},
        {"sort": "price.asc"},
        {"sort": "starts_at"},
        {"price[ne]": "1.000"},
        {"metadata[a]": "1"},
        {"temporary": "yes"},
        {"resource": "nope"},
        {"from": "2026-11-21T00:00:00+01:00", "to": "2026-11-20T00:00:00+01:00"},
    ):
        answer = await client.get("bookings", params=query)
        assert (answer.status_code, set(answer.json())) == (422, {"message", "errors"}), query


async def test_a_page_beyond_the_last_is_empty(client: httpx.AsyncClient, project: Project) -> None:
    await project.resource()
    page = (await client.get("resources", params={"page": 9})).json()
    assert (page["data"], page["meta"]["current_page"], page["links"]["next"]) == ([], 9, None)


async def test_a_wrong_method_is_told_so_and_a_wrong_path_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.delete("bookings")).status_code == 405
    assert (await client.get("booking")).status_code == 404


async def test_a_body_must_be_a_json_object(client: httpx.AsyncClient) -> None:
    for sent in ({"content": b"{"}, {"content": b"[1]"}, {"content": b'{"name": NaN}'}):
        headers = {"content-type": "application/json"}
        answer = await client.post("resources", content=sent["content"], headers=headers)
        assert answer.status_code == 422
    assert (await client.post("resources", data={"name": "Astrid"})).status_code == 422


@pytest.mark.parametrize(
    "starts_at",
    ["2026-12-04T10:00:00+0100", "2026-12-04T09:00:00Z", "2026-12-04 10:00:00+01:00", "2026-12-04T10:00+01:00"],
)
async def test_near_misses_of_a_timestamp_are_refused(project: Project, starts_at: str) -> None:
    studio = await project.studio()
    answer = await project.client.post("bookings", json=studio.booking("10:00", "10:30") | {"starts_at": starts_at})
    assert list(answer.json()["errors"]) == ["starts_at"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_duration": "PT30M"},
        {"default_duration": "PT30M"},
        {"default_duration": "PT5H"},
        {"duration_step": "PT0S"},
        {"booking_window_end": "PT0S"},
    ],
)
async def test_a_flexible_service_must_not_contradict_itself(client: httpx.AsyncClient, wrong: Json) -> None:
    body = {
        "name": "Studio by the hour",
        "type": "flexible",
        "min_duration": "PT1H",
        "max_duration": "PT4H",
        "duration_step": "PT30M",
    }
    assert (await client.post("services", json=body | wrong)).status_code == 422
    assert (await client.post("services", json=body)).status_code == 201


# time


async def local_spans(project: Project, zone: str, on: str, *blocks: tuple[str, str]) -> list[tuple[str, str]]:
    """Open a resource every day and return what the schedule says for one date, in UTC clock time."""
    weekday = date.fromisoformat(on).strftime("%A").lower()
    location, resource = await project.location(time_zone=zone), await project.resource()
    await project.week(resource, location, "2026-01-01", [(weekday, start, end) for start, end in blocks])
    studio = Studio(location, resource, "", date.fromisoformat(on), ZoneInfo(zone))
    query = {"from": studio.at("00:00"), "to": studio.at("00:00", plus_days=1), "location": location}
    spans = (await project.client.get(f"resources/{resource}/schedule", params=query)).json()["data"]
    return [
        tuple(datetime.fromisoformat(s[k]).astimezone(UTC).strftime("%d %H:%M") for k in ("starts_at", "ends_at"))  # type: ignore[misc]  # two keys, two texts
        for s in spans
    ]


@pytest.mark.parametrize(
    ("zone", "on", "block", "span"),
    [
        ("Europe/Stockholm", "2027-03-28", ("02:30:00", "05:00:00"), ("28 01:30", "28 03:00")),
        ("Europe/Stockholm", "2027-03-28", ("00:00:00", "24:00:00"), ("27 23:00", "28 22:00")),
        ("Europe/Stockholm", "2027-10-31", ("02:00:00", "03:00:00"), ("31 00:00", "31 02:00")),
        ("Europe/Stockholm", "2027-10-31", ("00:00:00", "24:00:00"), ("30 22:00", "31 23:00")),
        ("America/New_York", "2027-03-14", ("01:00:00", "04:00:00"), ("14 06:00", "14 08:00")),
        ("America/New_York", "2027-11-07", ("01:30:00", "02:30:00"), ("07 05:30", "07 07:30")),
        ("Australia/Lord_Howe", "2027-10-03", ("01:30:00", "03:00:00"), ("02 15:00", "02 16:00")),
        ("Australia/Lord_Howe", "2027-04-04", ("01:00:00", "02:30:00"), ("03 14:00", "03 16:00")),
    ],
)
async def test_opening_hours_keep_to_the_wall_clock_on_the_day_it_changes(
    project: Project, zone: str, on: str, block: tuple[str, str], span: tuple[str, str]
) -> None:
    assert await local_spans(project, zone, on, block) == [span]


async def test_opening_hours_that_a_clock_change_swallows_are_not_open(project: Project) -> None:
    assert await local_spans(project, "Europe/Stockholm", "2027-03-28", ("02:30:00", "03:00:00")) == []


async def test_the_doubled_hour_offers_both_of_its_halves(project: Project) -> None:
    location, resource = await project.location(), await project.resource()
    service = await project.service(duration="PT1H")
    await project.offer(resource, service)
    await project.week(resource, location, "2026-01-01", [("sunday", "01:00:00", "04:00:00")])
    studio = Studio(location, resource, service, date(2027, 10, 31), ZoneInfo("Europe/Stockholm"))
    slots = await project.slots(studio)
    assert [slot["starts_at"][11:] for slot in slots] == [
        "01:00:00+02:00",
        "02:00:00+02:00",
        "02:00:00+01:00",
        "03:00:00+01:00",
    ]
    both = [await project.client.post("bookings", json=booking_of(studio, slot)) for slot in slots[1:3]]
    assert [answer.status_code for answer in both] == [201, 201]


def booking_of(studio: Studio, slot: Json) -> Json:
    """Return the body that books a slot."""
    return {
        "service_id": studio.service,
        "location_id": studio.location,
        "resource_id": studio.resource,
        "starts_at": slot["starts_at"],
        "ends_at": slot["ends_at"],
    }


async def test_every_third_week_means_every_third_week(project: Project) -> None:
    location, resource = await project.location(), await project.resource()
    body = {"location_id": location, "start_date": "2026-11-25", "end_date": "2027-01-11", "interval": 3}
    schedule = (await project.create(f"resources/{resource}/recurring-schedules", body))["id"]
    block = {"weekday": "monday", "start_time": "09:00:00", "end_time": "10:00:00"}
    await project.create(f"resources/{resource}/recurring-schedules/{schedule}/schedule-blocks", block)
    query = {"from": "2026-11-01T00:00:00+01:00", "to": "2027-03-01T00:00:00+01:00", "location": location}
    spans = (await project.client.get(f"resources/{resource}/schedule", params=query)).json()["data"]
    assert [span["starts_at"][:10] for span in spans] == ["2026-12-14", "2027-01-04"]


async def test_the_grid_starts_where_a_span_starts_however_late_one_asks(project: Project) -> None:
    studio = await project.studio(opens="08:10", closes="11:00", duration="PT50M")
    assert await project.starts(studio) == ["08:10", "09:00", "09:50"]
    assert await project.starts(studio, **{"from": studio.at("08:30")}) == ["09:00", "09:50"]
    assert await project.starts(studio, to=studio.at("10:39")) == ["08:10", "09:00"]


async def test_a_place_that_never_closes_keeps_one_grid(project: Project) -> None:
    location, resource = await project.location(), await project.resource()
    service = await project.service(duration="PT50M")
    await project.offer(resource, service)
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    await project.week(resource, location, "2026-11-16", [(day, "00:00:00", "24:00:00") for day in days])
    studio = Studio(location, resource, service, date(2027, 6, 25), ZoneInfo("Europe/Stockholm"))
    slots = await project.slots(studio)
    later = await project.slots(studio, **{"from": slots[5]["starts_at"]})
    assert later[0] == slots[5]
    for slot in slots[::9]:
        await project.create("bookings", booking_of(studio, slot))


async def test_a_day_service_offers_dates(project: Project) -> None:
    location, resource = await project.location(), await project.resource()
    service = await project.service(
        type="day", start_time="09:00:00", end_time="17:00:00", min_days=1, max_days=3, price="30.000"
    )
    await project.offer(resource, service)
    hours = [(day, "08:00:00", "18:00:00") for day in ("monday", "tuesday", "wednesday")]
    await project.week(resource, location, "2026-11-01", hours)
    studio = Studio(location, resource, service, date(2026, 11, 23), ZoneInfo("Europe/Stockholm"))
    slots = await project.slots(studio, to=studio.at("00:00", plus_days=7))
    shown = [(slot["starts_at"][:13], slot["min_ends_at"][:13], slot["ends_at"][:13]) for slot in slots]
    assert shown == [
        ("2026-11-23T09", "2026-11-23T17", "2026-11-25T17"),
        ("2026-11-24T09", "2026-11-24T17", "2026-11-25T17"),
        ("2026-11-25T09", "2026-11-25T17", "2026-11-25T17"),
    ]
    body = booking_of(studio, slots[0]) | {"ends_at": slots[1]["min_ends_at"]}
    assert (await project.create("bookings", body))["price"] == "60.000"
    left = await project.slots(studio, to=studio.at("00:00", plus_days=7))
    assert [slot["starts_at"] for slot in left] == [slots[2]["starts_at"]]
    askew = body | {"starts_at": studio.at("10:00", plus_days=2), "ends_at": studio.at("17:00", plus_days=2)}
    assert (await project.client.post("bookings", json=askew)).status_code == 422


async def test_the_least_booked_resource_is_chosen_to_even_things_out(project: Project) -> None:
    studio = await project.studio()
    second = await project.resource(name="Jonas")
    await project.offer(second, studio.service)
    await project.open(second, studio.location, studio.at("08:00"), studio.at("17:00"))
    await project.book(studio, "08:00", "08:30")
    body = {key: value for key, value in studio.booking("10:00", "10:30").items() if key != "resource_id"}
    assert (await project.create("bookings", body))["resource_id"] == second


async def test_confirming_is_not_checked_again_but_moving_is(
    sandbox: HapioSandbox, clock: Clock, project: Project
) -> None:
    studio = await project.studio(booking_window_start="PT1H")
    lock = await project.book(studio, "10:00", "10:30", is_temporary=True)
    clock.set(datetime.fromisoformat(lock["starts_at"]) - timedelta(minutes=10))
    path = f"bookings/{lock['id']}"
    assert (await project.client.patch(path, json={"is_temporary": False})).status_code == 200
    move = {"starts_at": studio.at("10:30"), "ends_at": studio.at("11:00")}
    assert (await project.client.patch(path, json=move)).status_code == 422
    assert (await project.client.patch(path, json=move | {"ignore_booking_window": True})).status_code == 200


async def test_a_confirmation_that_changes_nothing_leaves_the_stamps_alone(clock: Clock, project: Project) -> None:
    studio = await project.studio()
    booking = await project.book(studio, "10:00", "10:30")
    clock.advance(timedelta(hours=1))
    again = await project.client.patch(f"bookings/{booking['id']}", json={"is_temporary": False})
    assert again.json() == booking


async def test_a_group_that_fails_leaves_everything_as_it_was(sandbox: HapioSandbox, project: Project) -> None:
    studio = await project.studio()
    group = await project.create("booking-groups", {"bookings": [studio.booking("08:00", "08:30")]})
    before = (dict(sandbox.state.bookings), dict(sandbox.state.booking_groups))
    twice = [studio.booking("09:00", "09:30"), studio.booking("09:00", "09:30")]
    clash = await project.client.put(f"booking-groups/{group['id']}", json={"bookings": twice, "metadata": {"a": 1}})
    assert list(clash.json()["messages"]) == ["bookings.1"]
    broken = await project.client.post("booking-groups", json={"bookings": [{}]})
    assert "bookings.0.starts_at" in broken.json()["errors"]
    assert (sandbox.state.bookings, sandbox.state.booking_groups) == before


async def test_groups_are_found_by_their_members_and_by_their_own_metadata(project: Project) -> None:
    studio = await project.studio()
    items = [studio.booking("08:00", "08:30", metadata={"who": "Ada"}), studio.booking("09:00", "09:30")]
    group = await project.create("booking-groups", {"bookings": items, "metadata": {"order": "A-1"}})
    for query in ({"metadata[who][eq]": "Ada"}, {"group_metadata[order][eq]": "A-1"}, {"resource": studio.resource}):
        assert (await project.client.get("booking-groups", params=query)).json()["data"] == [group]
    assert (await project.client.get("booking-groups", params={"metadata[who][eq]": "Bo"})).json()["data"] == []


# the demo studio


@pytest.fixture
async def studio_nord(client: httpx.AsyncClient) -> StudioIds:
    """The demo studio."""
    return await seed_studio(client)


async def test_the_demo_studio_is_worth_looking_at(client: httpx.AsyncClient, studio_nord: StudioIds) -> None:
    people = {id_: name for name, id_ in studio_nord.resources.items()}
    query: Json = {
        "from": "2026-11-23T00:00:00+01:00",
        "to": "2026-11-30T00:00:00+01:00",
        "location": studio_nord.location,
    }

    async def week(service: str) -> list[Json]:
        path = f"services/{studio_nord.services[service]}/bookable-slots"
        found: list[Json] = (await client.get(path, params=query)).json()["data"]
        return found

    portraits = await week("Portrait session")
    assert {people[r["id"]] for slot in portraits for r in slot["resources"]} == {"Astrid Lindqvist", "Jonas Berg"}
    assert "2026-11-28" in {slot["starts_at"][:10] for slot in portraits}
    headshots = await week("Headshot express")
    assert max(slot["ends_at"][11:16] for slot in headshots) == "20:00"
    monday = {slot["starts_at"][11:16] for slot in headshots if slot["starts_at"][:10] == "2026-11-23"}
    assert "11:30" in monday
    assert len(await week("Planning call")) > 50


async def test_the_demo_studio_is_closed_on_its_holiday(client: httpx.AsyncClient, studio_nord: StudioIds) -> None:
    path = f"services/{studio_nord.services['Planning call']}/bookable-slots"
    query = {"from": "2026-12-24T00:00:00+01:00", "to": "2026-12-27T00:00:00+01:00", "location": studio_nord.location}
    assert (await client.get(path, params=query)).json()["data"] == []
