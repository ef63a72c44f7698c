"""The day's bookings at a scheduler that rations them."""

from datetime import UTC, datetime, timedelta

from app.scheduling.creates import CreateBudget
from sandbox.clock import Clock

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_budget(clock: Clock, per_day: int = 3) -> CreateBudget:
    return CreateBudget(per_day=per_day, counter="creates", now=clock)


def test_what_waits_to_be_made_has_its_share_of_the_day() -> None:
    budget = a_budget(Clock(NOON))
    budget.record()
    assert budget.wait(promised=1) == 0
    assert budget.wait(promised=2) == 12 * 3600, "until the next day begins"


def test_each_day_begins_again() -> None:
    clock = Clock(NOON)
    budget = a_budget(clock, per_day=1)
    budget.record()
    assert budget.wait(promised=0) > 0
    clock.advance(timedelta(hours=12))
    assert (budget.wait(promised=0), budget.made) == (0, 0)


async def test_all_processes_count_together() -> None:
    shared: dict[str, int] = {}

    async def add(name: str, many: int) -> int:
        shared[name] = shared.get(name, 0) + many
        return shared[name]

    clock = Clock(NOON)
    mine, other = a_budget(clock), a_budget(clock)
    mine.record()
    other.record()
    other.record()
    await mine.save(add)
    await other.save(add)
    await mine.save(add)
    assert (mine.made, other.made) == (3, 3)
    assert list(shared) == ["creates:2026-11-23"]
