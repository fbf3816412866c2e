"""The disk fails, or the machine stops, at each call that a snapshot makes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import trio

from shoal.node.runtime.log import Log
from shoal.node.runtime.rdb_file import load_rdb
from shoal.node.runtime.slices import load_at_once
from shoal.node.runtime.snapshots import Snapshots
from tests.unit.faulty_disk import Crash, FaultyDisk
from tests.unit.server.client import Client, World

CALLS = ["create", "write", "sync", "rename", "sync_folder"]


class Saving:
    """A server with save points, whose first snapshot is on disk; nothing is counted before that."""

    def __init__(self, folder: Path) -> None:
        self.disk = FaultyDisk()
        self.world = World(dir=str(folder), save=((3600, 1),))
        self.client: Client = self.world.client()
        self.snapshots = Snapshots(self.world.server, Log("", "nothing"), self.disk)
        self.client("SET", "key", "first")
        assert self.snapshots.save_now()
        self.client("SET", "key", "second")

    def fail(self, call: int, fault: str) -> None:
        self.disk.at, self.disk.fault = len(self.disk.calls) + call, fault

    def save(self, how: str) -> bool:
        """As SHUTDOWN, FLUSHALL and DEBUG RELOAD save, or as everything else does."""
        return self.snapshots.save_now() if how == "at once" else trio.run(self._in_slices)

    async def _in_slices(self) -> bool:
        save = self.snapshots.begin(None)
        return save is not None and await self.snapshots.run(save, None)


def found(folder: Path) -> Any:
    """What a server that starts now holds. The file has to be whole."""
    world = World(dir=str(folder))
    load_at_once(load_rdb(world.server, folder / "dump.rdb", keep_expired=False))
    return world.client()("GET", "key")


@pytest.mark.parametrize("how", ["at once", "in slices"])
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "short"])
def test_a_snapshot_that_fails_leaves_the_last_one_and_stops_writes_until_one_succeeds(
    tmp_path: Path, fault: str, how: str
) -> None:
    for at, call in enumerate(CALLS):
        if fault == "short" and call != "write":
            continue
        folder = tmp_path / str(at)
        folder.mkdir()
        saving = Saving(folder)
        saving.fail(at, fault)
        assert not saving.save(how)
        assert found(folder) in (("second", "first") if call == "sync_folder" else ("first",))
        assert os.listdir(folder) == ["dump.rdb"]
        assert saving.client("SET", "key", "third").startswith("MISCONF Redis is configured to save RDB")
        assert saving.client("GET", "key") == "second"
        assert "rdb_last_bgsave_status:err" in saving.client("INFO", "persistence")
        saving.disk.fault = "none"
        assert saving.save(how)
        assert saving.client("SET", "key", "third") == "OK"
        assert found(folder) == "second"


@pytest.mark.parametrize("how", ["at once", "in slices"])
def test_a_machine_that_stops_at_any_call_leaves_a_whole_snapshot(tmp_path: Path, how: str) -> None:
    for at, call in enumerate(CALLS):
        folder = tmp_path / str(at)
        folder.mkdir()
        saving = Saving(folder)
        saving.fail(at, "crash")
        with pytest.raises(Crash):
            saving.save(how)
        saving.disk.let_go()
        assert found(folder) == "first", call


@pytest.mark.parametrize("how", ["at once", "in slices"])
def test_a_snapshot_that_was_told_of_survives_the_machine(tmp_path: Path, how: str) -> None:
    saving = Saving(tmp_path)
    assert saving.save(how)
    saving.disk.lose_what_is_not_durable()
    assert found(tmp_path) == "second"
