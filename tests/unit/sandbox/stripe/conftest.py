"""The sandboxed Stripe, a shop's client and a buyer's browser."""

from collections.abc import AsyncIterator

import httpx
import pytest
import stripe

from app.payments.connection import StripeHTTP
from sandbox.clock import Clock
from sandbox.stripe import StripeSandbox
from tests.support.stripe_shop import NOON, Shop


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def sandbox(clock: Clock, shop: Shop) -> AsyncIterator[StripeSandbox]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop)) as webhooks:
        yield StripeSandbox(now=clock, webhook_client=webhooks, webhook_url="https://shop.example/hook")


@pytest.fixture
async def http(sandbox: StripeSandbox) -> AsyncIterator[StripeHTTP]:
    client = StripeHTTP(sandbox.transport())
    yield client
    await client.close_async()


@pytest.fixture
def client(http: StripeHTTP) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_sandbox", http_client=http)


@pytest.fixture
async def browser(sandbox: StripeSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://stripe.sandbox") as browser:
        yield browser
