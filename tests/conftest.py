"""What every test shares: asynchronous tests run on asyncio, the product's own event loop."""

import gc
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.logs import plain_logs
from tests.support.once import OnceInARun
from tests.support.postgres import use_folder

#: A file system in memory, on Linux. In containers it is often too small.
MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there that nobody else may read
ENOUGH = 2 << 30


#: Files whose single tests take many seconds.
LONG = {
    "test_api_fuzz.py",
    "test_crashes.py",
    "test_crashes_everywhere.py",
    "test_lifecycle_model.py",
    "test_money_property.py",
}

#: A busy machine is no defect; `make bench` says what is slow.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_configure() -> None:
    """Databases of tests lie in memory where there is room: the product waits for the disk after every write."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Name the event loop for anyio's pytest plugin."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """What a failing test shows of the log is quick to write, and to read."""
    plain_logs()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared between the processes of a run: pytest-xdist gives each of them a folder in the run's own."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def once_in_a_run(run_folder: Path) -> OnceInARun:
    """Long work that several tests look at."""
    return OnceInARun(run_folder)


@pytest.fixture(scope="session", autouse=True)
def _one_server(run_folder: Path) -> None:
    """One PostgreSQL for all of the run's processes, if a test wants it."""
    use_folder(run_folder)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Where the test's data are kept: "sqlite", and in files marked `both_databases` once more "postgresql"."""
    return str(getattr(request, "param", "sqlite"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of files marked `both_databases` run on each."""
    if metafunc.definition.get_closest_marker("both_databases") and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long stories first: a process that gets one at the end keeps the others waiting."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
