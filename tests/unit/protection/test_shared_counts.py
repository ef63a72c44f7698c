"""What all processes count together in Redis: limits, and whose a hold is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.domain.booking import Status
from app.errors import RateLimited, TooManyHolds
from app.protection.hold_limits import Client
from app.protection.rate_limits import RateLimits, Rule
from app.protection.shared_counts import RedisCounts
from tests.support.processes import another_process
from tests.support.redis import RedisServer, redis_server
from tests.support.stack import open_stack

RULE = Rule.of("knock", "3/minute")


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


async def test_two_processes_count_a_visitor_together_and_forget_the_address_with_the_window(
    redis: RedisServer,
) -> None:
    one, other = RedisCounts(redis.url), RedisCounts(redis.url)
    first, second = (RateLimits(lambda: datetime.now(UTC), shared=counts) for counts in (one, other))
    await first.check(RULE, "203.0.113.9")
    await second.check(RULE, "203.0.113.9")
    assert (await first.usage(RULE, "203.0.113.9"))[:2] == (3, 1)
    await first.check(RULE, "203.0.113.9")
    with pytest.raises(RateLimited) as refused:
        await second.check(RULE, "203.0.113.9")
    assert 50 <= refused.value.retry_after <= 60
    await second.check(RULE, "203.0.113.10")
    async with Redis.from_url(redis.url) as client:
        keys = await client.keys("*203.0.113*")
        assert keys
        assert all([0 < await client.ttl(key) <= 60 for key in keys])
    await one.aclose()
    await other.aclose()


async def test_without_redis_each_process_counts_for_itself_and_with_it_again(redis: RedisServer) -> None:
    counts = RedisCounts(redis.url)
    rate_limits = RateLimits(lambda: datetime.now(UTC), shared=counts)
    await rate_limits.check(RULE, "anna")
    await redis.kill()
    for _ in range(3):
        await rate_limits.check(RULE, "anna")
    with pytest.raises(RateLimited):
        await rate_limits.check(RULE, "anna")
    await counts.aclose()


async def test_the_holds_of_one_address_count_at_every_process(redis: RedisServer, tmp_path: Path) -> None:
    settings = {"redis_url": redis.url}
    async with (
        open_stack(tmp_path, widget="max_holds_per_visitor = 2", settings=settings) as stack,
        another_process(
            stack, tmp_path, stack.settings.database_url, stack.side.transport(), settings=settings
        ) as other,
    ):
        client = Client("anna", "203.0.113.9")
        starts = [await stack.in_days(days, "headshot") for days in (2, 3, 4)]
        held = []
        for parts, start in ((stack.parts, starts[0]), (other, starts[1])):
            widget = parts.widgets["studio"]
            held.append(
                await parts.hold.take(
                    widget,
                    service_id=stack.headshot_id,
                    starts_at=start,
                    resource_id=None,
                    visitor=stack.visitor(),
                    customer=stack.customer(),
                    client=client,
                )
            )
        assert [booking.status for booking in held] == [Status.HELD] * 2
        with pytest.raises(TooManyHolds):
            await stack.parts.hold.take(
                stack.parts.widgets["studio"],
                service_id=stack.headshot_id,
                starts_at=starts[2],
                resource_id=None,
                visitor=stack.visitor(),
                customer=stack.customer(),
                client=client,
            )
