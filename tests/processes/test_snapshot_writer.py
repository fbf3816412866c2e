"""Real nodes and the process that writes their snapshots: hung, killed, or left without its node."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hiredis
import pytest

from tests.processes.nodes import Node, running_node, wait_until

pytestmark = pytest.mark.processes

KEYS = 500
DIRECTIVES = ("--save", "3600", "1000000", "--rdbcompression", "no", "--enable-debug-command", "yes")
STARTED_BY = re.compile(r"started by pid (\d+)")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with more data than a socket holds."""
    with running_node(tmp_path, *DIRECTIVES) as node:
        node.ask("DEBUG", "POPULATE", KEYS, "key", 10_000)
        yield node


def writer_pid(node: Node) -> int:
    return int(STARTED_BY.findall(node.log)[-1])


@contextmanager
def hung(pid: int) -> Iterator[None]:
    """A process that stands still, as one does whose disk does not answer."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def restart(node: Node, *directives: str) -> None:
    node.kill()
    node.directives += directives
    node.start()


def temporary_files(node: Node) -> list[Path]:
    return list(node.directory.rglob("temp-*"))


def begin(node: Node, command: str) -> int:
    """Have a snapshot begun that stays unfinished for as long as nobody says otherwise; its writer."""
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 10_000_000)
    node.ask(command)
    return writer_pid(node)


def test_a_disk_that_hangs_holds_up_nobody(node: Node) -> None:
    node.ask("SET", "when", "before")
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 1)
    node.ask("BGSAVE")
    with hung(writer_pid(node)):
        node.ask("CONFIG", "SET", "rdb-key-save-delay", 0)
        for number in range(100):
            assert node.ask("SET", "when", f"after {number}") == "OK"
        assert node.info("persistence")["rdb_bgsave_in_progress"] == "1"
    wait_until(lambda: node.info("persistence")["rdb_bgsave_in_progress"] == "0", "it is written")
    assert node.info("persistence")["rdb_last_bgsave_status"] == "ok"
    assert int(node.info("stats")["latest_fork_usec"]) > 0
    assert temporary_files(node) == []
    restart(node)
    assert node.ask("GET", "when") == "before"
    assert node.ask("DBSIZE") == KEYS + 1


def test_who_kills_the_writer_fails_the_snapshot_and_nothing_else(node: Node) -> None:
    node.ask("SET", "key", "first")
    node.ask("SAVE")
    node.ask("SET", "key", "second")
    os.kill(begin(node, "BGSAVE"), signal.SIGKILL)
    wait_until(lambda: node.info("persistence")["rdb_last_bgsave_status"] == "err", "it has failed")
    assert "the process that writes it was terminated by signal 9" in node.log
    assert temporary_files(node) == []
    assert node.ask("GET", "key") == "second"
    with pytest.raises(hiredis.ReplyError, match="MISCONF"):
        node.ask("SET", "key", "third")
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 0)
    node.ask("BGSAVE")
    wait_until(lambda: node.info("persistence")["rdb_last_bgsave_status"] == "ok", "the next one succeeds")
    assert node.ask("SET", "key", "third") == "OK"
    restart(node)
    assert node.ask("GET", "key") == "second"


def test_who_kills_the_writer_of_a_rewrite_loses_no_write(node: Node) -> None:
    node.ask("CONFIG", "SET", "appendfsync", "always")
    node.ask("CONFIG", "SET", "appendonly", "yes")
    wait_until(lambda: node.info("persistence")["aof_rewrite_in_progress"] == "0", "the first base is there")
    os.kill(begin(node, "BGREWRITEAOF"), signal.SIGKILL)
    node.ask("SET", "key", "while it was rewritten")
    wait_until(lambda: node.info("persistence")["aof_last_bgrewrite_status"] == "err", "it has failed")
    assert temporary_files(node) == []
    node.ask("SET", "other", "afterwards")
    restart(node, "--appendonly", "yes")
    assert node.ask("MGET", "key", "other") == ["while it was rewritten", "afterwards"]
    assert node.ask("DBSIZE") == KEYS + 2


def test_the_first_rewrite_is_begun_again_after_its_writer_was_killed(node: Node) -> None:
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 10_000_000)
    node.ask("CONFIG", "SET", "appendonly", "yes")
    os.kill(writer_pid(node), signal.SIGKILL)
    wait_until(lambda: "Removing the temp incr aof file" in node.log, "it has failed")
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 0)
    wait_until(lambda: node.info("persistence")["aof_last_bgrewrite_status"] == "ok", "another one succeeds")
    node.ask("SET", "key", "appended")
    restart(node, "--appendonly", "yes")
    assert node.ask("GET", "key") == "appended"
    assert node.ask("DBSIZE") == KEYS + 1


def test_a_writer_whose_node_is_gone_goes_too(node: Node) -> None:
    pid = begin(node, "BGSAVE")
    assert is_running(pid)
    node.kill()
    wait_until(lambda: not is_running(pid), "it has gone")
    node.start()
    assert node.ask("DBSIZE") == 0, "half a snapshot is none"


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="of Linux only")
def test_when_memory_runs_out_the_writer_is_ended_before_its_node(node: Node) -> None:
    given = int(Path("/proc/self/oom_score_adj").read_text())
    node.ask("CONFIG", "SET", "oom-score-adj-values", "10 20 30", "oom-score-adj", "yes")
    score = Path(f"/proc/{begin(node, 'BGSAVE')}/oom_score_adj")
    assert int(score.read_text()) == given + 30
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 0)
    wait_until(lambda: node.info("persistence")["rdb_bgsave_in_progress"] == "0", "it is written")
    node.ask("CONFIG", "SET", "oom-score-adj", "absolute", "oom-score-adj-values", "100 200 300")
    score = Path(f"/proc/{begin(node, 'BGREWRITEAOF')}/oom_score_adj")
    assert int(score.read_text()) == 300
