"""Every change passes the door: it counts, it wakes watchers, it makes Redis's keyspace event."""

from __future__ import annotations

import pytest

from tests.differential.executor import LocalServer


class FlaggingWatcher:
    """Remembers that a key it watches was changed."""

    def __init__(self) -> None:
        self.changed = False

    def watched_key_changed(self) -> None:
        self.changed = True


CASES = [
    ([], "SET k v", ["set k"]),
    ([], "SET k v EX 10", ["set k", "expire k"]),
    ([], "SETEX k 10 v", ["set k", "expire k"]),
    ([], "MSET k 1 j 2", ["set k", "set j"]),
    ([], "INCR k", ["incrby k"]),
    ([], "DECRBY k 5", ["incrby k"]),
    ([], "INCRBYFLOAT k 5", ["incrbyfloat k"]),
    ([], "APPEND k v", ["append k"]),
    ([], "SETRANGE k 2 v", ["setrange k"]),
    (["SET k v"], "GETSET k w", ["set k"]),
    (["SET k v"], "GETDEL k", ["del k"]),
    (["SET k v"], "GETEX k EX 10", ["expire k"]),
    (["SET k v EX 10"], "GETEX k PERSIST", ["persist k"]),
    (["SET k v"], "GETEX k EXAT 1", ["del k"]),
    (["SET k v"], "DEL k j", ["del k"]),
    (["SET k v"], "UNLINK k", ["del k"]),
    (["SET k v"], "EXPIRE k 10", ["expire k"]),
    (["SET k v"], "EXPIRE k -1", ["del k"]),
    (["SET k v EX 10"], "PERSIST k", ["persist k"]),
    (["SET k v"], "RENAME k j", ["rename_from k", "rename_to j"]),
    (["SET k v"], "COPY k j", ["copy_to j"]),
    (["SET k v"], "MOVE k 1", ["move_from k", "move_to k"]),
    (["SET k v"], "GET k", []),
    (["SET k v"], "SET k w NX", []),
    (["SET k v"], "PERSIST k", []),
    (["RPUSH k v"], "INCR k", []),
    (["SET k v"], "INCR k", []),
    (["SET k v"], "LCS k j BOGUS", []),
    ([], "XADD k 1 a 1", ["xadd k"]),
    (["XADD k 1 a 1"], "XADD k MAXLEN 1 2 a 1", ["xadd k", "xtrim k"]),
    (["XADD k 1 a 1"], "XTRIM k MAXLEN 0", ["xtrim k"]),
    (["XADD k 1 a 1"], "XTRIM k MAXLEN 1", []),
    (["XADD k 1 a 1"], "XDEL k 1 2", ["xdel k"]),
    ([], "XGROUP CREATE k g $ MKSTREAM", ["xgroup-create k"]),
]


@pytest.mark.parametrize(("before", "command", "expected"), CASES)
def test_events(before: list[str], command: str, expected: list[str]) -> None:
    server = LocalServer()
    for line in before:
        server.run(*line.split())
    events: list[str] = []
    server.keyspace.tell_events(lambda database, event, key: events.append(f"{event} {key.decode()}"))
    watchers = {key: FlaggingWatcher() for key in (b"k", b"j")}
    server.call.db.watchers = {key: [watcher] for key, watcher in watchers.items()}
    changes = server.keyspace.changes
    server.run(*command.split())
    assert events == expected
    counted = {"MSET": 2}.get(command.split()[0], 1) if expected else 0
    assert server.keyspace.changes - changes == counted
    touched = {event.split()[1].encode() for event in expected}
    assert {key for key, watcher in watchers.items() if watcher.changed} == touched


def test_expiry_is_an_event_but_no_change_of_a_command() -> None:
    server = LocalServer()
    server.frozen_ms = 1000
    server.run("SET", "k", "v", "PX", 5)
    changes = server.keyspace.changes
    events: list[str] = []
    server.keyspace.tell_events(lambda database, event, key: events.append(f"{event} {key.decode()}"))
    server.frozen_ms = 1006
    server.run("GET", "k")
    assert (events, server.expired, server.propagated) == (["expired k"], [(0, b"k")], [])
    assert server.keyspace.changes == changes


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("XGROUP CREATE k h 0", ["xgroup-create k"]),
        ("XGROUP SETID k g 1", ["xgroup-setid k"]),
        ("XGROUP CREATECONSUMER k g c", ["xgroup-createconsumer k"]),
        ("XREADGROUP GROUP g c STREAMS k >", ["xgroup-createconsumer k"]),
        ("XREADGROUP GROUP g a STREAMS k >", []),
        ("XACK k g 1-0", []),
        ("XCLAIM k g b 0 1-0", ["xgroup-createconsumer k"]),
        ("XGROUP DELCONSUMER k g a", ["xgroup-delconsumer k"]),
        ("XSETID k 9-9", ["xsetid k"]),
    ],
)
def test_what_groups_do_counts_but_is_nothing_to_those_who_watch(command: str, expected: list[str]) -> None:
    server = LocalServer()
    for line in ("XADD k 1 a 1", "XGROUP CREATE k g 0", "XREADGROUP GROUP g a STREAMS k >", "XADD k 2 a 1"):
        server.run(*line.split())
    events: list[str] = []
    server.keyspace.tell_events(lambda database, event, key: events.append(f"{event} {key.decode()}"))
    watcher = FlaggingWatcher()
    server.call.db.watchers = {b"k": [watcher]}
    changes = server.keyspace.changes
    server.run(*command.split())
    assert events == expected
    assert server.keyspace.changes > changes
    assert not watcher.changed
