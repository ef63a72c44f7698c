"""Write static/*.min.*, what pages and host sites are sent, from the files to read.

Done when one of them changes and not at each start, so that a server needs no minifier. A test holds them together.
"""

from pathlib import Path
from typing import Final

import minify

STATIC = Path(__file__).resolve().parent.parent / "static"
#: What the first view of the times loads: a reader's comments would be a sixth of it.
SOURCES: Final = {
    "embed.js": "application/javascript",
    "embed-more.js": "application/javascript",
    "widget.js": "application/javascript",
    "widget.css": "text/css",
    "manage.css": "text/css",
}


def minified(name: str) -> str:
    """The file without comments and, for a script, with short local names; what it does stays the same."""
    return str(minify.string(SOURCES[name], (STATIC / name).read_text(encoding="utf-8"))) + "\n"


def written(name: str) -> Path:
    """Where the minified file is kept."""
    return (STATIC / name).with_suffix(f".min{Path(name).suffix}")


def main() -> None:
    """Write the files."""
    for name in SOURCES:
        written(name).write_text(minified(name), encoding="utf-8")


if __name__ == "__main__":
    main()
