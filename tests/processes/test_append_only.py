"""The append-only file of real nodes: crashes, restarts, and the same files under a real Redis."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
from pathlib import Path

import hiredis
import pytest

from shoal.node.resp.writer import encode_command
from tests.peers import REDIS7_SERVER, needs
from tests.processes.nodes import HOST, Node, running_node, running_nodes, wait_until

pytestmark = pytest.mark.processes

APPEND_ONLY = ("--appendonly", "yes", "--enable-debug-command", "yes")
NODES = 5
ROUNDS = 5
"""Each node is killed in each round: 25 times for each policy."""
WRITERS = 2
CHECK_AOF = REDIS7_SERVER.with_name("redis-check-aof")


class Writer(threading.Thread):
    """Counts a key up, one request at a time, until the node is gone; remembers what was acknowledged."""

    def __init__(self, node: Node, key: str) -> None:
        super().__init__()
        self.key = key
        self.acknowledged = 0
        self._connection = socket.create_connection((HOST, node.port), timeout=30)

    def run(self) -> None:
        reader = hiredis.Reader()
        with self._connection as connection:
            try:
                while True:
                    connection.sendall(encode_command([b"INCR", self.key.encode()]))
                    while (reply := reader.gets()) is False:
                        data = connection.recv(4096)
                        if not data:
                            return
                        reader.feed(data)
                    self.acknowledged = reply
            except OSError:
                return


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_process_killed_under_load_loses_no_write_it_acknowledged(tmp_path: Path, policy: str) -> None:
    lost = []
    with running_nodes(tmp_path, NODES, *APPEND_ONLY, "--appendfsync", policy) as nodes:
        for round_number in range(ROUNDS):
            all_writers = [write_until_killed(node, rewrites=random.random() < 0.5) for node in nodes]
            for node, writers in zip(nodes, all_writers, strict=True):
                for writer in writers:
                    writer.join()
                node.launch()
            for node, writers in zip(nodes, all_writers, strict=True):
                node.wait_ready()
                found = [int(node.ask("GET", writer.key) or 0) for writer in writers]
                told = [writer.acknowledged for writer in writers]
                # One more than was acknowledged may have been on its way, and no more than one.
                if not all(0 <= here - there <= 1 for here, there in zip(found, told, strict=True)):
                    lost.append((round_number, node.port, found, told))
    assert lost == []


def write_until_killed(node: Node, *, rewrites: bool) -> list[Writer]:
    """Load a node, perhaps while it rewrites its file, and kill it at some moment; who wrote until then."""
    writers = [Writer(node, f"counter:{number}") for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    begun = random.randrange(1, 100)
    wait_until(lambda: all(writer.acknowledged for writer in writers), "the first writes")
    already = writers[0].acknowledged
    wait_until(lambda: writers[0].acknowledged > already + begun, "some writes")
    if rewrites:
        node.ask("BGREWRITEAOF")
        enough = writers[0].acknowledged + random.randrange(1, 100)
        wait_until(lambda: writers[0].acknowledged > enough, "some more writes")
    node.kill()
    return writers


def fill(node: Node) -> None:
    """Every type, times to live, and commands of which only the effects stand in the file."""
    node.ask("SET", "string", "x" * 3000)
    node.ask("SETEX", "expiring", 1000, "1")
    node.ask("RPUSH", "list", *range(300))
    node.ask("SADD", "set", "a", "b", "c")
    node.ask("SPOP", "set")
    node.ask("HSET", "hash", *range(400))
    node.ask("ZADD", "zset", "1.5", "one", "-inf", "none", "3e20", "many")
    node.ask("XADD", "stream", "5-1", "field", "value")
    node.ask("XGROUP", "CREATE", "stream", "group", "0")
    node.ask(
        "EVAL", "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('INCR', KEYS[1])", 1, "script", 6
    )
    node.ask("PFADD", "elements", "a", "b")
    node.ask("SETBIT", "bits", 1000, 1)


def check_files(node: Node) -> None:
    """redis-check-aof accepts what the node wrote."""
    manifest = node.directory / "appendonlydir" / "appendonly.aof.manifest"
    checked = subprocess.run([CHECK_AOF, manifest], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "All AOF files and manifest are valid" in checked.stdout


@needs(REDIS7_SERVER, CHECK_AOF)
@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_redis_goes_on_with_our_files_and_we_with_those_of_redis(tmp_path: Path, preamble: str) -> None:
    with running_node(tmp_path, *APPEND_ONLY, "--aof-use-rdb-preamble", preamble) as node:
        fill(node)
        for step, command in enumerate([(str(REDIS7_SERVER),), node.command] * 2):
            digest = node.ask("DEBUG", "DIGEST")
            if step >= 2:
                node.ask("BGREWRITEAOF")
                wait_until(
                    lambda: node.info("persistence")["aof_rewrite_in_progress"] == "0", "the rewrite is done"
                )
                node.ask("APPEND", "string", f"after the rewrite of step {step}")
                digest = node.ask("DEBUG", "DIGEST")
            node.kill()
            check_files(node)
            node.command = command
            node.start()
            assert node.ask("DEBUG", "DIGEST") == digest, step
            assert node.ask("TTL", "expiring") > 900
            node.ask("INCR", "steps")


def test_a_replica_has_what_its_primary_sent_in_a_file_of_its_own(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2, *APPEND_ONLY) as (primary, replica):
        replica.ask("SET", "from before", "1")
        fill(primary)
        replica.ask("REPLICAOF", HOST, primary.port)
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "the link is up")
        wait_until(lambda: replica.info("persistence")["aof_rewrite_in_progress"] == "0", "its file is new")
        primary.ask("SET", "streamed", "1", "PX", 1000000)
        primary.ask("INCR", "script")
        primary.ask("WAIT", 1, 10000)
        digest = primary.ask("DEBUG", "DIGEST")
        primary.kill()
        replica.kill()
        replica.start()
        assert replica.ask("DEBUG", "DIGEST") == digest
        assert replica.ask("PTTL", "streamed") > 900000


def test_shutdown_writes_all_there_is_and_a_node_with_rdb_prefers_the_append_only_file(
    tmp_path: Path,
) -> None:
    with running_node(tmp_path, *APPEND_ONLY, "--save", "3600 1", "--appendfsync", "no") as node:
        fill(node)
        digest = node.ask("DEBUG", "DIGEST")
        node.stop()
        assert (node.directory / "dump.rdb").exists()
        assert "Calling fsync() on the AOF file." in node.log
        (node.directory / "dump.rdb").write_bytes(b"not even loaded")
        node.start()
        assert node.ask("DEBUG", "DIGEST") == digest


def test_damage_is_told_last_so_that_it_is_seen(tmp_path: Path) -> None:
    with running_node(tmp_path, *APPEND_ONLY) as node:
        node.ask("SET", "a", "1")
        node.kill()
        increment = node.directory / "appendonlydir" / "appendonly.aof.1.incr.aof"
        increment.write_bytes(increment.read_bytes() + b"!!!")
        node.launch()
        assert node.process is not None
        assert node.process.wait(30) == 1
        assert "Bad file format reading the append only file" in node.log_tail.splitlines()[-2]


def test_a_cluster_node_answers_for_the_slots_of_the_data_it_found(tmp_path: Path) -> None:
    with running_node(tmp_path, *APPEND_ONLY) as node:
        node.ask("SET", "{slot}a", "1")
        node.ask("SET", "{slot}b", "1")
        node.stop()
        node.directives += ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
        node.start()
        assert node.cluster_info()["cluster_slots_assigned"] == "1"
        assert node.ask("CLUSTER", "COUNTKEYSINSLOT", node.ask("CLUSTER", "KEYSLOT", "{slot}")) == 2
        wait_until(lambda: node.cluster_info()["cluster_state"] == "ok", "the cluster of one slot is ok")
        assert node.ask("MGET", "{slot}a", "{slot}b") == ["1", "1"]
        node.kill()
        node.start()
        assert node.cluster_info()["cluster_slots_assigned"] == "1", "nodes.conf has it"
