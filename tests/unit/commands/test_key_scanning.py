"""SCAN's promise, RANDOMKEY's fairness, and what neither ever shows."""

from __future__ import annotations

from shoal.node.dataset.expiry_mode import ExpiryMode
from tests.differential.executor import LocalServer


def scan_all(server: LocalServer, *options: str | int) -> list[bytes]:
    """Walk from cursor 0 to cursor 0."""
    found: list[bytes] = []
    cursor: object = b"0"
    while True:
        assert isinstance(cursor, bytes)
        reply = server.run("SCAN", cursor, *options).value
        assert isinstance(reply, list)
        cursor, keys = reply
        found += keys
        if cursor == b"0":
            return found


def test_a_walk_returns_every_key_that_stays_while_others_come_and_go() -> None:
    server = LocalServer()
    for number in range(2000):
        server.run("SET", f"{{one slot}}{number}" if number % 2 else f"spread{number}", "x")
    staying = {key for key in scan_all(server) if not key.endswith(b"7")}
    found: set[bytes] = set()
    cursor: object = b"0"
    for round_number in range(10_000):
        assert isinstance(cursor, bytes)
        reply = server.run("SCAN", cursor, "COUNT", 50).value
        assert isinstance(reply, list)
        cursor, keys = reply
        found.update(keys)
        if cursor == b"0":
            break
        server.run("DEL", f"{{one slot}}{round_number % 200}7", f"spread{round_number % 200}7")
        server.run("SET", f"{{one slot}}new{round_number}", "x")
    assert cursor == b"0"
    assert staying <= found


def test_filters_leave_keys_out_but_not_the_cursor() -> None:
    server = LocalServer()
    for number in range(300):
        server.run("SET", f"string{number}", "x")
        server.run("SETBIT", f"bits{number}", 0, 1)
    server.run("RPUSH", "list", "x")
    assert set(scan_all(server, "MATCH", "string1?")) == {b"string%d" % number for number in range(10, 20)}
    assert scan_all(server, "TYPE", "LIST", "COUNT", 5) == [b"list"]


def test_expired_keys_are_never_shown() -> None:
    for mode in (ExpiryMode.DELETE, ExpiryMode.HIDE):
        server = LocalServer()
        server.frozen_ms = 1000
        server.run("SET", "gone", "x", "PX", 1)
        server.run("SET", "here", "x")
        server.frozen_ms = 2000
        server.keyspace.expiry_mode = mode
        assert scan_all(server) == [b"here"]
        assert server.run("KEYS", "*").value == [b"here"]
        assert server.run("EXISTS", "gone", "here").value == 1
        assert server.run("DBSIZE").value == (1 if mode is ExpiryMode.DELETE else 2)


def test_randomkey_draws_every_key_and_ends_where_all_have_expired() -> None:
    server = LocalServer()
    assert server.run("RANDOMKEY").value is None
    server.frozen_ms = 1000
    names = {b"key%d" % number for number in range(8)}
    for name in names:
        server.run("SET", name, "x", "PX", 5)
    assert {server.run("RANDOMKEY").value for _ in range(400)} == names
    server.frozen_ms = 2000
    server.keyspace.expiry_mode = ExpiryMode.HIDE
    assert server.run("RANDOMKEY").value in names
    server.keyspace.expiry_mode = ExpiryMode.DELETE
    assert server.run("RANDOMKEY").value is None
