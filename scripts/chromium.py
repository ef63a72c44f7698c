"""Print the path of a Chromium for the browser tests, installing one if the machine has none.

A missing browser ends the run with exit code 1: browser tests that are skipped are not tests. With `--headless` it is
the path of Chromium's headless shell, and the whole browser's where no shell can be installed
(docs/dev/decisions/0187).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SHELL = "chromium-headless-shell"
HELP = """No Chromium was found, and none could be installed. One of these helps:
  - install it with the system's package manager (Debian: apt-get install chromium),
  - run: .venv/bin/python -m playwright install --with-deps chromium,
  - name an existing one: make test CHROMIUM=/path/to/chromium"""


def find() -> str | None:
    """Return the browser to use: $CHROMIUM, the system's, or the one that Playwright installed."""
    named = os.environ.get("CHROMIUM")
    if named:
        if not shutil.which(named):
            sys.exit(f"CHROMIUM names {named}, which is not a program that can be run.")
        return shutil.which(named)
    on_path = next((path for name in NAMES if (path := shutil.which(name))), None)
    return on_path or playwrights_own()


def find_headless() -> str | None:
    """Return what to open pages in where no browser's settings matter: $HEADLESS_CHROMIUM, else $CHROMIUM, else the
    system's headless shell. None where there is none of them."""
    named = os.environ.get("HEADLESS_CHROMIUM") or os.environ.get("CHROMIUM")
    return shutil.which(named or SHELL)


def playwrights_own() -> str | None:
    """Return Playwright's own Chromium if it is there; asked in another process, for it starts a driver."""
    question = (
        "from playwright.sync_api import sync_playwright as start\n"
        "with start() as driver: print(driver.chromium.executable_path)"
    )
    answer = subprocess.run(  # noqa: S603  (our own interpreter and the text above)
        [sys.executable, "-c", question], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    return answer if Path(answer).is_file() else None


def install() -> None:
    """Install by apt on Debian as root, elsewhere by Playwright. A failure shows in the next `find`."""
    if is_debian() and can_apt():
        apt_install("chromium", "fonts-dejavu-core")
        if find():
            return
    with_dependencies = ["--with-deps"] if can_apt() else []
    run(sys.executable, "-m", "playwright", "install", *with_dependencies, "chromium")


def install_headless() -> None:
    """Install the shell where that is one package of the system's. Elsewhere the whole browser does."""
    if is_debian() and can_apt():
        apt_install(SHELL)


def is_debian() -> bool:
    """Tell Debian from Ubuntu, whose package of Chromium is a snap, which a container cannot run."""
    os_release = Path("/etc/os-release")
    return os_release.is_file() and "ID=debian" in os_release.read_text().splitlines()


def can_apt() -> bool:
    """Tell whether packages of the system may be installed."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(*packages: str) -> None:
    """Install packages of Debian's."""
    run("apt-get", "update")
    run("apt-get", "install", "--yes", "--no-install-recommends", *packages)


def run(*command: str) -> None:
    """Run a command with its output on stderr, for stdout carries only the answer."""
    subprocess.run(  # noqa: S603  (fixed commands from `install`)
        command,
        check=False,
        stdout=sys.stderr,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )


def main() -> None:
    """Print the path; install first if need be."""
    headless = "--headless" in sys.argv[1:]
    if headless and find_headless() is None:
        install_headless()
    path = (find_headless() if headless else None) or find()
    if path is None:
        install()
        path = find()
    if path is None:
        sys.exit(HELP)
    print(path)


if __name__ == "__main__":
    main()
