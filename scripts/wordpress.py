"""Fetch a WordPress and the PHP that runs it for the plugin's test, if the machine has none, into .cache/wordpress/.

WordPress comes from Debian's package, unpacked and not installed, since installing it brings a web server. A missing
one ends the run with exit code 1: tests that are skipped are not tests.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from scripts import system_package

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / ".cache" / "wordpress"
#: Where Debian's package has it.
WORDPRESS: Final = FOLDER / "usr" / "share" / "wordpress"
HELP: Final = """No PHP or no WordPress was found, and none could be fetched. On Debian as root both come by themselves.
Elsewhere:
  - install PHP 8 for the command line (php-cli, php),
  - unpack WordPress 6.1 or newer, so that .cache/wordpress/usr/share/wordpress/wp-settings.php is there."""


def php() -> str | None:
    """Where PHP is."""
    return shutil.which("php")


def find() -> Path | None:
    """The unpacked WordPress, with our stand-in for its database."""
    if not (WORDPRESS / "wp-settings.php").is_file():
        return None
    # Without PHP's extension for MySQL, WordPress looks for it in its own folder only.
    shutil.copyfile(ROOT / "tests" / "wordpress" / "db.php", WORDPRESS / "wp-content" / "db.php")
    return WORDPRESS


def fetch() -> None:
    """Unpack Debian's package. A failure shows in the next `find`."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return
    with TemporaryDirectory() as folder:
        for words in (("update",), ("download", "wordpress")):
            subprocess.run(["apt-get", "--quiet", *words], cwd=folder, check=False, stdout=sys.stderr)  # noqa: S603, S607  (fixed words)
        for package in Path(folder).glob("wordpress_*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, FOLDER], check=False)  # noqa: S603, S607  (what was just fetched)


def main() -> None:
    """Fetch what is missing."""
    if php() is None:
        system_package.install("php-cli")
    if find() is None:
        fetch()
    if php() is None or find() is None:
        sys.exit(HELP)


if __name__ == "__main__":
    main()
