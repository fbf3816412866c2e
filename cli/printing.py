"""All output of the tool: report lines, colours, tables and the JSON document.

What a server says may hold terminal control sequences, so every line is escaped here, at the one place
where text leaves the program; colours are added after escaping.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TextIO

Json = str | int | float | bool | Sequence["Json"] | Mapping[str, "Json"] | None

_BOLD = "\x1b[1m"
_GREEN = "\x1b[32;1m"
_YELLOW = "\x1b[33;1m"
_RED = "\x1b[31;1m"
_RESET = "\x1b[0m"
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def escape(text: str) -> str:
    """The text with every character that could steer a terminal written as `\\xNN` or `\\uNNNN`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape_character(character) for character in text)


def _escape_character(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    return character.encode("unicode_escape").decode("ascii")


def text_of(data: bytes) -> str:
    """A server's bytes as text; bytes that are not UTF-8 become `\\xNN`."""
    return data.decode("utf-8", "backslashreplace")


class Printer:
    """Writes a command's report as lines, or gathers it for one JSON document.

    In JSON mode lines are dropped, except warnings and errors: these become lists in the document.
    """

    def __init__(self, *, as_json: bool = False, out: TextIO | None = None) -> None:
        self.as_json = as_json
        self.out = out or sys.stdout
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.is_terminal = self.out.isatty()
        self._coloured = self.is_terminal and "NO_COLOR" not in os.environ

    def line(self, text: str = "", colour: str = "") -> None:
        if self.as_json:
            return
        text = escape(text)
        if colour and self._coloured:
            text = f"{colour}{text}{_RESET}"
        print(text, file=self.out, flush=True)

    def step(self, text: str) -> None:
        self.line(f">>> {text}", _BOLD)

    def ok(self, text: str) -> None:
        self.line(f"[OK] {text}", _GREEN)

    def warning(self, text: str) -> None:
        self.warnings.append(text)
        self.line(f"[WARNING] {text}", _YELLOW)

    def error(self, text: str) -> None:
        self.errors.append(text)
        self.line(f"[ERR] {text}", _RED)

    def start_over(self) -> None:
        """Forget what was complained about so far: it has been dealt with."""
        self.errors.clear()
        self.warnings.clear()

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns as wide as their widest cell, two spaces apart."""
        cells = [[escape(cell) for cell in row] for row in (header, *rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
        for number, row in enumerate(cells):
            padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line(padded.rstrip(), _BOLD if number == 0 else "")

    def document(self, fields: Mapping[str, Json]) -> None:
        """The JSON result; `ok`, `errors` and `warnings` are added."""
        if not self.as_json:
            return
        whole: dict[str, Json] = {
            "ok": not self.errors, "errors": self.errors, "warnings": self.warnings, **fields
        }  # fmt: skip
        print(json.dumps(whole, indent=2), file=self.out, flush=True)


def confirm(printer: Printer, question: str, *, assume_yes: bool) -> bool:
    """Ask, unless told yes beforehand. Only the full word `yes` counts, also when it is piped in."""
    if assume_yes:
        return True
    print(f"{escape(question)} (type 'yes' to accept): ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if answer.strip().lower() == "yes":
        return True
    printer.error("Not confirmed, nothing was changed. Answer yes, or pass --yes, to go on.")
    return False
