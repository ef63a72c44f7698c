"""The worked example in docs/api.md does what it says, word for word, in a shell."""

import asyncio
import re
from pathlib import Path

from app.cli.demo import STUDIO, open_demo

ROOT = Path(__file__).parents[3]


async def test_the_example_books_pays_moves_and_cancels(tmp_path: Path) -> None:
    guide = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```sh\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    said = re.findall(r"`([^`]+)`", guide.partition("It prints ")[2].partition(".")[0])
    async with open_demo(tmp_path, widgets={"hapio": STUDIO}, worker=False) as demo:
        script = example.replace("http://127.0.0.1:8401", demo.urls.public).replace(
            "http://127.0.0.1:8402", demo.urls.stripe
        )
        shell = await asyncio.create_subprocess_exec(
            "sh", "-eu", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await shell.communicate()
    assert out.decode().split() == said, err.decode()
    assert len(said) == 4
