"""What is typed for other programs: clients that generators make from the OpenAPI document, run as docs/api.md says,
and the declarations of the element and of the React component."""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from app.cli.demo import STUDIO, open_demo
from scripts.frameworks import FOLDER, PROGRAMS, ROOT, node

SERVER: Final = "http://127.0.0.1:8401"
#: How TypeScript reads what was generated, and what a project with React has.
TSCONFIG: Final = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "jsx": "react-jsx",
        "types": [],
        "paths": {"holdfast-react": ["./react/index.d.ts"]},
    },
    "include": ["*.ts", "*.tsx", "react/*.d.ts"],
}


async def run(folder: Path, *words: str | Path) -> str:
    """What a program prints, in this folder; it may not fail."""
    tools = os.pathsep.join([str(Path(sys.executable).parent), str(PROGRAMS), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        env={**os.environ, "PATH": tools, "PYTHONWARNINGS": "ignore"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_the_clients_that_the_guide_generates_type_check_and_book(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("## Clients in your language")[2]
    [commands], [python], [typescript] = (
        re.findall(rf"^```{name}\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL) for name in ("bash", "python", "ts")
    )
    # Node looks for packages in the folders around a file.
    folder = FOLDER / f"typed-{os.getpid()}"
    shutil.copytree(ROOT / "integrations" / "react", folder / "react")
    try:
        async with open_demo(tmp_path, widgets={"hapio": STUDIO}, worker=False) as demo:
            commands, python, typescript = (
                text.replace(SERVER, demo.urls.public) for text in (commands, python, typescript)
            )
            await run(folder, "sh", "-eu", "-c", commands)
            (folder / "client.py").write_text(python, encoding="utf-8")
            assert await run(folder, sys.executable, "client.py") == "PENDING\n"

            (folder / "client.ts").write_text(typescript, encoding="utf-8")
            shutil.copyfile(ROOT / "tests" / "frameworks" / "types.tsx", folder / "types.tsx")
            (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG), encoding="utf-8")
            await run(folder, "tsc", "--project", folder)
            await run(folder, "esbuild", "client.ts", "--bundle", "--format=esm", "--outfile=client.mjs")
            assert "Portrait session" in await run(folder, node(), "client.mjs")

        models = "from holdfast_models import LockRequest; print(*sorted(LockRequest.model_fields))"
        assert "serviceId" in await run(folder, sys.executable, "-c", models)
    finally:
        shutil.rmtree(folder)
