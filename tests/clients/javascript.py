"""Run a script of js/ with Node.js, and move slots when it says so.

A script prints what it wants, one line each, and reads a line back when that is done: `elsewhere KEY` and
`halfway KEY` as tests.clients.slots means them, `home` to undo. It prints `passed NAME` after each
scenario, and ends with a status other than 0 when one failed.
"""

from __future__ import annotations

import subprocess
import threading
from contextlib import ExitStack
from typing import IO

from tests.clients.packages import HERE
from tests.clients.slots import elsewhere, halfway
from tests.processes.nodes import Node

DEADLINE_SECONDS = 60.0
MOVES = {"elsewhere": elsewhere, "halfway": halfway}


def passed_scenarios(script: str, mode: str, nodes: list[Node], primaries: list[Node]) -> list[str]:
    """The names of the scenarios that passed.

    Raises AssertionError with what the script said if one did not, or not in time.
    """
    command = ["node", str(HERE / "js" / script), mode, *(str(node.port) for node in nodes)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        guard = threading.Timer(DEADLINE_SECONDS, process.kill)
        guard.start()
        try:
            passed, said = _converse(process.stdout, process.stdin, primaries)
        finally:
            guard.cancel()
    assert process.returncode == 0, f"after {passed}:\n{said}"
    return passed


def _converse(lines: IO[str], answers: IO[str], primaries: list[Node]) -> tuple[list[str], str]:
    """What passed, and all else that was said. Every slot is back when this returns."""
    passed: list[str] = []
    said = ""
    with ExitStack() as moved:
        for line in lines:
            word, _, rest = line.strip().partition(" ")
            if word == "passed":
                passed.append(rest)
                continue
            if word in MOVES:
                moved.enter_context(MOVES[word](rest, primaries))
            elif word == "home":
                moved.close()
            else:
                said += line
                continue
            answers.write("done\n")
            answers.flush()
    return passed, said
