"""Build the pages that frameworks own for the browser tests, into .cache/npm/frameworks/.

`tests/frameworks/package-lock.json` fixes every package by its integrity value. A missing npm ends the run with exit
code 1: tests that are skipped are not tests.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "tests" / "frameworks"
FOLDER: Final = ROOT / ".cache" / "npm" / "frameworks"
BUILT: Final = FOLDER / "built"
#: Programs that packages bring: what type-checks, and what generates clients.
PROGRAMS: Final = FOLDER / "node_modules" / ".bin"
_LOCK: Final = "package-lock.json"


def install(npm: str, source: Path = SOURCE, folder: Path = FOLDER) -> None:
    """Install into `folder` exactly what `source` locks, unless it is there already. Packages' scripts are not run."""
    lock = (source / _LOCK).read_bytes()
    installed = folder / "installed"
    if installed.exists() and installed.read_bytes() == lock:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", _LOCK):
        shutil.copyfile(source / name, folder / name)
    subprocess.run(  # noqa: S603  (npm as found on the PATH)
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True
    )
    installed.write_bytes(lock)


def node() -> str:
    """Where Node.js is."""
    return shutil.which("node") or sys.exit(_missing("node"))


def _missing(program: str) -> str:
    return (
        f"The tests of frameworks need {program}, and there is none here.\n"
        "Install Node.js with npm (Debian, Ubuntu: apt-get install npm) and run make again."
    )


def main() -> None:
    """Install and build."""
    install(shutil.which("npm") or sys.exit(_missing("npm")))
    subprocess.run([node(), SOURCE / "build.mjs", FOLDER], check=True)  # noqa: S603  (our own script)


if __name__ == "__main__":
    main()
