"""The order of a turn: append, fsync, everything else, then replicas and clients; crashes in between."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from shoal.cluster.effects import Level, Note
from shoal.node.resp.writer import encode_command
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.reactor import Reactor
from shoal.node.runtime.without_epoll import TO_READ
from shoal.node.server.attached_replica import ReplicaState
from shoal.node.server.effects import AppendToLog, SyncLog
from tests.unit.append_only_node import AofNode, loaded
from tests.unit.faulty_disk import Crash, FaultyDisk


@pytest.mark.parametrize(("policy", "first"), [("always", [AppendToLog, SyncLog]), ("no", [AppendToLog])])
def test_what_a_turn_changed_stands_before_everything_else_it_asked_for(
    tmp_path: Path, policy: str, first: list[type]
) -> None:
    node = AofNode(tmp_path, appendfsync=policy)
    node.start()
    node.server.effects.append(Note(Level.NOTICE, "asked for before the write"))
    node.server.receive(node.session, encode_command([b"SET", b"a", b"1"]))
    effects = node.server.take_effects()
    assert [type(effect) for effect in effects] == [*first, Note]
    assert not node.server.aof.pending
    assert not node.server.take_effects()


@pytest.mark.parametrize("call", ["write", "sync"])
async def test_nobody_is_told_of_a_write_before_it_is_durable(tmp_path: Path, call: str) -> None:
    disk = FaultyDisk(fault="crash")
    node = AofNode(tmp_path, disk, appendfsync="always", repl_diskless_sync_delay=0)
    node.start()
    async with trio.open_nursery() as nursery:
        reactor = node.node.reactor = Reactor(node.server, node.node, nursery)
        client, replica = _accepted(reactor), _accepted(reactor)
        _turn(reactor, replica, b"REPLCONF capa eof\r\nPSYNC ? -1\r\n")
        while node.server.replication.attached[0].state is not ReplicaState.AWAITING_ACK:
            reactor.turn([])
        _turn(reactor, replica, b"REPLCONF ACK 0\r\n")
        assert node.server.replication.attached[0].is_online
        _drain(replica)
        _turn(reactor, client, b"SET acknowledged 1\r\n")
        assert _drain(client) == b"+OK\r\n"
        assert b"acknowledged" in _drain(replica)
        disk.at = len(disk.calls) + ["write", "sync"].index(call)
        with pytest.raises(Crash):
            _turn(reactor, client, b"SET lost 1\r\n")
        assert _drain(client) == _drain(replica) == b""
        for session in list(node.server.sessions.values()):
            reactor.close_session(session)
        for sock in (client, replica):
            sock.close()
    assert loaded(tmp_path).run("KEYS", "*") == ["acknowledged"]


def _accepted(reactor: Reactor) -> socket.socket:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    reactor.accept(theirs)
    return ours


def _turn(reactor: Reactor, sock: socket.socket, data: bytes) -> None:
    """One turn of the node in which this client's bytes are read."""
    sock.send(data)
    reactor.turn([(fd, TO_READ) for fd in reactor.connections])


def _drain(sock: socket.socket) -> bytes:
    found = b""
    while True:
        try:
            found += sock.recv(65536)
        except BlockingIOError:
            return found


class SlowDisk(Disk):
    """An fsync lasts until the test lets it end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def sync(self, fd: int) -> None:
        self.may_end.wait(30)


async def test_a_late_fsync_holds_up_writes_for_two_seconds_and_no_longer(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.may_end.set()
    node = AofNode(tmp_path, disk, appendfsync="everysec")
    node.start()
    increment, aof = node.append_only.files.path("appendonly.aof.1.incr.aof"), node.server.aof
    async with trio.open_nursery() as nursery:
        node.append_only.run_with(nursery.start_soon)
        disk.may_end.clear()
        node.run("SET", "a", "1")
        node.look(1.5)
        await trio.testing.wait_all_tasks_blocked()
        assert aof.pending_fsyncs == 1
        node.now += 0.5
        size = increment.stat().st_size
        node.run("SET", "b", "1")
        assert (aof.unwritten_bytes, increment.stat().st_size > size) == (0, True), "it is not late yet"
        node.now += 1.0
        size = increment.stat().st_size
        assert node.run("SET", "c", "1") == "OK"
        node.look(1.9)
        assert (aof.unwritten_bytes > 0, increment.stat().st_size, aof.delayed_fsyncs) == (True, size, 0)
        node.look(0.2)
        assert (aof.unwritten_bytes, increment.stat().st_size > size, aof.delayed_fsyncs) == (0, True, 1)
        disk.may_end.set()
    assert loaded(tmp_path).digest == node.digest


async def test_an_fsync_that_fails_stops_writes_until_one_succeeds_and_all_data_are_written_anew(
    tmp_path: Path,
) -> None:
    disk = FaultyDisk(fault="EIO")
    node = AofNode(tmp_path, disk, appendfsync="everysec")
    node.start()
    async with trio.open_nursery() as nursery:
        node.append_only.run_with(nursery.start_soon)
        node.run("SET", "a", "1")
        disk.at = len(disk.calls)
        node.look(1.5)
        while node.server.aof.sync_error is None:
            await trio.lowlevel.checkpoint()
        assert node.run("SET", "b", "1") == "MISCONF Errors writing to the AOF file: Input/output error"
        assert node.run("GET", "a") == "1"
        while node.server.aof.sync_error is not None:
            node.look(1.5)
            await trio.testing.wait_all_tasks_blocked()
        assert node.run("SET", "b", "1") == "OK"
        node.look()
        assert node.server.aof.rewrites == 1
        await node.rewrite_done()
    assert loaded(tmp_path).run("DBSIZE") == 2
