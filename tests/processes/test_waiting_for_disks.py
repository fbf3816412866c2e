"""WAITAOF: told once it is durable here, and there, whoever the replica is."""

from __future__ import annotations

from pathlib import Path

import hiredis
import pytest
import redis

from tests.peers import VALKEY8_SERVER, needs
from tests.processes.nodes import HOST, SHOAL, running_node, running_nodes, wait_until

pytestmark = pytest.mark.processes

VALKEY = (str(VALKEY8_SERVER),)
APPEND_ONLY = ("--appendonly", "yes", "--repl-diskless-sync-delay", "0")
PAIRS = [
    pytest.param(SHOAL, SHOAL, id="ours"),
    pytest.param(SHOAL, VALKEY, marks=needs(VALKEY8_SERVER), id="valkey follows"),
    pytest.param(VALKEY, SHOAL, marks=needs(VALKEY8_SERVER), id="valkey is followed"),
]


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_write_is_durable_here_when_it_says_so(tmp_path: Path, policy: str) -> None:
    with running_node(tmp_path, *APPEND_ONLY, "--appendfsync", policy) as node:
        with redis.Redis(port=node.port) as client:
            client.set("key", 1)
            assert client.execute_command("WAITAOF", 1, 0, 20000) == [1, 0]
            assert client.execute_command("WAITAOF", 1, 1, 50) == [1, 0]
        node.kill()
        node.start()
        assert node.ask("GET", "key") == "1"


def test_without_fsync_it_waits_in_vain(tmp_path: Path) -> None:
    with (
        running_node(tmp_path, *APPEND_ONLY, "--appendfsync", "no") as node,
        redis.Redis(port=node.port) as client,
    ):
        client.set("key", 1)
        assert client.execute_command("WAITAOF", 1, 0, 50) == [0, 0]
        client.config_set("appendfsync", "always")
        assert client.execute_command("WAITAOF", 1, 0, 20000) == [1, 0]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_replicas_say_how_far_their_files_are(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    with running_nodes(tmp_path, 2, *APPEND_ONLY) as (primary, replica):
        for node, command in ((primary, first), (replica, second)):
            node.stop()
            node.command = command
            node.start()
        replica.ask("REPLICAOF", HOST, primary.port)
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "it follows")
        with redis.Redis(port=primary.port) as client:
            for number in range(3):
                client.set("key", number)
                assert client.execute_command("WAITAOF", 1, 1, 20000) == [1, 1]


def test_what_cannot_be_waited_for_is_refused(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2) as (node, replica):
        for words, text in (
            (("1", "0", "0"), "appendonly is disabled"),
            (("2", "0", "0"), "value must between 0 and 1"),
            (("0", "-1", "0"), "must be positive"),
            (("0", "0", "-1"), "timeout is negative"),
        ):
            with pytest.raises(hiredis.ReplyError, match=text):
                node.ask("WAITAOF", *words)
        assert node.ask("WAITAOF", 0, 0, 0) == [0, 0]
        replica.ask("REPLICAOF", HOST, node.port)
        with pytest.raises(hiredis.ReplyError, match="cannot be used with replica instances"):
            replica.ask("WAITAOF", 0, 0, 0)
