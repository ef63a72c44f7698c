"""Thousands of requests that nobody would write by hand, right and wrong ones, made from the OpenAPI document."""

import asyncio
import json
import os
import re
import sys
from datetime import timedelta
from pathlib import Path

import httpx
from starlette.types import Receive, Scope, Send

from sandbox.serve import serve_app
from tests.support.json_door import KEY, SERVER, lock, wish
from tests.support.stack import Stack, open_stack

HERE = Path(__file__).parent
#: Of each operation and kind, beyond what the document alone makes. `make fuzz-api` asks for 60: some 3,000 cases in
#: half a minute, on two cores.
EXAMPLES = int(os.environ.get("API_EXAMPLES", "10"))


async def test_the_door_keeps_its_document_in_thousands_of_cases(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"api_keys": (KEY,), "seed_routes": "on"}) as stack:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                assert stack.hooks.app
                # So that limits are met by nobody, however fast the machine is: they have tests of their own.
                stack.clock.advance(timedelta(seconds=1))
                await stack.hooks.app(scope, receive, send)
            else:  # the stack has started the app already
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})

        async with serve_app(app, port=0) as address:
            said, failed = await _schemathesis(address, await _known(stack))
    assert not failed, said
    counted = re.search(r"(\d+) generated, (\d+) passed", said)
    assert counted, said
    print(counted[0])
    assert int(counted[1]) >= 2000


async def _known(stack: Stack) -> dict[str, list[str]]:
    wishes = [await wish(stack, nth) for nth in range(0, 200, 3)]
    held = [await lock(stack, nth, **SERVER) for nth in (4, 24, 44)]
    return {
        "start": [one["start"] for one in wishes],
        "end": [one["end"] for one in wishes],
        "newStart": [one["start"] for one in wishes],
        "newEnd": [one["end"] for one in wishes],
        "startTime": [one["start"] for one in wishes],
        "endTime": [one["end"] for one in wishes],
        "serviceId": [stack.portrait_id],
        "sessionTypeId": [stack.portrait_id],
        "bookingId": [one["bookingId"] for one in held],
        "hapioBookingId": [one["hapioBookingId"] for one in held],
        "token": [one["token"] for one in held],
    }


async def _schemathesis(address: str, known: dict[str, list[str]]) -> tuple[str, bool]:
    """What it says, and whether it found anything."""
    async with httpx.AsyncClient() as client:
        document = (await client.get(f"{address}/api/openapi.json")).text
    folder = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - no secret, and the test's own process alone reads it
    described = folder / f"holdfast-openapi-{os.getpid()}.json"
    described.write_text(document)
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"), "run",
        str(described), "--url", address, "--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "17",
        # One: two threads of it meet a fault of CPython 3.11 ("AST recursion depth mismatch") now and then.
        "--workers", "1", "--continue-on-failure", "--no-shrink", "--warnings", "off", "--no-color",
        "--header", f"Authorization: Bearer {KEY}", "--generation-database", "none",
        # Their bodies are signed, which nobody can make up; tests/unit/api/test_webhook_door.py looks at them.
        "--exclude-path-regex", "/api/webhooks/",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.unit.api.schemathesis_hooks", "HOLDFAST_KNOWN": json.dumps(known)}
        | {"PYTHONPATH": str(HERE.parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    described.unlink()
    return said.decode(errors="replace"), process.returncode != 0
