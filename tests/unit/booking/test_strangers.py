"""Strangers take times at the scheduler while they are being paid; `make strangers` plays a thousand such runs."""

from pathlib import Path

import pytest

from tests.support.sides import NAMES
from tests.support.stack import open_stack
from tests.support.strangers import play

RUNS = 12


@pytest.mark.parametrize("scheduler", NAMES)
async def test_no_stranger_and_no_lost_answer_costs_a_customer_anything(scheduler: str, tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        tally = await play(stack, range(RUNS), seed=7)
    assert tally.wrong == []
    assert tally.charged_and_refunded == 0
    assert tally.ended["confirmed"]
