"""Install a package of the system's for the tests, where that can be done without asking."""

import os
import shutil
import subprocess
import sys


def install(package: str) -> None:
    """Install by apt as root; elsewhere nothing is done. A failure shows where the package is looked for next. Output
    goes to stderr, for stdout carries only the caller's answer."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    for words in (("update",), ("install", "--yes", "--no-install-recommends", package)):
        subprocess.run(  # noqa: S603  (the fixed words above)
            ["apt-get", *words],  # noqa: S607  (wherever the system has it)
            check=False,
            stdout=sys.stderr,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
