"""Stream commands where the comparison with Redis does not reach: time, replicas, snapshots, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.sizes import value_bytes
from shoal.node.dataset.snapshot import SlotWalk
from shoal.node.dataset.stream_filling import NodeLimits
from shoal.node.dataset.usage import Usage
from shoal.node.dataset.values import Value
from shoal.node.resp.replies import CommandError
from tests.unit.commands.client import Client
from tests.unit.samples import plain

NOW = 1_700_000_000_000


@pytest.fixture
def client() -> Client:
    client = Client()
    client.frozen_ms = NOW
    return client


def test_an_id_is_the_time_and_rises_though_the_clock_does_not(client: Client) -> None:
    assert client("XADD s * f 1") == b"%d-0" % NOW
    assert client("XADD s * f 2") == b"%d-1" % NOW
    client.frozen_ms = NOW - 5000
    assert client("XADD s * f 3") == b"%d-2" % NOW
    client.frozen_ms = NOW + 1
    assert client("XADD s * f 4") == b"%d-0" % (NOW + 1)
    assert client.sent == [f"XADD s {NOW + 1}-0 f 4"]


def test_an_approximate_trim_goes_on_for_a_hundred_nodes(client: Client) -> None:
    client.call.encoding_limits.stream_nodes = NodeLimits(max_entries=2)
    for number in range(1, 301):
        client(f"XADD s {number} f 1")
    assert client("XTRIM s MAXLEN ~ 1") == 200
    assert client.sent == ["XTRIM s MAXLEN = 100"]
    assert client("XTRIM s MAXLEN ~ 1 LIMIT 0") == 98
    assert client("XTRIM s MAXLEN ~ 0 LIMIT 1") == 0


def test_an_approximate_trim_ends_as_well_where_nodes_may_have_any_number_of_entries(client: Client) -> None:
    client.call.encoding_limits.stream_nodes = NodeLimits(max_bytes=1, max_entries=0)
    for number in range(1, 10_102):
        client(f"XADD s {number} f 1")
    assert client("XTRIM s MAXLEN ~ 1") == 10_000


def test_a_replica_trims_as_its_primary_did_though_clients_may_not_say_so(client: Client) -> None:
    for number in range(1, 5):
        client(f"XADD s {number} f 1")
    with pytest.raises(CommandError, match="LIMIT cannot be used without the special ~ option"):
        client("XTRIM s MAXLEN = 2 LIMIT 1")
    client.keyspace.expiry_mode = ExpiryMode.IGNORE
    assert client("XTRIM s MAXLEN = 2 LIMIT 1") == 2


def test_only_idle_entries_are_claimed_and_listed(client: Client) -> None:
    client("XADD s 1 f 1")
    client("XADD s 2 f 1")
    client("XGROUP CREATE s g 0")
    client("XREADGROUP GROUP g a COUNT 1 STREAMS s >")
    client.frozen_ms = NOW + 100
    client("XREADGROUP GROUP g a STREAMS s >")
    assert client("XPENDING s g IDLE 100 - + 10") == [[b"1-0", b"a", 100, 1]]
    assert client("XINFO CONSUMERS s g") == [{b"name": b"a", b"pending": 2, b"idle": 0, b"inactive": 0}]
    assert client("XCLAIM s g b 101 1 2") == []
    assert client("XCLAIM s g b 100 1 2 JUSTID") == [b"1-0"]
    client.frozen_ms = NOW + 250
    assert client("XAUTOCLAIM s g c 200 0 JUSTID") == [b"0-0", [], []]
    assert client("XAUTOCLAIM s g c 150 0 COUNT 1 JUSTID") == [b"2-0", [b"1-0"], []]


def test_a_search_for_idle_entries_ends_and_says_where(client: Client) -> None:
    for number in range(1, 31):
        client(f"XADD s {number} f 1")
    client("XGROUP CREATE s g 0")
    client("XREADGROUP GROUP g a STREAMS s >")
    assert client("XAUTOCLAIM s g b 1000 0 COUNT 2") == [b"21-0", [], []]


def value_of(client: Client) -> Value:
    value = client.call.db.peek(b"s")
    assert value is not None
    return value


class Told:
    """What a snapshot was told."""

    def __init__(self) -> None:
        self.values: dict[bytes, object] = {}

    def add_short_strings(
        self, database: int, keys: Mapping[bytes, Value], expires: Mapping[bytes, int]
    ) -> int:
        return 0

    def add(self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage) -> int:
        self.values[key] = plain(value)
        return 1

    def add_in_pieces(
        self, database: int, key: bytes, value: Value, expiry_ms: int | None, usage: Usage
    ) -> Iterator[int]:
        yield self.add(database, key, value, expiry_ms, usage)


@pytest.mark.parametrize(
    "command",
    [
        "XADD s 9 f 1",
        "XDEL s 1",
        "XTRIM s MAXLEN 1",
        "XSETID s 10",
        "XGROUP CREATE s h 0",
        "XGROUP SETID s g 0",
        "XGROUP DESTROY s g",
        "XGROUP CREATECONSUMER s g b",
        "XGROUP DELCONSUMER s g a",
        "XREADGROUP GROUP g a STREAMS s >",
        "XREADGROUP GROUP g a STREAMS s 0",
        "XACK s g 1",
        "XCLAIM s g b 0 1",
        "XAUTOCLAIM s g b 0 0",
    ],
)
def test_a_snapshot_keeps_the_stream_as_it_was(client: Client, command: str) -> None:
    for line in ("XADD s 1 f 1", "XADD s 2 f 1", "XADD s 3 f 1", "XGROUP CREATE s g 0"):
        client(line)
    client("XREADGROUP GROUP g a COUNT 2 STREAMS s >")
    client.frozen_ms = NOW + 1
    before, told = plain(value_of(client)), Told()
    walk = SlotWalk(client.keyspace, told)
    client(command)
    while not walk.step(1000):
        pass
    assert told.values == {b"s": before}
    assert plain(value_of(client)) != before


def test_memory_usage_grows_with_entries_and_with_what_is_pending(client: Client) -> None:
    sizes = []
    for step in range(3):
        if step == 2:
            client("XGROUP CREATE s g 0")
            client("XREADGROUP GROUP g a STREAMS s >")
        else:
            for number in range(1, 1001):
                client(f"XADD s {step * 1000 + number} f {number}")
        sizes.append(value_bytes(value_of(client)))
    assert 10_000 < sizes[0] < 40_000
    assert 1.9 * sizes[0] < sizes[1] < 2.1 * sizes[0]
    assert sizes[2] > sizes[1] + 2000 * 100


def test_a_copy_knows_when_its_consumers_were_seen_and_active(client: Client) -> None:
    client("XADD s 1 f 1")
    client("XGROUP CREATE s g 0")
    client("XREADGROUP GROUP g a STREAMS s >")
    client("XGROUP CREATECONSUMER s g idle")
    client("COPY s t")
    client.frozen_ms = NOW + 100
    assert client("XINFO STREAM t FULL") == client("XINFO STREAM s FULL")
    assert [about[b"inactive"] for about in client("XINFO CONSUMERS t g")] == [100, -1]
