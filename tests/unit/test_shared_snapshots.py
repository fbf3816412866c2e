"""Replicas that ask for all data within a while get one snapshot together, and none is in another's way."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from shoal.cluster.effects import Note
from shoal.node import builtin_commands
from shoal.node.replication.replica import (
    SnapshotBegins,
)
from shoal.node.resp.writer import encode_command
from shoal.node.server.config import Config
from shoal.node.server.effects import CloseSession
from shoal.node.server.full_sync import MOST_IN_A_PART
from shoal.node.server.info import info_text
from shoal.node.server.server import Server
from shoal.node.server.shared_snapshot import (
    BYTES_SENT_AT_ONCE,
    IDLE_BYTES_PER_TURN,
    LEAST_BYTES_PER_TURN,
    MOST_BYTES_PER_TURN,
    QUIET_MS,
    share_of_turn,
)
from tests.unit.replica_end import ReplicaEnd

builtin_commands.load()
NOW_MS = 1_700_000_000_000
KEYS = 40
VALUE = b"v" * 20_000


class Primary:
    """A server with some data, its clock, and a client that writes."""

    def __init__(self, *, delay: int = 5, most: int = 0) -> None:
        config = Config()
        config.repl_diskless_sync_delay = delay
        config.repl_diskless_sync_max_replicas = most
        self.now_ms = NOW_MS
        self.server = Server(config, Random(1), lambda: 0, now_ms=NOW_MS, run_id="0" * 40)
        self.client = self.server.connect("127.0.0.1:50000", "127.0.0.1:6379")
        for number in range(KEYS):
            self.write(b"SET", b"key:%d" % number, VALUE)

    def write(self, *words: bytes) -> None:
        self.server.receive(self.client, encode_command(words))
        self.client.out.clear()

    def turns(self, count: int, *replicas: Replica, ms: int = 100) -> None:
        """So many turns, after each of which these replicas take what there is for them."""
        for _ in range(count):
            self.now_ms += ms
            self.server.begin_turn(self.now_ms)
            for effect in self.server.effects:
                if isinstance(effect, CloseSession):
                    self.server.disconnect(effect.session)
            self.server.effects.clear()
            for replica in replicas:
                replica.take()

    def info(self) -> str:
        return info_text(self.server, ["replication", "persistence"])


class Replica(ReplicaEnd):
    """Of such a primary."""

    def __init__(self, primary: Primary, *, port: int = 7000) -> None:
        super().__init__(primary.server, port)


def test_who_asks_within_the_delay_gets_the_same_snapshot() -> None:
    primary = Primary()
    first = Replica(primary)
    primary.turns(20, first)
    second = Replica(primary)
    primary.write(b"SET", b"key:0", b"before it begins")
    primary.turns(20, first, second)
    assert primary.info().count("state=wait_bgsave") == 2
    assert "rdb_bgsave_in_progress:0" in primary.info()
    assert not first.snapshot
    primary.turns(15, first, second)
    assert "state=send_bulk" in primary.info()
    primary.write(b"SET", b"key:1", b"while it is made")
    primary.turns(200, first, second)
    assert first.has_all
    assert second.snapshot == first.snapshot
    assert b"before it begins" in first.snapshot
    assert b"while it is made" not in first.snapshot
    for replica in (first, second):
        replica.acknowledge()
        replica.take()
        assert replica.stream.count(b"while it is made") == 1
    told = [effect.text for effect in primary.server.effects if isinstance(effect, Note)]
    assert sum(text.startswith("Synchronization with replica") for text in told) == 2
    assert primary.server.statistics.snapshots_begun == 1
    assert "rdb_bgsave_in_progress:0" in primary.info()


def test_those_who_wait_hear_that_we_live() -> None:
    primary = Primary(delay=60)
    replica = Replica(primary)
    primary.turns(100, replica)
    assert replica.raw.endswith(b"+OK\r\n" + 10 * b"\n")


def test_enough_replicas_begin_at_once() -> None:
    primary = Primary(most=2)
    first = Replica(primary)
    primary.turns(1, first)
    assert not first.snapshot
    second = Replica(primary)
    primary.turns(1, first, second)
    assert first.snapshot
    assert second.snapshot


def test_who_comes_before_the_first_part_is_sent_joins() -> None:
    primary = Primary(delay=0)
    primary.server.config.rdb_key_save_delay = 1_000_000
    ask = [(b"REPLCONF", b"capa", b"eof"), (b"PSYNC", b"?", b"-1")]
    first, second = (primary.server.connect(f"127.0.0.1:{port}", "127.0.0.1:6379") for port in (7000, 7001))
    for words in ask:
        primary.server.receive(first, encode_command(words))
    primary.turns(5)
    primary.write(b"SET", b"key:0", b"after it was taken")
    for words in ask:
        primary.server.receive(second, encode_command(words))
    primary.server.config.rdb_key_save_delay = 0
    received = {first: b"", second: b""}
    for _ in range(300):
        primary.turns(1)
        for session in received:
            received[session] += b"".join(session.out).replace(b"\n\n", b"\n")
            session.out.clear()
            session.out_bytes = 0
    for session in received:
        primary.server.receive(session, encode_command((b"REPLCONF", b"ACK", b"1")))
        received[session] += b"".join(session.out)
    assert primary.server.statistics.snapshots_begun == 1
    told = [data[data.index(b"+FULLRESYNC") :].replace(b"\r\n\n", b"\r\n") for data in received.values()]
    assert told[0] == told[1]
    assert told[0].count(b"after it was taken") == 1
    assert told[0].count(VALUE) == KEYS


def test_who_asks_for_other_parts_gets_a_snapshot_of_its_own() -> None:
    primary = Primary()
    whole = Replica(primary)
    other = primary.server.connect("127.0.0.1:7001", "127.0.0.1:6379")
    for words in (
        (b"REPLCONF", b"capa", b"eof", b"rdb-only", b"1", b"rdb-filter-only", b"functions"),
        (b"PSYNC", b"?", b"-1"),
    ):
        primary.server.receive(other, encode_command(words))
    primary.turns(300, whole)
    assert whole.has_all
    assert primary.server.statistics.snapshots_begun == 2
    assert VALUE not in b"".join(other.out)


@pytest.mark.parametrize("is_last", [True, False])
def test_one_that_drops_out_leaves_the_others_unharmed(*, is_last: bool) -> None:
    primary = Primary(delay=0, most=0)
    primary.server.config.repl_diskless_sync_delay = 1
    first, second = Replica(primary), Replica(primary, port=7001)
    primary.turns(15, first, second)
    assert first.snapshot
    assert not first.has_all
    first.leave()
    if is_last:
        second.leave()
        assert not primary.server.keyspace.snapshots
        assert "rdb_bgsave_in_progress:0" in primary.info()
        return
    primary.turns(200, second)
    assert second.has_all
    assert second.snapshot.count(VALUE) == KEYS


def test_one_that_takes_nothing_is_hung_up_on_and_the_others_go_on() -> None:
    primary = Primary(delay=1)
    primary.server.config.repl_timeout = 10
    stuck, slow = Replica(primary), Replica(primary, port=7001)
    primary.turns(100, slow)
    assert not slow.has_all
    assert len(primary.server.replication.attached) == 2
    while not slow.has_all:
        primary.turns(1, slow)
    assert [replica.session for replica in primary.server.replication.attached] == [slow.session]
    assert slow.snapshot.count(VALUE) == KEYS
    assert stuck.session.closing


def test_one_that_takes_little_at_a_time_is_borne_with() -> None:
    primary = Primary(delay=0)
    primary.server.config.repl_timeout = 10
    primary.write(b"SET", b"large", b"v" * 2_000_000)
    replica = Replica(primary)
    taken = 0
    while primary.server.keyspace.snapshots or replica.session.out_bytes:
        primary.turns(1, ms=5000)
        replica.session.out_bytes = max(0, replica.session.out_bytes - 10_000)
        taken += 1
    assert taken > 50
    assert not replica.session.closing
    primary.turns(5, ms=5000)
    assert replica.session.closing


def test_a_flush_ends_what_would_be_deleted_on_arrival() -> None:
    primary = Primary(delay=0)
    replica = Replica(primary)
    primary.turns(5, replica)
    assert replica.snapshot
    primary.write(b"FLUSHALL")
    primary.turns(1)
    assert replica.session.closing
    assert not primary.server.keyspace.snapshots


def test_a_slowed_snapshot_lasts_as_long_as_it_has_keys_whoever_overwrites_them() -> None:
    primary = Primary(delay=0)
    primary.server.config.rdb_key_save_delay = 1_000_000
    replica = Replica(primary)
    primary.turns(5, replica)
    assert not replica.snapshot
    for number in range(KEYS):
        primary.write(b"SET", b"key:%d" % number, b"new")
    primary.turns(KEYS * 10 - 20, replica)
    assert replica.raw.count(VALUE) == KEYS
    assert not replica.has_all
    primary.turns(30, replica)
    assert replica.has_all


def test_a_snapshot_is_no_longer_slowed_once_the_delay_is_taken_back() -> None:
    primary = Primary(delay=0)
    primary.server.config.rdb_key_save_delay = 1_000_000_000
    replica = Replica(primary)
    primary.turns(5, replica)
    primary.server.config.rdb_key_save_delay = 0
    primary.turns(200, replica)
    assert replica.has_all


def test_the_more_clients_send_the_more_of_a_snapshot_a_turn_makes_but_never_much() -> None:
    assert share_of_turn(0, quiet_ms=QUIET_MS + 1) == IDLE_BYTES_PER_TURN
    for received in (0, 1, LEAST_BYTES_PER_TURN):
        assert share_of_turn(received, quiet_ms=0) == LEAST_BYTES_PER_TURN
    assert share_of_turn(10_000, quiet_ms=0) == 10_000
    assert share_of_turn(1 << 30, quiet_ms=0) == MOST_BYTES_PER_TURN


def test_beside_clients_a_turn_makes_a_little_and_alone_it_makes_more() -> None:
    primary = Primary(delay=0)
    primary.write(b"FLUSHALL")
    for number in range(20_000):
        primary.write(b"SET", b"small:%d" % number, b"v")
    replica = Replica(primary)
    primary.turns(1, replica)
    [walk] = primary.server.keyspace.snapshots
    told = [walk.told]
    for is_busy in (False, True):
        for _ in range(8):
            if is_busy:
                primary.write(b"SET", b"new", b"v")
            primary.turns(1, replica)
        told.append(walk.told)
    idle, busy = (now - before for before, now in pairwise(told))
    assert idle > 3 * busy > 0


@pytest.mark.parametrize("changed", [b"other", b"small"])
def test_a_turn_tells_as_many_keys_whether_clients_change_them_or_others(*, changed: bytes) -> None:
    primary = Primary(delay=0)
    primary.write(b"FLUSHALL")
    for number in range(5000):
        primary.write(b"SET", b"small:%05d" % number, b"v" * 50)
    replica = Replica(primary)
    [walk] = primary.server.keyspace.snapshots
    primary.turns(1, replica)
    primary.write(b"PING")
    primary.turns(1, replica)
    before = walk.told
    for turn in range(10):
        for number in range(20):
            primary.write(b"SET", b"%b:%05d" % (changed, turn * 20 + number), b"v")
        primary.turns(1, replica)
    size = len(b"small:00000") + 50 + 3
    assert walk.told - before == pytest.approx(10 * LEAST_BYTES_PER_TURN / size, rel=0.05)


def test_parts_are_sent_many_turns_worth_at_once_but_the_first_right_away() -> None:
    primary = Primary(delay=0)
    primary.write(b"FLUSHALL")
    for number in range(20_000):
        primary.write(b"SET", b"small:%d" % number, b"v")
    replica, sizes = Replica(primary), list[int]()
    while primary.server.keyspace.snapshots:
        before = len(replica.raw)
        primary.turns(1, replica)
        primary.write(b"SET", b"new", b"v")
        sizes.append(len(replica.raw) - before)
    assert sizes[0] > 0
    assert 0 in sizes
    assert min(size for size in sizes[1:-1] if size) >= BYTES_SENT_AT_ONCE


def test_what_changes_made_it_tell_while_a_replica_took_nothing_goes_out_in_parts() -> None:
    primary = Primary(delay=0)
    replica = Replica(primary)
    while primary.server.replication.full_syncs.wants_turn:
        primary.turns(1)
    for number in range(KEYS):
        primary.write(b"SET", b"key:%d" % number, b"new")
        primary.turns(1)
    replica.take()
    assert replica.snapshot.count(VALUE) < KEYS // 2
    while not replica.has_all:
        before = len(replica.raw)
        primary.turns(1, replica)
        assert len(replica.raw) - before < MOST_IN_A_PART + 2 * len(VALUE)
    assert replica.snapshot.count(VALUE) == KEYS


def test_an_answer_before_the_snapshot_names_where_it_was_taken() -> None:
    primary = Primary()
    first = Replica(primary)
    primary.turns(10, first)
    primary.write(b"SET", b"key:0", b"counted")
    offset = primary.server.replication.history.offset
    primary.turns(45, first)
    begun = next(event for event in first.events if isinstance(event, SnapshotBegins))
    assert begun.offset == offset


def test_info_tells_how_far_a_snapshot_is_and_what_writes_copied_into_it() -> None:
    primary = Primary(delay=0)
    assert "current_save_keys_total:0" in primary.info()
    primary.server.config.rdb_key_save_delay = 1_000_000
    replica = Replica(primary)
    primary.turns(5, replica)
    assert "current_cow_size:0" in primary.info()
    primary.write(b"APPEND", b"key:0", b"more")
    found = dict(line.split(":", 1) for line in primary.info().splitlines() if ":" in line)
    assert found["current_save_keys_total"] == str(KEYS)
    assert found["current_save_keys_processed"] == "1"
    assert found["current_fork_perc"] == "2.50"
    assert len(VALUE) < int(found["current_cow_size"]) < len(VALUE) + 100
