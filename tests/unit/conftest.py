"""What unit tests share: the whole product in one process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stack import Stack, open_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, open, with nothing booked."""
    async with open_stack(tmp_path) as stack:
        yield stack
