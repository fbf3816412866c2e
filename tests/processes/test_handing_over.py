"""FAILOVER: the role of a primary handed to its replica, ours or a real server's, and no write lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hiredis
import pytest

from tests.peers import REDIS7_SERVER, VALKEY8_SERVER, needs
from tests.processes.nodes import HOST, SHOAL, Node, running_nodes, wait_until

pytestmark = pytest.mark.processes

FAST = ("--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes")
PAIRS = [
    pytest.param(SHOAL, SHOAL, id="ours"),
    pytest.param(SHOAL, (str(REDIS7_SERVER),), marks=needs(REDIS7_SERVER), id="to redis"),
    pytest.param((str(REDIS7_SERVER),), SHOAL, marks=needs(REDIS7_SERVER), id="from redis"),
    pytest.param((str(VALKEY8_SERVER),), SHOAL, marks=needs(VALKEY8_SERVER), id="from valkey"),
]


def follow(replica: Node, primary: Node) -> None:
    replica.ask("REPLICAOF", HOST, primary.port)
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the link is up")


def state(node: Node) -> str:
    return node.info("replication")["master_failover_state"]


def refusal(node: Node, *words: str | int) -> str:
    with pytest.raises(hiredis.ReplyError) as refused:
        node.ask(*words)
    return str(refused.value)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_role_is_handed_over_without_a_lost_write_or_a_copy(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    with running_nodes(tmp_path, 2, *FAST) as (old, new):
        for node, command in ((old, first), (new, second)):
            node.stop()
            node.command = command
            node.start()
        follow(new, old)
        writer = Writer(old)
        writer.start()
        wait_until(lambda: writer.acknowledged > 50, "some writes")
        wait_until(lambda: "state=online" in old.info("replication").get("slave0", ""), "a replica")
        copies = int(new.info("stats")["sync_full"])
        assert old.ask("FAILOVER", "TO", HOST, new.port, "TIMEOUT", 20000) == "OK"
        writer.join()
        assert writer.refusal.startswith("READONLY")
        wait_until(lambda: state(old) == "no-failover", "it is over")
        assert new.info("replication")["role"] == "master"
        assert int(new.ask("GET", "count")) == writer.acknowledged
        wait_until(lambda: old.info("replication")["master_link_status"] == "up", "the old one follows")
        new.ask("INCR", "count")
        new.ask("WAIT", 1, 10000)
        assert int(old.ask("GET", "count")) == writer.acknowledged + 1
        assert int(new.info("stats")["sync_full"]) == copies, "it went on from where it was"


class Writer(threading.Thread):
    """Counts up until it is refused."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.acknowledged = 0
        self.refusal = ""

    def run(self) -> None:
        while not self.refusal:
            try:
                self.acknowledged = self.node.ask("INCR", "count")
            except hiredis.ReplyError as error:
                self.refusal = str(error)


def test_who_may_hand_over_to_whom(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2, *FAST) as (primary, replica):
        assert "requires connected replicas" in refusal(primary, "FAILOVER")
        follow(replica, primary)
        assert "not valid when server is a replica" in refusal(replica, "FAILOVER")
        assert "is not a replica" in refusal(primary, "FAILOVER", "TO", HOST, 1)
        assert "requires both a timeout and target" in refusal(
            primary, "FAILOVER", "TO", HOST, replica.port, "FORCE"
        )
        assert "must be greater than 0" in refusal(primary, "FAILOVER", "TIMEOUT", 0)
        assert "requires both a timeout and target" in refusal(primary, "FAILOVER", "FORCE", "TIMEOUT", 100)
        assert refusal(primary, "FAILOVER", "FORCE", "FORCE") == "ERR syntax error"
        assert refusal(primary, "FAILOVER", "ABORT") == "ERR No failover in progress."
        assert "can't be sent to a master" in refusal(primary, "PSYNC", "a" * 40, 1, "FAILOVER")
        assert "replid must match" in refusal(replica, "PSYNC", "a" * 40, 1, "FAILOVER")


def test_a_replica_that_lags_is_waited_for_until_time_is_up_or_somebody_aborts(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2, *FAST) as (primary, replica):
        follow(replica, primary)
        with stopped(replica):
            primary.ask("SET", "key", "1")
            primary.ask("FAILOVER", "TO", HOST, replica.port, "TIMEOUT", 300)
            assert state(primary) == "waiting-for-sync"
            assert primary.ask("GET", "key") == "1"
            assert "already in progress" in refusal(primary, "FAILOVER")
            assert "not allowed while failing over" in refusal(primary, "REPLICAOF", "NO", "ONE")
            wait_until(lambda: state(primary) == "no-failover", "time is up")
            primary.ask("FAILOVER", "TO", HOST, replica.port)
            primary.ask("FAILOVER", "ABORT")
            assert primary.ask("SET", "key", "2") == "OK"
        assert primary.info("replication")["role"] == "master"
        assert primary.ask("WAIT", 1, 20000) == 1


@contextmanager
def stopped(node: Node) -> Iterator[None]:
    """Let a process do nothing for a while."""
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)
