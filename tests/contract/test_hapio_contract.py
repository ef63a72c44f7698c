"""What the product relies on at Hapio, asked over plain HTTP.

Runs against the sandbox, or against the real service when HAPIO_CONTRACT_TOKEN is set (an empty project; about 500
requests). Only documented or observed behaviour is asserted here; the sandbox's own choices have unit tests.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.clock import Clock
from tests.contract.hapio_fixtures import Json, Project, Studio, contract_client


@pytest.fixture
async def project() -> AsyncIterator[Project]:
    """Give a project and delete afterwards what was made in it."""
    async with contract_client() as client:
        project = Project(client, now=Clock())
        yield project
        await project.clean_up()


# transport


async def test_a_wrong_token_is_turned_away(project: Project) -> None:
    response = await project.client.get("project", headers={"authorization": "Bearer nonsense"})
    assert response.status_code == 401


async def test_every_answer_tells_how_many_requests_are_left(project: Project) -> None:
    first, second = await project.client.get("project"), await project.client.get("project")
    assert first.json()["enabled"] is True
    assert int(first.headers["x-ratelimit-limit"]) > 0
    assert int(second.headers["x-ratelimit-remaining"]) < int(first.headers["x-ratelimit-limit"])


@pytest.mark.parametrize("path", ["bookings/nope", "locations/nope", "bookings/00000000-0000-4000-8000-000000000000"])
async def test_an_id_that_names_nothing_is_not_found(project: Project, path: str) -> None:
    response = await project.client.get(path)
    assert response.status_code == 404
    assert response.json()["message"]


# setup objects


async def test_a_location_comes_back_bare_with_its_defaults(project: Project) -> None:
    body = {"name": "Åsö 🌲", "time_zone": "Europe/Stockholm", "resource_selection_strategy": "equalize"}
    location = await project.create("locations", body)
    assert location["name"] == "Åsö 🌲"
    assert location["enabled"] is True
    assert location["metadata"] is None
    assert datetime.fromisoformat(location["created_at"]).tzinfo is not None
    assert (await project.client.get(f"locations/{location['id']}")).json() == location


async def test_patch_keeps_what_it_does_not_name_and_put_resets_it(project: Project) -> None:
    body = {"name": "Astrid", "max_simultaneous_bookings": 1, "metadata": {"phone": "1"}}
    path = f"resources/{(await project.create('resources', body))['id']}"
    patched = (await project.client.patch(path, json={"name": "Astrid L"})).json()
    assert (patched["name"], patched["max_simultaneous_bookings"], patched["metadata"]) == (
        "Astrid L",
        1,
        {"phone": "1"},
    )
    replaced = (await project.client.put(path, json={"name": "Astrid"})).json()
    assert (replaced["max_simultaneous_bookings"], replaced["metadata"]) == (None, None)


async def test_put_needs_the_required_fields(project: Project) -> None:
    response = await project.client.put(f"resources/{await project.resource()}", json={})
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["name"]


async def test_an_empty_metadata_object_comes_back_as_an_empty_array(project: Project) -> None:
    created = await project.create("resources", {"name": "Astrid", "metadata": {}})
    assert created["metadata"] == []


@pytest.mark.parametrize("price", ["50", "50.00", "50,000", "-1.000", 50, 50.0, "1e3.000"])
async def test_a_price_has_exactly_three_decimals(project: Project, price: Any) -> None:
    body = {"name": "Headshot", "type": "fixed", "duration": "PT30M", "price": price}
    response = await project.client.post("services", json=body)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["price"]


@pytest.mark.parametrize("duration", ["PT0S", "P0D", "PT1.5H", "30 minutes", "PT", "P", "", "P1W1D", 1800, None])
async def test_a_service_needs_a_real_duration(project: Project, duration: Any) -> None:
    body = {"name": "Headshot", "type": "fixed", "duration": duration}
    response = await project.client.post("services", json=body)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["duration"]


@pytest.mark.parametrize(
    ("body", "own"),
    [
        ({"type": "fixed", "duration": "PT1H"}, {"duration", "bookable_interval"}),
        (
            {"type": "flexible", "min_duration": "PT1H", "max_duration": None, "duration_step": "PT30M"},
            {"min_duration", "max_duration", "default_duration", "duration_step", "bookable_interval"},
        ),
        (
            {"type": "day", "start_time": "09:00:00", "end_time": "17:00:00", "min_days": 1, "max_days": 7},
            {"start_time", "end_time", "min_days", "max_days", "default_days"},
        ),
    ],
)
async def test_a_service_shows_the_fields_of_its_type_only(project: Project, body: Json, own: set[str]) -> None:
    service = await project.create("services", {"name": "Rental", "duration_of_another_type": 1, **body})
    common = {"id", "name", "type", "price", "enabled", "metadata", "created_at", "updated_at"}
    common |= {"buffer_time_before", "buffer_time_after", "cancelation_threshold"}
    common |= {"booking_window_start", "booking_window_end"}
    assert set(service) - {"protected_metadata"} == common | own


async def test_a_service_that_changes_type_must_say_all_that_the_type_needs(project: Project) -> None:
    path = f"services/{await project.service()}"
    response = await project.client.patch(path, json={"type": "flexible", "min_duration": "PT1H"})
    assert response.status_code == 422
    assert set(response.json()["errors"]) == {"max_duration", "duration_step"}


@pytest.mark.parametrize("zone", ["Stockholm", "+01:00", "europe/stockholm", "", 1])
async def test_a_location_needs_a_known_time_zone(project: Project, zone: Any) -> None:
    body = {"name": "Studio", "time_zone": zone, "resource_selection_strategy": "equalize"}
    response = await project.client.post("locations", json=body)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["time_zone"]


async def test_a_resource_offers_a_service_from_either_side(project: Project) -> None:
    resource, service = await project.resource(), await project.service()
    path, mirrored = f"resources/{resource}/services/{service}", f"services/{service}/resources/{resource}"
    assert (await project.client.get(path)).status_code == 404
    assert (await project.client.put(path)).status_code == 201
    assert (await project.client.put(mirrored)).status_code == 200
    association = (await project.client.get(mirrored)).json()
    assert (association["resource_id"], association["service_id"]) == (resource, service)
    assert (await project.client.get(f"services/{service}/resources")).json() == [association]
    assert (await project.client.delete(mirrored)).status_code == 204
    assert (await project.client.delete(path)).status_code == 404


# lists


async def test_a_list_comes_in_pages_whose_links_keep_the_question(project: Project) -> None:
    for name in ("Astrid", "Jonas", "Mira"):
        await project.resource(name=name, metadata={"team": "page test"})
    query = {"metadata[team][eq]": "page test", "sort": "name.desc", "per_page": "2", "disabled": "include"}
    first = (await project.client.get("resources", params=query)).json()
    assert set(first) == {"data", "links", "meta"}
    assert set(first["links"]) == {"first", "last", "prev", "next"}
    assert [one["name"] for one in first["data"]] == ["Mira", "Jonas"]
    meta = first["meta"]
    assert (meta["current_page"], meta["last_page"], meta["per_page"], meta["total"]) == (1, 2, 2, 3)
    assert (meta["from"], meta["to"]) == (1, 2)
    assert first["links"]["prev"] is None
    second = (await project.client.get(first["links"]["next"])).json()
    assert [one["name"] for one in second["data"]] == ["Astrid"]
    assert second["links"]["next"] is None


async def test_an_empty_list_has_one_empty_page(project: Project) -> None:
    query = {"metadata[team][eq]": "nobody", "temporary": "include", "canceled": "include"}
    empty = (await project.client.get("bookings", params=query)).json()
    assert empty["data"] == []
    assert (empty["meta"]["from"], empty["meta"]["to"], empty["meta"]["total"]) == (None, None, 0)
    assert empty["meta"]["last_page"] == 1


async def test_bookings_are_found_by_metadata_also_nested_and_boolean(project: Project) -> None:
    studio = await project.studio()
    meta = {"holdfast_id": "bk_1", "patched": True, "customer": {"name": "Ada"}, "count": 3}
    booking = await project.book(studio, "08:00", "08:30", is_temporary=True, metadata=meta)
    await project.book(studio, "09:00", "09:30", is_temporary=True, metadata={"holdfast_id": "bk_2"})
    for name, value in (("holdfast_id", "bk_1"), ("patched", "true"), ("customer->name", "Ada")):
        query = {"temporary": "include", "canceled": "include", f"metadata[{name}][eq]": value}
        found = (await project.client.get("bookings", params=query)).json()["data"]
        assert [one["id"] for one in found] == [booking["id"]], name


async def test_bookings_are_found_by_time_and_by_what_they_use(project: Project) -> None:
    studio = await project.studio()
    early = await project.book(studio, "08:00", "08:30")
    late = await project.book(studio, "12:00", "12:30")

    async def found(**query: str) -> list[str]:
        response = await project.client.get("bookings", params={"resource": studio.resource, **query})
        return [booking["id"] for booking in response.json()["data"]]

    assert await found(sort="starts_at.desc") == [late["id"], early["id"]]
    assert await found(**{"starts_at[gte]": studio.at("12:00")}) == [late["id"]]
    assert await found(**{"starts_at[lt]": studio.at("12:00")}) == [early["id"]]
    assert await found(**{"from": studio.at("08:30"), "to": studio.at("13:00")}) == [late["id"]]
    assert await found(**{"from": studio.at("08:15"), "to": studio.at("12:00")}) == [early["id"]]
    assert (
        await found(service=studio.service, location=studio.location, **{"created_at[lt]": "2020-01-01T00:00:00+00:00"})
        == []
    )


# bookable slots


async def test_nine_open_hours_give_eighteen_half_hours(project: Project) -> None:
    studio = await project.studio()
    slots = await project.slots(studio)
    assert len(slots) == 18
    assert [slot["starts_at"] for slot in slots[1:]] == [slot["ends_at"] for slot in slots[:-1]]
    assert slots[0]["starts_at"] == slots[0]["buffer_starts_at"] == studio.at("08:00")
    assert set(slots[0]) == {"starts_at", "ends_at", "buffer_starts_at", "buffer_ends_at", "resources"}
    assert [resource["id"] for resource in slots[0]["resources"]] == [studio.resource]


async def test_slots_step_by_the_interval_and_leave_room_for_the_buffer(project: Project) -> None:
    studio = await project.studio(closes="11:00", duration="PT1H", bookable_interval="PT30M", buffer_time_after="PT15M")
    slots = await project.slots(studio)
    assert [slot["starts_at"][11:16] for slot in slots][:3] == ["08:00", "08:30", "09:00"]
    assert slots[0]["buffer_ends_at"] == studio.at("09:15")


async def test_a_start_time_is_listed_once_with_everyone_who_is_free(project: Project) -> None:
    studio = await project.studio(closes="09:00")
    second = await project.resource(name="Jonas")
    await project.offer(second, studio.service)
    await project.open(second, studio.location, studio.at("08:30"), studio.at("09:30"))
    free = {slot["starts_at"][11:16]: {r["id"] for r in slot["resources"]} for slot in await project.slots(studio)}
    assert free == {"08:00": {studio.resource}, "08:30": {studio.resource, second}, "09:00": {second}}
    assert await project.starts(studio, num_resources=2) == ["08:30"]
    assert await project.starts(studio, resource=second) == ["08:30", "09:00"]


async def test_slots_lie_within_the_booking_window_unless_it_is_ignored(project: Project) -> None:
    studio = await project.studio(booking_window_end="P3D")
    assert await project.starts(studio) == []
    assert len(await project.starts(studio, ignore_booking_window="true")) == 18
    assert await project.refused(studio, "08:00", "08:30")
    assert not await project.refused(studio, "08:00", "08:30", ignore_booking_window=True)


async def test_slots_need_a_window_that_makes_sense(project: Project) -> None:
    studio = await project.studio()
    path = f"services/{studio.service}/bookable-slots"
    good = {"from": studio.at("08:00"), "to": studio.at("17:00"), "location": studio.location}
    backwards = {**good, "from": good["to"], "to": good["from"]}
    assert (await project.client.get(path, params=good)).status_code == 200
    assert (await project.client.get(path, params=backwards)).status_code == 422
    assert (await project.client.get(path, params={"location": studio.location})).status_code == 422
    raw_plus = f"{path}?from={good['from']}&to={good['to']}&location={studio.location}"
    assert (await project.client.get(raw_plus)).status_code == 422
    nowhere = {**good, "location": "00000000-0000-4000-8000-000000000000"}
    assert (await project.client.get(path, params=nowhere)).status_code == 404


async def test_a_flexible_service_tells_the_shortest_and_the_longest_time(project: Project) -> None:
    studio = await project.studio(
        type="flexible", min_duration="PT1H", max_duration="PT4H", duration_step="PT30M", price="45.000"
    )
    slots = {slot["starts_at"]: slot for slot in await project.slots(studio)}
    first, last = slots[studio.at("08:00")], slots[studio.at("16:00")]
    assert (first["min_ends_at"], first["ends_at"]) == (studio.at("09:00"), studio.at("12:00"))
    assert (last["min_ends_at"], last["ends_at"]) == (studio.at("17:00"), studio.at("17:00"))
    assert studio.at("16:30") not in slots
    booking = await project.book(studio, "08:00", "09:30")
    assert booking["price"] == "67.500"
    longer = await project.client.patch(f"bookings/{booking['id']}", json={"ends_at": studio.at("10:00")})
    assert longer.json()["price"] == "90.000"
    assert await project.refused(studio, "12:00", "12:30")
    assert await project.refused(studio, "12:00", "13:10")


# bookings


async def test_a_booked_time_is_gone_and_its_neighbours_are_not(project: Project) -> None:
    studio = await project.studio()
    booking = await project.book(studio, "10:00", "10:30")
    assert (booking["price"], booking["is_temporary"], booking["is_canceled"]) == ("650.000", False, False)
    assert booking["finalized_at"] == booking["created_at"]
    assert booking["resource"]["id"] == booking["resource_id"] == studio.resource
    assert "10:00" not in await project.starts(studio)
    assert await project.refused(studio, "10:00", "10:30")
    assert not await project.refused(studio, "09:30", "10:00")
    assert not await project.refused(studio, "10:30", "11:00")


async def test_a_lock_takes_the_time_and_stays_out_of_the_plain_list(project: Project) -> None:
    studio = await project.studio()
    lock = await project.book(studio, "10:00", "10:30", is_temporary=True)
    assert (lock["is_temporary"], lock["finalized_at"]) == (True, None)
    assert "10:00" not in await project.starts(studio)
    assert await project.refused(studio, "10:00", "10:30")

    async def listed(**query: str) -> int:
        response = await project.client.get("bookings", params={"resource": studio.resource, **query})
        return len(response.json()["data"])

    assert await listed() == 0
    assert await listed(temporary="include") == 1
    assert await listed(temporary="only") == 1


async def test_confirming_twice_is_the_same_as_once(project: Project) -> None:
    studio = await project.studio()
    path = f"bookings/{(await project.book(studio, '10:00', '10:30', is_temporary=True))['id']}"
    confirmed = await project.client.patch(path, json={"is_temporary": False})
    assert confirmed.status_code == 200
    assert confirmed.json()["finalized_at"] is not None
    again = await project.client.patch(path, json={"is_temporary": False})
    assert again.status_code == 200
    assert again.json()["finalized_at"] == confirmed.json()["finalized_at"]


async def test_a_released_lock_leaves_nothing_behind(project: Project) -> None:
    studio = await project.studio()
    path = f"bookings/{(await project.book(studio, '10:00', '10:30', is_temporary=True))['id']}"
    assert (await project.client.delete(path)).status_code == 204
    assert (await project.client.get(path)).status_code == 404
    assert (await project.client.delete(path)).status_code == 404
    assert (await project.client.patch(path, json={"is_temporary": False})).status_code == 404
    assert "10:00" in await project.starts(studio)


async def test_a_time_outside_opening_hours_is_refused_unless_the_schedule_is_ignored(project: Project) -> None:
    studio = await project.studio()
    assert await project.refused(studio, "03:00", "03:30")
    assert not await project.refused(studio, "03:00", "03:30", ignore_schedule=True)


async def test_a_time_off_the_grid_is_refused_unless_slots_are_ignored(project: Project) -> None:
    studio = await project.studio()
    assert await project.refused(studio, "10:10", "10:40")
    assert await project.refused(studio, "10:00", "11:00")
    assert not await project.refused(studio, "10:00", "11:00", ignore_bookable_slots=True)


async def test_a_full_resource_takes_more_only_when_told_to_overbook(project: Project) -> None:
    studio = await project.studio(capacity=2)
    await project.book(studio, "10:00", "10:30")
    assert "10:00" in await project.starts(studio)
    await project.book(studio, "10:00", "10:30")
    assert "10:00" not in await project.starts(studio)
    assert await project.refused(studio, "10:00", "10:30")
    assert not await project.refused(studio, "10:00", "10:30", ignore_fully_booked=True)


async def test_a_resource_without_a_limit_is_never_full(project: Project) -> None:
    studio = await project.studio(capacity=None)
    for _ in range(3):
        await project.book(studio, "10:00", "10:30")
    assert "10:00" in await project.starts(studio)


async def test_buffers_keep_bookings_apart(project: Project) -> None:
    studio = await project.studio(buffer_time_after="PT30M", bookable_interval="PT30M")
    booking = await project.book(studio, "10:00", "10:30")
    assert (booking["buffer_starts_at"], booking["buffer_ends_at"]) == (studio.at("10:00"), studio.at("11:00"))
    assert await project.refused(studio, "10:30", "11:00")
    assert await project.refused(studio, "09:30", "10:00")
    assert not await project.refused(studio, "11:00", "11:30")
    assert not await project.refused(studio, "09:00", "09:30")


@pytest.mark.parametrize("starts_at", ["2031-11-02T09:00:00.000Z", "2031-11-02", "tomorrow", 1234567890, None])
async def test_only_one_way_of_writing_a_time_is_accepted(project: Project, starts_at: Any) -> None:
    studio = await project.studio()
    body = {**studio.booking("10:00", "10:30"), "starts_at": starts_at}
    response = await project.client.post("bookings", json=body)
    assert response.status_code == 422
    assert "starts_at" in response.json()["errors"]


async def test_a_request_may_use_any_offset(project: Project) -> None:
    studio = await project.studio()
    utc = {key: datetime.fromisoformat(studio.at(wall)).astimezone(ZoneInfo("UTC")).isoformat() for key, wall in
           (("starts_at", "10:00"), ("ends_at", "10:30"))}  # fmt: skip
    booking = await project.create("bookings", studio.booking("10:00", "10:30") | utc)
    assert datetime.fromisoformat(booking["starts_at"]) == datetime.fromisoformat(studio.at("10:00"))


async def test_a_booking_moves_over_its_own_old_time(project: Project) -> None:
    studio = await project.studio(duration="PT1H", bookable_interval="PT30M")
    path = f"bookings/{(await project.book(studio, '10:00', '11:00'))['id']}"
    moved = await project.client.patch(path, json={"starts_at": studio.at("10:30"), "ends_at": studio.at("11:30")})
    assert moved.status_code == 200
    assert moved.json()["buffer_starts_at"] == studio.at("10:30")
    taken = await project.book(studio, "14:00", "15:00")
    clash = await project.client.patch(path, json={"starts_at": taken["starts_at"], "ends_at": taken["ends_at"]})
    assert clash.status_code == 422
    assert (await project.client.get(path)).json() == moved.json()


async def test_put_may_move_a_final_booking_back_to_temporary(project: Project) -> None:
    studio = await project.studio()
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    put = await project.client.put(path, json=studio.booking("11:00", "11:30", is_temporary=True))
    assert put.status_code == 200
    assert (put.json()["is_temporary"], put.json()["starts_at"]) == (True, studio.at("11:00"))
    assert "10:00" in await project.starts(studio)


async def test_a_canceled_booking_frees_its_time_and_keeps_its_record(project: Project) -> None:
    studio = await project.studio(cancelation_threshold="P1D")
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    canceled = await project.client.patch(path, json={"is_canceled": True})
    assert canceled.status_code == 200
    assert canceled.json()["canceled_at"] is not None
    assert "10:00" in await project.starts(studio)
    query = {"resource": studio.resource, "canceled": "only"}
    assert len((await project.client.get("bookings", params=query)).json()["data"]) == 1
    await project.book(studio, "10:00", "10:30")
    assert (await project.client.patch(path, json={"is_canceled": False})).status_code == 422


async def test_a_cancellation_after_the_threshold_is_refused_and_a_delete_is_not(project: Project) -> None:
    studio = await project.studio(cancelation_threshold="P30D")
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    assert (await project.client.patch(path, json={"is_canceled": True})).status_code == 422
    forced = {"is_canceled": True, "ignore_cancelation_threshold": True}
    assert (await project.client.patch(path, json=forced)).status_code == 200
    assert (await project.client.delete(path)).status_code == 204


async def test_canceling_twice_changes_nothing_and_asks_for_no_threshold(project: Project) -> None:
    studio = await project.studio(cancelation_threshold="P30D")
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    forced = {"is_canceled": True, "ignore_cancelation_threshold": True}
    canceled = (await project.client.patch(path, json=forced)).json()
    assert (await project.client.patch(path, json={"is_canceled": True})).json() == canceled


async def test_a_cancelation_can_be_undone_while_the_time_is_free(project: Project) -> None:
    studio = await project.studio()
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    await project.client.patch(path, json={"is_canceled": True})
    restored = await project.client.patch(path, json={"is_canceled": False})
    assert restored.status_code == 200
    assert (restored.json()["is_canceled"], restored.json()["canceled_at"]) == (False, None)
    assert "10:00" not in await project.starts(studio)


async def test_a_move_to_another_service_is_priced_again_and_one_that_is_made_is_not_checked_again(
    project: Project,
) -> None:
    studio = await project.studio()
    longer = await project.service(name="Portrait", duration="PT1H", bookable_interval="PT30M", price="1200.000")
    await project.offer(studio.resource, longer)
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    move = {"service_id": longer, "starts_at": studio.at("10:30"), "ends_at": studio.at("11:30")}
    moved = await project.client.patch(path, json=move)
    assert moved.status_code == 200
    assert (moved.json()["service_id"], moved.json()["price"]) == (longer, "1200.000")
    await project.client.patch(f"services/{longer}", json={"booking_window_start": "P90D"})
    assert (await project.client.patch(path, json=move)).status_code == 200
    back = {"starts_at": studio.at("10:00"), "ends_at": studio.at("11:00")}
    assert (await project.client.patch(path, json=back)).status_code == 422


async def test_another_service_at_the_same_time_keeps_the_old_buffers_unless_new_ones_are_given(
    project: Project,
) -> None:
    studio = await project.studio()
    tidy = await project.service(name="Headshot with make-up", bookable_interval="PT30M", buffer_time_after="PT15M")
    await project.offer(studio.resource, tidy)
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    assert (await project.client.patch(path, json={"service_id": tidy})).status_code == 422
    given = {"service_id": tidy, "buffer_starts_at": studio.at("10:00"), "buffer_ends_at": studio.at("10:45")}
    changed = await project.client.patch(path, json=given)
    assert changed.status_code == 200
    assert changed.json()["buffer_ends_at"] == studio.at("10:45")


async def test_a_canceled_booking_is_moved_unchecked_and_takes_up_nothing(project: Project) -> None:
    studio = await project.studio()
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    await project.book(studio, "11:00", "11:30")
    await project.client.patch(path, json={"is_canceled": True})
    moved = await project.client.patch(path, json={"starts_at": studio.at("11:00"), "ends_at": studio.at("11:30")})
    assert moved.status_code == 200
    assert moved.json()["is_canceled"]


async def test_a_price_is_the_services_unless_one_is_given(project: Project) -> None:
    studio = await project.studio()
    assert (await project.book(studio, "08:00", "08:30"))["price"] == "650.000"
    assert (await project.book(studio, "09:00", "09:30", price="10.500"))["price"] == "10.500"
    assert (await project.book(studio, "10:00", "10:30", price=None))["price"] is None


async def test_hapio_chooses_a_resource_by_priority_when_none_is_named(project: Project) -> None:
    studio = await project.studio()
    second = await project.resource(name="Jonas")
    await project.offer(second, studio.service)
    await project.open(second, studio.location, studio.at("08:00"), studio.at("17:00"))
    priority = {"resource_selection_strategy": "prioritize", "resource_selection_priority": [second]}
    await project.client.patch(f"locations/{studio.location}", json=priority)
    body = {k: v for k, v in studio.booking("10:00", "10:30").items() if k != "resource_id"}
    chosen = [(await project.create("bookings", body))["resource_id"] for _ in range(2)]
    assert chosen == [second, studio.resource]
    assert (await project.client.post("bookings", json=body)).status_code == 422


async def test_a_booking_outlives_what_it_was_made_of(project: Project) -> None:
    studio = await project.studio()
    path = f"bookings/{(await project.book(studio, '10:00', '10:30'))['id']}"
    for thing in ("resource", "service", "location"):
        assert (await project.client.delete(f"{thing}s/{getattr(studio, thing)}")).status_code == 204
        booking = (await project.client.get(path)).json()
        assert (booking[thing], booking[f"{thing}_id"]) == (None, None)


async def test_a_resource_that_does_not_offer_the_service_has_no_slots(project: Project) -> None:
    studio = await project.studio()
    await project.client.delete(f"resources/{studio.resource}/services/{studio.service}")
    assert await project.starts(studio) == []


# opening hours


async def test_the_schedule_shows_open_time_and_what_is_full(project: Project) -> None:
    studio = await project.studio()
    await project.book(studio, "10:00", "10:30")
    window = {"from": studio.at("00:00"), "to": studio.at("00:00", plus_days=1)}
    base = f"resources/{studio.resource}"

    async def spans(path: str, **query: str) -> list[tuple[str, str]]:
        response = await project.client.get(f"{base}/{path}", params=window | query)
        assert response.status_code == 200
        zone = studio.zone
        return [
            tuple(datetime.fromisoformat(s[k]).astimezone(zone).strftime("%H:%M") for k in ("starts_at", "ends_at"))  # type: ignore[misc]  # two keys, two texts
            for s in response.json()["data"]
        ]

    assert await spans("fully-booked") == [("10:00", "10:30")]
    assert await spans("fully-booked", location=studio.location) == [("10:00", "10:30")]
    assert await spans("schedule", location=studio.location, fully_booked="include") == [("08:00", "17:00")]
    exclude = await spans("schedule", location=studio.location, fully_booked="exclude")
    assert exclude == [("08:00", "10:00"), ("10:30", "17:00")]


async def test_a_closed_period_lies_over_opening_hours(project: Project) -> None:
    studio = await project.studio()
    await project.open(studio.resource, studio.location, studio.at("09:00"), studio.at("16:00"), is_available=False)
    assert await project.starts(studio) == ["08:00", "08:30", "16:00", "16:30"]
    body = {"location_id": studio.location, "starts_at": studio.at("16:30"), "ends_at": studio.at("18:00")}
    response = await project.client.post(f"resources/{studio.resource}/schedule-blocks", json=body)
    assert response.status_code == 422


async def test_weekly_hours_may_last_until_midnight_and_must_not_overlap(project: Project) -> None:
    location, resource = await project.location(), await project.resource()
    hours = [("monday", "20:00:00", "24:00:00"), ("tuesday", "00:00:00", "01:00:00")]
    schedule = await project.week(resource, location, "2031-01-01", hours)
    path = f"resources/{resource}/recurring-schedules/{schedule}/schedule-blocks"
    for weekday, start, end, status in (
        ("monday", "19:00:00", "20:30:00", 422),
        ("wednesday", "09:00", "10:00:00", 422),
        ("wednesday", "10:00:00", "09:00:00", 422),
        (3, "09:00:00", "10:00:00", 422),
        ("wednesday", "09:00:00", "10:00:00", 201),
    ):
        body = {"weekday": weekday, "start_time": start, "end_time": end}
        assert (await project.client.post(path, json=body)).status_code == status, body
    listed = (await project.client.get(path, params={"sort": "weekday.desc"})).json()["data"]
    assert [block["weekday"] for block in listed] == ["wednesday", "tuesday", "monday"]
    query = {"from": "2031-01-06T00:00:00+01:00", "to": "2031-01-08T00:00:00+01:00", "location": location}
    spans = (await project.client.get(f"resources/{resource}/schedule", params=query)).json()["data"]
    total = sum(
        (datetime.fromisoformat(s["ends_at"]) - datetime.fromisoformat(s["starts_at"])).total_seconds() for s in spans
    )
    assert total == 5 * 3600


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("Europe/Stockholm", "2031-03-29T09:00:00+01:00", "2031-03-31T09:00:00+02:00"),
        ("Europe/Stockholm", "2031-10-25T09:00:00+02:00", "2031-10-27T09:00:00+01:00"),
        ("America/New_York", "2031-03-08T09:00:00-05:00", "2031-03-10T09:00:00-04:00"),
        ("America/New_York", "2031-11-01T09:00:00-04:00", "2031-11-03T09:00:00-05:00"),
        ("Australia/Lord_Howe", "2031-10-04T09:00:00+10:30", "2031-10-06T09:00:00+11:00"),
        ("Australia/Lord_Howe", "2031-04-05T09:00:00+11:00", "2031-04-07T09:00:00+10:30"),
    ],
)
async def test_nine_in_the_morning_stays_nine_when_the_clocks_change(
    project: Project, zone: str, before: str, after: str
) -> None:
    location, resource = await project.location(time_zone=zone), await project.resource()
    service = await project.service(duration="PT1H")
    await project.offer(resource, service)
    await project.week(
        resource, location, "2031-01-01", [(day, "09:00:00", "10:00:00") for day in ("saturday", "sunday", "monday")]
    )
    studio = Studio(location, resource, service, datetime.fromisoformat(before).date(), ZoneInfo(zone))
    window = {"from": studio.at("00:00"), "to": studio.at("00:00", plus_days=3), "ignore_booking_window": "true"}
    slots = await project.slots(studio, **window)
    starts = [slot["starts_at"] for slot in slots]
    assert [datetime.fromisoformat(at) for at in (starts[0], starts[-1])] == [
        datetime.fromisoformat(before),
        datetime.fromisoformat(after),
    ]
    assert [at[11:16] for at in starts] == ["09:00"] * 3


# booking groups


async def test_a_group_is_booked_confirmed_and_deleted_as_one(project: Project) -> None:
    studio = await project.studio()
    times = (("08:00", "08:30"), ("09:00", "09:30"))
    items = [studio.booking(start, end, is_temporary=True) for start, end in times]
    group = await project.create("booking-groups", {"bookings": items, "metadata": {"order": "A-1"}})
    path, members = f"booking-groups/{group['id']}", [member["id"] for member in group["bookings"]]
    assert "booking_group_id" not in group["bookings"][0]
    confirm = {"bookings": [{"id": member, "is_temporary": False} for member in members]}
    confirmed = (await project.client.patch(path, json=confirm)).json()
    assert [member["is_temporary"] for member in confirmed["bookings"]] == [False, False]
    assert (await project.client.get(f"bookings/{members[0]}")).json()["booking_group_id"] == group["id"]

    shortened = await project.client.patch(path, json={"bookings": [{"id": members[0]}]})
    assert [member["id"] for member in shortened.json()["bookings"]] == members[:1]
    assert (await project.client.get(f"bookings/{members[1]}")).status_code == 404
    assert (await project.client.delete(path)).status_code == 204
    assert (await project.client.get(f"bookings/{members[0]}")).status_code == 404


async def test_a_group_with_a_taken_time_is_refused_and_says_which(project: Project) -> None:
    studio = await project.studio()
    await project.book(studio, "09:00", "09:30")
    items = [studio.booking("08:00", "08:30"), studio.booking("09:00", "09:30")]
    response = await project.client.post("booking-groups", json={"bookings": items})
    assert response.status_code == 422
    assert list(response.json()["messages"]) == ["bookings.1"]
