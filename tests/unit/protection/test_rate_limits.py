"""Counting who asked how often."""

from datetime import UTC, datetime, timedelta

import pytest

from app.errors import RateLimited
from app.protection.rate_limits import RateLimits, Rule, client_address
from sandbox.clock import Clock

RULE = Rule.of("knock", "3/minute; 5/hour")


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))


@pytest.fixture
def rate_limits(clock: Clock) -> RateLimits:
    return RateLimits(clock)


async def knock(rate_limits: RateLimits, who: str = "anna", times: int = 1) -> int:
    """Knock so often; the seconds to wait, if that was too often."""
    for _ in range(times):
        try:
            await rate_limits.check(RULE, who)
        except RateLimited as error:
            return error.retry_after
    return 0


async def test_what_is_allowed_passes_and_one_more_is_told_when_to_come_back(
    rate_limits: RateLimits, clock: Clock
) -> None:
    assert await knock(rate_limits) == 0
    clock.advance(timedelta(seconds=20))
    assert await knock(rate_limits, times=2) == 0
    assert await knock(rate_limits) == 40
    clock.advance(timedelta(seconds=40))
    assert await knock(rate_limits) == 0


async def test_the_window_moves_so_that_two_bursts_do_not_fit_around_a_full_minute(
    rate_limits: RateLimits, clock: Clock
) -> None:
    clock.advance(timedelta(seconds=59))
    assert await knock(rate_limits, times=3) == 0
    clock.advance(timedelta(seconds=2))
    assert await knock(rate_limits) > 0


async def test_the_longer_limit_holds_when_the_shorter_one_has_room_again(
    rate_limits: RateLimits, clock: Clock
) -> None:
    for _ in range(5):
        assert await knock(rate_limits) == 0
        clock.advance(timedelta(minutes=5))
    assert await knock(rate_limits) == 35 * 60


async def test_one_clients_knocking_does_not_shut_out_another(rate_limits: RateLimits) -> None:
    assert await knock(rate_limits, "anna", 4) > 0
    assert await knock(rate_limits, "bo") == 0


async def test_knocking_on_while_shut_out_does_not_put_it_off(rate_limits: RateLimits, clock: Clock) -> None:
    await knock(rate_limits, times=3)
    for _ in range(59):
        assert await knock(rate_limits) > 0
        clock.advance(timedelta(seconds=1))
    clock.advance(timedelta(seconds=1))
    assert await knock(rate_limits) == 0


async def test_where_the_server_does_not_know_who_asks_nobody_is_shut_out_for_another(rate_limits: RateLimits) -> None:
    assert await knock(rate_limits, "", times=100) == 0


async def test_a_flood_of_addresses_takes_no_more_memory_than_was_set(clock: Clock) -> None:
    rate_limits = RateLimits(clock, most_kept=100)
    for number in range(1000):
        await knock(rate_limits, f"203.0.113.{number}")
    assert rate_limits.kept == 100


async def test_who_has_been_away_is_forgotten(rate_limits: RateLimits, clock: Clock) -> None:
    for number in range(50):
        await knock(rate_limits, f"203.0.113.{number}")
    clock.advance(timedelta(hours=2))
    await knock(rate_limits)
    assert rate_limits.kept == len(RULE.limits)


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        (("203.0.113.9", 4711), "203.0.113.9"),
        (("2001:db8:1:2:3:4:5:6", 4711), "2001:db8:1:2::"),
        (("2001:db8:1:2:ffff::1", 4711), "2001:db8:1:2::"),
        (("::ffff:203.0.113.9", 4711), "203.0.113.9"),
        (("testclient", 1), "testclient"),
        (None, ""),
    ],
)
def test_a_household_counts_as_one_client(peer: tuple[str, int] | None, counted: str) -> None:
    assert client_address({"type": "http", "client": peer}) == counted


def test_a_header_that_anyone_can_send_is_not_trusted() -> None:
    scope = {"type": "http", "client": ("203.0.113.9", 1), "headers": [(b"x-forwarded-for", b"198.51.100.1")]}
    assert client_address(scope) == "203.0.113.9"
