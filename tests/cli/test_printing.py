"""Nothing a server says may steer the terminal."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.printing import Printer, escape, text_of


@given(st.binary(max_size=200))
def test_whatever_bytes_a_server_sends_the_line_is_printable(data: bytes) -> None:
    out = io.StringIO()
    Printer(out=out).line(text_of(data))
    line = out.getvalue()
    assert line.endswith("\n")
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line[:-1])


def test_escapes_are_readable_and_plain_text_stays() -> None:
    assert escape("grün [OK] 例") == "grün [OK] 例"
    assert escape("\x1b[2J\r\nx\x7f\x9b\u202e") == "\\x1b[2J\\r\\nx\\x7f\\x9b\\u202e"
    assert text_of(b"\xff\x1b") == "\\xff\x1b"


def test_json_mode_prints_one_document_with_the_errors_and_no_lines() -> None:
    out = io.StringIO()
    printer = Printer(as_json=True, out=out)
    printer.ok("fine")
    printer.error("broken")
    printer.document({"nodes": []})
    assert json.loads(out.getvalue()) == {"ok": False, "errors": ["broken"], "warnings": [], "nodes": []}


def test_a_table_keeps_its_columns_apart() -> None:
    out = io.StringIO()
    Printer(out=out).table(["a", "long header"], [["wide cell", "x"], ["", "y"]])
    assert out.getvalue().splitlines() == ["a          long header", "wide cell  x", "           y"]
