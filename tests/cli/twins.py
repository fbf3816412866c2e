"""Two clusters brought into the same state by the same commands, one for each tool that is to mend it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import redis

from shoal.cli.topology import NodeLine, parse_cluster_nodes, slots_in
from shoal.cluster.slots import SLOT_COUNT, key_slot
from tests.cli.conftest import Nodes, ask, client, eventually, node_id, shoal

PRIMARIES = 3
FIRST_SLOT = 100
TOUCHED = range(FIRST_SLOT, FIRST_SLOT + 8)
"""The slots situations play with; the first primary owns them in good order."""


@dataclass(frozen=True)
class State:
    """What of a cluster two tools must agree about: nodes are numbers in the order they were started."""

    owners: dict[int, list[int]]
    marks: list[tuple[int, int, str]]
    keys: dict[int, dict[str, str]]

    @property
    def all_keys(self) -> set[str]:
        return {key for keys in self.keys.values() for key in keys}


@dataclass
class Twin:
    """One of the two clusters."""

    addresses: list[str]
    ids: list[str]

    def node(self, number: int, *command: object) -> Any:
        return ask(self.addresses[number], *command)

    def mark(self, number: int, slot: int, state: str, other: int) -> None:
        """MIGRATING to or IMPORTING from another node."""
        self.node(number, "CLUSTER SETSLOT", slot, state, self.ids[other])

    def unmark(self, number: int, slot: int) -> None:
        self.node(number, "CLUSTER SETSLOT", slot, "STABLE")

    def put(self, number: int, slot: int, keys: Sequence[int], value: str = "value") -> None:
        """Keys of a slot on any node, owner or not, which is left as it was marked."""
        with client(self.addresses[number]) as node:
            for key in keys:
                write = ("SET", f"{tag(slot)}{key}", value)
                with contextlib.suppress(redis.ResponseError):
                    node.execute_command(*write)
                    continue
                imported = f"[{slot}-<-" in own_line(self.addresses[number])
                if not imported:
                    self.mark(number, slot, "IMPORTING", self.owner(slot))
                node.execute_command("ASKING")
                node.execute_command(*write)
                if not imported:
                    self.unmark(number, slot)

    def put_all(self, number: int, slot: int, keys: Sequence[str]) -> None:
        """Many keys of a slot on a node that does not own it."""
        self.mark(number, slot, "IMPORTING", self.owner(slot))
        with client(self.addresses[number]) as node, node.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.execute_command("ASKING")
                pipeline.execute_command("SET", key, "value")
            pipeline.execute()
        self.unmark(number, slot)

    def owner(self, slot: int) -> int:
        return 0 if slot in TOUCHED else slot * PRIMARIES // SLOT_COUNT

    def state(self) -> State:
        """Owners by each node's own word, marks, and keys of the touched slots wherever they are."""
        owners: dict[int, list[int]] = {}
        marks: list[tuple[int, int, str]] = []
        keys: dict[int, dict[str, str]] = {}
        for number, address in enumerate(self.addresses):
            line = next(each for each in parse_cluster_nodes(nodes_text(address)) if each.is_myself)
            for slot in slots_in(line.ranges):
                owners.setdefault(slot, []).append(number)
            marks += [(number, slot, "migrating") for slot, _ in line.migrating]
            marks += [(number, slot, "importing") for slot, _ in line.importing]
            keys[number] = {str(key): "" for key in ask(address, "KEYS", "*")}
            for slot in TOUCHED:
                for key in ask(address, "CLUSTER GETKEYSINSLOT", slot, 1000):
                    with contextlib.suppress(redis.ResponseError):
                        keys[number][key] = str(ask(address, "GET", key))
        return State(owners, marks, keys)

    def tidy(self) -> None:
        """Good order again, no keys anywhere.

        The owner comes last and takes the greatest epoch, so that nobody's late claim beats its own.
        """
        for number, address in reversed(list(enumerate(self.addresses))):
            with client(address) as node, node.pipeline(transaction=True) as steps:
                steps.execute_command("FLUSHALL")
                for slot in TOUCHED:
                    steps.execute_command("CLUSTER SETSLOT", slot, "STABLE")
                    steps.execute_command("CLUSTER DELSLOTS", slot)
                    if number == 0:
                        steps.execute_command("CLUSTER ADDSLOTS", slot)
                    else:
                        steps.execute_command("CLUSTER SETSLOT", slot, "NODE", self.ids[0])
                if number == 0:
                    steps.execute_command("CLUSTER BUMPEPOCH")
                steps.execute(raise_on_error=False)
        eventually(self.has_settled, "all nodes agree")

    def agrees(self) -> bool:
        """All nodes tell the same owners."""
        return self._tell_the_same(lambda line: (line.id, line.ranges))

    def has_settled(self) -> bool:
        """They also tell the same epochs: no claim is on its way any more."""
        return self._tell_the_same(lambda line: (line.id, line.ranges, line.config_epoch))

    def _tell_the_same(self, facts: Callable[[NodeLine], tuple[Any, ...]]) -> bool:
        views = {
            tuple(sorted(facts(line) for line in parse_cluster_nodes(text) if line.ranges))
            for text in map(nodes_text, self.addresses)
        }
        return len(views) == 1


def own_line(address: str) -> str:
    return next(line for line in nodes_text(address).splitlines() if "myself" in line)


def nodes_text(address: str) -> str:
    with client(address) as connection:
        connection.set_response_callback("CLUSTER NODES", lambda text, **_: text)
        return str(connection.execute_command("CLUSTER NODES"))


@cache
def tag(slot: int) -> str:
    """A hash tag of a slot."""
    for number in count():
        if key_slot(b"%d" % number) == slot:
            return f"{{{number}}}"
    raise AssertionError("unreachable")


@contextlib.contextmanager
def running_twins(program: Path, root: Path, *directives: str) -> Iterator[tuple[Twin, Twin]]:
    """Two clusters of three primaries each."""
    with ExitStack() as stack:
        twins = []
        for name in ("theirs", "ours"):
            home = root / name
            home.mkdir()
            addresses = Nodes(program, home, stack).start(PRIMARIES, *directives)
            assert shoal("create", *addresses, "--yes").status == 0
            twins.append(Twin(addresses, [node_id(address) for address in addresses]))
        yield twins[0], twins[1]
