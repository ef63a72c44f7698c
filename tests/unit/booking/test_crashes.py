"""The process dies after any of its effects; whatever it did ends with money, time, rows and mails in agreement."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.crashes import crash_everywhere
from tests.support.stack import Stack
from tests.support.stories import (
    FREE,
    HEADSHOT,
    OTHER_SERVICE,
    PORTRAIT,
    Change,
    Story,
    book_for_free,
    book_in_cash_and_cancel,
    cancel,
    cancel_by_the_owner,
    cancel_with_a_refund_that_fails,
    cancel_with_a_refund_whose_answer_is_cut,
    give_up_while_paying,
    have_a_link_and_pay_in_cash,
    move,
    move_and_cancel_while_the_difference_is_open,
    move_and_give_up_the_difference,
    move_and_never_pay_the_difference,
    move_and_pay_the_difference_late,
    move_to_a_higher_price,
    move_to_a_higher_price_and_cancel,
    move_to_a_lower_price,
    move_to_a_time_that_hapio_refuses,
    move_without_an_answer,
    pay,
    pay_late,
    pay_late_for_a_time_that_is_gone,
    pay_the_difference_for_a_time_that_hapio_gave_away,
    pay_with_a_hold_that_lapses,
    pay_without_webhook,
    take_a_cancellation_back,
    take_a_cancellation_back_in_vain,
    take_a_cancellation_back_without_an_answer,
    walk_away,
    walk_away_from_stripe,
)

STORIES = [
    (walk_away, ""),
    (pay, ""),
    (pay, 'capture = "manual"'),
    (pay_without_webhook, ""),
    (pay_without_webhook, 'capture = "manual"'),
    (book_for_free, ""),
    (book_in_cash_and_cancel, ""),
    (have_a_link_and_pay_in_cash, ""),
    (walk_away_from_stripe, ""),
    (give_up_while_paying, ""),
    (pay_late, ""),
    (pay_late, 'capture = "manual"'),
    (pay_late_for_a_time_that_is_gone, ""),
    (pay_late_for_a_time_that_is_gone, 'capture = "manual"'),
    (pay_with_a_hold_that_lapses, 'capture = "manual"'),
]


#: What is done, to a booking of which service, how many hours before it starts, under which settings of the widget.
CHANGES = [
    (cancel, PORTRAIT, 72, 'capture = "manual"'),
    (cancel, PORTRAIT, 72, "undo_minutes = 0"),
    (cancel, FREE, 72, ""),
    (cancel, PORTRAIT, 3, ""),
    (cancel, PORTRAIT, 1, ""),
    (cancel_by_the_owner, PORTRAIT, 1, ""),
    (cancel_with_a_refund_whose_answer_is_cut, PORTRAIT, 72, ""),
    (cancel_with_a_refund_that_fails, PORTRAIT, 72, ""),
    (take_a_cancellation_back, PORTRAIT, 72, ""),
    (take_a_cancellation_back_in_vain, PORTRAIT, 72, ""),
    (take_a_cancellation_back_without_an_answer, PORTRAIT, 72, ""),
    (move, PORTRAIT, 72, ""),
    (move_without_an_answer, PORTRAIT, 72, ""),
    (move_to_a_time_that_hapio_refuses, PORTRAIT, 72, ""),
    (move_to_a_lower_price, PORTRAIT, 72, OTHER_SERVICE),
    (move_to_a_higher_price, HEADSHOT, 72, OTHER_SERVICE),
    (move_to_a_higher_price_and_cancel, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_never_pay_the_difference, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_pay_the_difference_late, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_give_up_the_difference, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_cancel_while_the_difference_is_open, HEADSHOT, 72, OTHER_SERVICE),
    (pay_the_difference_for_a_time_that_hapio_gave_away, HEADSHOT, 72, OTHER_SERVICE),
]
#: With webhooks, too; the others do without, and see what Stripe says by asking: that is fewer effects to die after.
TOLD_BY_STRIPE = {move_to_a_higher_price}


@pytest.mark.parametrize(("story", "widget"), STORIES, ids=lambda part: getattr(part, "__name__", part or "automatic"))
async def test_a_crash_after_any_effect_ends_well(story: Story, widget: str, tmp_path: Path) -> None:
    webhooks = "without_webhook" not in story.__name__

    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        await stack.free_slot()
        return lambda: story(stack)

    await crash_everywhere(tmp_path, prepare, widget=widget, webhooks=webhooks)


async def test_a_crash_while_paying_ends_well_on_postgresql_too(tmp_path: Path) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        await stack.free_slot()
        return lambda: pay(stack)

    await crash_everywhere(tmp_path, prepare, database="postgresql")


@pytest.mark.parametrize(
    ("change", "service", "hours", "widget"), CHANGES, ids=lambda part: getattr(part, "__name__", str(part))
)
async def test_a_crash_after_any_effect_of_a_change_ends_well(
    change: Change, service: str, hours: int, widget: str, tmp_path: Path
) -> None:
    await crash_amid(change, service, hours, widget, tmp_path, database="sqlite")


async def test_a_crash_amid_a_cancellation_ends_well_on_postgresql_too(tmp_path: Path) -> None:
    await crash_amid(cancel, PORTRAIT, 72, "undo_minutes = 0", tmp_path, database="postgresql")


async def crash_amid(change: Change, service: str, hours: int, widget: str, folder: Path, *, database: str) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        booking = await stack.confirmed(service=service)
        stack.clock.set(max(stack.clock(), booking.starts_at - timedelta(hours=hours)))
        await stack.tick()  # its mails
        return lambda: change(stack, booking)

    await crash_everywhere(folder, prepare, widget=widget, webhooks=change in TOLD_BY_STRIPE, database=database)
