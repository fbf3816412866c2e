"""How a HyperLogLog estimates, what its writes cost and say, and that its own test passes."""

from __future__ import annotations

from random import Random

import pytest

from shoal.node.dataset import hyperloglog
from shoal.node.resp.replies import OK
from tests.unit.commands.client import Client


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.parametrize("size", [0, 1, 10, 100, 1000, 20_000])
def test_the_estimate_is_within_five_standard_errors(size: int) -> None:
    sketch = hyperloglog.empty()
    hyperloglog.add(sketch, (b"%d" % number for number in range(size)), 3000)
    assert abs(hyperloglog.estimate(hyperloglog.ranks_of(sketch)) - size) <= 5 * 0.0081 * size


def test_dense_registers_are_told_apart() -> None:
    sketch = hyperloglog.empty()
    hyperloglog.make_dense(sketch)
    ranks = bytes((7 * register + register // 64) % 52 for register in range(16384))
    hyperloglog.raise_registers(sketch, enumerate(ranks), 3000)
    assert hyperloglog.ranks_of(sketch) == ranks


def test_a_count_that_is_kept_is_propagated_but_is_no_event(client: Client) -> None:
    events: list[str] = []
    client("PFADD k a b c")
    client.keyspace.tell_events(lambda database, event, key: events.append(event))
    assert client("PFCOUNT k") == 3
    assert client.sent == ["PFCOUNT k"]
    assert client("PFCOUNT k") == 3
    assert client.sent == []
    assert events == []


def test_nothing_is_propagated_where_nothing_changed(client: Client) -> None:
    assert client("PFADD k") == 1
    assert client("PFADD k") == 0
    assert client.sent == []
    assert client("PFADD k a") == 1
    assert client("PFADD k a") == 0


def test_the_self_test_passes(client: Client) -> None:
    assert client("PFSELFTEST") == OK


def test_the_greatest_ranks_are_those_of_each_register() -> None:
    rng = Random(4)
    ranks = [bytes(rng.randrange(64) for _ in range(hyperloglog.REGISTERS)) for _ in range(2)]
    assert hyperloglog.greatest(*ranks) == bytes(map(max, *ranks))
