"""A node that is still loading its data answers, says so, and neither serves nor spoils anything."""

from __future__ import annotations

import signal
from pathlib import Path

import hiredis
import pytest

from shoal.node.resp.writer import encode_command
from tests.processes.nodes import HOST, Node, running_node, running_nodes, wait_until

pytestmark = pytest.mark.processes

KEYS = 2000
SLOWLY = ("--key-load-delay", "1000000", "--loading-process-events-interval-bytes", "1024")
"""A second a key: it loads for as long as the test needs."""
ON_DISK = {
    "snapshot": ("--appendonly", "no"),
    "append-only file": ("--appendonly", "yes", "--aof-use-rdb-preamble", "no"),
    "append-only file with a snapshot": ("--appendonly", "yes"),
}
DEBUG = ("--enable-debug-command", "yes")


def restart_slowly(node: Node) -> str:
    """Fill a node, and start it again so that it loads for ever; returns the data's digest."""
    node.ask("DEBUG", "POPULATE", KEYS, "key", 100)
    node.ask("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() return 1 end)")
    node.ask("BGREWRITEAOF")
    wait_until(lambda: node.info("persistence")["aof_rewrite_in_progress"] == "0", "it is rewritten")
    node.ask("SAVE")
    digest = str(node.ask("DEBUG", "DIGEST"))
    node.stop()
    node.directives += SLOWLY
    node.launch()
    wait_until(lambda: node.info("persistence")["loading"] == "1", "it is loading")
    return digest


def refusal(node: Node, *words: str | int) -> str:
    with pytest.raises(hiredis.ReplyError) as refused:
        node.ask(*words)
    return str(refused.value)


@pytest.mark.parametrize("kept", ON_DISK)
def test_clients_are_told_and_served_once_all_is_there(tmp_path: Path, kept: str) -> None:
    with running_node(tmp_path, *ON_DISK[kept], *DEBUG) as node:
        digest = restart_slowly(node)
        loading = "LOADING Redis is loading the dataset in memory"
        for words in (
            ("PING",),
            ("GET", "key:1"),
            ("SET", "key:1", "x"),
            ("BGSAVE",),
            ("REPLICAOF", HOST, 1),
        ):
            assert refusal(node, *words) == loading
        assert refusal(node, "CONFIG", "SET", "appendonly", "no") == loading
        assert node.ask("CONFIG", "GET", "appendonly")
        facts = node.info("persistence")
        assert 0 < int(facts["loading_loaded_bytes"]) < int(facts["loading_total_bytes"])
        node.ask("CONFIG", "SET", "key-load-delay", 0)
        node.wait_ready()
        assert node.ask("DEBUG", "DIGEST") == digest
        assert node.ask("FCALL", "f", 0) == 1
        assert "loading_total_bytes" not in node.info("persistence")


@pytest.mark.parametrize("ending", ["SIGTERM", "SHUTDOWN"])
@pytest.mark.parametrize("kept", ON_DISK)
def test_a_node_that_ends_while_it_loads_leaves_its_files_as_they_are(
    tmp_path: Path, kept: str, ending: str
) -> None:
    with running_node(tmp_path, *ON_DISK[kept], *DEBUG) as node:
        digest = restart_slowly(node)
        files = contents(node.directory)
        assert node.process is not None
        if ending == "SIGTERM":
            node.process.send_signal(signal.SIGTERM)
        else:
            with pytest.raises(ConnectionError):
                node.ask("SHUTDOWN", "SAVE")
        assert node.process.wait(30) == 0
        assert contents(node.directory) == files
        node.directives += ("--key-load-delay", "0")
        node.start()
        assert node.ask("DEBUG", "DIGEST") == digest


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != "log"
    }


def test_a_script_in_the_append_only_file_that_takes_long_keeps_nobody_waiting(tmp_path: Path) -> None:
    slow = "redis.call('set', KEYS[1], 'y') for i = 1, 3000000 do redis.call('type', 'x') end"
    with running_node(tmp_path, *ON_DISK["append-only file"], "--busy-reply-threshold", "1") as node:
        node.stop()
        with next(node.directory.glob("*/*.incr.aof")).open("ab") as file:
            file.write(
                encode_command((b"SELECT", b"0")) + encode_command((b"EVAL", slow.encode(), b"1", b"x"))
            )
        node.launch()
        wait_until(lambda: "Slow script detected" in node.log, "it is told")
        assert refusal(node, "GET", "x").startswith("LOADING")
        with pytest.raises(ConnectionError):
            node.ask("SHUTDOWN", "NOSAVE")
        assert node.process is not None
        assert node.process.wait(30) == 0


def test_a_replica_waits_for_a_primary_that_is_loading(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2, *DEBUG) as (primary, replica):
        digest = restart_slowly(primary)
        replica.ask("REPLICAOF", HOST, primary.port)
        wait_until(lambda: "LOADING Redis is loading" in replica.log, "it was told")
        assert replica.info("replication")["master_link_status"] == "down"
        primary.ask("CONFIG", "SET", "key-load-delay", 0)
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "it follows")
        assert replica.ask("DEBUG", "DIGEST") == digest


def test_a_replica_that_loads_slowly_serves_what_it_had(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2, *DEBUG) as (primary, replica):
        primary.ask("DEBUG", "POPULATE", KEYS, "key", 100)
        replica.ask("SET", "old", "1")
        replica.ask("CONFIG", "SET", "key-load-delay", 1000000)
        replica.ask("REPLICAOF", HOST, primary.port)
        wait_until(lambda: replica.info("persistence")["async_loading"] == "1", "it is loading")
        assert replica.ask("GET", "old") == "1"
        assert replica.ask("DBSIZE") == 1
        replica.ask("CONFIG", "SET", "key-load-delay", 0)
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "it follows")
        assert replica.ask("DBSIZE") == KEYS
        assert replica.ask("GET", "old") is None


def test_loading_anew_keeps_others_out(tmp_path: Path) -> None:
    with running_node(tmp_path, "--appendonly", "yes", *DEBUG) as node:
        node.ask("DEBUG", "POPULATE", KEYS, "key", 100)
        node.ask("SET", "written", "1")
        node.ask("SAVE")
        digest = node.ask("DEBUG", "DIGEST")
        for words in (("DEBUG", "RELOAD", "NOSAVE"), ("DEBUG", "LOADAOF")):
            assert node.ask(*words) == "OK"
            assert node.info("persistence")["loading"] == "0"
            if words[1] == "RELOAD":
                assert node.ask("DEBUG", "DIGEST") == digest
            assert node.ask("GET", "written") == "1"


@pytest.mark.parametrize("kept", ON_DISK)
def test_with_little_data_the_first_question_is_answered_and_not_refused(tmp_path: Path, kept: str) -> None:
    with running_node(tmp_path, *ON_DISK[kept], *DEBUG) as node:
        node.ask("DEBUG", "POPULATE", KEYS, "key", 100)
        node.ask("BGREWRITEAOF")
        wait_until(lambda: node.info("persistence")["aof_rewrite_in_progress"] == "0", "it is rewritten")
        node.ask("SAVE")
        node.kill()
        node.launch()
        found = []
        wait_until(lambda: found.append(node.ask("DBSIZE")) or True, "it can be asked")
        assert found == [KEYS]
