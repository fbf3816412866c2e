"""Whole servers replicate each other without sockets: every byte goes by hand, in pieces of any size."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node import builtin_commands
from shoal.node.resp.writer import encode_command
from shoal.node.server.config import Config
from shoal.node.server.effects import ClosePrimaryLink, CloseSession, OpenPrimaryLink, SendToPrimary
from shoal.node.server.info import info_text
from shoal.node.server.server import Server
from shoal.node.server.session import Session
from tests.unit.server.client import fields

builtin_commands.load()
NOW_MS = 1_700_000_000_000


class Pair:
    """A primary and a replica, and the bytes between them that have not arrived."""

    def __init__(self, seed: int = 1) -> None:
        self.now_ms = NOW_MS
        self.primary = make_server(seed)
        self.replica = make_server(seed + 1)
        self.client = self.primary.connect("127.0.0.1:50000", "127.0.0.1:6379")
        self.at_primary: Session | None = None
        """The replica's client there, once connected."""
        self.link = 0
        self.to_replica: deque[bytes] = deque()

    def write(self, *words: bytes) -> None:
        self.primary.receive(self.client, encode_command(words))
        self.client.out.clear()

    def turn(self) -> None:
        """One turn of each; what the primary says is queued, what the replica says arrives."""
        self.now_ms += 100
        for server in (self.primary, self.replica):
            server.begin_turn(self.now_ms)
        self.carry_out()

    def carry_out(self) -> None:
        while self.replica.effects:
            effect = self.replica.effects.pop(0)
            if isinstance(effect, OpenPrimaryLink):
                self.link = effect.link
                self.at_primary = self.primary.connect("127.0.0.1:50001", "127.0.0.1:6379")
                following = self.replica.replication.followed_over(effect.link)
                assert following is not None
                following.opened()
            elif isinstance(effect, SendToPrimary) and self.at_primary is not None:
                self.primary.receive(self.at_primary, effect.data)
            elif isinstance(effect, ClosePrimaryLink):
                self.hang_up()
        for effect in self.primary.effects:
            if isinstance(effect, CloseSession) and effect.session is self.at_primary:
                self.cut()
        self.primary.effects.clear()
        if self.at_primary is not None:
            self.to_replica.extend(self.at_primary.out)
            self.at_primary.out.clear()
            self.at_primary.out_bytes = 0

    def deliver(self, size: int | None = None) -> None:
        """Bring the next bytes to the replica: so many of them, or all there are."""
        data = b"".join(self.to_replica)
        self.to_replica.clear()
        now, later = (data, b"") if size is None else (data[:size], data[size:])
        if later:
            self.to_replica.append(later)
        following = self.replica.replication.followed_over(self.link)
        if now and following is not None:
            following.received(now)
        self.carry_out()

    def cut(self) -> None:
        """The connection breaks; what was under way is lost. The replica opens the next one."""
        link = self.link
        self.hang_up()
        following = self.replica.replication.followed_over(link)
        if following is not None:
            following.closed("cut")
        self.carry_out()

    def hang_up(self) -> None:
        if self.at_primary is not None:
            self.primary.disconnect(self.at_primary)
        self.at_primary = None
        self.to_replica.clear()

    def settle(self) -> None:
        """Deliver until nothing is under way, and a little longer."""
        for _ in range(30):
            self.turn()
            self.deliver()


def make_server(seed: int) -> Server:
    config = Config()
    config.repl_diskless_sync_delay = 0
    return Server(config, Random(seed), lambda: 0, now_ms=NOW_MS, run_id="0" * 40)


def contents(server: Server) -> dict[tuple[int, bytes], object]:
    return {
        (database.index, key): bytes(value) if isinstance(value, bytes | bytearray) else list(value)
        for database in server.keyspace.databases
        for key in database.scan(0, 1000)[1]
        if (value := database.peek(key)) is not None
    }


def linked_pair() -> Pair:
    pair = Pair()
    pair.replica.follow_primary("127.0.0.1", 6379)
    pair.settle()
    assert pair.replica.replication.progress().primary_link_up
    return pair


keys = st.sampled_from([b"a", b"b", b"c"])
steps = st.one_of(
    st.tuples(st.just("set"), keys, st.binary(max_size=20)),
    st.tuples(st.just("append"), keys, st.binary(max_size=20)),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("select"), st.integers(0, 3)),
    st.tuples(st.just("transaction"), keys),
    st.tuples(st.just("flush")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("deliver"), st.integers(1, 300)),
    st.tuples(st.just("cut")),
    st.tuples(st.just("follow")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=60))
def test_a_replica_ends_up_with_its_primarys_data_whatever_happens_between(
    script: list[tuple[object, ...]],
) -> None:
    pair = Pair()
    for step in script:
        match step:
            case ("set", bytes(key), bytes(value)):
                pair.write(b"SET", key, value)
            case ("append", bytes(key), bytes(value)):
                pair.write(b"APPEND", key, value)
            case ("delete", bytes(key)):
                pair.write(b"DEL", key)
            case ("select", int(index)):
                pair.write(b"SELECT", b"%d" % index)
            case ("transaction", bytes(key)):
                for words in ((b"MULTI",), (b"APPEND", key, b"x"), (b"SET", b"d", b"1"), (b"EXEC",)):
                    pair.write(*words)
            case ("flush",):
                pair.write(b"FLUSHDB")
            case ("turn",):
                pair.turn()
            case ("deliver", int(size)):
                pair.deliver(size)
            case ("cut",):
                pair.cut()
            case ("follow",):
                pair.replica.follow_primary("127.0.0.1", 6379)
                pair.carry_out()
    pair.replica.follow_primary("127.0.0.1", 6379)
    pair.settle()
    primary, replica = pair.primary.replication, pair.replica.replication
    assert contents(pair.replica) == contents(pair.primary)
    assert (replica.history.replid, replica.history.offset) == (
        primary.history.replid,
        primary.history.offset,
    )


@pytest.mark.parametrize("missing", range(1, 60))
def test_a_transaction_cut_off_before_its_end_has_not_happened(missing: int) -> None:
    """A node promoted in the middle of one has neither its writes nor its bytes in the offset."""
    pair = linked_pair()
    before = pair.replica.replication.history.offset
    for words in ((b"MULTI",), (b"SET", b"a", b"1"), (b"SET", b"b", b"2"), (b"EXEC",)):
        pair.write(*words)
    pair.carry_out()
    pair.deliver(sum(map(len, pair.to_replica)) - missing)
    pair.replica.become_primary()
    selected = len(encode_command((b"SELECT", b"0")))
    assert contents(pair.replica) == {}
    assert pair.replica.replication.history.offset in (before, before + selected)


def test_a_replica_keeps_what_it_has_until_a_snapshot_is_complete() -> None:
    pair = Pair()
    pair.write(b"SET", b"new", b"x" * 1000)
    client = pair.replica.connect("127.0.0.1:50002", "127.0.0.1:6379")
    pair.replica.receive(client, encode_command((b"SET", b"old", b"1")))
    pair.replica.follow_primary("127.0.0.1", 6379)
    pair.carry_out()
    for _ in range(20):
        pair.turn()
        pair.deliver(100)
        incoming = pair.replica.replication.following and pair.replica.replication.following.incoming
        if incoming is not None and incoming.received > 200:
            break
    assert incoming is not None
    assert contents(pair.replica) == {(0, b"old"): b"1"}
    assert "async_loading:1" in info_text(pair.replica, ["persistence"])
    pair.settle()
    assert "async_loading:0" in info_text(pair.replica, ["persistence"])
    assert set(contents(pair.replica)) == {(0, b"new")}


def test_an_expired_key_goes_when_the_primary_says_so() -> None:
    pair = linked_pair()
    pair.write(b"SET", b"key", b"value", b"PX", b"250")
    pair.carry_out()
    pair.deliver()
    tables = pair.replica.keyspace.databases[0]
    pair.now_ms += 1000
    pair.replica.begin_turn(pair.now_ms)
    assert tables.peek(b"key") is None
    assert len(tables) == 1
    pair.settle()
    assert len(tables) == 0
    assert pair.replica.replication.history.offset == pair.primary.replication.history.offset


def test_del_removes_what_is_hidden_on_a_writable_replica() -> None:
    pair = linked_pair()
    pair.write(b"SET", b"key", b"value", b"PX", b"250")
    pair.carry_out()
    pair.deliver()
    server = pair.replica
    server.config.replica_read_only = False
    server.begin_turn(pair.now_ms + 1000)
    client = server.connect("127.0.0.1:50002", "127.0.0.1:6380")
    for words in ((b"EXISTS", b"key"), (b"DBSIZE",), (b"DEL", b"key"), (b"DBSIZE",)):
        server.receive(client, encode_command(words))
    assert b"".join(client.out) == b":0\r\n:1\r\n:1\r\n:0\r\n"


def test_a_silent_primary_is_given_up_and_a_silent_replica_hung_up_on() -> None:
    pair = linked_pair()
    pair.primary.replication.attached[0].last_seen_ms -= 61_000
    pair.now_ms += 100
    pair.primary.begin_turn(pair.now_ms)
    assert any(isinstance(effect, CloseSession) for effect in pair.primary.effects)
    link = pair.link
    pair.replica.begin_turn(pair.now_ms + 61_000)
    assert ClosePrimaryLink(link) in pair.replica.effects


def test_a_replica_that_takes_nothing_is_hung_up_on() -> None:
    pair = linked_pair()
    pair.primary.config.change([("client-output-buffer-limit", ["replica", "2mb", "0", "0"])])
    for _ in range(3):
        pair.write(b"SET", b"key", b"v" * 1_000_000)
    pair.primary.begin_turn(pair.now_ms + 1000)
    assert any(isinstance(effect, CloseSession) for effect in pair.primary.effects)


def test_an_unused_backlog_is_dropped_and_its_id_with_it() -> None:
    pair = linked_pair()
    replid = pair.primary.replication.history.replid
    pair.replica.become_primary()
    pair.carry_out()
    pair.primary.begin_turn(pair.now_ms + 3_600_500)
    assert pair.primary.replication.history.backlog is None
    assert pair.primary.replication.history.replid != replid


def test_a_link_that_says_anything_but_replconf_is_closed() -> None:
    pair = linked_pair()
    session = pair.at_primary
    assert session is not None
    pair.primary.receive(session, encode_command((b"PING",)))
    assert CloseSession(session) in pair.primary.effects
    assert not session.out


def test_what_was_applied_before_a_stream_broke_is_not_applied_again() -> None:
    pair = linked_pair()
    pair.write(b"INCR", b"counter")
    pair.carry_out()
    pair.to_replica.append(b"INCR counter\r\n")
    pair.deliver()
    assert pair.replica.replication.history.offset == pair.primary.replication.history.offset
    pair.settle()
    assert contents(pair.replica) == {(0, b"counter"): b"1"}


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_command_nobody_knows_ends_the_link_before_it(in_transaction: bool) -> None:
    pair = linked_pair()
    pair.write(b"SET", b"a", b"before")
    pair.carry_out()
    unknown = encode_command((b"FROM.THE.FUTURE", b"a"))
    pair.to_replica.append(encode_command((b"MULTI",)) + unknown if in_transaction else unknown)
    pair.deliver()
    assert not pair.replica.replication.progress().primary_link_up
    assert pair.replica.replication.history.offset == pair.primary.replication.history.offset
    assert contents(pair.replica) == {(0, b"a"): b"before"}
    pair.settle()
    assert pair.replica.replication.progress().primary_link_up
    assert pair.primary.replication.requested_full_syncs == 2, "all data come anew"


@pytest.mark.parametrize("words", [(b"SCAN", b"0", b"COUNT", b"1000"), (b"RANDOMKEY",)])
def test_expired_keys_that_a_command_comes_upon_go_one_by_one(words: tuple[bytes, ...]) -> None:
    pair = linked_pair()
    for key in (b"a", b"b", b"c"):
        pair.write(b"SET", key, b"v", b"PX", b"5000")
    pair.settle()
    pair.primary.active_expiry.is_on = False
    pair.primary.begin_turn(pair.now_ms + 10_000)
    pair.write(*words)
    pair.carry_out()
    told = b"".join(pair.to_replica)
    assert told.count(b"DEL") == 3
    assert b"MULTI" not in told


def test_counters_of_synchronizations_begin_again_with_the_others() -> None:
    pair = linked_pair()
    pair.cut()
    pair.settle()
    shown = info_text(pair.primary, ["stats"])
    assert "sync_full:1" in shown
    assert "sync_partial_ok:1" in shown
    pair.write(b"CONFIG", b"RESETSTAT")
    shown = info_text(pair.primary, ["stats"])
    assert "sync_full:0" in shown
    assert "sync_partial_ok:0" in shown


@pytest.mark.parametrize("in_cluster", [False, True])
def test_only_in_a_cluster_does_counting_begin_at_one(*, in_cluster: bool) -> None:
    server = make_server(1)
    server.config.cluster_enabled = in_cluster
    client = server.connect("127.0.0.1:50002", "127.0.0.1:6379")
    server.receive(client, encode_command((b"REPLCONF", b"capa", b"eof")))
    server.receive(client, encode_command((b"PSYNC", b"?", b"-1")))
    assert b"".join(client.out).split(b"\r\n")[1].endswith(b" %d" % in_cluster)


def test_a_snapshot_that_is_made_slowly_arrives_whole() -> None:
    pair = Pair()
    for key in range(5):
        pair.write(b"SET", b"%d" % key, b"x" * key)
    pair.primary.config.rdb_key_save_delay = 1_500_000  # longer than a keep-alive waits
    pair.replica.follow_primary("127.0.0.1", 6379)
    for _ in range(100):
        pair.turn()
        pair.deliver()
    assert pair.replica.replication.progress().primary_link_up
    assert contents(pair.replica) == contents(pair.primary)
    assert pair.primary.replication.requested_full_syncs == 1


def test_what_waits_for_a_replica_is_held_once_and_serves_whoever_comes_back_meanwhile() -> None:
    pair = linked_pair()
    server, replication = pair.primary, pair.primary.replication
    backlog = replication.history.backlog
    assert backlog is not None
    size = server.config.repl_backlog_size = 1024
    backlog.resize(size)
    for key in range(3):
        pair.write(b"SET", b"%d" % key, b"")
    pair.settle()
    server.config.rdb_key_save_delay = 1_000_000
    slow = server.connect("127.0.0.1:50002", "127.0.0.1:6379")
    server.receive(slow, encode_command((b"REPLCONF", b"capa", b"eof")))
    server.receive(slow, encode_command((b"PSYNC", b"?", b"-1")))
    pair.cut()
    for number in range(100):
        pair.write(b"SET", b"key", b"%0100d" % number)
    assert len(backlog) > 100 * 100 > size
    pair.settle()
    assert (replication.requested_full_syncs, replication.partial_syncs) == (2, 1)
    assert contents(pair.replica) == contents(pair.primary)
    replication.forget(slow)
    assert len(backlog) == size


def test_the_stream_follows_a_snapshot_without_a_gap() -> None:
    pair = Pair()
    pair.write(b"SET", b"key", b"before")
    server = pair.primary
    client = server.connect("127.0.0.1:50002", "127.0.0.1:6379")
    server.receive(client, encode_command((b"REPLCONF", b"capa", b"eof")))
    server.receive(client, encode_command((b"PSYNC", b"?", b"-1")))
    pair.write(b"SET", b"key", b"first")
    for _ in range(3):
        pair.turn()
    pair.write(b"SET", b"key", b"second")
    assert b"first" not in b"".join(client.out)
    server.receive(client, encode_command((b"REPLCONF", b"ACK", b"1")))
    pair.write(b"SET", b"key", b"third")
    received = b"".join(client.out)
    places = [received.index(value) for value in (b"before", b"first", b"second", b"third")]
    assert places == sorted(places)
    assert [received.count(value) for value in (b"first", b"second", b"third")] == [1, 1, 1]


def test_what_arrives_in_a_pause_is_not_applied_before_it_ends() -> None:
    pair = linked_pair()
    operator = pair.replica.connect("127.0.0.1:50002", "127.0.0.1:6380")
    pair.replica.receive(operator, encode_command([b"CLIENT", b"PAUSE", b"100000", b"WRITE"]))
    before = pair.replica.replication.history.offset
    for value in (b"1", b"2"):
        pair.write(b"SET", b"k", value)
        pair.turn()
        pair.deliver()
    shown = fields(info_text(pair.replica, ["replication"]))
    assert int(shown["slave_repl_offset"]) == before
    assert int(shown["slave_read_repl_offset"]) == pair.primary.replication.history.offset
    assert contents(pair.replica) != contents(pair.primary)
    pair.replica.receive(operator, encode_command([b"CLIENT", b"UNPAUSE"]))
    pair.turn()
    assert contents(pair.replica) == contents(pair.primary)
    assert pair.replica.replication.history.offset == pair.primary.replication.history.offset
