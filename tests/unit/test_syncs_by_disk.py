"""Replicas are given their snapshot by way of disk: who shares one, what stays there, what if it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from shoal.cluster.effects import Note
from shoal.node.runtime.log import Log
from shoal.node.runtime.snapshots import Snapshots
from shoal.node.runtime.sync_files import SyncFiles
from shoal.node.server.effects import (
    CloseSession,
    CloseSnapshot,
    GiveUpSnapshot,
    ReadSnapshot,
    ReplaceSnapshot,
    SaveForReplicas,
    SaveSnapshot,
)
from shoal.node.server.info import info_text
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.replica_end import ReplicaEnd
from tests.unit.server.client import World, fields

T = TypeVar("T")
KEYS = 40
VALUE = b"v" * 20_000
TURNS = 3000
A_DAY = ((86_400, 1),)


class FailingDisk(FaultyDisk):
    """One whose first call of a name fails; none does before one is chosen."""

    failing = ""

    def _call(self, name: str, action: Callable[[], T]) -> T:
        if name == self.failing:
            self.at, self.fault, self.failing = len(self.calls), "ENOSPC", ""
        return super()._call(name, action)


class Primary:
    """A server whose effects on files are carried out, by what carries them out in a node."""

    def __init__(self, folder: Path, nursery: trio.Nursery, **directives: object) -> None:
        chosen = {"dir": str(folder), "save": (), "repl_diskless_sync": False, "rdbcompression": False}
        self.world = World(**(chosen | directives))
        self.server = self.world.server
        self.file = folder / "dump.rdb"
        self.folder = folder
        self.disk = FailingDisk()
        self.told: list[str] = []
        self.nursery = nursery
        log = Log("", "nothing")
        self.snapshots = Snapshots(self.server, log, self.disk)
        self.files = SyncFiles(self.server, log, self.snapshots, self.disk, self.start_turn)
        self.client = self.world.client()
        for number in range(KEYS):
            self.client("SET", f"key:{number}", VALUE)

    def start_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()
            self.carry_out()

        self.nursery.start_soon(run)

    def carry_out(self) -> None:
        while self.server.effects:
            for effect in self.server.take_effects():
                match effect:
                    case SaveForReplicas():
                        self.files.save()
                    case GiveUpSnapshot():
                        self.files.give_up()
                    case ReadSnapshot():
                        self.files.read(effect)
                    case CloseSnapshot(snapshot):
                        self.files.close(snapshot)
                    case ReplaceSnapshot():
                        self.snapshots.replace()
                    case SaveSnapshot():
                        self.save()
                    case CloseSession(session):
                        self.server.disconnect(session)
                    case Note(_, text):
                        self.told.append(text)

    def save(self) -> None:
        save = self.snapshots.begin(None)
        assert save is not None

        async def run() -> None:
            await self.snapshots.run(save, None)

        self.start_turn(run)

    def write(self, *words: str | bytes) -> None:
        assert self.client(*words) is not None

    async def turns_until(self, condition: Callable[[], object], *replicas: Replica) -> None:
        """Turns, after each of which these replicas take what there is for them."""
        for _ in range(TURNS):
            self.world.pass_time(1)
            self.carry_out()
            for replica in replicas:
                replica.take()
            if condition():
                return
            await trio.sleep(0.001)
        raise AssertionError(self.told)

    async def turns(self, count: int, *replicas: Replica) -> None:
        left = iter(range(count))
        await self.turns_until(lambda: next(left, None) is None, *replicas)

    def info(self, name: str) -> str:
        return fields(info_text(self.server, ["replication", "persistence", "stats"]))[name]

    def names(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]

    def has_told(self, text: str) -> bool:
        return any(text in told for told in self.told)


class Replica(ReplicaEnd):
    """Of such a primary."""

    def __init__(self, primary: Primary, port: int = 7000, *introduction: bytes) -> None:
        super().__init__(primary.server, port, *introduction)


async def test_those_who_come_while_it_is_written_get_the_file_and_the_stream_behind_it(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    primary = Primary(tmp_path, nursery, rdb_key_save_delay=1_000_000)
    first = Replica(primary)
    await primary.turns(3, first)
    assert primary.info("rdb_bgsave_in_progress") == "1"
    primary.write("SET", "key:0", b"while it is written")
    second = Replica(primary, 7001)
    assert primary.has_told("Starting BGSAVE for SYNC with target: disk")
    await primary.turns(2, first, second)
    assert primary.has_told("Waiting for end of BGSAVE for SYNC")
    assert "state=wait_bgsave" in primary.info("slave0")
    primary.server.config.rdb_key_save_delay = 0
    await primary.turns_until(lambda: first.snapshot, first)
    assert "state=send_bulk" in primary.info("slave0")
    assert primary.info("rdb_bgsave_in_progress") == "0"
    primary.write("SET", "key:1", b"while it is sent")
    await primary.turns_until(lambda: first.has_all, first)
    assert "state=online" in primary.info("slave0")
    await primary.turns_until(lambda: second.has_all and second.stream, first, second)
    primary.write("SET", "key:2", b"behind it")
    await primary.turns(2, first, second)
    assert first.snapshot == second.snapshot == primary.file.read_bytes()
    assert first.snapshot.count(VALUE) == KEYS
    assert first.stream == second.stream
    for text in (b"while it is written", b"while it is sent", b"behind it"):
        assert first.stream.count(text) == 1
    assert primary.info("rdb_saves") == primary.info("total_forks") == "1"
    assert primary.info("rdb_changes_since_last_save") == "3"
    assert primary.has_told("Synchronization with replica 127.0.0.1:7001 succeeded")


async def test_one_that_takes_nothing_holds_up_nobody(tmp_path: Path, nursery: trio.Nursery) -> None:
    primary = Primary(tmp_path, nursery)
    slow, quick = Replica(primary), Replica(primary, 7001)
    await primary.turns_until(lambda: quick.has_all, quick)
    assert slow.session.out_bytes < len(quick.snapshot)
    primary.write("FLUSHALL")
    await primary.turns_until(lambda: slow.has_all and b"FLUSHALL" in slow.stream, slow)
    assert slow.snapshot == quick.snapshot


async def test_who_comes_when_it_is_being_sent_or_is_written_for_nobody_waits_for_the_next(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    primary = Primary(tmp_path, nursery)
    assert primary.client("BGSAVE") == "Background saving started"
    primary.carry_out()
    first = Replica(primary)
    await primary.turns(2, first)
    assert primary.has_told(
        "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
    )
    primary.write("SET", "key:0", b"between them")
    await primary.turns_until(lambda: first.snapshot, first)
    second = Replica(primary, 7001)
    await primary.turns_until(lambda: first.has_all and second.has_all, first, second)
    assert b"between them" in first.snapshot
    assert primary.info("rdb_saves") == "3"


@pytest.mark.parametrize("is_kept", [False, True])
async def test_a_snapshot_nobody_waits_for_any_more_is_given_up_unless_there_are_save_points(
    tmp_path: Path, nursery: trio.Nursery, *, is_kept: bool
) -> None:
    primary = Primary(tmp_path, nursery, rdb_key_save_delay=1_000_000, save=A_DAY if is_kept else ())
    first, second = Replica(primary), Replica(primary, 7001)
    await primary.turns(3, first, second)
    first.leave()
    await primary.turns(3, second)
    assert primary.info("rdb_bgsave_in_progress") == "1"
    second.leave()
    await primary.turns(3)
    assert primary.info("rdb_bgsave_in_progress") == str(int(is_kept))
    if is_kept:
        third = Replica(primary)
        assert primary.has_told("Can't attach") is False
        await primary.turns(1, third)
        assert primary.has_told("Can't attach")
    primary.server.config.rdb_key_save_delay = 0
    await primary.turns_until(lambda: not primary.server.keyspace.snapshots)
    await primary.turns(3)
    assert primary.names() == (["dump.rdb"] if is_kept else [])


SAVING, SENDING = ["create", "write", "sync", "rename", "sync_folder"], ["open_to_read", "read_at"]


@pytest.mark.parametrize("call", SAVING + SENDING)
async def test_when_the_disk_fails_replicas_are_hung_up_on_and_come_back(
    tmp_path: Path, nursery: trio.Nursery, call: str
) -> None:
    primary = Primary(tmp_path, nursery)
    primary.disk.failing = call
    replicas = [Replica(primary), Replica(primary, 7001)]
    await primary.turns_until(lambda: any(replica.is_gone for replica in replicas), *replicas)
    assert primary.has_told("SYNC failed.")
    if call != "read_at":
        assert all(replica.is_gone for replica in replicas)
    assert primary.info("rdb_last_bgsave_status") == ("err" if call in SAVING else "ok")
    again = Replica(primary, 7002)
    await primary.turns_until(lambda: again.has_all, again)
    assert again.snapshot.count(VALUE) == KEYS
    for replica in replicas:
        replica.leave()
    await primary.turns(1)
    assert primary.names() == ["dump.rdb"]


async def test_a_flush_ends_what_is_written_of_what_is_no_more(tmp_path: Path, nursery: trio.Nursery) -> None:
    primary = Primary(tmp_path, nursery)
    replica = Replica(primary)
    await primary.turns_until(lambda: primary.has_told("Starting BGSAVE for SYNC with target: disk"))
    primary.write("FLUSHALL")
    await primary.turns_until(lambda: replica.is_gone, replica)
    assert not primary.file.exists()


async def test_who_knows_no_end_mark_is_told_the_size_but_gets_all_or_nothing(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    primary = Primary(tmp_path, nursery, repl_diskless_sync=True)
    old = primary.world.client("127.0.0.1:7001")
    old("REPLCONF", "rdb-filter-only", "functions")
    assert old("SYNC") == "ERR Filtered replica requires EOF capability"
    old = primary.world.client("127.0.0.1:7001")
    old.send(b"SYNC\r\n")
    received = []

    def is_online() -> bool:
        received.extend(old.session.out)
        old.session.out.clear()
        old.session.out_bytes = 0
        return "state=online" in primary.info("slave0")

    await primary.turns_until(is_online)
    size, _, rest = b"".join(received).partition(b"\r\n")
    assert size == b"$%d" % len(rest)
    assert rest == primary.file.read_bytes()


@pytest.mark.parametrize("saves", [(), A_DAY])
async def test_a_node_that_keeps_no_data_can_have_the_file_deleted(
    tmp_path: Path, nursery: trio.Nursery, saves: tuple[tuple[int, int], ...]
) -> None:
    primary = Primary(tmp_path, nursery, rdb_del_sync_files=True, save=saves)
    replica = Replica(primary)
    await primary.turns_until(lambda: replica.has_all, replica)
    await primary.turns(1)
    assert primary.file.exists() is bool(saves)
