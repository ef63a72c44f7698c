"""The shape of the code: no file and no list of parameters grows without saying why."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = sorted(path for path in (ROOT / "app").rglob("*.py") if "migrations" not in path.parts)

#: A file beyond this is read in parts. One that is longer says in its docstring why it is one story.
LONGEST_FILE = 500
MOST_PARAMETERS = 8


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_long_file_says_why_it_is_one_story(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if len(text.splitlines()) > LONGEST_FILE:
        assert "One file" in (ast.get_docstring(ast.parse(text)) or "")


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_long_list_of_parameters_has_its_reason_above_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if len([one for one in named if one.arg not in {"self", "cls"}]) > MOST_PARAMETERS:
                assert lines[node.lineno - 2].strip().startswith("#"), f"{node.name} in line {node.lineno}"


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_name_crosses_a_file(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not [alias.name for alias in node.names if alias.name.startswith("_")]
