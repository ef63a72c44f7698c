"""The tests themselves: what they share lies in tests/support."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[2]


def test_no_test_imports_from_another() -> None:
    """A helper in a test's file is found by nobody, and anyone who changes the one test breaks the other."""
    imported = {
        f"{file.relative_to(TESTS)}: {node.module}"
        for folder in ("unit", "contract", "support")
        for file in (TESTS / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.rpartition(".")[2].startswith("test_")
    }
    assert not imported
