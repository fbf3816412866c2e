"""What an import contract cannot see: builtins and syntax that have no place in the pure rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE_ROOMS = (
    "cluster",
    "node/resp",
    "node/dataset",
    "node/persistence",
    "node/replication",
    "node/scripting",
    "node/commands",
    "node/server",
)
FORBIDDEN_CALLS = {"open", "print", "input", "eval", "exec", "__import__", "hash"}
SEEDED_ONLY = {"Random"}
HASHES_ON_PURPOSE = [ROOT / "node/dataset" / name for name in ("extendible_hashing.py", "table.py")]
"""Where hashes that can be foreseen would let a client put all its keys into one bucket."""


def pure_files() -> list[Path]:
    return [path for room in PURE_ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def violations(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"line {node.lineno}: async code"
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS
        ):
            yield f"line {node.lineno}: a call of {node.func.id}()"
        elif isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names):
            yield f"line {node.lineno}: the random module; take a Random as an argument"
        elif isinstance(node, ast.ImportFrom) and node.module == "random":
            drawn = {alias.name for alias in node.names} - SEEDED_ONLY
            if drawn:
                yield f"line {node.lineno}: {sorted(drawn)} from random; take a Random as an argument"


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pure_room_holds_no_async_code_io_or_chance(path: Path) -> None:
    found = list(violations(ast.parse(path.read_text())))
    if path in HASHES_ON_PURPOSE:
        found = [violation for violation in found if not violation.endswith("hash()")]
    assert found == []


def test_the_check_finds_what_it_looks_for() -> None:
    planted = "import random\nfrom random import choice\nasync def f():\n    open('x')\n"
    assert len(list(violations(ast.parse(planted)))) == 4
