"""Write static/embed.min.js, the loader as it is served, from static/embed.js.

Done when the loader changes and not at each start, so that a server needs no minifier. A test holds the two together.
"""

from pathlib import Path

import minify

STATIC = Path(__file__).resolve().parent.parent / "static"


def minified() -> str:
    """static/embed.js without comments and with short local names; what it does stays the same."""
    return str(minify.string("application/javascript", (STATIC / "embed.js").read_text(encoding="utf-8"))) + "\n"


def main() -> None:
    """Write the file."""
    (STATIC / "embed.min.js").write_text(minified(), encoding="utf-8")


if __name__ == "__main__":
    main()
