"""Scripts and functions in a cluster of ours and a real Redis: the same keys, the same answers from both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from shoal.cluster.slots import SLOT_COUNT, key_slot
from shoal.node.resp.writer import encode_command
from tests.peers import REDIS7_SERVER, needs
from tests.processes.cluster_load import Connection
from tests.processes.mixed_cluster import follows, id_of, introduce, is_calm, replicate, share_slots, started
from tests.processes.nodes import HOST, SHOAL, Node, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.peers, needs(REDIS7_SERVER)]

REDIS7 = (str(REDIS7_SERVER),)
SHEBANG = "#!lua\n"
CROSSING = "#!lua flags=allow-cross-slot-keys\n"
GET = "return redis.call('get', '{B}')"

LIBRARY = """#!lua name=keys
local function both(keys, arguments)
    redis.call('set', keys[1], 1)
    return redis.call('set', arguments[1], 2)
end
redis.register_function('strict', both)
redis.register_function{function_name='crosses', callback=both, flags={'allow-cross-slot-keys'}}
redis.register_function{function_name='alone', callback=both, flags={'no-cluster'}}
"""

CASES: dict[str, tuple[str, ...]] = {
    "a declared key that is here": ("EVAL", "return redis.call('set', KEYS[1], 1)", "1", "{A}"),
    "a declared key of another node": ("EVAL", "return 1", "1", "{F}"),
    "declared keys of two slots": ("EVAL", "return 1", "2", "{A}", "{B}"),
    "an undeclared key that is here": ("EVAL", "return redis.call('set', '{A}', 1)", "0"),
    "an undeclared key of another node": ("EVAL", "return redis.call('get', '{F}')", "0"),
    "the same, caught": ("EVAL", "return redis.pcall('get', '{F}').err", "0"),
    "an undeclared write to another node": ("EVAL", "return redis.call('set', '{F}', 1)", "0"),
    "several keys in one undeclared call": ("EVAL", "return redis.call('mget', '{A}', '{B}')", "0"),
    "an undeclared key of another slot": ("EVAL", GET, "1", "{A}"),
    "the same with a shebang": ("EVAL", SHEBANG + GET, "1", "{A}"),
    "the same, allowed": ("EVAL", CROSSING + GET, "1", "{A}"),
    "allowed, but on another node": ("EVAL", CROSSING + "return redis.call('get', '{F}')", "1", "{A}"),
    "two slots, none declared": ("EVAL", SHEBANG + "redis.call('get', '{A}') " + GET, "0"),
    "one slot, none declared": ("EVAL", SHEBANG + "redis.call('get', '{B}1') " + GET, "0"),
    "not in a cluster": ("EVAL", "#!lua flags=no-cluster\nreturn 1", "0"),
    "not in a cluster, with a foreign key": ("EVAL", "#!lua flags=no-cluster\nreturn 1", "1", "{F}"),
    "no keys": ("EVAL", "return 1", "0"),
    "a keyless command": ("EVAL", SHEBANG + "return redis.call('echo', 'x')", "0"),
    "read only": ("EVAL_RO", "return redis.call('set', KEYS[1], 1)", "1", "{A}"),
    "a function that keeps to its slot": ("FCALL", "strict", "1", "{A}", "{A}2"),
    "a function that leaves its slot": ("FCALL", "strict", "1", "{A}", "{B}"),
    "a function that may": ("FCALL", "crosses", "1", "{A}", "{B}"),
    "a function that leaves its node": ("FCALL", "crosses", "1", "{A}", "{F}"),
    "a function not for clusters": ("FCALL", "alone", "1", "{A}", "{B}"),
    "a function with another node's key": ("FCALL", "strict", "1", "{F}", "x"),
    "a database that is not there": ("EVAL", "return redis.call('select', 1)", "0"),
}


@dataclass
class Side:
    """One node, and tags of keys: two whose slots are its own, and one of another's."""

    node: Node
    first: str
    second: str
    foreign: str

    def answer(self, words: tuple[str, ...], *, before: tuple[tuple[str, ...], ...] = ()) -> str:
        """What it says, without what differs from node to node."""
        reply: object = None
        with closing(Connection((HOST, self.node.port))) as connection:
            for command in (*before, words):
                connection.send(encode_command([self._name(word).encode() for word in command]))
                reply = connection.receive()
        text = re.sub(r"(MOVED|ASK) \d+ \S+", r"\1", str(reply))
        return re.sub(r"[0-9a-f]{40}", "digest", text)

    def _name(self, word: str) -> str:
        tags = {"{A}": self.first, "{B}": self.second, "{F}": self.foreign}
        for mark, tag in tags.items():
            word = word.replace(mark, "{" + tag + "}")
        return word


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Side]]:
    """Ours has the lower half of the slots, Redis the upper one."""
    with started(tmp_path_factory.mktemp("scripts"), [SHOAL, REDIS7]) as nodes:
        share_slots(nodes)
        introduce(nodes)
        for node in nodes:
            wait_until(partial(is_calm, node), f"node {node.port} is calm")
            node.ask("FUNCTION", "LOAD", LIBRARY)
        tags = [f"tag{number}" for number in range(40)]
        low = [tag for tag in tags if key_slot(tag.encode()) < SLOT_COUNT // 2]
        high = [tag for tag in tags if tag not in low]
        yield [Side(nodes[0], low[0], low[1], high[0]), Side(nodes[1], high[0], high[1], low[0])]


@pytest.mark.parametrize("case", CASES)
def test_keys_of_scripts_are_judged_as_in_redis(sides: list[Side], case: str) -> None:
    ours, real = (side.answer(CASES[case]) for side in sides)
    assert ours == real


LEAVING: dict[str, tuple[str, ...]] = {
    "a declared key that has left": ("EVAL", "return 1", "1", "{A}gone"),
    "a declared key that is still here": ("EVAL", "return redis.call('get', KEYS[1])", "1", "{A}here"),
    "an undeclared key that has left": ("EVAL", "return redis.call('get', '{A}gone')", "0"),
    "an undeclared key that is still here": ("EVAL", "return redis.call('get', '{A}here')", "0"),
    "undeclared keys of which one has left": ("EVAL", "return redis.call('mget', '{A}here', '{A}gone')", "0"),
    "declared keys of which one has left": ("EVAL", "return 1", "2", "{A}here", "{A}gone"),
}


@pytest.mark.parametrize("case", LEAVING)
def test_scripts_meet_a_slot_that_leaves_as_in_redis(sides: list[Side], case: str) -> None:
    answers = []
    for side, other in (sides, reversed(sides)):
        slot = key_slot(side.first.encode())
        side.node.ask("SET", "{" + side.first + "}here", "v")
        side.node.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", id_of(other.node))
        try:
            answers.append(side.answer(LEAVING[case]))
        finally:
            side.node.ask("CLUSTER", "SETSLOT", slot, "STABLE")
    assert answers[0] == answers[1]


ARRIVING: dict[str, tuple[str, ...]] = {
    "declared": ("EVAL", "return redis.call('get', KEYS[1])", "1", "{F}new"),
    "undeclared": ("EVAL", "return redis.call('get', '{F}new')", "0"),
    "two calls": ("EVAL", "redis.call('get', '{F}new') return redis.call('get', '{F}new')", "1", "{F}new"),
    "several keys": ("EVAL", "return redis.call('mget', '{F}new', '{F}newer')", "0"),
}


@pytest.mark.parametrize("asking", [False, True], ids=["", "asking"])
@pytest.mark.parametrize("case", ARRIVING)
def test_scripts_meet_a_slot_that_arrives_as_in_redis(sides: list[Side], case: str, asking: bool) -> None:
    answers = []
    for side, other in (sides, reversed(sides)):
        slot = key_slot(side.foreign.encode())
        side.node.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", id_of(other.node))
        try:
            answers.append(side.answer(ARRIVING[case], before=(("ASKING",),) if asking else ()))
        finally:
            side.node.ask("CLUSTER", "SETSLOT", slot, "STABLE")
    assert answers[0] == answers[1]


@pytest.mark.parametrize("reads_when_down", ["no", "yes"])
@pytest.mark.parametrize("call", ["'get', '{A}'", "'set', '{A}', '1'", "'echo', 'x'"])
def test_scripts_in_a_cluster_that_is_down_fail_as_in_redis(
    sides: list[Side], call: str, reads_when_down: str
) -> None:
    answers = []
    for side in sides:
        slot = key_slot(side.second.encode())
        side.node.ask("CONFIG", "SET", "cluster-allow-reads-when-down", reads_when_down)
        side.node.ask("CLUSTER", "DELSLOTS", slot)
        wait_until(lambda side=side: state(side.node) == "fail", "the cluster is down")
        try:
            answers.append(side.answer(("EVAL", f"return redis.call({call})", "0")))
        finally:
            side.node.ask("CLUSTER", "ADDSLOTS", slot)
            side.node.ask("CONFIG", "SET", "cluster-allow-reads-when-down", "no")
            wait_until(lambda side=side: state(side.node) == "ok", "the cluster is up")
    assert answers[0] == answers[1]


def state(node: Node) -> str:
    return node.cluster_info()["cluster_state"]


# Functions and replicas

versions = count(1)


def load(primary: Node, replica: Node) -> str:
    """Give the primary a function and wait until its replica has it; what it answers."""
    version = str(next(versions))
    primary.ask(
        "FUNCTION",
        "LOAD",
        "REPLACE",
        f"#!lua name=v\nredis.register_function('v', function() return '{version}' end)",
    )
    wait_until(
        lambda: version in str(replica.ask("FUNCTION", "LIST", "WITHCODE")), "the replica has the function"
    )
    return version


def names(node: Node) -> set[str]:
    return {library[1] for library in node.ask("FUNCTION", "LIST")}


def call(node: Node) -> object:
    return node.ask("FCALL", "v", 0)


@pytest.mark.parametrize(
    "programs",
    [(SHOAL, SHOAL), (SHOAL, REDIS7), (REDIS7, SHOAL)],
    ids=["ours", "redis7-follows", "we-follow"],
)
def test_functions_are_there_after_a_failover_and_back(
    programs: tuple[tuple[str, ...], ...], tmp_path: Path
) -> None:
    with started(tmp_path, list(programs)) as (primary, replica):
        share_slots([primary])
        introduce([primary, replica])
        primary.ask(
            "FUNCTION", "LOAD", "#!lua name=early\nredis.register_function('early', function() return 1 end)"
        )
        replicate(replica, primary)
        version = load(primary, replica)
        for old, new in ((primary, replica), (replica, primary)):
            new.ask("CLUSTER", "FAILOVER")
            wait_until(partial(follows, old, new), "the roles are exchanged")
            assert (call(new), new.ask("FCALL", "early", 0)) == (version, 1)
            version = load(new, old)
        assert names(replica) == names(primary) == {"early", "v"}
        primary.ask("FUNCTION", "DELETE", "early")
        wait_until(
            lambda: "early" not in str(replica.ask("FUNCTION", "LIST")), "it is deleted on the replica, too"
        )
