"""Changing services: at each scheduler what it keeps, the rest here, for every process at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.money import Money
from app.operations.services import Saved, form_values
from app.parts import Parts
from sandbox.faults import Fault
from tests.support.processes import another_process
from tests.support.stack import Stack, open_stack

EVA = "eva@studio.example"


@pytest.fixture
async def stack(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, database=database) as stack:
        yield stack


async def save(parts: Parts, service_id: str, **typed: str) -> Saved:
    """Open a service's form, type into it and send it."""
    view = await parts.services.open("studio", service_id)
    return await parts.services.save(
        "studio", service_id, {**form_values(view), "version": view.version, **typed}, by=EVA
    )


@pytest.mark.both_databases
async def test_a_change_in_one_process_is_before_the_visitors_of_another_at_once(stack: Stack, tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        one, other = [
            await running.enter_async_context(
                another_process(stack, tmp_path, stack.settings.database_url, stack.side.transport(), shared=True)
            )
            for _ in range(2)
        ]
        widget = other.widgets["studio"]
        before = await other.availability.service(widget, stack.portrait_id)
        month = stack.clock().date().replace(day=1)
        assert (await other.availability.times(widget, before, month=month)).slots
        stack.clock.advance(timedelta(seconds=5))
        epoch = other.availability.epoch()
        told = await save(one, stack.portrait_id, price="900", duration="45", description_en="Shorter now.")
        assert told.state == "saved"
        await other.services.catch_up()
        widget = other.widgets["studio"]
        after = await other.availability.service(widget, stack.portrait_id)
        assert (after.price, after.duration) == (Money(90_000, "sek"), timedelta(minutes=45))
        assert after.description_in("en") == "Shorter now."
        assert other.availability.epoch() > epoch
        slots = (await other.availability.times(widget, after, month=month)).slots
        assert slots[0].ends_at - slots[0].starts_at == timedelta(minutes=45)
        # Of two desks that save at once, in two processes, one is told of the other.
        view = await one.services.open("studio", stack.portrait_id)
        form = {**form_values(view), "version": view.version}
        both = await asyncio.gather(
            one.services.save("studio", stack.portrait_id, form | {"description_en": "One."}, by=EVA),
            other.services.save(
                "studio", stack.portrait_id, form | {"description_en": "Other."}, by="bo@studio.example"
            ),
        )
        assert sorted(saved.state for saved in both) == ["overtaken", "saved"]


async def test_what_the_scheduler_refuses_is_told_and_what_lies_here_is_kept(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack:
        stack.hapio.faults.append(Fault("error_before", method="PATCH", times=10))
        told = await save(stack.parts, stack.portrait_id, price="900", description_en="Kept.")
        assert told.state == "refused"
        assert told.view.descriptions["en"] == "Kept."
        assert told.view.price == 1200
        assert [what for what, _, _ in told.view.history[0].changes] == ["description en"]
        stack.hapio.faults.clear()
        stack.clock.advance(timedelta(minutes=2))
        assert (await save(stack.parts, stack.portrait_id, price="900")).state == "saved"


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_a_price_lies_here_where_the_scheduler_has_none(scheduler: str, tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        told = await save(stack.parts, stack.portrait_id, price="99,50", name_en="Renamed", duration="45")
        assert told.state == "saved"
        assert told.view.price == Decimal("99.50")
        service = await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)
        assert service.price == Money(9950, "sek")
        # Cal.com is told of the rest; Calendly can only be changed in its own pages.
        renamed = (told.view.facts.name, told.view.facts.duration) == ("Renamed", timedelta(minutes=45))
        assert renamed == (scheduler == "calcom")
        back = await save(stack.parts, stack.portrait_id, back_price="1")
        assert back.view.price == 1200
