"""How a real node ends: what it still does while its last snapshot is written, and who may call it off."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hiredis
import pytest

from shoal.node.resp.writer import encode_command
from tests.processes.nodes import HOST, Node, running_node, wait_until

pytestmark = pytest.mark.processes

SAVING = ("--save", "3600 1", "--enable-debug-command", "yes")
KEYS = 20


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Holds what would take a minute to save; a snapshot of one key less is on disk."""
    with running_node(tmp_path, *SAVING) as node:
        for key in range(KEYS - 1):
            node.ask("SET", key, "x")
        node.ask("SAVE")
        node.ask("SET", "last", "x")
        node.ask("CONFIG", "SET", "rdb-key-save-delay", 3_000_000)
        yield node


@contextmanager
def asked(node: Node, *words: str) -> Iterator[socket.socket]:
    """A connection over which a command was sent, whose answer is not awaited."""
    with socket.create_connection((HOST, node.port), timeout=30) as connection:
        connection.sendall(encode_command([word.encode() for word in words]))
        yield connection


def is_saving(node: Node) -> bool:
    return any(node.directory.glob("temp-*.rdb"))


def test_a_second_interrupt_ends_a_node_at_once_and_leaves_the_snapshot_before(node: Node) -> None:
    assert node.process is not None
    node.process.send_signal(signal.SIGINT)
    wait_until(lambda: is_saving(node), "it saves")
    node.process.send_signal(signal.SIGINT)
    node.process.wait(30)
    assert not is_saving(node)
    assert "You insist... exiting now." in node.log
    node.start()
    assert node.ask("DBSIZE") == KEYS - 1


def test_while_it_saves_for_the_last_time_a_node_reads_and_can_be_called_back(node: Node) -> None:
    with asked(node, "SHUTDOWN") as ending, asked(node, "CLIENT", "ID"):
        wait_until(lambda: is_saving(node), "it saves")
        assert node.ask("GET", "last") == "x"
        with asked(node, "SET", "later", "x") as writing:
            wait_until(lambda: node.info("clients")["blocked_clients"] == "2", "the write waits")
            assert node.ask("SHUTDOWN", "ABORT") == "OK"
            assert writing.recv(100) == b"+OK\r\n"
        assert ending.recv(100) == b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n"
    assert not is_saving(node)
    assert node.ask("DBSIZE") == KEYS + 1


def test_a_node_that_cannot_save_stays_unless_it_need_not(node: Node) -> None:
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 0)
    snapshot = node.directory / "dump.rdb"
    snapshot.rename(node.directory / "kept.rdb")
    snapshot.mkdir()
    with pytest.raises(hiredis.ReplyError, match="Errors trying to SHUTDOWN"):
        node.ask("SHUTDOWN")
    assert node.process is not None
    node.process.terminate()
    wait_until(lambda: node.log.count("Error trying to save the DB, can't exit.") == 2, "it stays")
    assert node.ask("PING") == "PONG"
    with pytest.raises(OSError):
        node.ask("SHUTDOWN", "NOSAVE")
    node.process.wait(30)


def test_a_signal_can_be_called_back_until_the_cron_obeys(node: Node) -> None:
    assert node.process is not None
    node.ask("DEBUG", "PAUSE-CRON", 1)
    node.process.terminate()
    wait_until(lambda: "Received SIGTERM" in node.log, "it heard")
    assert node.ask("SHUTDOWN", "ABORT") == "OK"
    node.ask("DEBUG", "PAUSE-CRON", 0)
    wait_until(lambda: "Shutdown manually aborted." in node.log, "it says so")
    with pytest.raises(hiredis.ReplyError, match="No shutdown in progress"):
        node.ask("SHUTDOWN", "ABORT")
    assert not is_saving(node)


def test_the_snapshot_of_a_shutdown_holds_the_last_write_acknowledged_before_it(node: Node) -> None:
    node.ask("CONFIG", "SET", "rdb-key-save-delay", 20_000)
    assert node.stop() == 0
    node.start()
    assert node.ask("GET", "last") == "x"
    assert node.ask("DBSIZE") == KEYS
