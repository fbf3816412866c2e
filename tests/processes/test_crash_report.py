"""What the log of a node says that died of a signal."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import hiredis
import pytest

from tests.processes.nodes import DEADLINE_SECONDS, Node, running_node

pytestmark = pytest.mark.processes


def status_of(node: Node) -> int:
    assert node.process is not None
    return node.process.wait(DEADLINE_SECONDS)


def test_an_aborted_node_leaves_a_stack_its_info_and_its_clients(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        os.kill(node.pid, signal.SIGABRT)
        assert status_of(node) == -signal.SIGABRT
        for said in ("crashed by signal: 6", "STACK TRACE", "in run", "redis_version:", "CLIENT LIST OUTPUT"):
            assert said in node.log


def test_a_fault_in_c_code_leaves_the_stack_that_led_to_it(tmp_path: Path) -> None:
    logfile = tmp_path / "shoal.log"
    with running_node(tmp_path, "--enable-debug-command", "local", "--logfile", str(logfile)) as node:
        with suppress(hiredis.HiredisError, OSError):
            node.ask("DEBUG", "SEGFAULT")
        assert status_of(node) == -signal.SIGSEGV
        log = logfile.read_text()
        assert "crashed by signal: 11" in log
        assert "Segmentation fault" in log
        assert "in _segfault" in log


def test_no_report_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        node.ask("CONFIG", "SET", "crash-log-enabled", "no")
        os.kill(node.pid, signal.SIGABRT)
        assert status_of(node) == -signal.SIGABRT
        assert "crashed by signal" not in node.log
