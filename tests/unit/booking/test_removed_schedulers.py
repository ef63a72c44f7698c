"""A scheduler's credentials are taken out of the settings: what is booked there stands, and can be called off."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.domain.booking import Booking, Status
from app.settings import Settings
from tests.support.browser import Browser
from tests.support.manage import link
from tests.support.stack import Stack, open_stack

OWNER = "owner@studio.example"


async def remove_scheduler(stack: Stack) -> None:
    """The owner moves to Hapio: another widget, other credentials, and a new start."""
    file = stack.settings.widgets_file
    assert file
    file.write_text('[atelier]\ntitle = "Atelier"\nowner_email = "owner@studio.example"\n')
    gone = {"calcom_api_key": None, "calendly_token": None, "hapio_api_token": SecretStr(stack.hapio.token)}
    stack.settings = stack.settings.model_copy(update=gone)
    await stack.restart()


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_the_customer_still_cancels_and_the_owner_is_told_what_is_left_there(
    scheduler: str, tmp_path: Path
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        booking = await stack.confirmed(await stack.in_days(10))
        connected = stack.settings
        await stack.mail(OWNER)
        await remove_scheduler(stack)
        anna = Browser(stack)
        await anna.open(link(stack, booking))
        assert anna.page.status_code == 200
        await anna.open(f"{link(stack, booking)}/cancel")
        await anna.send('action="[^"]+/cancel"')
        assert await stack.status(booking) is Status.CANCELED
        await hours_pass(stack, 6)
        assert stack.money_kept() == 0
        assert [subject for subject in await stack.mail(OWNER) if subject.startswith("Needs your attention")]
        assert [one.tag for one in stack.side.booked()] == [booking.id], "nobody can reach it there"
        await come_back(stack, booking, connected)


async def come_back(stack: Stack, booking: Booking, settings: Settings) -> None:
    """With the credentials back, what was left is made good."""
    stack.settings = settings
    await stack.restart()
    await hours_pass(stack, 6)
    assert stack.side.booked() == []
    assert await stack.status(booking) is Status.CANCELED


async def hours_pass(stack: Stack, hours: int) -> None:
    for _ in range(4 * hours):
        await stack.tick(after=timedelta(minutes=15))


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_money_that_was_paid_before_is_let_go_when_the_visit_begins(scheduler: str, tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler=scheduler, webhooks=False) as stack:
        booking = await stack.hold(await stack.in_days(2))
        await stack.paid(booking)
        await remove_scheduler(stack)
        await hours_pass(stack, 4)
        assert [subject for subject in await stack.mail(OWNER) if subject.startswith("Needs your attention")]
        stack.clock.set(booking.starts_at)
        await hours_pass(stack, 12)
        assert await stack.status(booking) is Status.CANCELED
        assert (stack.money_kept(), stack.money_held()) == (0, 0)
