"""Validate HTML by html-validate from npm, which `tests/html/package-lock.json` fixes."""

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from scripts.frameworks import ROOT, install, node

SOURCE: Final = ROOT / "tests" / "html"
FOLDER: Final = ROOT / ".cache" / "npm" / "html"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What the validator finds at one place of a document."""

    rule: str
    message: str
    selector: str | None
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """What is to be validated. A mail may use what mail programs need."""

    text: str
    mail: bool = False


async def validate(documents: Sequence[Document]) -> list[list[Mistake]]:
    """The mistakes in each of these documents."""
    install(shutil.which("npm") or sys.exit("npm is needed to fetch html-validate."), SOURCE, FOLDER)
    with TemporaryDirectory() as folder:
        asked = Path(folder) / "documents.json"
        asked.write_text(json.dumps([asdict(one) for one in documents]), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            node(), SOURCE / "validate.mjs", FOLDER, asked, stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await process.communicate()
    if process.returncode:
        sys.exit("html-validate could not be run.")
    return [[Mistake(**found) for found in document] for document in json.loads(answer)]
