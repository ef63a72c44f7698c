"""What every test shares: asynchronous tests run on asyncio, the product's own event loop."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Name the event loop for anyio's pytest plugin."""
    return "asyncio"
