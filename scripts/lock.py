"""Write requirements.lock (the product), requirements-sandbox.lock (what the demo adds), requirements-dev.lock (what
the tests add to both), requirements-clients.lock (the generators of clients that the browser tests try) and
requirements-mutation.lock (what `make mutate` adds to all).

All come from pyproject.toml. They name every package and version, and
neither hashes nor hosts, so that any mirror serves them.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by `make lock` from pyproject.toml.\n"


def resolve(requirements: list[str]) -> set[str]:
    """Ask pip what it would install on an empty machine; `name==version` lines, normal names."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    report = subprocess.run(  # noqa: S603  (our own interpreter, and arguments from our own pyproject.toml)
        [*command, "--report", "-", *requirements], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    packages = [item["metadata"] for item in json.loads(report)["install"]]
    return {f"{package['name'].lower().replace('_', '-')}=={package['version']}" for package in packages}


def main() -> None:
    """Resolve each set on top of the one before it, so that all run on the same versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    locked: set[str] = set()
    for name, wanted in (
        ("requirements.lock", project["dependencies"]),
        ("requirements-sandbox.lock", extras["sandbox"]),
        ("requirements-dev.lock", extras["dev"]),
        ("requirements-clients.lock", extras["clients"]),
        ("requirements-mutation.lock", extras["mutation"]),
    ):
        resolved = resolve([*sorted(locked), *wanted])
        (ROOT / name).write_text(HEADER + "\n".join(sorted(resolved - locked)) + "\n")
        locked = resolved


if __name__ == "__main__":
    main()
