"""Many visitors, one time. Hapio's own check is not atomic here, so what holds is our slot guard."""

from collections import Counter
from pathlib import Path

import anyio
import pytest

from app.domain.booking import Booking, Status, Visitor
from app.errors import SlotTaken
from app.parts import Parts
from tests.support.processes import another_process
from tests.support.stack import Stack, open_stack

pytestmark = pytest.mark.both_databases


async def test_without_a_shared_guard_hapio_books_two_visitors_into_one_time(stack: Stack, tmp_path: Path) -> None:
    """The guard switched off: each visitor meets an app with a database of its own."""
    async with another_process(stack, tmp_path) as other:
        outcomes = await race(stack, [stack.parts, other])
    assert outcomes == {"won": 2}
    assert len(stack.hapio_bookings()) == 2


async def test_two_visitors_click_one_time_and_one_of_them_has_it(stack: Stack) -> None:
    outcomes = await race(stack, [stack.parts] * 2)
    assert outcomes == {"won": 1, "refused": 1}
    assert len(stack.hapio_bookings()) == 1


async def test_fifty_visitors_click_one_time_and_one_of_them_has_it(stack: Stack) -> None:
    outcomes = await race(stack, [stack.parts] * 50)
    assert outcomes == {"won": 1, "refused": 49}
    assert len(stack.hapio_bookings()) == 1


async def test_two_processes_over_one_database_have_one_winner(stack: Stack, tmp_path: Path) -> None:
    async with another_process(stack, tmp_path, database=stack.settings.database_url) as other:
        outcomes = await race(stack, [stack.parts, other])
    assert outcomes == {"won": 1, "refused": 1}
    assert len(stack.hapio_bookings()) == 1


async def test_where_other_programs_book_too_the_lock_is_verified_and_one_wins(tmp_path: Path, database: str) -> None:
    async with (
        open_stack(tmp_path, widget="verify_lock = true", database=database) as stack,
        another_process(stack, tmp_path) as other,
    ):
        outcomes = await race(stack, [stack.parts, other])
        assert outcomes == {"won": 1, "refused": 1}
        assert len(stack.hapio_bookings()) == 1


async def test_a_refused_visitor_is_told_the_nearest_free_times(stack: Stack) -> None:
    first = await stack.hold()
    with pytest.raises(SlotTaken) as refused:
        await stack.hold(first.starts_at, resource_id=first.resource_id)
    assert refused.value.nearest
    assert first.starts_at not in refused.value.nearest


async def test_anyone_means_a_person_who_is_still_free(stack: Stack) -> None:
    widget = stack.parts.widgets["studio"]
    service = await stack.parts.availability.service(widget, stack.portrait_id)
    times = await stack.parts.availability.times(widget, service, month=stack.clock().date().replace(day=1))
    shared = next(slot for slot in times.slots if len(slot.resource_ids) == 2)
    first, second = await stack.hold(shared.starts_at), await stack.hold(shared.starts_at)
    assert {first.resource_id, second.resource_id} == set(shared.resource_ids)


async def test_a_doubled_click_is_one_hold(stack: Stack) -> None:
    starts_at, anna = await stack.free_slot(), stack.visitor()
    held: list[Booking] = []

    async def click() -> None:
        held.append(await stack.hold(starts_at, visitor=anna))

    async with anyio.create_task_group() as clicks:
        for _ in range(5):
            clicks.start_soon(click)
    assert len({booking.id for booking in held}) == 1
    assert len(stack.hapio_bookings()) == 1


async def test_the_webhook_and_the_return_page_at_once_confirm_once(tmp_path: Path, database: str) -> None:
    async with open_stack(tmp_path, webhooks=False, database=database) as stack:
        booking = await stack.hold()
        back = await stack.stripe.pay(await stack.at_stripe(booking))
        stack.hapio.calls.clear()
        async with anyio.create_task_group() as at_once:
            for _ in range(5):
                at_once.start_soon(stack.client.get, back)
                at_once.start_soon(stack.parts.settle.booking, booking.id)
        assert await stack.status(booking) is Status.CONFIRMED
        assert [call.method for call in stack.hapio.calls] == ["PATCH"]
        await stack.tick()
        assert len(stack.mailbox.messages) == 2


async def test_two_workers_do_no_harm(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    async with (
        another_process(stack, tmp_path, database=stack.settings.database_url) as other,
        anyio.create_task_group() as at_once,
    ):
        at_once.start_soon(stack.parts.worker.tick)
        at_once.start_soon(other.worker.tick)
    assert await stack.status(booking) is Status.CONFIRMED
    assert len(stack.mailbox.messages) == 2


async def race(stack: Stack, houses: list[Parts]) -> Counter[str]:
    """One click per house on the same time with the same person, all at once, Hapio's gap wide open."""
    widget = stack.parts.widgets["studio"]
    starts_at = await stack.free_slot()
    service = await stack.parts.availability.service(widget, stack.portrait_id)
    slot = await stack.parts.availability.find_slot(widget, service, starts_at)
    assert slot
    for parts in {id(parts): parts for parts in houses}.values():
        await parts.availability.find_slot(widget, service, starts_at)
    # Anyone who has passed Hapio's check waits for the others there (a second at most), then all of them insert.
    stack.hapio.switches.update({"race_mode": "non_atomic", "race_parties": len(houses), "race_wait_seconds": 1})
    outcomes: Counter[str] = Counter()

    async def click(parts: Parts, visitor: Visitor) -> None:
        try:
            await parts.hold.take(
                widget,
                service_id=service.id,
                starts_at=starts_at,
                resource_id=slot.resource_ids[0],
                visitor=visitor,
            )
        except SlotTaken:
            outcomes["refused"] += 1
        else:
            outcomes["won"] += 1

    async with anyio.create_task_group() as clicks:
        for parts in houses:
            clicks.start_soon(click, parts, stack.visitor())
    return outcomes
