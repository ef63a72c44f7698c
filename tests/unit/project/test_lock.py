"""The lock files are what gets installed; pyproject.toml is what was decided.

`make` proves by `pip check` that the locks are complete.
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def locked(name: str) -> set[str]:
    return set((ROOT / name).read_text().splitlines()[1:])


def pinned(dependencies: list[str]) -> set[str]:
    """Without the markers that say on which systems: the locks are for those that Holdfast is served from."""
    return {one.partition(";")[0].strip() for one in dependencies}


def test_every_pinned_dependency_is_installed_at_that_very_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert pinned(project["dependencies"]) <= locked("requirements.lock")
    assert pinned(extras["sandbox"]) <= locked("requirements-sandbox.lock")
    assert pinned(extras["dev"]) <= locked("requirements-dev.lock")
    assert pinned(extras["clients"]) <= locked("requirements-clients.lock")
    assert pinned(extras["mutation"]) <= locked("requirements-mutation.lock")


def test_the_product_runs_without_the_sandbox_and_the_test_tools() -> None:
    product, sandbox, dev = (locked(f"requirements{name}.lock") for name in ("", "-sandbox", "-dev"))
    assert not product & sandbox
    assert not (product | sandbox) & dev
    assert not any(line.startswith(("pytest", "playwright", "mypy", "aiosmtpd", "jsonschema")) for line in product)
