"""What a replica lets clients do while a snapshot comes in, as `repl-diskless-load` says."""

from __future__ import annotations

import pytest

from shoal.node.resp.writer import encode_command
from shoal.node.server.info import info_text
from tests.unit.test_replication_servers import Pair, contents, linked_pair

LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


def ask(pair: Pair, *words: bytes) -> bytes:
    """What a client of the replica is told."""
    client = pair.replica.connect("127.0.0.1:50003", "127.0.0.1:6380")
    pair.replica.receive(client, encode_command(words))
    return b"".join(client.out)


def receive_part(pair: Pair) -> None:
    """Let a part of a snapshot arrive, and no more of it."""
    for _ in range(30):
        pair.turn()
        pair.deliver()
        following = pair.replica.replication.following
        if following is not None and following.incoming is not None and following.incoming.received:
            return
    raise AssertionError("no snapshot comes")


def loading(pair: Pair) -> tuple[bool, bool]:
    shown = info_text(pair.replica, ["persistence"])
    return "\r\nloading:1" in shown, "async_loading:1" in shown


def unlike_pair(mode: str) -> Pair:
    """A replica-to-be with data of its own, and a primary whose snapshot is slow."""
    pair = Pair()
    pair.replica.config.repl_diskless_load = mode
    for number in range(5):
        pair.write(b"SET", b"key:%d" % number, b"new")
    assert ask(pair, b"SET", b"old", b"1") == b"+OK\r\n"
    pair.primary.config.rdb_key_save_delay = 1_000_000
    pair.replica.follow_primary("127.0.0.1", 6379)
    receive_part(pair)
    return pair


def finish(pair: Pair) -> None:
    pair.primary.config.rdb_key_save_delay = 0
    pair.settle()
    assert pair.replica.replication.progress().primary_link_up
    assert contents(pair.replica) == contents(pair.primary)
    assert loading(pair) == (False, False)


def test_swapdb_keeps_clients_from_data_of_another_history() -> None:
    pair = unlike_pair("swapdb")
    assert loading(pair) == (True, False)
    assert ask(pair, b"GET", b"old") == LOADING
    pair.cut()
    assert ask(pair, b"GET", b"old") == b"$1\r\n1\r\n"
    assert loading(pair) == (False, False)
    finish(pair)


def test_a_replica_that_is_made_a_primary_meanwhile_has_its_old_data() -> None:
    pair = unlike_pair("swapdb")
    pair.replica.become_primary()
    assert ask(pair, b"GET", b"old") == b"$1\r\n1\r\n"
    assert loading(pair) == (False, False)


@pytest.mark.parametrize("mode", ["disabled", "on-empty-db"])
def test_otherwise_old_data_are_served_and_nothing_is_refused(mode: str) -> None:
    pair = unlike_pair(mode)
    assert loading(pair) == (False, True)
    assert ask(pair, b"GET", b"old") == b"$1\r\n1\r\n"
    assert ask(pair, b"CONFIG", b"SET", b"appendonly", b"no") == b"+OK\r\n"
    assert ask(pair, b"REPLICAOF", b"NO", b"ONE") == b"+OK\r\n"
    assert ask(pair, b"GET", b"old") == b"$1\r\n1\r\n"


def test_swapdb_serves_data_of_the_same_history_but_lets_nobody_change_the_role() -> None:
    pair = linked_pair()
    pair.replica.config.repl_diskless_load = "swapdb"
    for number in range(5):
        pair.write(b"SET", b"key:%d" % number, b"1")
    pair.settle()
    pair.cut()
    backlog = pair.primary.replication.history.backlog
    assert backlog is not None
    backlog.resize(10)
    pair.write(b"SET", b"key:0", b"beyond the backlog")
    pair.primary.config.rdb_key_save_delay = 1_000_000
    receive_part(pair)
    assert loading(pair) == (False, True)
    assert ask(pair, b"GET", b"key:0") == b"$1\r\n1\r\n"
    assert ask(pair, b"CONFIG", b"SET", b"appendonly", b"no") == LOADING
    assert ask(pair, b"REPLICAOF", b"NO", b"ONE") == LOADING
    assert ask(pair, b"BGSAVE") == LOADING
    finish(pair)
    assert ask(pair, b"CONFIG", b"SET", b"appendonly", b"no") == b"+OK\r\n"
