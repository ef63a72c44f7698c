"""After repeated failures nothing is sent for a while, then one call finds out."""

from datetime import UTC, datetime, timedelta

import pytest

from app.breaker import Breaker
from sandbox.clock import Clock

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))


def broken(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(5):
        assert breaker.check() == 0
        breaker.failed()
    return breaker


def test_four_failures_in_a_row_are_borne(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(4):
        breaker.failed()
    assert (breaker.open, breaker.check()) == (False, 0)


def test_a_success_in_between_starts_the_count_again(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(4):
        breaker.failed()
    assert not breaker.open


def test_the_fifth_failure_stops_all_calls_for_half_a_minute(clock: Clock) -> None:
    breaker = broken(clock)
    assert (breaker.open, breaker.check()) == (True, 30)
    clock.advance(29 * SECOND)
    assert (breaker.open, breaker.check(), breaker.retry_after) == (True, 1, 1)


def test_after_the_pause_one_call_is_let_through_and_the_others_wait_for_it(clock: Clock) -> None:
    breaker = broken(clock)
    clock.advance(30 * SECOND)
    assert not breaker.open
    assert [breaker.check() for _ in range(3)] == [0, 30, 30]
    breaker.succeeded()
    assert [breaker.check() for _ in range(3)] == [0, 0, 0]


def test_a_failed_probe_begins_another_pause(clock: Clock) -> None:
    breaker = broken(clock)
    clock.advance(30 * SECOND)
    assert breaker.check() == 0
    clock.advance(8 * SECOND)
    breaker.failed()
    assert breaker.check() == 30


def test_a_probe_whose_caller_went_away_does_not_block_for_ever(clock: Clock) -> None:
    breaker = broken(clock)
    clock.advance(30 * SECOND)
    assert breaker.check() == 0
    clock.advance(30 * SECOND)
    assert breaker.check() == 0
