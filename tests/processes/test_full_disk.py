"""Real nodes whose disk takes no more: the system lets none of their files grow beyond a size.

Each call of the disk fails in its turn in tests/unit: test_append_only_faults, test_snapshot_faults and
test_nodes_file.
"""

from __future__ import annotations

import random
import resource
from pathlib import Path

import hiredis
import pytest

from tests.processes.nodes import Node, running_node, wait_until

pytestmark = pytest.mark.processes

APPEND_ONLY = ("--appendonly", "yes", "--rdbcompression", "no", "--repl-diskless-sync", "yes")
FILE_BYTES = 100_000


def fill(node: Node) -> None:
    """Make the append-only file, and any snapshot, larger than the log will be."""
    node.ask("SET", "large", random.randbytes(FILE_BYTES))


def limit_files(node: Node, size: int) -> None:
    _, hard = resource.prlimit(node.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (size, hard))


def count_up(node: Node) -> int | None:
    """The count, once it is acknowledged; None if the node refuses to write. OSError if it is gone."""
    try:
        return int(node.ask("INCR", "count"))
    except hiredis.ReplyError as error:
        assert str(error).startswith("MISCONF"), error
        return None


def incremental_file(node: Node) -> Path:
    return node.directory / "appendonlydir" / "appendonly.aof.1.incr.aof"


def test_with_everysec_a_full_disk_stops_writes_until_there_is_room_and_loses_none(tmp_path: Path) -> None:
    with running_node(tmp_path, *APPEND_ONLY, "--appendfsync", "everysec") as node:
        fill(node)
        limit_files(node, incremental_file(node).stat().st_size + 200)
        acknowledged = 0
        while (count := count_up(node)) is not None:
            acknowledged = count
        assert acknowledged > 3
        assert node.ask("GET", "count") == str(acknowledged)
        assert node.info("persistence")["aof_last_write_status"] == "err"
        assert "Error writing to the AOF file" in node.log
        limit_files(node, resource.RLIM_INFINITY)
        wait_until(lambda: count_up(node) == acknowledged + 1, "it writes again")
        assert node.info("persistence")["aof_last_write_status"] == "ok"
        node.kill()
        node.start()
        assert node.ask("GET", "count") == str(acknowledged + 1)


def test_with_always_a_node_ends_before_it_acknowledges_what_is_not_on_disk(tmp_path: Path) -> None:
    with running_node(tmp_path, *APPEND_ONLY, "--appendfsync", "always") as node:
        fill(node)
        limit_files(node, incremental_file(node).stat().st_size + 200)
        acknowledged = 0
        with pytest.raises(OSError):
            while (count := count_up(node)) is not None:
                acknowledged = count
        assert node.process is not None
        assert node.process.wait(30) != 0
        node.start()
        assert node.ask("GET", "count") == str(acknowledged)


def test_without_room_for_a_snapshot_or_a_rewrite_the_old_files_stay_and_writes_stop(tmp_path: Path) -> None:
    with running_node(tmp_path, *APPEND_ONLY) as node:
        fill(node)
        node.ask("SAVE")
        snapshot = (node.directory / "dump.rdb").read_bytes()
        node.ask("CONFIG", "SET", "save", "3600 1")
        node.ask("SET", "more", "1")
        limit_files(node, FILE_BYTES // 2)
        node.ask("BGREWRITEAOF")
        wait_until(lambda: node.info("persistence")["aof_rewrite_in_progress"] == "0", "the rewrite failed")
        assert node.info("persistence")["aof_last_bgrewrite_status"] == "err"
        node.ask("CONFIG", "SET", "appendonly", "no")
        with pytest.raises(hiredis.ReplyError):
            node.ask("SAVE")
        assert count_up(node) is None
        assert node.ask("GET", "more") == "1"
        node.ask("BGSAVE")
        wait_until(lambda: node.info("persistence")["rdb_bgsave_in_progress"] == "0", "the snapshot failed")
        assert node.info("persistence")["rdb_last_bgsave_status"] == "err"
        assert (node.directory / "dump.rdb").read_bytes() == snapshot
        node.ask("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        assert count_up(node) == 1
        node.ask("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        limit_files(node, resource.RLIM_INFINITY)
        node.ask("SAVE")
        assert count_up(node) == 2
        assert not list(node.directory.glob("temp-*"))
