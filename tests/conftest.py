"""What every test shares: asynchronous tests run on asyncio, the product's own event loop."""

import gc
from collections.abc import Iterator
from functools import partial

import pytest
from jinja2 import Environment

from tests.support.logs import plain_logs
from tests.support.once import CompiledTemplates


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Name the event loop for anyio's pytest plugin."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """What a failing test shows of the log is quick to write, and to read."""
    plain_logs()


@pytest.fixture(scope="session", autouse=True)
def _compiled_templates() -> Iterator[None]:
    """Every app of this process finds the templates that an earlier one compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.web.shared.render.Environment", partial(Environment, bytecode_cache=CompiledTemplates()))
        yield


def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
