"""`serve` where nothing is set up yet: the first set-up in a browser, then the server itself."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from secrets import token_hex

import structlog

from app.cli.server import serve_until
from app.operations.setup import SetupWorld
from app.operations.setup.first_run import FirstRun
from app.web.setup.app import create_setup_app

log = structlog.get_logger()

#: Seconds that the last page may take to arrive.
_PATIENCE = 10


async def serve_first_run(environ: Mapping[str, str], env_file: Path, arguments: argparse.Namespace) -> bool:
    """True once everything is made, False for a signal."""
    first_run = FirstRun(
        environ=environ,
        env_file=env_file,
        world=SetupWorld(_utc_now, SystemRandom(), asyncio.sleep, lambda: token_hex(32)),
        tell_code=lambda code: log.warning("not set up yet", open="/setup", code=code, port=arguments.port),
    )
    done = await serve_until(
        first_run.finished,
        create_setup_app(first_run),
        host=arguments.host,
        port=arguments.port,
        proxies=arguments.proxy,
        patience=_PATIENCE,
    )
    if done:
        log.info("set up", env_file=str(env_file))
    return done


def _utc_now() -> datetime:
    return datetime.now(UTC)
