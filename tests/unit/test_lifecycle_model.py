"""The order of effects keeps the promises over every interleaving, and leaving out any rule breaks one."""

import pytest

from app.domain import TRANSITIONS
from tests.unit.lifecycle_model import MUTANTS, WORLDS, search


@pytest.mark.parametrize("world", WORLDS)
def test_every_interleaving_ends_with_money_and_time_in_agreement(world: str) -> None:
    outcome = search(world=world)
    assert outcome.problem == ""
    assert outcome.endings


def test_every_allowed_change_of_status_happens_and_no_other() -> None:
    seen = {change for world in WORLDS for change in search(world=world).changes}
    allowed = {(before, after) for before, afters in TRANSITIONS.items() for after in afters}
    assert seen == allowed


@pytest.mark.parametrize("mutant", MUTANTS)
def test_leaving_out_a_rule_breaks_a_promise(mutant: str) -> None:
    assert any(search(mutant, world).problem for world in WORLDS)
