"""systemd units for a folder: those of deploy/, with the folder, the program, the settings and the user filled in."""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from app.web.shared.folders import folder as folder_of

#: The program, with its folder or from there.
_PYTHON = re.compile(r"(?:/opt/holdfast/)?\.venv/bin/python")
UNITS = (
    "holdfast.service",
    "holdfast-nightly.service",
    "holdfast-nightly.timer",
    "holdfast-nightly-failed.service",
)


def write_units(target: Path, *, folder: Path, env: Path, say: Callable[[str], None]) -> int:
    """0, or 1 where the folder cannot be written."""
    # Under sudo, anyone who asked for it.
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    names = {
        "/opt/holdfast": str(folder.absolute()),
        "/etc/holdfast/env": str(env.absolute()),
        "User=holdfast": f"User={user}",
        "Group=holdfast": f"Group={user}",
    }
    database = "/var/lib/holdfast" if folder.absolute() == Path("/opt/holdfast") else str(folder.absolute())
    try:
        for name in UNITS:
            text = (folder_of("deploy") / name).read_text(encoding="utf-8")
            text = _PYTHON.sub(sys.executable, text)
            for before, after in names.items():
                text = text.replace(before, after)
            if database != "/var/lib/holdfast":
                text = text.replace("/var/lib/holdfast/backups", f"{database}/backups")
                # The database is in this folder, which may be someone's home.
                text = text.replace("ProtectHome=yes", "ProtectHome=read-only")
                text = text.replace("ProtectSystem=strict", f"ProtectSystem=strict\nReadWritePaths={database}")
            (target / name).write_text(text, encoding="utf-8")
    except OSError as error:
        say(f"{target} cannot be written: {error.strerror}. Run this with sudo, or name another folder.")
        return 1
    say(f"Wrote {', '.join(UNITS)} into {target}, for the user {user}. Then:")
    say("  systemctl daemon-reload && systemctl enable --now holdfast.service holdfast-nightly.timer")
    return 0
