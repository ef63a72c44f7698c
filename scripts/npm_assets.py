"""Fetch the two scripts that the browser tests need into .cache/npm/, from the npm registry by package name.

Each must match the integrity value written here; what does not match is never used.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "npm"


@dataclass(frozen=True)
class Asset:
    """One file of an npm package; `integrity` is the value of the HTML attribute of that name."""

    package: str
    member: str
    integrity: str

    @property
    def path(self) -> Path:
        """Where the file lies once fetched."""
        return CACHE / Path(self.member).name


HTMX = Asset(
    "htmx.org@4.0.1",
    "dist/htmx.min.js",
    "sha384-Qp9rdC8H7EqOoX+nR0P3RPG2Noji+qdwJlGpfzwQJsfOpp3sGwIdSP9xO3+UlEhn",
)
AXE = Asset(
    "axe-core@4.14.1",
    "axe.min.js",
    "sha384-xt1SFg49QaDwsyt0Xfs2XAyBtYPClXl3X2q5OOLeGAUmq9jZTYIMdztpF99WdhiH",
)


def integrity(content: bytes) -> str:
    """Return the subresource integrity value of `content`."""
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


def fetch(asset: Asset, npm: str) -> None:
    """Pack the asset's package with `npm`, check the one file we want, and keep only that."""
    with TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603  (npm as found on the PATH, with a package name fixed above)
            [npm, "pack", asset.package, "--silent", "--pack-destination", folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            member = package.extractfile(f"package/{asset.member}")
            content = member.read() if member else b""
    if integrity(content) != asset.integrity:
        sys.exit(f"{asset.package} {asset.member} is not the file that the tests were written with; not used.")
    CACHE.mkdir(parents=True, exist_ok=True)
    asset.path.write_bytes(content)


def main() -> None:
    """Fetch what is missing or damaged."""
    for asset in (HTMX, AXE):
        if asset.path.exists() and integrity(asset.path.read_bytes()) == asset.integrity:
            continue
        npm = shutil.which("npm")
        if npm is None:
            sys.exit(
                f"The browser tests need {asset.package} from the npm registry, and there is no npm here.\n"
                "Install Node.js with npm (Debian, Ubuntu: apt-get install npm) and run make again."
            )
        fetch(asset, npm)


if __name__ == "__main__":
    main()
