"""The process dies after any of its effects, with schedulers whose locks do not bind."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.crashes import crash_everywhere
from tests.support.sides import WORST
from tests.support.stack import Stack
from tests.support.stories import (
    HEADSHOT,
    OTHER_SERVICE,
    PORTRAIT,
    Change,
    cancel,
    move,
    move_to_a_higher_price,
    pay,
    take_a_cancellation_back,
)

SCHEDULERS = ("calcom", "calendly", WORST)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
async def test_a_crash_after_any_effect_of_a_booking_ends_well(scheduler: str, tmp_path: Path) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        await stack.free_slot()
        return lambda: pay(stack)

    await crash_everywhere(tmp_path, prepare, scheduler=scheduler)


@pytest.mark.parametrize(
    ("change", "service", "widget", "scheduler"),
    [
        *((change, PORTRAIT, "", name) for change in (move, take_a_cancellation_back) for name in SCHEDULERS),
        (cancel, PORTRAIT, "undo_minutes = 0", WORST),
        (move_to_a_higher_price, HEADSHOT, OTHER_SERVICE, WORST),
    ],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
async def test_a_crash_after_any_effect_of_a_change_ends_well(
    change: Change, service: str, widget: str, scheduler: str, tmp_path: Path
) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        booking = await stack.confirmed(service=service)
        await stack.tick()  # its mails
        return lambda: change(stack, booking)

    await crash_everywhere(tmp_path, prepare, widget=widget, webhooks=False, scheduler=scheduler)
