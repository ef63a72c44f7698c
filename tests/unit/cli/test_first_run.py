"""`serve` where nothing is set up: a process that serves the set-up, and becomes the server once that is done."""

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

import httpx

from app.cli.demo.stand_ins import StandIns, open_stand_ins
from sandbox.serve import base_url, listen
from tests.support.commands import environ

PATIENCE = 120.0


async def test_a_server_without_settings_is_set_up_in_a_browser_and_then_serves_the_widget(tmp_path: Path) -> None:
    async with open_stand_ins() as stand_ins:
        with listen() as free:
            url = base_url(free)
        process = await serve(tmp_path, url, stand_ins)
        try:
            code = await asyncio.wait_for(code_in_the_log(process), PATIENCE)
            async with httpx.AsyncClient(base_url=url, timeout=60) as browser:
                await asyncio.wait_for(answers(browser, "/setup", 200), PATIENCE)
                assert (await browser.get("/readyz")).status_code == 503
                page = await browser.post("/setup", data={"code": code})
                found = re.search(r'name="key" value="([^"]+)"', page.text)
                assert found
                key = {"key": found[1]}
                page = await browser.post("/setup/plan", data={**key, **typed(url, stand_ins)})
                assert "create the place Studio" in page.text
                page = await browser.post("/setup/go", data=key)
                assert "Holdfast is set up" in page.text
                await asyncio.wait_for(answers(browser, "/readyz", 200), PATIENCE)
                assert "Portrait" in (await browser.get("/w/studio")).text
                assert (await browser.get("/setup")).status_code == 404
        finally:
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    assert written(tmp_path) == ["env", "studio.toml", "widgets.toml"]


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "sqlite" not in path.name)


async def serve(folder: Path, url: str, stand_ins: StandIns) -> Process:
    """A container's process: the file of settings is to be in its volume."""
    bare = {name: value for name, value in environ().items() if name in {"PATH", "PYTHONPATH"}}
    names = ("HAPIO_BASE_URL", "STRIPE_API_BASE", "STRIPE_CHECKOUT_ORIGINS")
    volume = {
        "ENV_FILE": str(folder / "env"),
        "DATABASE_URL": f"sqlite:///{folder / 'holdfast.sqlite3'}",
        **{name: stand_ins.settings[name] for name in names},
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "serve", "--port", url.rpartition(":")[2]),
        env={**bare, **volume},
        cwd="/",
        stderr=PIPE,
        limit=1_000_000,
    )


async def code_in_the_log(process: Process) -> str:
    assert process.stderr
    while True:
        line = json.loads(await process.stderr.readline())
        if line["event"] == "not set up yet":
            return str(line["code"])


async def answers(browser: httpx.AsyncClient, path: str, status: int) -> None:
    while True:
        with suppress(httpx.TransportError):
            if (await browser.get(path)).status_code == status:
                return
        await asyncio.sleep(0.1)  # another process changes what it serves, and only its door tells when it has


def typed(url: str, stand_ins: StandIns) -> dict[str, str]:
    return {
        "token": stand_ins.settings["HAPIO_API_TOKEN"],
        "name": "Studio Söder",
        "time_zone": "Europe/Stockholm",
        "currency": "sek",
        "services": "Portrait 60 min 1200",
        "people": "Maja: Mon-Sun 9-17",
        "owner_email": "maja@studiosoder.example",
        "public_url": url,
        "sites": "",
        "stripe": stand_ins.settings["STRIPE_SECRET_KEY"],
        "smtp": stand_ins.settings["SMTP_URL"],
    }
