"""MIGRATE between real servers, ours and Redis, and what other clients see of it meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest

from tests.peers import REDIS7_SERVER, needs
from tests.ports import free_port
from tests.processes.nodes import HOST, SHOAL, Node, ask, running_node, wait_until

pytestmark = pytest.mark.processes

TIMEOUT_MS = 5000
DEBUG = ("--enable-debug-command", "yes")
KEYS = ("string", "list", "set", "hash", "zset")
TO_REDIS = pytest.param((str(REDIS7_SERVER),), id="to Redis", marks=needs(REDIS7_SERVER))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Node]:
    folder = tmp_path / "source"
    folder.mkdir()
    with running_node(folder, *DEBUG) as node:
        yield node


@pytest.fixture(params=[pytest.param(SHOAL, id="to Shoal"), TO_REDIS])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    folder = tmp_path / "target"
    folder.mkdir()
    with running_node(folder, *DEBUG, command=request.param) as node:
        yield node


def outcome(port: int, *words: str | int) -> str:
    """The reply as text, an error's too."""
    try:
        return str(ask(port, *words))
    except hiredis.ReplyError as error:
        return str(error)


def digests(node: Node) -> list[str]:
    return [node.ask("DEBUG", "DIGEST-VALUE", key)[0] for key in KEYS]


def fill(node: Node) -> None:
    """One key of every type."""
    node.ask("SET", "string", b"\x00\r\nbinary")
    node.ask("RPUSH", "list", *map(str, range(500)))
    node.ask("SADD", "set", *map(str, range(500)))
    node.ask("HSET", "hash", *(word for number in range(500) for word in (f"f{number}", number)))
    node.ask("ZADD", "zset", *(word for number in range(500) for word in (number / 4, f"m{number}")))


def test_keys_of_every_type_arrive_whole_and_leave(source: Node, target: Node) -> None:
    fill(source)
    before = digests(source)
    source.ask("PEXPIRE", "hash", 100_000)
    words = ("MIGRATE", HOST, target.port, "", 0, TIMEOUT_MS, "KEYS", *KEYS, "none")
    assert source.ask(*words) == "OK"
    assert source.ask("DBSIZE") == 0
    assert 0 < target.ask("PTTL", "hash") <= 100_000
    target.ask("PERSIST", "hash")
    assert digests(target) == before
    assert target.ask("PTTL", "list") == -1


def test_a_key_that_is_there_already_is_kept_unless_replaced(source: Node, target: Node) -> None:
    source.ask("MSET", "a", "new", "b", "new")
    target.ask("SET", "a", "old")
    answer = outcome(source.port, "MIGRATE", HOST, target.port, "", 0, TIMEOUT_MS, "KEYS", "a", "b")
    assert answer.startswith("ERR Target instance replied with error: BUSYKEY")
    assert (source.ask("GET", "a"), target.ask("GET", "a")) == ("new", "old")
    assert (source.ask("GET", "b"), target.ask("GET", "b")) == (None, "new")
    assert source.ask("MIGRATE", HOST, target.port, "a", 0, TIMEOUT_MS, "COPY", "REPLACE") == "OK"
    assert (source.ask("GET", "a"), target.ask("GET", "a")) == ("new", "new")


def test_nothing_to_move_is_told(source: Node, target: Node) -> None:
    assert source.ask("MIGRATE", HOST, target.port, "none", 0, TIMEOUT_MS) == "NOKEY"


def test_a_target_that_wants_a_password_gets_it(source: Node, target: Node) -> None:
    target.ask("CONFIG", "SET", "requirepass", "secret")
    source.ask("SET", "k", "v")
    refused = outcome(source.port, "MIGRATE", HOST, target.port, "k", 0, TIMEOUT_MS)
    assert "NOAUTH" in refused
    assert source.ask("GET", "k") == "v"
    assert source.ask("MIGRATE", HOST, target.port, "k", 0, TIMEOUT_MS, "AUTH", "secret") == "OK"
    assert source.ask("EXISTS", "k") == 0


def test_a_key_for_a_database_that_the_target_lacks_stays(source: Node, target: Node) -> None:
    source.ask("MSET", "a", "1", "b", "2")
    answer = outcome(source.port, "MIGRATE", HOST, target.port, "", 99, TIMEOUT_MS, "KEYS", "a", "b")
    assert answer.startswith("ERR Target instance replied with error:") and "out of range" in answer
    assert (source.ask("GET", "a"), source.ask("GET", "b")) == ("1", "2")
    target.ask("FLUSHALL")
    assert source.ask("MIGRATE", HOST, target.port, "a", 0, TIMEOUT_MS) == "OK"
    assert target.ask("GET", "a") == "1"


def test_a_target_that_is_not_there_loses_nothing(source: Node) -> None:
    source.ask("SET", "k", "v")
    answer = outcome(source.port, "MIGRATE", HOST, free_port(), "k", 0, 500)
    assert answer.startswith("IOERR")
    assert source.ask("GET", "k") == "v"


def test_while_a_key_is_on_its_way_it_is_read_but_not_written(source: Node) -> None:
    """The target takes the connection and never answers: the key stays on its way until time is up."""
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        source.ask("SET", "moving", "1")
        source.ask("SET", "other", "1")
        answers: dict[str, str] = {}

        def send(name: str, *words: str | int) -> threading.Thread:
            thread = threading.Thread(target=lambda: answers.update({name: outcome(source.port, *words)}))
            thread.start()
            return thread

        moving = send("migrate", "MIGRATE", HOST, port, "moving", 0, 3000)
        wait_until(lambda: source.calls("migrate") == 1, "MIGRATE has begun")
        writing = send("write", "INCR", "moving")
        wait_until(lambda: " flags=b " in str(source.ask("CLIENT", "LIST")), "a client is held back")
        assert source.ask("GET", "moving") == "1"
        assert source.ask("INCR", "other") == 2
        assert "write" not in answers
        moving.join(20)
        writing.join(20)
    assert answers["migrate"].startswith("IOERR")
    assert answers["write"] == "2"
    assert source.ask("GET", "moving") == "2"


def scripted_target(listening: socket.socket, keeps: list[int], answered: list[int]) -> None:
    """Takes one connection after the other, answers so many commands on each, and closes it at the next."""
    for count in keeps:
        connection, _ = listening.accept()
        with connection:
            reader = hiredis.Reader()
            for _ in range(count):
                while reader.gets() is False:
                    reader.feed(connection.recv(65536))
                connection.sendall(b"+OK\r\n")
                answered.append(count)
            connection.recv(65536)


def test_a_kept_connection_that_went_stale_is_replaced_by_a_new_one(source: Node) -> None:
    """The target closes a kept connection just as the next keys come: nobody has to hear of it."""
    answered: list[int] = []
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        # SELECT and RESTORE on the first connection; the second RESTORE ends it, and goes over a new one.
        target = threading.Thread(target=scripted_target, args=(listening, [2, 2], answered))
        target.start()
        source.ask("MSET", "a", 1, "b", 2)
        assert source.ask("MIGRATE", HOST, port, "a", 0, TIMEOUT_MS) == "OK"
        assert source.ask("MIGRATE", HOST, port, "b", 0, TIMEOUT_MS) == "OK"
        assert source.ask("DBSIZE") == 0
        # The kept one is about to end, and there will be no other: the key stays, and the client hears of it.
        listening.close()
        source.ask("SET", "c", 3)
        answer = outcome(source.port, "MIGRATE", HOST, port, "c", 0, TIMEOUT_MS)
        target.join(20)
    assert answer == "IOERR error or timeout connecting to the client"
    assert answered == [2, 2, 2, 2] and source.ask("GET", "c") == "3"


def test_a_target_that_closes_in_the_middle_keeps_what_it_confirmed(source: Node) -> None:
    answered: list[int] = []
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        target = threading.Thread(target=scripted_target, args=(listening, [2], answered))
        target.start()
        source.ask("MSET", "a", 1, "b", 2)
        answer = outcome(source.port, "MIGRATE", HOST, port, "", 0, TIMEOUT_MS, "KEYS", "a", "b")
        target.join(20)
    assert answer.startswith("IOERR") and answered == [2, 2]
    assert source.ask("GET", "a") is None and source.ask("GET", "b") == "2"
