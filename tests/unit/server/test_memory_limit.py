"""maxmemory: what is evicted under which policy, what is refused, and who is told.

The memory in use is what the test's host says: the bytes of all keys, counted one by one, and of commands
that are not complete.
"""

from __future__ import annotations

from random import Random

import pytest

from shoal.node.dataset.frequencies import NEW, CountingRules, Frequencies
from shoal.node.dataset.sizes import key_bytes
from shoal.node.server.append_only import AofState
from shoal.node.server.entries import WRITES
from shoal.node.server.host import NoHost
from shoal.node.server.memory_limit import EMPTY_SERVER_BYTES
from shoal.node.server.server import Server
from tests.unit.server.client import NOW_MS, Client, World, fields

REFUSED = "OOM command not allowed when used memory > 'maxmemory'."
VALUE = "v" * 1000
MINUTE_MS = 60_000


class CountingHost(NoHost):
    """Memory is keys and values, what clients have sent of unfinished commands, and nothing else."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.measured = 0

    def heap_bytes(self) -> int:
        self.measured += 1
        unfinished = sum(session.parser.buffered for session in self.server.sessions.values())
        return unfinished + sum(
            key_bytes(key, value, expires=database.expiry(key) is not None, samples=0)
            for database in self.server.keyspace.databases
            for table in database.tables
            for key, value in table.items()
        )


@pytest.fixture
def world() -> World:
    world = World()
    world.server.host = CountingHost(world.server)
    return world


@pytest.fixture
def client(world: World) -> Client:
    return world.client()


def limit(world: World, policy: str, extra_bytes: int, **directives: int) -> None:
    """Allow so many bytes beyond what is used now."""
    options = [word for name, value in directives.items() for word in (name.replace("_", "-"), value)]
    allowed = max(world.server.memory.used_bytes() + extra_bytes, 1)
    assert world.client()("CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", allowed, *options) == "OK"


def fill(client: Client, count: int, *options: str | int, prefix: str = "key") -> list[str]:
    keys = [f"{prefix}:{number}" for number in range(count)]
    for key in keys:
        assert client("SET", key, VALUE, *options) == "OK"
    return keys


def remaining(client: Client, keys: list[str]) -> set[str]:
    return {key for key in keys if client("EXISTS", key)}


ALL_POLICIES = [
    f"{scope}-{order}"
    for scope, orders in {
        "allkeys": ("lru", "lfu", "random"),
        "volatile": ("lru", "lfu", "random", "ttl"),
    }.items()
    for order in orders
]


@pytest.mark.parametrize("policy", ALL_POLICIES)
def test_memory_stays_below_the_limit_and_only_keys_that_may_go_do(
    world: World, client: Client, policy: str
) -> None:
    kept = fill(client, 20, prefix="kept") if policy.startswith("volatile") else []
    limit(world, policy, 30_000)
    fill(client, 200, "EX", 1000)
    world.pass_time(1)
    assert world.server.memory.used_bytes() <= world.server.config.maxmemory
    assert client("DBSIZE") < 60
    assert remaining(client, kept) == set(kept)
    assert world.server.keyspace.evicted > 150


def test_the_longest_unused_go_first(world: World, client: Client) -> None:
    keys = fill(client, 40)
    world.pass_time(1000)
    used = keys[::2]
    for key in used:
        client("GET", key)
    limit(world, "allkeys-lru", -8_000, maxmemory_samples=40)
    world.pass_time(1)
    left = remaining(client, keys)
    assert set(used) <= left
    assert len(left) < 30


def test_the_seldom_used_go_first(world: World, client: Client) -> None:
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    keys = fill(client, 40)
    used = keys[:20]
    for key in used:
        for _ in range(10):
            client("GET", key)
    limit(world, "allkeys-lfu", -8_000, maxmemory_samples=40)
    world.pass_time(1)
    assert set(used) <= remaining(client, keys)


def test_the_next_to_expire_go_first(world: World, client: Client) -> None:
    for number in range(40):
        client("SET", f"key:{number}", VALUE, "EX", 1000 + number * 10)
    client("EXPIRE", "key:0", 9999)
    limit(world, "volatile-ttl", -10_000)
    world.pass_time(1)
    left = sorted(int(key.split(":")[1]) for key in remaining(client, [f"key:{n}" for n in range(40)]))
    assert left == [0, *range(40 - len(left) + 1, 40)]


def test_evictions_are_told_to_replicas_counted_and_announced(world: World, client: Client) -> None:
    keys = fill(client, 5)
    client("CONFIG", "SET", "notify-keyspace-events", "Ee")
    listener, tracker = world.client(), world.client()
    listener("SUBSCRIBE", "__keyevent@0__:evicted")
    tracker("HELLO", 3)
    tracker("CLIENT", "TRACKING", "on")
    tracker("MGET", *keys)
    told: list[tuple[bytes, ...]] = []
    log = world.server.aof
    log.append = lambda operations, rendered: told.extend(tuple(words) for _, words in operations)  # type: ignore[method-assign]
    log.record(AofState.ON, recording=True)
    limit(world, "allkeys-random", -1_000_000)
    world.pass_time(1)
    assert client("DBSIZE") == 0
    assert sorted(told) == [(b"DEL", key.encode()) for key in keys]
    assert sorted(message[2] for message in listener.received()) == keys
    assert sorted(message[1][0] for message in tracker.received()) == keys
    assert fields(client("INFO", "stats"))["evicted_keys"] == "5"
    client("CONFIG", "RESETSTAT")
    assert fields(client("INFO", "stats"))["evicted_keys"] == "0"


def test_what_a_clients_own_command_has_evicted_it_hears_before_the_answer(
    world: World, client: Client
) -> None:
    client("HELLO", 3)
    client("CLIENT", "TRACKING", "on")
    client("SET", "old", VALUE)
    client("GET", "old")
    limit(world, "allkeys-lru", 100)
    world.pass_time(1000)
    client("SET", "k", VALUE)
    client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nj\r\n$1\r\n1\r\n")
    assert client.received() == [["invalidate", ["old"]], "OK"]


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru"])
def test_where_no_key_may_go_commands_that_need_memory_are_refused(
    world: World, client: Client, policy: str
) -> None:
    fill(client, 10)
    limit(world, policy, -1)
    world.pass_time(1)
    assert client("SET", "k", 1) == REFUSED
    assert client("GET", "key:1") == VALUE
    client("MULTI")
    assert client("GET", "k") == REFUSED
    assert client("DISCARD") == "OK"
    assert client("DEL", "key:1") == 1
    assert client("SET", "k", 1) == "OK"
    client("CONFIG", "SET", "maxmemory", 0)
    assert client("SET", "k", VALUE) == "OK"
    assert world.server.open_for[WRITES]


def test_a_command_that_grows_beyond_its_words_is_measured_before_the_next(
    world: World, client: Client
) -> None:
    fill(client, 40)
    limit(world, "allkeys-lru", 5_000, maxmemory_samples=40)
    world.pass_time(10)
    client("SETRANGE", "big", 20_000, "x")
    client("SET", "k", 1)
    assert client("EXISTS", "big", "k") == 2
    assert world.server.memory.used_bytes() <= world.server.config.maxmemory


def test_far_from_the_limit_writes_take_the_short_way_and_little_is_measured(
    world: World, client: Client
) -> None:
    limit(world, "allkeys-lru", 1 << 30)
    world.pass_time(1)
    assert world.server.open_for[WRITES]
    host = world.server.host
    assert isinstance(host, CountingHost)
    before = host.measured
    for _ in range(100):
        fill(client, 1)
        world.pass_time(1)
    assert host.measured - before <= 2


def test_what_has_come_of_unfinished_commands_makes_keys_go_with_the_next_turn(
    world: World, client: Client
) -> None:
    """However near the limit was already, and before it is time to measure anew."""
    keys = fill(client, 40)
    limit(world, "allkeys-lru", 100_000)
    client("DBSIZE")
    others = [world.client() for _ in range(20)]
    for other in others:
        other.send(b"*2\r\n$3\r\nGET\r\n$100000\r\n" + b"x" * 2_000)
    world.pass_time(1)
    assert remaining(client, keys) == set(keys)
    for other in others * 2:
        other.send(b"x" * 2_000)
        world.pass_time(1)
        assert world.server.memory.used_bytes() <= world.server.config.maxmemory
    assert len(remaining(client, keys)) < 30


def test_what_a_first_key_needs_beside_itself_is_counted_near_the_limit(world: World, client: Client) -> None:
    """Each key that is alone in its part of the database has tables made for it."""
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    client("SET", "{a}", "v")
    host = world.server.host
    assert isinstance(host, CountingHost)
    measured = []
    for pattern in ("{a}%d", "%d"):
        limit(world, "allkeys-lru", 300_000)
        client("DBSIZE")
        host.measured = 0
        for number in range(400):
            client("SET", pattern % number, "v")
        measured.append(host.measured)
        assert world.server.keyspace.evicted == 0
    assert measured == [1, 2]  # once because the limit was set


def test_a_replica_evicts_nothing_of_its_own_accord(world: World, client: Client) -> None:
    fill(client, 10)
    world.server.follow_primary("127.0.0.1", 1)
    limit(world, "allkeys-lru", -5_000)
    world.pass_time(1)
    assert len(world.server.keyspace) == 10
    world.client()("CONFIG", "SET", "replica-ignore-maxmemory", "no")
    world.pass_time(200)
    assert len(world.server.keyspace) < 10


def test_nothing_is_evicted_while_clients_are_paused(world: World, client: Client) -> None:
    fill(client, 10)
    client("CLIENT", "PAUSE", 1000, "WRITE")
    limit(world, "allkeys-lru", -5_000)
    world.pass_time(500)
    assert len(world.server.keyspace) == 10
    world.pass_time(600)
    world.pass_time(1)
    assert len(world.server.keyspace) < 10


def test_much_to_evict_takes_several_turns(world: World, client: Client) -> None:
    fill(client, 100)
    world.stopwatch.step_us = 600
    limit(world, "allkeys-random", -80_000)
    world.pass_time(1)
    assert world.server.wants_turn
    assert 20 < client("DBSIZE") < 100
    while world.server.wants_turn:
        world.pass_time(1)
    assert world.server.memory.used_bytes() <= world.server.config.maxmemory


# --- how often keys are used -----------------------------------------------------------------------------


def test_frequencies_and_idle_times_exclude_each_other(world: World, client: Client) -> None:
    client("SET", "k", 1)
    world.pass_time(5000)
    assert client("OBJECT", "FREQ", "k").startswith("ERR An LFU maxmemory policy is not selected")
    assert client("OBJECT", "IDLETIME", "k") == 5
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    assert client("OBJECT", "FREQ", "k") == NEW
    assert client("OBJECT", "IDLETIME", "k").startswith("ERR An LFU maxmemory policy is selected")
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert client("OBJECT", "IDLETIME", "k") == 5


def test_a_key_is_restored_with_its_frequency(client: Client) -> None:
    client("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")
    client("SET", "k", "v")
    client.send(b"*2\r\n$4\r\nDUMP\r\n$1\r\nk\r\n")
    payload = client.received()[0].encode("utf-8", "surrogateescape")
    assert client("RESTORE", "j", 0, payload, "FREQ", 77) == "OK"
    assert client("OBJECT", "FREQ", "j") == 77
    assert client("OBJECT", "FREQ", "none") is None


def test_a_client_that_wants_to_leave_no_trace_raises_no_count(client: Client) -> None:
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", 0)
    client("SET", "k", 1)
    client("CLIENT", "NO-TOUCH", "on")
    client("GET", "k")
    assert client("OBJECT", "FREQ", "k") == NEW
    client("CLIENT", "NO-TOUCH", "off")
    client("GET", "k")
    assert client("OBJECT", "FREQ", "k") == NEW + 1


def test_a_flush_keeps_counting(client: Client) -> None:
    client("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", 0)
    client("FLUSHALL")
    client("SET", "k", 1)
    client("GET", "k")
    assert client("OBJECT", "FREQ", "k") == NEW + 1


@pytest.mark.parametrize(
    ("factor", "hits", "low", "high"), [(0, 100, 105, 105), (10, 1000, 14, 22), (1, 1000, 38, 60)]
)
def test_counts_rise_ever_more_slowly(factor: int, hits: int, low: int, high: int) -> None:
    """The table of Redis's page: with the factor 10 a thousand hits lead to 18."""
    table = Frequencies(CountingRules(Random(7), log_factor=factor))
    for _ in range(hits + 1):
        table[b"k"] = NOW_MS
    assert low <= table.count(b"k", NOW_MS) <= high


def test_counts_end_at_255_and_fall_with_the_minutes() -> None:
    rules = CountingRules(Random(7), log_factor=0, decay_minutes=2)
    table = Frequencies(rules)
    for _ in range(300):
        table[b"k"] = NOW_MS
    assert table.count(b"k", NOW_MS) == 255
    assert table.count(b"k", NOW_MS + 20 * MINUTE_MS) == 245
    assert table.count(b"k", NOW_MS + 2000 * MINUTE_MS) == 0
    rules.decay_minutes = 0
    assert table.count(b"k", NOW_MS + 2000 * MINUTE_MS) == 255


class LargeHost(NoHost):
    """So much is in use, and it takes a walk to know it."""

    def __init__(self) -> None:
        self.heap, self.measured = 200 << 20, 0

    def heap_bytes(self) -> int:
        self.measured += 1
        return self.heap


def told(client: Client, host: LargeHost) -> bool:
    """Whether INFO tells what is in use now."""
    used = int(fields(client("INFO", "memory"))["used_memory"])
    return used == host.heap + EMPTY_SERVER_BYTES


def test_who_asks_again_and_again_has_a_large_heap_measured_seldom(world: World, client: Client) -> None:
    host = world.server.host = LargeHost()
    for _ in range(100):
        assert told(client, host)
        world.pass_time(10)
    assert host.measured == 1
    host.heap += 1
    world.pass_time(1000)
    assert told(client, host)


@pytest.mark.parametrize("change", ["much comes in", "keys go", "it is small"])
def test_what_is_told_of_memory_is_never_far_from_the_truth(
    world: World, client: Client, change: str
) -> None:
    host = world.server.host = LargeHost()
    fill(client, 100)
    if change == "it is small":
        host.heap = 10 << 20
    assert told(client, host)
    host.heap += 4 << 20
    assert told(client, host) is (change == "it is small")
    if change == "much comes in":
        client("SET", "large", "v" * (5 << 20))
    elif change == "keys go":
        client("DEL", *(f"key:{number}" for number in range(5)))
    assert told(client, host)


def test_eviction_goes_by_what_is_in_use_now(world: World, client: Client) -> None:
    host = world.server.host = LargeHost()
    assert told(client, host)
    assert client("CONFIG", "SET", "maxmemory", host.heap + (2 << 20)) == "OK"
    host.heap += 4 << 20
    assert client("SET", "k", "v") == REFUSED
