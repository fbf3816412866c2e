"""When the append-only file is rewritten, when that has to wait, and what a rewrite consists of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from shoal.node.runtime.append_only import MAX_DELAY_MINUTES
from shoal.node.server.append_only import AofState
from shoal.node.server.blocking import Blocked, BlockReason
from tests.unit.append_only_node import AofNode, loaded
from tests.unit.faulty_disk import FaultyDisk

STARTED = "Background append only file rewriting started"
SCHEDULED = "Background append only file rewriting scheduled"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[AofNode]:
    node = AofNode(tmp_path, FaultyDisk(), appendfsync="no")
    node.start()
    async with trio.open_nursery() as nursery:
        node.append_only.run_with(nursery.start_soon)
        yield node


def names(node: AofNode) -> list[str]:
    """The files in the folder."""
    return sorted(path.name for path in node.append_only.files.folder.iterdir())


@pytest.mark.parametrize("preamble", ["yes", "no"])
async def test_what_is_written_meanwhile_is_in_the_increment_and_nothing_twice(
    node: AofNode, preamble: str, tmp_path: Path
) -> None:
    node.run("CONFIG", "SET", "aof-use-rdb-preamble", preamble)
    for number in range(100):
        node.run("RPUSH", f"list {number}", b"x" * 2000)
        node.run("HSET", f"hash {number % 3}", f"field {number}", number)
    assert node.run("BGREWRITEAOF") == STARTED
    assert node.run("BGREWRITEAOF") == "ERR Background append only file rewriting already in progress"
    for number in range(100):
        node.run("RPUSH", f"list {number}", "meanwhile")
        await trio.lowlevel.checkpoint()
    await node.rewrite_done()
    suffix = "rdb" if preamble == "yes" else "aof"
    assert names(node) == [
        f"appendonly.aof.2.base.{suffix}",
        "appendonly.aof.2.incr.aof",
        "appendonly.aof.manifest",
    ]
    assert loaded(tmp_path).digest == node.digest


async def test_a_rewrite_waits_for_a_snapshot_a_transaction_and_a_script_that_is_half_done(
    node: AofNode,
) -> None:
    aof = node.server.aof
    assert node.run_all([("MULTI",), ("BGREWRITEAOF",), ("EXEC",)])[-1] == [SCHEDULED]
    assert (aof.rewrite_scheduled, aof.rewrites) == (True, 0)
    node.server.persistence.in_progress_since = 1
    node.look()
    assert node.run("BGREWRITEAOF") == SCHEDULED
    assert (aof.rewrite_scheduled, aof.rewrites) == (True, 0)
    node.server.persistence.in_progress_since = None
    node.look()
    assert (aof.rewrite_scheduled, aof.rewrites) == (False, 1)
    await node.rewrite_done()


async def test_a_snapshot_waits_for_a_rewrite(node: AofNode) -> None:
    node.run("SET", "a", "1")
    node.run("BGREWRITEAOF")
    assert str(node.run("BGSAVE")).startswith("ERR Another child process is active (AOF?)")
    assert node.run("BGSAVE", "SCHEDULE") == "Background saving scheduled"
    assert not node.node.snapshots.is_due()
    await node.rewrite_done()
    assert node.node.snapshots.is_due()
    assert not node.node.snapshots.is_due(), "it was asked for once"


async def test_turning_it_off_ends_a_rewrite_and_on_again_begins_one(node: AofNode, tmp_path: Path) -> None:
    node.run("SET", "a", "1")
    node.run("CONFIG", "SET", "rdb-key-save-delay", 10_000_000)
    node.run("BGREWRITEAOF")
    node.run("CONFIG", "SET", "appendonly", "no")
    assert (node.server.aof.state, node.server.aof.rewriting_since) == (AofState.OFF, None)
    node.run("SET", "b", "1")
    node.run("CONFIG", "SET", "appendonly", "yes")
    node.run("SET", "c", "1")
    assert node.server.aof.state is AofState.WAITING
    assert loaded(tmp_path).run("KEYS", "*") == ["a"], "what counts is the old set, whole"
    node.run("CONFIG", "SET", "rdb-key-save-delay", 0)
    await node.rewrite_done()
    assert sorted(loaded(tmp_path).run("KEYS", "*")) == ["a", "b", "c"]


async def test_it_is_rewritten_once_it_has_grown_by_so_much(node: AofNode) -> None:
    node.run("CONFIG", "SET", "auto-aof-rewrite-min-size", 10_000, "auto-aof-rewrite-percentage", 50)
    node.run("SET", "key", b"x" * 9000)
    node.look()
    assert node.server.aof.rewrites == 0
    node.run("SET", "key", b"x" * 9000)
    node.look()
    assert node.server.aof.rewrites == 1
    await node.rewrite_done()
    node.run("SET", "key", b"x" * 4000)
    node.look()
    assert node.server.aof.rewrites == 1, "13 kB is not half as much again as 9 kB, but more than the least"


async def test_after_three_failures_it_waits_longer_and_longer(node: AofNode) -> None:
    disk = node.append_only.files.disk
    assert isinstance(disk, FaultyDisk)
    disk.fault = "ENOSPC"
    node.run("CONFIG", "SET", "auto-aof-rewrite-min-size", 1, "auto-aof-rewrite-percentage", 1)
    node.run("SET", "key", b"x" * 9000)
    waits: list[int] = []
    for _ in range(12):
        disk.at, failures, waited = len(disk.calls) + 1, node.server.aof.failed_rewrites, 0
        node.look()
        while node.server.aof.failed_rewrites == failures:
            waited += 1
            disk.at = len(disk.calls) + 1
            node.look(30.0)
        waits.append(waited // 2)
    assert waits[:3] == [0, 0, 0]
    assert waits[3:] == [1, 2, 4, 8, 16, 32, *[MAX_DELAY_MINUTES] * 3]
    disk.at = -1
    assert node.run("BGREWRITEAOF") == STARTED, "who asks by hand need not wait"
    await node.rewrite_done()
    assert node.server.aof.failed_rewrites == 0


def test_nobody_is_left_without_an_answer(tmp_path: Path) -> None:
    node = AofNode(tmp_path)
    node.start()
    node.server.blocked.block(node.session, Blocked(BlockReason.RUNTIME))
    node.server.persistence.in_progress_since = 1
    node.append_only.begin_rewrite(node.session)
    assert node.reply() == SCHEDULED
