"""A directive that is accepted does something, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

from shoal.node.server.config import DIRECTIVES

ROOT = Path(__file__).resolve().parents[2]


def test_every_directive_is_read_somewhere_or_says_why_it_has_no_effect() -> None:
    files = [path for path in (ROOT / "node").rglob("*.py") if path.parent.name != "directives"]
    source = "\n".join(path.read_text() for path in files)
    read = {
        *re.findall(r"\.(\w+)", source),
        *(name.replace("-", "_") for name in re.findall(r'"([\w-]+)"', source)),
    }
    assert {p.name for p in DIRECTIVES.values() if p.attribute not in read and not p.effect} == set()
