"""What is delivered next to the program: units for systemd, the compose file, the image's health check."""

import asyncio
import configparser
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.settings import Settings
from app.store import Store
from sandbox.serve import serve_app

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNITS = ("holdfast.service", "holdfast-nightly.service")


# systemd


# The units are for machines with systemd, and only its own program can score them; macOS and containers have none. The
# tests below hold the lines of the units everywhere.
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_as_closed_in_as_systemd_can_tell(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(DEPLOY / unit)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert told.returncode == 0, told.stdout[-400:] + told.stderr


def lines(unit: str) -> list[str]:
    return (DEPLOY / unit).read_text(encoding="utf-8").splitlines()


def sandboxing(unit: str) -> list[str]:
    """What a unit takes away from its process: everything from the line on that says so."""
    text = lines(unit)
    [begin] = [number for number, line in enumerate(text) if line.startswith("# From here on as in")]
    return [line for line in text[begin + 1 :] if "=" in line and not line.startswith("WantedBy")]


def test_the_nightly_run_is_as_closed_in_as_the_server() -> None:
    assert sandboxing("holdfast-nightly.service") == sandboxing("holdfast.service")
    assert len(sandboxing("holdfast.service")) > 25


@pytest.mark.parametrize("unit", UNITS)
def test_no_unit_opens_the_databases_folder_or_has_a_setting_of_its_own(unit: str) -> None:
    assert {"StateDirectory=holdfast", "StateDirectoryMode=0700", "UMask=0077"} <= set(lines(unit))
    assert "EnvironmentFile=/etc/holdfast/env" in lines(unit)
    named = {name for line in lines(unit) if line.startswith("Environment=") for name in re.findall(r"(\w+)=", line)}
    assert not named & {field.upper() for field in Settings.model_fields}


def test_a_wrong_setting_is_not_tried_for_ever() -> None:
    assert {"Restart=always", "RestartPreventExitStatus=2"} <= set(lines("holdfast.service"))


def test_a_night_without_a_copy_is_reported() -> None:
    [called] = [line.partition("=")[2] for line in lines("holdfast-nightly.service") if line.startswith("OnFailure=")]
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read(DEPLOY / called)
    assert "alert" in parser["Service"]["ExecStart"]


@pytest.mark.parametrize(("backup", "forget", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (2, 2, 2)])
def test_the_nightly_run_forgets_even_without_a_copy_and_fails_with_either(
    tmp_path: Path, backup: int, forget: int, code: int
) -> None:
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho $3 >> told\n[ $3 = backup ] && exit {backup}\nexit {forget}\n")
    python.chmod(0o700)
    text = (DEPLOY / "holdfast-nightly.service").read_text(encoding="utf-8")
    command = re.search(r"(?s)^ExecStart=/bin/sh -c '(.*?)'$", text, re.MULTILINE)
    assert command
    # As systemd reads it: a line that ends in a backslash goes on, and a doubled dollar is one.
    script = command[1].replace("\\\n", " ").replace("$$", "$")
    assert subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, check=False).returncode == code  # noqa: S603
    assert (tmp_path / "told").read_text().split() == ["backup", "forget"]


def test_the_guide_installs_every_unit() -> None:
    guide = (ROOT / "docs/by-hand.md").read_text(encoding="utf-8")
    assert all(path.name in guide for path in DEPLOY.glob("holdfast*"))
    assert "-m 600 .env /etc/holdfast/env" in guide


# Docker


def test_compose_asks_for_nothing_that_is_not_in_the_env_file() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+)([^}]*)\}", text))
    assert asked == {("PUBLIC_URL", "-")}
    assert "{$PUBLIC_URL}" in (DEPLOY / "Caddyfile").read_text(encoding="utf-8")


def test_nothing_but_the_address_has_to_be_known_before_the_first_set_up() -> None:
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert "env_file: [{ path: .env, required: false }]" in compose
    assert "widgets.toml" not in compose.split("services:")[1]
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "ENV_FILE=/var/lib/holdfast/env" in image, "what the set-up writes outlives the container"
    assert "VOLUME /var/lib/holdfast" in image


def test_every_alarm_of_the_guide_is_a_rule_for_prometheus() -> None:
    guide = (ROOT / "docs/operations.md").read_text(encoding="utf-8").split("### Alarms")[1].split("####")[0]
    alarms = set(re.findall(r"^\| `(\S.*?)`(?: for \d+ minutes)? \|", guide, re.MULTILINE))
    rules = (DEPLOY / "alerts.yml").read_text(encoding="utf-8")
    assert len(alarms) > 8
    assert alarms - {line.strip().removeprefix("expr: ") for line in rules.splitlines()} == set()


def test_the_image_has_the_demo_that_the_guide_runs_in_it() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"^COPY (?!--)(.+) \S+$", image, re.MULTILINE) for name in line.split()}
    assert {"app", "sandbox", "requirements.lock", "requirements-sandbox.lock"} <= copied
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}


def test_the_image_has_its_health_check() -> None:
    assert "COPY deploy/healthcheck.py" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "!deploy/healthcheck.py" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


async def check(tmp_path: Path, *words: str, database: Path | None = None) -> int:
    """The health check in a container that runs these words."""
    command_line = tmp_path / "cmdline"
    command_line.write_text("\0".join(["python", "-m", "app", *words, ""]))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(DEPLOY / "healthcheck.py"),
        str(command_line),
        env={"DATABASE_URL": f"sqlite:///{database}"},
        stderr=subprocess.DEVNULL,
    )
    return await process.wait()


def server(status: int) -> Starlette:
    async def ready(_: Request) -> Response:
        return PlainTextResponse("", status)

    return Starlette(routes=[Route("/readyz", ready)])


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
async def test_a_container_with_the_server_is_as_well_as_the_server_says(
    tmp_path: Path, status: int, code: int
) -> None:
    async with serve_app(server(status), port=0) as url:
        port = url.rpartition(":")[2]
        assert await check(tmp_path, "serve", "--host", "0.0.0.0", "--port", port) == code  # noqa: S104
        assert await check(tmp_path, "serve", f"--port={port}") == code
        assert await check(tmp_path, "demo", "--port", str(int(port) - 1)) == code


async def test_a_container_with_a_worker_is_well_while_the_worker_beats(tmp_path: Path) -> None:
    database = tmp_path / "holdfast.sqlite3"
    assert await check(tmp_path, "worker", database=database) == 1
    for age, code in ((timedelta(minutes=5), 1), (timedelta(0), 0)):
        beat = datetime.now(UTC) - age
        store = Store(f"sqlite:///{database}", now=partial(datetime.fromtimestamp, beat.timestamp(), UTC))
        await store.migrate()
        await store.beat()
        await store.close()
        assert await check(tmp_path, "worker", database=database) == code
