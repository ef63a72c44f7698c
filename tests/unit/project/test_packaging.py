"""What `pip install .` installs is everything that the program reads, and the program finds it there."""

import os
import signal
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx

from sandbox.serve import base_url, listen
from tests.support.commands import environ

ROOT = Path(__file__).parents[3]
#: Folders that are next to `app` in a checkout, and inside it when installed.
MOVED = {"app.deploy": "deploy", "app.templates": "templates", "app.static": "static"}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def folders() -> dict[str, Path]:
    """Every folder of the program, by the package that it is installed as."""
    found = {}
    for package, folder in {"app": "app", "sandbox": "sandbox", **MOVED}.items():
        for path in [ROOT / folder, *(ROOT / folder).rglob("*")]:
            if path.is_dir() and path.name != "__pycache__":
                inside = path.relative_to(ROOT / folder).parts
                found[".".join([package, *inside])] = path
    return found


def test_every_folder_of_the_program_is_installed() -> None:
    settings = project()["tool"]["setuptools"]
    assert sorted(settings["packages"]) == sorted(folders())
    assert settings["package-dir"] == MOVED


def test_every_file_next_to_the_code_is_installed() -> None:
    patterns = project()["tool"]["setuptools"]["package-data"]
    left_out = [
        path
        for package, folder in folders().items()
        for path in folder.iterdir()
        if path.is_file() and path.suffix != ".py"
        if not any(fnmatch(path.name, pattern) for pattern in [*patterns["*"], *patterns.get(package, [])])
    ]
    assert left_out == []


def test_installed_the_server_finds_its_pages_and_scripts(tmp_path: Path) -> None:
    package = tmp_path / "site" / "app"
    package.mkdir(parents=True)
    for path in [*(ROOT / "app").iterdir(), *(ROOT / folder for folder in MOVED.values())]:
        if path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    with listen() as free:
        url = base_url(free)
    process = subprocess.Popen(  # noqa: S603 — our own command line
        [sys.executable, "-m", "app", "serve", "--port", url.rpartition(":")[2]],
        env={**environ(), "PYTHONPATH": str(package.parent), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    with httpx.Client(transport=httpx.HTTPTransport(retries=9), base_url=url) as client:
        assert "data-holdfast" in client.get("/embed").text
        assert client.get("/static/widget.css").status_code == 200
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def test_the_command_is_called_holdfast() -> None:
    assert project()["project"]["scripts"] == {"holdfast": "app.__main__:main"}
