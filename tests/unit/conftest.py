"""What unit tests share: the whole product in one process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.stack import Stack, open_stack

#: Customers may move to another service as well.
ANY_SERVICE = "reschedule = { other_service = true }"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, open, with nothing booked."""
    async with open_stack(tmp_path) as stack:
        yield stack


@pytest.fixture
async def open_minded(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, where customers may move to another service as well."""
    async with open_stack(tmp_path, widget=ANY_SERVICE) as stack:
        yield stack
