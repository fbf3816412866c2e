"""The disk fails, or the machine stops, at each call that saving nodes.conf makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.cluster.messages import NodeFlag
from shoal.cluster.view import SavedConfig, SavedNode
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.nodes_file import NodesFile, NodesFileError
from tests.unit.faulty_disk import Crash, FaultyDisk


def state(epoch: int) -> SavedConfig:
    myself = SavedNode("a" * 40, "127.0.0.1", 7000, bus_port=17000, flags=NodeFlag.MYSELF | NodeFlag.PRIMARY)
    return SavedConfig((myself,), current_epoch=epoch, last_vote_epoch=epoch)


def saved_epoch(path: Path) -> int | None:
    """What a node that starts now finds."""
    disk = FaultyDisk()
    saved = NodesFile(path, disk).load()
    disk.let_go()
    return None if saved is None else saved.current_epoch


def calls_of_a_save(folder: Path) -> list[str]:
    disk = FaultyDisk()
    file = NodesFile(folder / "whole.conf", disk)
    file.load()
    before = len(disk.calls)
    file.save(state(1), fsync=True)
    return disk.calls[before:]


@pytest.mark.parametrize("fault", ["crash", "EIO", "ENOSPC", "short"])
def test_whatever_a_save_meets_the_file_is_whole_and_nothing_kept_is_forgotten(
    tmp_path: Path, fault: str
) -> None:
    calls = calls_of_a_save(tmp_path)
    assert calls == ["create", "write", "sync", "rename", "sync_folder"]
    for at, call in enumerate(calls):
        if fault == "short" and call != "write":
            continue
        path = tmp_path / f"{at}.conf"
        disk = FaultyDisk()
        file = NodesFile(path, disk)
        file.load()
        file.save(state(1), fsync=True)
        disk.at, disk.fault = len(disk.calls) + at, fault
        with pytest.raises((Crash, OSError)):
            file.save(state(2), fsync=True)
        disk.let_go()
        kept = (1, 2) if call == "sync_folder" and fault != "crash" else (1,)
        assert saved_epoch(path) in kept, call


def test_what_was_saved_durably_survives_the_machine(tmp_path: Path) -> None:
    path, disk = tmp_path / "nodes.conf", FaultyDisk()
    file = NodesFile(path, disk)
    file.load()
    for epoch in range(3):
        file.save(state(epoch), fsync=True)
    disk.lose_what_is_not_durable()
    disk.let_go()
    assert saved_epoch(path) == 2


def test_a_file_belongs_to_one_node_however_often_it_is_replaced(tmp_path: Path) -> None:
    path, disk = tmp_path / "nodes.conf", FaultyDisk()
    file = NodesFile(path, disk)
    file.load()
    for epoch in range(2):
        with pytest.raises(NodesFileError, match="in use by another node"):
            NodesFile(path, Disk()).load()
        file.save(state(epoch), fsync=False)
    disk.let_go()
    assert saved_epoch(path) == 1
