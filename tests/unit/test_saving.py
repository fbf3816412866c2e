"""One snapshot at a time: one that is given up for another neither harms it nor passes for written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from shoal.node.persistence.lzf import CAN_COMPRESS
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.log import Log
from shoal.node.runtime.slices import SLICE_BYTES
from shoal.node.runtime.snapshots import GIVEN_UP, Snapshots
from shoal.node.server.blocking import Blocked, BlockReason
from tests.unit.server.client import World


async def test_a_snapshot_given_up_leaves_the_next_alone_and_says_so_to_its_client(tmp_path: Path) -> None:
    world = World(dir=str(tmp_path))
    first, second = world.client(), world.client()
    for number in range(10):
        first("SET", number, b"x" * SLICE_BYTES)
    for client in (first, second):
        world.server.blocked.block(client.session, Blocked(BlockReason.RUNTIME))
    snapshots = Snapshots(world.server, Log("", "nothing"), Disk())
    async with trio.open_nursery() as nursery:
        early = snapshots.begin(first.session)
        assert early is not None
        nursery.start_soon(snapshots.run, early, first.session)
        await trio.lowlevel.checkpoint()
        snapshots.give_up()
        late = snapshots.begin(second.session)
        assert late is not None
        nursery.start_soon(snapshots.run, late, second.session)
    assert first.received() == [GIVEN_UP]
    assert second.received() == ["OK"]
    assert os.listdir(tmp_path) == [world.server.config.dbfilename]


async def test_a_snapshot_given_up_before_its_task_has_begun_harms_nobody(tmp_path: Path) -> None:
    world = World(dir=str(tmp_path))
    client = world.client()
    client("SET", "key", 1)
    world.server.blocked.block(client.session, Blocked(BlockReason.RUNTIME))
    snapshots = Snapshots(world.server, Log("", "nothing"), Disk())
    save = snapshots.begin(client.session)
    assert save is not None
    snapshots.give_up()
    assert not await snapshots.run(save, client.session)
    assert client.received() == [GIVEN_UP]
    assert os.listdir(tmp_path) == []
    assert "rdb_last_bgsave_status:ok" in client("INFO", "persistence"), "nothing has failed"


@pytest.mark.skipif(not CAN_COMPRESS, reason="python-lzf is not installed")
def test_a_file_is_compressed_or_not_as_rdbcompression_says(tmp_path: Path) -> None:
    world = World(dir=str(tmp_path))
    client = world.client()
    client("SET", "text", "what is said again and again, " * 100)
    client("RPUSH", "list", *["what is said again and again, " * 10] * 10)
    sizes = {}
    for word in ("yes", "no"):
        client("CONFIG", "SET", "rdbcompression", word)
        snapshots = Snapshots(world.server, Log("", "nothing"), Disk())
        assert snapshots.save_now()
        sizes[word] = snapshots.path.stat().st_size
    assert sizes["no"] > 6000
    assert sizes["yes"] < sizes["no"] / 5
