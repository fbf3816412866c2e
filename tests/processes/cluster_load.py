"""A small pipelined cluster client that writes, waits for a replica, and reads back, whatever happens.

It follows MOVED and ASK, repeats after TRYAGAIN and CLUSTERDOWN, and reconnects. Every other error is kept
for the test to find. A write counts as acknowledged when the WAIT sent behind it, on the same connection,
found one replica that has it.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any

import hiredis

from shoal.cluster.slots import key_slot
from shoal.node.resp.writer import encode_command
from tests.processes.history import History

REPEATABLE = {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"}
WAIT_MS = 500
SOCKET_SECONDS = 10.0
BATCH = 1500
READS_PER_ROUND = 200
SETTLE_SECONDS = 60.0

Address = tuple[str, int]


class Connection:
    """One connection; replies come in the order of the commands."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection(address, timeout=SOCKET_SECONDS)
        self._reader = hiredis.Reader()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> Any:
        """The next reply, an error one as a value. Raises OSError if the connection breaks."""
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(1 << 18)
            if not data:
                raise ConnectionResetError("closed by the server")
            self._reader.feed(data)
        return reply

    def close(self) -> None:
        self._socket.close()


@dataclass
class Operation:
    """A SET of `value`, or a GET that must not give anything older than `oldest`."""

    key: bytes
    value: bytes | None = None
    oldest: int = 0
    asked: Address | None = None
    """Where ASK sent it, for the next attempt only."""

    def encode(self) -> bytes:
        words = (b"GET", self.key) if self.value is None else (b"SET", self.key, self.value)
        return (b"*1\r\n$6\r\nASKING\r\n" if self.asked else b"") + encode_command(words)


@dataclass
class ClusterLoad:
    """Writes every key once, then others again at random until told to stop."""

    seeds: list[Address]
    history: History
    random: Random
    errors: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    reconnects: int = 0
    owners: dict[int, Address] = field(default_factory=dict)
    connections: dict[Address, Connection] = field(default_factory=dict)
    pending: list[Operation] = field(default_factory=list)

    def write_all(self, keys: Iterable[bytes]) -> None:
        """A first value for each of these keys, in batches, reading some of the earlier ones in between."""
        remaining = iter(keys)
        while batch := list(islice(remaining, BATCH)):
            self.settle(at_most=BATCH)
            self.round(batch)

    def rewrite_some(self) -> None:
        """One batch of new values for keys that have one."""
        self.settle(at_most=BATCH)
        self.round(self.random.sample(list(self.history.attempted), BATCH))

    def settle(self, at_most: int = 0) -> None:
        """Repeat what is pending until no more than this is left. AssertionError if it takes too long."""
        end = time.monotonic() + SETTLE_SECONDS
        while len(self.pending) > at_most:
            assert time.monotonic() < end, f"{len(self.pending)} operations are still not done: {self.errors}"
            self.round([])

    def read_all(self) -> None:
        """Read back every key that was acknowledged; the history notes what should not be."""
        self.settle()
        known = list(self.history.acknowledged)
        self._exchange([Operation(key, oldest=self.history.oldest_allowed(key)) for key in known])
        self.settle()

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()

    # --- a round -----------------------------------------------------------------------------------

    def round(self, keys: list[bytes]) -> None:
        """Write new values to these keys, read some others, and repeat what could not be done before."""
        operations, self.pending = self.pending, []
        busy = {operation.key for operation in operations}
        for key in keys:
            if key not in busy:
                operations.append(Operation(key, self.history.next_value(key)))
        busy.update(keys)
        known = list(self.history.acknowledged)
        for key in self.random.sample(known, min(READS_PER_ROUND, len(known))):
            if key not in busy:
                operations.append(Operation(key, oldest=self.history.oldest_allowed(key)))
        before = len(operations)
        self._exchange(operations)
        if len(self.pending) == before:
            time.sleep(0.02)  # nothing could be done: the cluster is between two states

    def _exchange(self, operations: list[Operation]) -> None:
        """Send everything to its node, every node its share, then take the answers."""
        if not self.owners:
            self._learn_owners()
        shares: dict[Address, list[Operation]] = defaultdict(list)
        for operation in operations:
            address = operation.asked or self.owners.get(key_slot(operation.key))
            shares[address or self.seeds[0]].append(operation)
        sent = [(address, share) for address, share in shares.items() if self._send(address, share)]
        for address, share in sent:
            try:
                self._take_replies(self.connections[address], share)
            except OSError:
                self._lose(address, share)

    def _send(self, address: Address, share: list[Operation]) -> bool:
        wait = encode_command((b"WAIT", b"1", b"%d" % WAIT_MS))
        try:
            if address not in self.connections:
                self.connections[address] = Connection(address)
            self.connections[address].send(b"".join(operation.encode() for operation in share) + wait)
        except OSError:
            self._lose(address, share)
            return False
        return True

    def _lose(self, address: Address, share: list[Operation]) -> None:
        """What was sent may or may not have happened; the same values are sent again."""
        self.reconnects += 1
        connection = self.connections.pop(address, None)
        if connection is not None:
            connection.close()
        for operation in share:
            operation.asked = None
        self.pending += share
        self.owners = {}

    def _take_replies(self, connection: Connection, share: list[Operation]) -> None:
        """Read every reply before judging any: what WAIT says is about all the writes before it."""
        replies = []
        for operation in share:
            if operation.asked:
                connection.receive()
            replies.append(connection.receive())
        waited = connection.receive()
        # The node may have lost its role meanwhile: then nobody vouches for what it said OK to.
        replicas = 0 if isinstance(waited, hiredis.ReplyError) else waited
        for operation, reply in zip(share, replies, strict=True):
            operation.asked = None
            if isinstance(reply, hiredis.ReplyError):
                self._take_error(operation, str(reply))
            elif operation.value is None:
                self.history.check_read(operation.key, reply, operation.oldest)
            elif replicas >= 1:
                self.history.acknowledge(operation.key, operation.value)
            else:
                self.errors["no replica had it"] += 1
                self.pending.append(operation)

    def _take_error(self, operation: Operation, text: str) -> None:
        code, *words = text.split()
        self.errors[code] += 1
        if code not in REPEATABLE:
            self.unexpected.append(f"{operation.key!r}: {text}")
            return
        if code in {"MOVED", "ASK"}:
            host, _, port = words[1].rpartition(":")
            if code == "ASK":
                operation.asked = (host, int(port))
            else:
                self.owners[int(words[0])] = (host, int(port))
        self.pending.append(operation)

    def _learn_owners(self) -> None:
        for seed in self.seeds:
            with suppress(OSError):
                asked = Connection(seed)
                asked.send(b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n")
                ranges = asked.receive()
                asked.close()
                for first, last, owner, *_ in ranges:
                    address = (owner[0].decode(), owner[1])
                    self.owners.update(dict.fromkeys(range(first, last + 1), address))
                return
