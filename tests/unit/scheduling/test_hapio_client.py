"""What Hapio answers, what becomes of it, and what is done when it does not answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.catalogue import Location
from app.errors import (
    SchedulerDown,
    SchedulerError,
    SchedulerFailed,
    SchedulerForbidden,
    SchedulerNotFound,
    SchedulerRateLimited,
    SchedulerRefused,
    SchedulerUnauthorized,
    SchedulerUnreachable,
)
from app.scheduling.port import SchedulerBooking
from sandbox.hapio import ALL_ABILITIES, Fault
from tests.support.hapio_studio import MONDAY, HapioStudio, open_studio

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
#: Tomorrow 10:00 in Stockholm.
TEN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
#: A portrait session that takes as long and keeps the room busy for longer.
_WITH_PRINTS = {
    "name": "Portrait session with prints",
    "type": "fixed",
    "duration": "PT1H",
    "bookable_interval": "PT30M",
    "buffer_time_after": "PT30M",
    "price": "1500.000",
}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def studio() -> AsyncIterator[HapioStudio]:
    async with open_studio() as studio:
        yield studio


async def lock(studio: HapioStudio, holdfast_id: str = "bk_1", starts_at: datetime = TEN) -> SchedulerBooking:
    return await studio.client.create_booking(
        holdfast_id=holdfast_id,
        service_id=studio.portrait,
        location_id=studio.ids.location,
        resource_id=studio.astrid,
        starts_at=starts_at,
        ends_at=starts_at + HOUR,
        is_temporary=True,
    )


async def test_services_people_and_places_are_read_as_they_are(studio: HapioStudio) -> None:
    [location] = await studio.client.locations()
    assert location == Location(studio.ids.location, "Studio Nord, Hornsgatan 12", "Europe/Stockholm")
    services = {service.id: service for service in await studio.client.services()}
    portrait, planning = services[studio.portrait], services[studio.planning]
    assert (portrait.price, planning.price) == (Decimal("1200.000"), None)
    assert (portrait.duration, portrait.buffer_after) == (HOUR, 15 * MINUTE)
    assert (portrait.booking_window_end, planning.booking_window_end) == (timedelta(days=60), None)
    assert planning.metadata["description"].startswith("Twenty minutes")
    resources = await studio.client.resources()
    assert {(resource.name, resource.capacity) for resource in resources} == {
        ("Astrid Lindqvist", 1),
        ("Jonas Berg", 1),
        ("Mira Haddad", 1),
    }
    offering = await studio.client.service_resource_ids(studio.portrait)
    assert set(offering) == {studio.astrid, studio.jonas}


async def test_what_the_owner_has_disabled_is_not_listed(studio: HapioStudio) -> None:
    await studio.api("PATCH", f"/services/{studio.portrait}", {"enabled": False})
    await studio.api("PATCH", f"/resources/{studio.astrid}", {"enabled": False})
    await studio.api("PATCH", f"/locations/{studio.ids.location}", {"enabled": False})
    assert studio.portrait not in {service.id for service in await studio.client.services()}
    assert studio.astrid not in {resource.id for resource in await studio.client.resources()}
    assert await studio.client.locations() == []


async def test_a_booking_window_in_months_is_never_read_too_short(studio: HapioStudio) -> None:
    await studio.api("PATCH", f"/services/{studio.portrait}", {"booking_window_end": "P1Y2M3DT4H"})
    services = {service.id: service for service in await studio.client.services()}
    window = services[studio.portrait].booking_window_end
    assert window == timedelta(days=366 + 2 * 31 + 3, hours=4)


async def test_a_month_of_short_calls_is_read_to_its_last_page(studio: HapioStudio) -> None:
    slots = await studio.client.bookable_slots(
        studio.planning, location_id=studio.ids.location, starts_from=MONDAY, ends_to=MONDAY + timedelta(days=35)
    )
    starts = [slot.starts_at for slot in slots]
    assert len(starts) > 300
    assert starts == sorted(set(starts))
    assert studio.slot_reads() == -(-len(starts) // 100)
    assert all(start.tzinfo is UTC for start in starts)
    assert {len(slot.resource_ids) for slot in slots} == {1, 2}


async def test_a_lock_carries_our_id_and_comes_back_in_utc(studio: HapioStudio) -> None:
    locked = await lock(studio)
    assert (locked.starts_at, locked.ends_at, locked.buffer_ends_at) == (TEN, TEN + HOUR, TEN + 75 * MINUTE)
    assert locked.starts_at.tzinfo is UTC
    assert (locked.is_temporary, locked.is_canceled, locked.resource_id) == (True, False, studio.astrid)
    assert (locked.metadata, locked.price) == ({"holdfast_id": "bk_1"}, Decimal("1200.000"))
    assert await studio.client.get_booking(locked.id) == locked


async def test_a_time_that_is_taken_is_refused_with_hapios_words_in_either_shape(studio: HapioStudio) -> None:
    await lock(studio)
    with pytest.raises(SchedulerRefused) as bare:
        await lock(studio, "bk_2")
    studio.sandbox.switches.rule_error_shape = "A"
    with pytest.raises(SchedulerRefused) as by_field:
        await lock(studio, "bk_3")
    assert bare.value.errors == {}
    assert [text for texts in by_field.value.errors.values() for text in texts]
    assert "message" in bare.value.body
    assert studio.posts() == 3
    assert len(studio.sandbox.state.bookings) == 1


async def test_a_time_without_a_zone_is_never_sent(studio: HapioStudio) -> None:
    with pytest.raises(ValueError, match="zone"):
        await lock(studio, starts_at=TEN.replace(tzinfo=None))
    assert studio.sandbox.calls == []


@pytest.mark.parametrize("id_", ["", "nope", "..", f"{UNKNOWN_ID}/../{UNKNOWN_ID}", f"{UNKNOWN_ID}?x=1"])
async def test_an_id_that_is_none_never_reaches_the_address(studio: HapioStudio, id_: str) -> None:
    client = studio.client
    by_id = (client.get_booking, client.delete_booking, client.cancel_booking, client.restore_booking)
    for call in (*by_id, client.service_resource_ids):
        with pytest.raises(SchedulerNotFound):
            await call(id_)
    with pytest.raises(SchedulerNotFound):
        await studio.client.finalize_booking(id_, metadata={"holdfast_id": "bk_1"})
    assert studio.sandbox.calls == []


async def test_a_booking_without_our_id_is_neither_made_nor_sought(studio: HapioStudio) -> None:
    with pytest.raises(ValueError, match="our id"):
        await lock(studio, "")
    with pytest.raises(ValueError, match="our id"):
        await studio.client.find_bookings("")
    with pytest.raises(ValueError, match="our id"):
        await studio.client.finalize_booking(UNKNOWN_ID, metadata={"payment": "pi_1"})
    assert studio.sandbox.calls == []


async def test_a_lock_whose_answer_is_lost_is_found_and_not_made_twice(studio: HapioStudio) -> None:
    studio.sandbox.faults.append(Fault("drop_after", method="POST"))
    locked = await lock(studio)
    assert list(studio.sandbox.state.bookings) == [locked.id]
    assert studio.posts() == 1


@pytest.mark.parametrize("kind", ["error_after", "truncated_json", "hang_after"])
async def test_a_lock_whose_answer_is_spoilt_is_found_too(studio: HapioStudio, kind: str) -> None:
    studio.sandbox.faults.append(Fault(kind, method="POST"))  # type: ignore[arg-type]  # a literal, parametrized
    locked = await lock(studio)
    assert list(studio.sandbox.state.bookings) == [locked.id]


@pytest.mark.parametrize("kind", ["error_before", "drop_before", "html_body"])
async def test_a_lock_that_did_not_happen_is_made_again(studio: HapioStudio, kind: str) -> None:
    studio.sandbox.faults.append(Fault(kind, method="POST", times=2))  # type: ignore[arg-type]  # as above
    locked = await lock(studio)
    assert list(studio.sandbox.state.bookings) == [locked.id]
    assert studio.posts() == 3
    assert [0.1 <= studio.waits[0] <= 0.15, 0.2 <= studio.waits[1] <= 0.3] == [True, True]


async def test_a_lock_that_arrives_late_and_then_stands_in_its_own_way_is_found(studio: HapioStudio) -> None:
    studio.wire.late = True
    locked = await lock(studio)
    assert list(studio.sandbox.state.bookings) == [locked.id]
    assert [call.status for call in studio.sandbox.calls if call.method == "POST"] == [201, 422]


async def test_a_refusal_after_a_lost_answer_is_believed_when_the_time_is_someone_elses(studio: HapioStudio) -> None:
    theirs = await studio.book_elsewhere(studio.portrait, studio.astrid, TEN)
    studio.sandbox.faults.append(Fault("drop_before", method="POST"))
    with pytest.raises(SchedulerRefused):
        await lock(studio)
    assert list(studio.sandbox.state.bookings) == [theirs]


async def test_an_unknown_outcome_is_never_told_as_nothing_was_done(studio: HapioStudio) -> None:
    studio.sandbox.faults += [Fault("drop_after", method="POST"), Fault("rate_limited", times=9, method="GET")]
    with pytest.raises(SchedulerUnreachable):
        await lock(studio)
    studio.sandbox.faults[:] = [Fault("drop_before", times=4, method="GET")]
    with pytest.raises(SchedulerUnreachable):
        await studio.client.find_bookings("bk_1")
    # The fourth and fifth failure open the breaker between the lock and the look for it.
    studio.sandbox.faults[:] = [Fault("drop_before", times=9, method="GET"), Fault("drop_after", method="POST")]
    with pytest.raises(SchedulerUnreachable):
        await lock(studio, "bk_2", TEN + 3 * HOUR)
    assert studio.client.connection.down
    assert len(studio.sandbox.state.bookings) == 2


async def test_an_unknown_outcome_is_not_forgotten_when_the_next_attempt_is_turned_away(studio: HapioStudio) -> None:
    studio.sandbox.faults += [Fault("hang", method="POST"), Fault("rate_limited", method="POST", retry_after=30)]
    with pytest.raises(SchedulerUnreachable):
        await lock(studio)


async def test_three_failures_end_the_attempt_with_nothing_made(studio: HapioStudio) -> None:
    studio.sandbox.faults.append(Fault("error_before", method="POST", times=3, status=503))
    with pytest.raises(SchedulerFailed) as caught:
        await lock(studio)
    assert caught.value.http_status == 503
    assert studio.posts() == 3
    assert studio.sandbox.state.bookings == {}


async def test_a_short_rate_limit_is_waited_for_and_nothing_is_made_twice(studio: HapioStudio) -> None:
    studio.sandbox.faults.append(Fault("rate_limited", retry_after=1))
    locked = await lock(studio)
    assert studio.waits == [1.0]
    assert [call.method for call in studio.sandbox.calls] == ["POST", "POST"]
    assert list(studio.sandbox.state.bookings) == [locked.id]


async def test_a_long_rate_limit_is_told_instead_of_waited_for(studio: HapioStudio) -> None:
    studio.sandbox.faults.append(Fault("rate_limited", retry_after=30))
    with pytest.raises(SchedulerRateLimited) as caught:
        await lock(studio)
    assert caught.value.retry_after == 30
    assert (studio.waits, studio.posts()) == ([], 1)


async def test_the_waits_of_one_call_together_stay_within_its_patience(studio: HapioStudio) -> None:
    studio.sandbox.faults.append(Fault("rate_limited", times=3, retry_after=1))
    with pytest.raises(SchedulerRateLimited):
        await studio.client.locations()
    assert studio.waits == [1.0, 1.0]


async def test_confirming_keeps_our_id_and_can_be_repeated(studio: HapioStudio) -> None:
    locked = await lock(studio)
    whole = {"holdfast_id": "bk_1", "payment": "pi_1"}
    studio.sandbox.faults += [Fault("error_after", method="PATCH"), Fault("drop_after", method="PATCH")]
    final = await studio.client.finalize_booking(locked.id, metadata=whole)
    assert (final.is_temporary, final.metadata) == (False, whole)
    assert await studio.client.finalize_booking(locked.id, metadata=whole) == final


async def test_confirming_a_lock_that_is_gone_is_told_as_such(studio: HapioStudio) -> None:
    locked = await lock(studio)
    await studio.client.delete_booking(locked.id)
    with pytest.raises(SchedulerNotFound):
        await studio.client.finalize_booking(locked.id, metadata={"holdfast_id": "bk_1"})


async def test_releasing_twice_or_without_an_answer_is_fine(studio: HapioStudio) -> None:
    locked = await lock(studio)
    studio.sandbox.faults.append(Fault("drop_after", method="DELETE"))
    await studio.client.delete_booking(locked.id)
    await studio.client.delete_booking(locked.id)
    assert studio.sandbox.state.bookings == {}


async def final(studio: HapioStudio, holdfast_id: str = "bk_1", starts_at: datetime = TEN) -> SchedulerBooking:
    locked = await lock(studio, holdfast_id, starts_at)
    return await studio.client.finalize_booking(locked.id, metadata={"holdfast_id": holdfast_id})


async def move(
    studio: HapioStudio,
    booking: SchedulerBooking,
    starts_at: datetime,
    *,
    service_id: str | None = None,
    length: timedelta = HOUR,
    buffer: timedelta | None = None,
) -> SchedulerBooking:
    ends_at = starts_at + length
    return await studio.client.move_booking(
        booking.id,
        service_id=service_id or studio.portrait,
        resource_id=studio.astrid,
        location_id=studio.ids.location,
        starts_at=starts_at,
        ends_at=ends_at,
        metadata={"holdfast_id": "bk_1", "moved": "1"},
        buffer_starts_at=None if buffer is None else starts_at,
        buffer_ends_at=None if buffer is None else ends_at + buffer,
    )


async def test_a_canceled_booking_keeps_its_record_and_frees_its_time(studio: HapioStudio) -> None:
    booking = await final(studio)
    canceled = await studio.client.cancel_booking(booking.id)
    assert (canceled.id, canceled.is_canceled, canceled.is_temporary) == (booking.id, True, False)
    assert (canceled.starts_at, canceled.resource_id, canceled.metadata) == (TEN, studio.astrid, booking.metadata)
    assert await studio.client.cancel_booking(booking.id) == canceled
    assert [found.id for found in await studio.client.find_bookings("bk_1")] == [booking.id]
    assert (await lock(studio, "bk_2")).starts_at == TEN


async def test_canceling_without_an_answer_is_tried_again(studio: HapioStudio) -> None:
    booking = await final(studio)
    studio.sandbox.faults += [Fault("drop_after", method="PATCH"), Fault("error_after", method="PATCH")]
    assert (await studio.client.cancel_booking(booking.id)).is_canceled


async def test_hapios_threshold_does_not_contradict_our_terms(studio: HapioStudio) -> None:
    await studio.api("PATCH", f"/services/{studio.portrait}", {"cancelation_threshold": "P30D"})
    booking = await final(studio)
    assert (await studio.client.cancel_booking(booking.id)).is_canceled


async def test_a_token_that_may_not_overrule_the_threshold_cancels_while_hapio_lets_it(studio: HapioStudio) -> None:
    studio.sandbox.state.tokens["narrow"] = ALL_ABILITIES - {"booking:ignore_cancelation_threshold"}
    narrow = studio.make_client("narrow")
    first, second = await final(studio), await final(studio, "bk_2", TEN + 24 * HOUR)
    assert (await narrow.cancel_booking(first.id)).is_canceled
    await studio.api("PATCH", f"/services/{studio.portrait}", {"cancelation_threshold": "P30D"})
    with pytest.raises(SchedulerRefused):
        await narrow.cancel_booking(second.id)
    assert not (await studio.client.get_booking(second.id)).is_canceled
    assert (await narrow.cancel_booking(first.id)).is_canceled
    studio.sandbox.state.tokens["reader"] = frozenset({"booking:view"})
    reader = studio.make_client("reader")
    with pytest.raises(SchedulerForbidden):
        await reader.cancel_booking(second.id)
    await narrow.aclose()
    await reader.aclose()


async def test_changing_a_booking_that_is_gone_is_told_as_such(studio: HapioStudio) -> None:
    booking = await final(studio)
    await studio.client.delete_booking(booking.id)
    for change in (studio.client.cancel_booking, studio.client.restore_booking):
        with pytest.raises(SchedulerNotFound):
            await change(booking.id)
    with pytest.raises(SchedulerNotFound):
        await move(studio, booking, TEN + 3 * HOUR)


async def test_a_cancelation_is_undone_while_the_time_is_free(studio: HapioStudio) -> None:
    booking = await final(studio)
    await studio.client.cancel_booking(booking.id)
    restored = await studio.client.restore_booking(booking.id)
    assert restored == booking
    assert await studio.client.restore_booking(booking.id) == restored
    await studio.client.cancel_booking(booking.id)
    await lock(studio, "bk_2")
    with pytest.raises(SchedulerRefused):
        await studio.client.restore_booking(booking.id)
    assert (await studio.client.get_booking(booking.id)).is_canceled


async def test_a_cancelation_is_undone_although_the_time_could_no_longer_be_booked(studio: HapioStudio) -> None:
    booking = await final(studio)
    await studio.client.cancel_booking(booking.id)
    await studio.api("PATCH", f"/services/{studio.portrait}", {"booking_window_start": "P3D"})
    studio.sandbox.state.tokens["narrow"] = ALL_ABILITIES - {"booking:ignore_booking_window"}
    narrow = studio.make_client("narrow")
    with pytest.raises(SchedulerRefused):
        await narrow.restore_booking(booking.id)
    await narrow.aclose()
    assert await studio.client.restore_booking(booking.id) == booking


async def test_a_booking_moves_in_one_call_with_its_buffers_its_price_and_our_note(studio: HapioStudio) -> None:
    booking = await final(studio)
    studio.sandbox.calls.clear()
    moved = await move(studio, booking, TEN + 3 * HOUR)
    assert [call.method for call in studio.sandbox.calls] == ["PATCH"]
    assert (moved.id, moved.starts_at, moved.ends_at) == (booking.id, TEN + 3 * HOUR, TEN + 4 * HOUR)
    assert (moved.buffer_starts_at, moved.buffer_ends_at) == (moved.starts_at, moved.ends_at + 15 * MINUTE)
    assert (moved.is_temporary, moved.is_canceled, moved.price) == (False, False, Decimal("1200.000"))
    assert moved.metadata == {"holdfast_id": "bk_1", "moved": "1"}
    assert await studio.client.get_booking(booking.id) == moved
    assert (await lock(studio, "bk_2")).starts_at == TEN


async def test_a_booking_may_move_over_its_own_old_time(studio: HapioStudio) -> None:
    booking = await final(studio)
    starts = await studio.client.bookable_slots(
        studio.portrait, location_id=studio.ids.location, starts_from=TEN, ends_to=TEN + 8 * HOUR
    )
    beside = min(slot.starts_at for slot in starts if slot.starts_at > TEN)
    assert beside - TEN < 75 * MINUTE
    assert (await move(studio, booking, beside)).starts_at == beside


async def test_a_move_to_a_taken_time_leaves_everything_as_it_was(studio: HapioStudio) -> None:
    booking = await final(studio)
    await lock(studio, "bk_2", TEN + 3 * HOUR)
    with pytest.raises(SchedulerRefused):
        await move(studio, booking, TEN + 3 * HOUR)
    assert await studio.client.get_booking(booking.id) == booking


async def test_a_move_without_an_answer_is_made_once_and_can_be_repeated(studio: HapioStudio) -> None:
    booking = await final(studio)
    studio.sandbox.faults += [Fault("hang_after", method="PATCH"), Fault("drop_after", method="PATCH")]
    moved = await move(studio, booking, TEN + 3 * HOUR)
    assert moved.starts_at == TEN + 3 * HOUR
    # By now nothing of the old and the new time would pass a check.
    await studio.api("PATCH", f"/services/{studio.portrait}", {"booking_window_start": "P9D"})
    assert await move(studio, booking, TEN + 3 * HOUR) == moved


async def test_a_change_whose_outcome_is_unknown_is_never_told_as_nothing_was_done(studio: HapioStudio) -> None:
    booking = await final(studio)
    studio.sandbox.faults += [Fault("drop_after", method="PATCH"), Fault("rate_limited", method="PATCH", retry_after=9)]
    with pytest.raises(SchedulerUnreachable):
        await move(studio, booking, TEN + 3 * HOUR)
    assert (await studio.client.get_booking(booking.id)).starts_at == TEN + 3 * HOUR
    studio.sandbox.faults += [Fault("drop_before", times=4, method="GET"), Fault("drop_after", times=9, method="PATCH")]
    with pytest.raises(SchedulerUnreachable):
        await studio.client.get_booking(booking.id)
    # One failure more is the reading's, and the fifth opens the breaker between two attempts at the change.
    with pytest.raises(SchedulerUnreachable):
        await studio.client.cancel_booking(booking.id)
    assert studio.client.connection.down
    studio.clock.advance(MINUTE)
    studio.sandbox.faults.clear()
    assert (await studio.client.get_booking(booking.id)).is_canceled


async def test_a_refusal_of_what_is_done_already_is_not_believed(studio: HapioStudio) -> None:
    booking = await final(studio)
    await move(studio, booking, TEN + 3 * HOUR)
    studio.sandbox.faults.append(Fault("error_before", method="PATCH", status=422, times=2))
    assert (await move(studio, booking, TEN + 3 * HOUR)).starts_at == TEN + 3 * HOUR
    with pytest.raises(SchedulerRefused):
        await move(studio, booking, TEN + 5 * HOUR)


async def test_a_move_to_another_service_at_the_same_time_brings_the_buffers_of_that_service(
    studio: HapioStudio,
) -> None:
    prints = await studio.api("POST", "/services", _WITH_PRINTS)
    await studio.api("PUT", f"/services/{prints['id']}/resources/{studio.astrid}")
    booking = await final(studio)
    with pytest.raises(SchedulerRefused):
        await move(studio, booking, TEN, service_id=prints["id"])
    moved = await move(studio, booking, TEN, service_id=prints["id"], buffer=30 * MINUTE)
    assert (moved.service_id, moved.buffer_ends_at) == (prints["id"], TEN + 90 * MINUTE)
    assert moved.price == Decimal("1500.000")


async def test_our_bookings_are_found_in_every_state_and_nobody_elses(studio: HapioStudio) -> None:
    temporary = await lock(studio)
    final = await lock(studio, starts_at=TEN + 4 * HOUR)
    await studio.client.finalize_booking(final.id, metadata={"holdfast_id": "bk_1"})
    canceled = await lock(studio, starts_at=TEN + 48 * HOUR)
    await studio.api("PATCH", f"/bookings/{canceled.id}", {"is_canceled": True})
    await lock(studio, "bk_2", TEN + 24 * HOUR)
    found = await studio.client.find_bookings("bk_1")
    assert {booking.id for booking in found} == {temporary.id, final.id, canceled.id}


async def test_what_occupies_an_hour_is_listed_without_what_was_canceled(studio: HapioStudio) -> None:
    ours = await lock(studio)
    gone = await lock(studio, "bk_2", TEN + 24 * HOUR)
    await studio.api("PATCH", f"/bookings/{gone.id}", {"is_canceled": True})
    theirs = await studio.book_elsewhere(studio.portrait, studio.astrid, TEN + 24 * HOUR, metadata={})
    day = await studio.client.overlapping_bookings(studio.astrid, starts_from=TEN, ends_to=TEN + 26 * HOUR)
    assert {booking.id: booking.metadata for booking in day} == {ours.id: {"holdfast_id": "bk_1"}, theirs: {}}
    hour = await studio.client.overlapping_bookings(studio.astrid, starts_from=TEN, ends_to=TEN + HOUR)
    assert [booking.id for booking in hour] == [ours.id]


async def test_only_old_and_temporary_bookings_are_swept_up(studio: HapioStudio) -> None:
    old = await lock(studio)
    final = await lock(studio, "bk_2", TEN + 24 * HOUR)
    await studio.client.finalize_booking(final.id, metadata={"holdfast_id": "bk_2"})
    studio.clock.advance(10 * MINUTE)
    await lock(studio, "bk_3", TEN + 48 * HOUR)
    found = await studio.client.temporary_bookings(created_before=studio.clock() - 5 * MINUTE)
    assert [booking.id for booking in found] == [old.id]


async def test_reading_is_tried_again_until_the_answer_can_be_read(studio: HapioStudio) -> None:
    studio.sandbox.faults += [Fault("truncated_json"), Fault("hang")]
    assert len(await studio.client.resources()) == 3
    assert [call.status for call in studio.heard] == [200, None, 200]


async def test_an_answer_that_cannot_be_read_is_told_without_what_it_says(studio: HapioStudio) -> None:
    locked = await lock(studio)
    studio.sandbox.faults.append(Fault("truncated_json", times=3))
    with pytest.raises(SchedulerFailed) as caught:
        await studio.client.get_booking(locked.id)
    assert "bk_1" not in str(caught.value)


async def test_a_gateways_page_instead_of_an_answer_is_survived(studio: HapioStudio) -> None:
    studio.sandbox.faults.append(Fault("html_body", times=3))
    with pytest.raises(SchedulerFailed) as caught:
        await studio.client.locations()
    assert (caught.value.http_status, "Bad Gateway" in caught.value.body) == (502, True)


async def test_a_wrong_token_and_a_missing_ability_are_told_apart(studio: HapioStudio) -> None:
    studio.sandbox.state.tokens["narrow"] = ALL_ABILITIES - {"location:view"}
    narrow, stranger = studio.make_client("narrow"), studio.make_client("stranger")
    with pytest.raises(SchedulerForbidden):
        await narrow.locations()
    with pytest.raises(SchedulerUnauthorized):
        await stranger.locations()
    assert len(studio.sandbox.calls) == 2
    await narrow.aclose()
    await stranger.aclose()


async def test_every_request_is_counted_the_lost_ones_too(studio: HapioStudio) -> None:
    studio.sandbox.faults += [Fault("drop_before"), Fault("error_before", status=503)]
    await studio.client.services()
    assert [(call.operation, call.status) for call in studio.heard] == [
        ("getServices", None),
        ("getServices", 503),
        ("getServices", 200),
    ]


async def test_the_minutes_limit_is_known_for_a_minute(studio: HapioStudio) -> None:
    assert (studio.client.connection.remaining, studio.client.connection.limit) == (None, None)
    studio.clock.advance(MINUTE)
    await studio.client.services()
    assert (studio.client.connection.remaining, studio.client.connection.limit) == (999, 1000)
    studio.clock.advance(MINUTE)
    assert (studio.client.connection.remaining, studio.client.connection.limit) == (None, None)


async def test_when_hapio_is_down_nothing_is_sent_until_one_call_finds_it_up_again(studio: HapioStudio) -> None:
    studio.sandbox.faults.append(Fault("drop_before", times=5))
    with pytest.raises(SchedulerUnreachable):
        await studio.client.locations()
    with pytest.raises(SchedulerDown) as caught:
        await studio.client.locations()
    assert studio.client.connection.down
    assert 29 < caught.value.retry_after <= 30
    sent = len(studio.sandbox.calls)
    with pytest.raises(SchedulerDown):
        await lock(studio)
    assert len(studio.sandbox.calls) == sent == 5

    studio.clock.advance(timedelta(seconds=30))
    studio.wire.hold()
    together = asyncio.gather(*(studio.client.locations() for _ in range(4)), return_exceptions=True)
    await studio.quiet()
    studio.wire.let_go()
    first, *others = await together
    assert isinstance(first, list)
    assert {type(other) for other in others} == {SchedulerDown}
    assert len(studio.sandbox.calls) == 6
    assert await studio.client.locations()


async def test_a_refusal_is_an_answer_and_does_not_count_as_an_outage(studio: HapioStudio) -> None:
    for _ in range(6):
        with pytest.raises(SchedulerError):
            await studio.client.get_booking(UNKNOWN_ID)
    studio.sandbox.faults.append(Fault("rate_limited", times=6))
    for _ in range(6):
        with pytest.raises(SchedulerRateLimited):
            await studio.client.locations()
    assert not studio.client.connection.down
