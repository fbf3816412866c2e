"""The display of a long move: a bar for a terminal, lines for a pipe."""

from __future__ import annotations

import io
import os
import pty
import subprocess

import pytest

from shoal.cli.printing import Printer
from shoal.cli.progress import BarProgress, PlainProgress, progress_for
from tests.cli.conftest import ask, shoal_command
from tests.peers import REDIS7_SERVER, needs


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_a_pipe_and_json_get_lines() -> None:
    assert isinstance(progress_for(Printer(out=FakeTerminal())), BarProgress)
    assert isinstance(progress_for(Printer(out=io.StringIO())), PlainProgress)
    assert isinstance(progress_for(Printer(out=FakeTerminal(), as_json=True)), PlainProgress)


def test_a_pipe_gets_one_line_per_group_of_slots() -> None:
    out = io.StringIO()
    with progress_for(Printer(out=out)) as progress:
        progress.begin(5, 30)
        progress.keys(30)
        progress.moved([3, 4, 5, 9], 30, "a:1", "b:2")
        progress.moved([10], 0, "a:1", "b:2")
    assert out.getvalue().splitlines() == [
        "Moving 5 slots with about 30 keys.",
        "Moved slots 3-5,9 from a:1 to b:2: 30 keys",
        "Moved slot 10 from a:1 to b:2: 0 keys",
    ]


@pytest.mark.peers
@pytest.mark.processes
@needs(REDIS7_SERVER)
def test_on_a_real_terminal_the_bar_ends_with_everything_done(cluster: list[str]) -> None:
    ask(cluster[0], "SET", "{06S}", "x")
    words = ["reshard", cluster[0], "--to", cluster[1], "--ranges", "0-299", "--yes"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150"}
    with subprocess.Popen(shoal_command(*words), stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass  # how a terminal of Linux says that the last writer has gone
        assert process.wait(30) == 0
    os.close(ours)
    assert b"300/300 slots, 1/1 keys" in shown
    assert b"\x1b[32;1m[OK] Moved 300 slots with 1 keys" in shown
