"""The order of effects keeps the promises over every interleaving, and leaving out any rule breaks one."""

from collections.abc import Callable

import pytest

from app.domain.booking import TRANSITIONS
from app.domain.move import MOVE_TRANSITIONS
from tests.support.once import OnceInARun
from tests.unit.booking import changes_model, offer_model
from tests.unit.booking.lifecycle_model import MUTANTS, WORLDS, Outcome, search

Search = Callable[[str], Outcome]
SearchOfChanges = Callable[[str], changes_model.Outcome]


@pytest.fixture(scope="session")
def searched(once_in_a_run: OnceInARun) -> Search:
    """What may happen in a world in which no rule is left out."""
    return lambda world: once_in_a_run(f"lifecycle {world}", lambda: search(world=world))


@pytest.fixture(scope="session")
def searched_changes(once_in_a_run: OnceInARun) -> SearchOfChanges:
    """What may become of a confirmed booking in a world in which no rule is left out."""
    return lambda world: once_in_a_run(f"changes {world}", lambda: changes_model.search("", world))


@pytest.mark.parametrize("world", WORLDS)
def test_every_interleaving_ends_with_money_and_time_in_agreement(world: str, searched: Search) -> None:
    outcome = searched(world)
    assert outcome.problem == ""
    assert outcome.endings


@pytest.mark.parametrize("world", changes_model.WORLDS)
def test_every_interleaving_of_changes_ends_with_money_and_time_in_agreement(
    world: str, searched_changes: SearchOfChanges
) -> None:
    outcome = searched_changes(world)
    assert outcome.problem == ""
    assert len(outcome.endings) > 1


def test_every_interleaving_of_an_offer_ends_with_money_and_time_in_agreement() -> None:
    outcome = offer_model.search()
    assert outcome.problem == ""
    assert outcome.states > 1000


def test_every_allowed_change_of_status_happens_and_no_other(
    searched: Search, searched_changes: SearchOfChanges
) -> None:
    seen = {change for world in WORLDS for change in searched(world).changes}
    changed = {change for world in changes_model.WORLDS for change in searched_changes(world).changes}
    allowed = {(before, after) for before, afters in TRANSITIONS.items() for after in afters}
    assert seen | changed | offer_model.search().changes == allowed


def test_every_allowed_change_of_a_move_happens_and_no_other(searched_changes: SearchOfChanges) -> None:
    seen = {change for world in changes_model.WORLDS for change in searched_changes(world).moves}
    assert seen == {(before, after) for before, afters in MOVE_TRANSITIONS.items() for after in afters}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_leaving_out_a_rule_breaks_a_promise(mutant: str) -> None:
    _what, world = MUTANTS[mutant]
    assert search(mutant, world).problem


@pytest.mark.parametrize("mutant", changes_model.MUTANTS)
def test_leaving_out_a_rule_of_changes_breaks_a_promise(mutant: str) -> None:
    _what, world = changes_model.MUTANTS[mutant]
    assert changes_model.search(mutant, world).problem


@pytest.mark.parametrize("mutant", offer_model.MUTANTS)
def test_leaving_out_a_rule_of_offers_breaks_a_promise(mutant: str) -> None:
    assert offer_model.search(mutant).problem
