"""Fields that expire, beside the comparison with Redis 8: in time, in the stream, on disk, on replicas."""

from __future__ import annotations

import pytest

from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.persistence.aof_writer import commands_for
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.persistence.rdb_writer import RdbWriter
from shoal.node.server.append_only import AofState
from tests.unit.server.client import NOW_MS, Client, World, fields

LATER = NOW_MS + 1_000_000


@pytest.fixture
def world() -> World:
    return World(enable_debug_command="yes")


@pytest.fixture
def client(world: World) -> Client:
    return world.client()


@pytest.fixture
def told(world: World) -> list[tuple[bytes, ...]]:
    """What replicas and the append-only file are told."""
    stream: list[tuple[bytes, ...]] = []
    log = world.server.aof
    log.append = lambda operations, rendered: stream.extend(tuple(words) for _, words in operations)  # type: ignore[method-assign]
    log.record(AofState.ON, recording=True)
    return stream


def told_of(told: list[tuple[bytes, ...]]) -> list[str]:
    found = [b" ".join(words).decode() for words in told]
    told.clear()
    return found


@pytest.fixture
def events(world: World, client: Client) -> Client:
    client("CONFIG", "SET", "notify-keyspace-events", "EA")
    listener = world.client()
    listener("PSUBSCRIBE", "__keyevent*")
    return listener


def heard(events: Client) -> list[str]:
    return [f"{channel.partition('__:')[2]} {key}" for *_, channel, key in events.received()]


def test_fields_go_by_themselves_and_the_hash_with_the_last(
    world: World, client: Client, events: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client("HSET", "h", "a", 1, "b", 2, "c", 3)
    client("HPEXPIRE", "h", 50, "FIELDS", 1, "a")
    client("HPEXPIRE", "h", 90, "FIELDS", 2, "b", "c")
    heard(events)
    database = world.server.keyspace.databases[0]
    world.pass_time(60)
    assert list(database.stored(b"h")) == [b"b", b"c"]  # type: ignore[arg-type]
    assert heard(events) == ["hexpired h"]
    world.pass_time(60)
    assert database.stored(b"h") is None
    assert heard(events) == ["hexpired h", "del h"]
    assert not database.expiring_hashes.count
    assert fields(client("INFO", "stats"))["expired_subkeys"] == "3"


def test_what_replicas_are_told_is_what_redis_tells_them(world: World, told: list[tuple[bytes, ...]]) -> None:
    world.server.aof.record(AofState.ON, recording=True)
    client = world.client()
    for line, expected in {
        "HSET h a 1 b 2 c 3 d 4": ["HSET h a 1 b 2 c 3 d 4"],
        "HEXPIRE h 100 FIELDS 2 a zz": [f"HPEXPIREAT h {NOW_MS + 100_000} FIELDS 1 a"],
        "HEXPIRE h 100 NX FIELDS 2 a b": [f"HPEXPIREAT h {NOW_MS + 100_000} NX FIELDS 1 b"],
        "HEXPIRE h 100 GT FIELDS 1 a": [],
        "HPEXPIRE h 0 FIELDS 2 b zz": ["HDEL h b"],
        "HPERSIST h FIELDS 2 a c": ["HPERSIST h FIELDS 2 a c"],
        "HPERSIST h FIELDS 1 zz": [],
        "HGETEX h EX 100 FIELDS 2 a zz": [f"HPEXPIREAT h {NOW_MS + 100_000} FIELDS 2 a zz"],
        "HGETEX h PERSIST FIELDS 2 a c": ["HPERSIST h FIELDS 2 a c"],
        "HGETEX h PERSIST FIELDS 1 c": [],
        "HGETEX h FIELDS 2 a c": [],
        "HGETEX h PXAT 1 FIELDS 1 c": ["HDEL h c"],
        "HSETEX h FIELDS 1 a 5": ["HSETEX h FIELDS 1 a 5"],
        "HSETEX h EX 100 FIELDS 2 a 5 e 6": [f"HSETEX h PXAT {NOW_MS + 100_000} FIELDS 2 a 5 e 6"],
        "HSETEX h FNX EX 100 FIELDS 1 a 6": [],
        "HSETEX h KEEPTTL FIELDS 1 a 6": ["HSETEX h KEEPTTL FIELDS 1 a 6"],
        "HSETEX h PXAT 1 FIELDS 1 e 6": ["HDEL h e"],
        "HSETEX h2 PXAT 1 FIELDS 1 e 6": ["HDEL h2 e"],
        "HGETDEL h FIELDS 2 a zz": ["HDEL h a zz"],
        "HGETDEL h FIELDS 2 zz yy": [],
        "HGETDEL h FIELDS 1 d": ["HDEL h d"],
    }.items():
        client(*line.split())
        assert told_of(told) == expected, line


def test_the_events_are_those_of_redis(world: World, client: Client, events: Client) -> None:
    for line, expected in {
        "HSET h a 1 b 2 c 3 d 4": ["hset h"],
        "HEXPIRE h 100 FIELDS 2 a zz": ["hexpire h"],
        "HEXPIRE h 100 GT FIELDS 2 a zz": [],
        "HPEXPIRE h 0 FIELDS 2 b zz": ["hdel h"],
        "HPERSIST h FIELDS 2 a c": ["hpersist h"],
        "HGETEX h EX 100 FIELDS 2 a zz": ["hexpire h"],
        "HGETEX h PERSIST FIELDS 2 a c": ["hpersist h"],
        "HGETEX h FIELDS 2 a c": [],
        "HGETEX h PXAT 1 FIELDS 1 c": ["hdel h"],
        "HSETEX h FIELDS 1 a 5": ["hset h"],
        "HSETEX h EX 100 FIELDS 2 a 5 e 6": ["hset h", "hexpire h"],
        "HSETEX h PXAT 1 FIELDS 1 e 6": ["hset h", "hdel h"],
        "HSETEX h2 PXAT 1 FIELDS 1 e 6": ["hset h2", "hdel h2", "del h2"],
        "HGETDEL h FIELDS 2 a zz": ["hdel h"],
        "HGETDEL h FIELDS 1 d": ["hdel h", "del h"],
    }.items():
        client(*line.split())
        assert heard(events) == expected, line


def test_a_look_at_a_hash_removes_what_is_over_and_is_not_itself_told_on(
    world: World, client: Client, told: list[tuple[bytes, ...]]
) -> None:
    world.server.aof.record(AofState.ON, recording=True)
    client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    client("HSET", "h", "a", 1, "b", 2)
    client("HPEXPIRE", "h", 5, "FIELDS", 2, "a", "b")
    client("HSET", "i", "a", 1, "b", 2)
    client("HPEXPIRE", "i", 5, "FIELDS", 1, "a")
    told.clear()
    world.pass_time(10)
    assert client("HGETALL", "h") == []
    assert client("EXISTS", "h") == 0
    assert client("HLEN", "i") == 1
    assert told_of(told) == ["HDEL h a b", "HDEL i a"]
    assert client("HSET", "i", "a", 3) == 1
    assert client("HTTL", "i", "FIELDS", 1, "a") == [-1]


def test_a_replica_hides_what_is_over_and_keeps_it(world: World, client: Client) -> None:
    client("HSET", "h", "a", 1, "b", 2)
    client("HPEXPIRE", "h", 5, "FIELDS", 1, "a")
    world.server.keyspace.expiry_mode = ExpiryMode.HIDE
    world.pass_time(10)
    assert client("HGETALL", "h") == ["b", "2"]
    assert client("HGET", "h", "a") is None
    assert len(world.server.keyspace.databases[0].stored(b"h")) == 2  # type: ignore[arg-type]
    world.server.keyspace.expiry_mode = ExpiryMode.IGNORE
    assert client("HGET", "h", "a") == "1"


def test_a_watched_hash_changes_when_a_field_goes(world: World, client: Client) -> None:
    client("HSET", "h", "a", 1, "b", 2)
    client("HPEXPIRE", "h", 5, "FIELDS", 1, "a")
    client("WATCH", "h")
    world.pass_time(50)
    client("MULTI")
    client("PING")
    assert client("EXEC") is None


def saved_and_loaded(keyspace: Keyspace) -> Keyspace:
    writer = RdbWriter()
    writer.header({})
    walk = SlotWalk(keyspace, writer)
    while not walk.step(1000):
        pass
    writer.end()
    fresh = Keyspace(len(keyspace.databases))
    fresh.now_ms = keyspace.now_ms
    RdbLoader(fresh).apply(RdbReader().feed(writer.take()))
    return fresh


@pytest.mark.parametrize("size", [3, 5000])
def test_a_snapshot_keeps_times_to_live_and_goes_on_with_them(
    world: World, client: Client, size: int
) -> None:
    """The larger one is written in pieces."""
    client("HSET", "h", *[word for number in range(size) for word in (f"f{number}", number)])
    client("HPEXPIREAT", "h", LATER, "FIELDS", 2, "f0", "f2")
    client("HPEXPIREAT", "h", LATER + 7, "FIELDS", 1, "f1")
    loaded = saved_and_loaded(world.server.keyspace).databases[0]
    value = loaded.read_hash(b"h")
    assert value == world.server.keyspace.databases[0].read_hash(b"h")
    assert value is not None
    assert value.deadlines.at == {b"f0": LATER, b"f1": LATER + 7, b"f2": LATER}
    assert loaded.expiring_hashes.next() == (LATER, b"h")


def test_a_snapshot_says_the_lowest_version_that_can_hold_it(client: Client, world: World) -> None:
    def version() -> bytes:
        save = RdbSave(world.server.keyspace, {})
        data = save.step(1000)
        save.stop()
        return data[:9]

    client("HSET", "h", "a", 1, "b", 2)
    assert version() == b"REDIS0010"
    client("HPEXPIREAT", "h", LATER, "FIELDS", 1, "b")
    assert version() == b"REDIS0012"
    client("HPERSIST", "h", "FIELDS", 1, "b")
    assert version() == b"REDIS0010"


def test_a_rewritten_log_keeps_times_to_live(client: Client, world: World) -> None:
    client("HSET", "h", "a", 1, "b", 2)
    client("HPEXPIREAT", "h", LATER, "FIELDS", 1, "b")
    value = world.server.keyspace.databases[0].stored(b"h")
    assert value is not None
    assert list(commands_for(b"h", value, None)) == [
        (b"HMSET", b"h", b"a", b"1", b"b", b"2"),
        (b"HPEXPIREAT", b"h", b"%d" % LATER, b"FIELDS", b"1", b"b"),
    ]


def test_what_was_deleted_or_replaced_expires_nothing_later(world: World, client: Client) -> None:
    client("HSET", "h", "a", 1)
    client("HPEXPIRE", "h", 50, "FIELDS", 1, "a")
    client("DEL", "h")
    client("HSET", "h", "a", 2)
    client("HSET", "i", "a", 1)
    client("HPEXPIRE", "i", 50, "FIELDS", 1, "a")
    client("SET", "i", "string")
    world.pass_time(100)
    assert client("HGET", "h", "a") == "2"
    assert client("GET", "i") == "string"
