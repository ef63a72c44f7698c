"""Write requirements.lock (product and sandbox) and requirements-dev.lock (what the tests add).

Both come from pyproject.toml. They name every package and version, and
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
    """Resolve the tests' set on top of the product's, so that both run on the same versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = resolve([*project["dependencies"], *extras["sandbox"]])
    everything = resolve([*sorted(runtime), *extras["dev"]])
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(sorted(runtime)) + "\n")
    (ROOT / "requirements-dev.lock").write_text(HEADER + "\n".join(sorted(everything - runtime)) + "\n")


if __name__ == "__main__":
    main()
