"""The lock files are what gets installed; pyproject.toml is what was decided.

`make` proves by `pip check` that the locks are complete.
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def locked(name: str) -> set[str]:
    return set((ROOT / name).read_text().splitlines()[1:])


def test_every_pinned_dependency_is_installed_at_that_very_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(project["dependencies"]) | set(extras["sandbox"]) <= locked("requirements.lock")
    assert set(extras["dev"]) <= locked("requirements-dev.lock")


def test_the_product_runs_without_the_test_tools() -> None:
    assert not locked("requirements.lock") & locked("requirements-dev.lock")
    assert not any(line.startswith(("pytest", "playwright", "mypy")) for line in locked("requirements.lock"))
