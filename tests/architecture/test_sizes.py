"""Files and functions stay of a size that can be read from top to bottom."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("cluster", "node", "cli")
FILE_LINES_MAX = 600
FILE_LINES_USUAL = 300
FUNCTION_LINES_MAX = 70
SHARE_OF_LONG_FILES_MAX = 0.15


def source_files() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_file_is_longer_than_a_reader_bears() -> None:
    assert {str(path): line_count(path) for path in source_files() if line_count(path) > FILE_LINES_MAX} == {}


def test_most_files_are_short() -> None:
    files = source_files()
    long_files = [path for path in files if line_count(path) > FILE_LINES_USUAL]
    assert len(long_files) <= SHARE_OF_LONG_FILES_MAX * len(files), sorted(map(str, long_files))


def test_no_function_is_longer_than_a_screen_or_two() -> None:
    too_long = {
        f"{path}:{function.lineno} {function.name}": body_lines(function)
        for path in source_files()
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(function) > FUNCTION_LINES_MAX
    }
    assert too_long == {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end; a declaration in the decorators is data and not counted."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1
