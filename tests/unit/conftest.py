"""What unit tests share: the whole product in one process."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.logs import plain_logs
from tests.support.stack import Stack, open_stack

#: Customers may move to another service as well.
ANY_SERVICE = "reschedule = { other_service = true }"


@pytest.fixture
async def stack(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    """The studio, open, with nothing booked."""
    async with open_stack(tmp_path, database=database) as stack:
        yield stack


@pytest.fixture
async def open_minded(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    """The studio, where customers may move to another service as well."""
    async with open_stack(tmp_path, widget=ANY_SERVICE, database=database) as stack:
        yield stack


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """Tests set up logs as a process does; the next test shall not notice."""
    level = logging.getLogger().level
    handlers = list(logging.getLogger().handlers)
    yield
    plain_logs()
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    logging.getLogger("uvicorn").setLevel(logging.NOTSET)
