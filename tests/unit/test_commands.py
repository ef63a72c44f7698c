"""python -m app: starts with good settings, stops cleanly, and says what is wrong otherwise."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from app.sandbox.serve import base_url, listen

ENVIRON = {
    "HAPIO_API_TOKEN": "token",
    "HAPIO_BASE_URL": "http://127.0.0.1:9/v1",
    "SECRET_KEYS": "k" * 32,
    "PUBLIC_URL": "http://127.0.0.1:8000",
}


def run(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 — our own command line
        [sys.executable, "-m", "app", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_missing_setting_stops_the_start_with_its_name() -> None:
    process = run("serve", **{**ENVIRON, "PUBLIC_URL": ""})
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "PUBLIC_URL is missing" in said


def test_migrate_makes_the_database_and_may_be_repeated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'holdfast.sqlite3'}"
    for _ in range(2):
        process = run("migrate", **ENVIRON, DATABASE_URL=url)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert (tmp_path / "holdfast.sqlite3").stat().st_size > 0


def test_the_server_answers_and_stops_cleanly_when_told(tmp_path: Path) -> None:
    with listen() as free:
        url = base_url(free)
    port = url.rpartition(":")[2]
    process = run("serve", "--port", port, **ENVIRON, DATABASE_URL=f"sqlite:///{tmp_path / 'holdfast.sqlite3'}")
    transport = httpx.HTTPTransport(retries=8)  # connecting again with growing pauses until it listens
    with httpx.Client(transport=transport, base_url=url) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}


def test_the_worker_stops_cleanly_when_told(tmp_path: Path) -> None:
    process = run("worker", **ENVIRON, DATABASE_URL=f"sqlite:///{tmp_path / 'holdfast.sqlite3'}", LOG_LEVEL="warning")
    assert process.stderr
    # With Hapio out of reach the first sweep is put off, and says so: the worker is at work.
    assert "sweep_hapio" in process.stderr.readline() + process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
