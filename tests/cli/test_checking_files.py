"""check-rdb and check-aof: on what real servers and ours write, whole and damaged, beside redis-check-*."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.node.resp.writer import encode_command
from tests.cli.conftest import shoal
from tests.peers import REDIS7_CHECK_RDB, REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.processes.nodes import SHOAL, Node, running_node, wait_until

CHECK_AOF = REDIS7_SERVER.with_name("redis-check-aof")
CHECK_NEWER_AOF = REDIS8_SERVER.with_name("redis-check-aof")
"""Reads what any of these servers writes; the other only what Redis 7.0 may."""
PROGRAMS = {
    "redis 7": (str(REDIS7_SERVER),),
    "redis 8": (str(REDIS8_SERVER),),
    "valkey 8": (str(VALKEY8_SERVER),),
    "shoal": SHOAL,
}

pytestmark = [
    pytest.mark.peers,
    pytest.mark.processes,
    needs(REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, REDIS7_CHECK_RDB, CHECK_AOF, CHECK_NEWER_AOF),
]


def fill(node: Node) -> None:
    node.ask("SET", "string", "x" * 100)
    node.ask("MSET", *(word for number in range(SHORT_STRINGS) for word in (f"short:{number}", "x")))
    node.ask("SET", "expires", 1, "PX", 100_000_000)
    node.ask("RPUSH", "list", *range(100))
    node.ask("SADD", "set", 1, 2, 3)
    node.ask("HSET", "hash", "field", "value")
    node.ask("ZADD", "zset", 1.5, "member")
    node.ask("XADD", "stream", "1-1", "field", "value")
    node.ask("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() return 1 end)")


OPEN_TRANSACTION = encode_command((b"MULTI",)) + encode_command((b"INCR", b"a"))
SHORT_STRINGS = 100
TYPES = {"string": 2 + SHORT_STRINGS, "list": 1, "set": 1, "hash": 1, "zset": 1, "stream": 1}


@pytest.fixture(scope="module", params=PROGRAMS)
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a server left behind: a snapshot, and an append-only file of a base and an increment."""
    folder = tmp_path_factory.mktemp("server")
    with running_node(folder, "--appendonly", "yes", command=PROGRAMS[request.param]) as node:
        fill(node)
        node.ask("SAVE")
        node.ask("BGREWRITEAOF")
        wait_until(lambda: node.info("persistence")["aof_rewrite_in_progress"] == "0", "it is rewritten")
        node.ask("MULTI")
        node.ask("SET", "later", "1")
        node.ask("EVAL", "redis.call('set', 'a', 1); redis.call('set', 'b', 2)", 0)
        yield node.directory


def manifest(directory: Path) -> Path:
    return directory / "appendonlydir" / "appendonly.aof.manifest"


def increment(directory: Path) -> Path:
    return max((directory / "appendonlydir").glob("*.incr.aof"))


def redis_check(program: Path, path: Path) -> tuple[int, str]:
    done = subprocess.run([program, path], capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout + done.stderr


def test_a_whole_snapshot(directory: Path) -> None:
    done = shoal("check-rdb", directory / "dump.rdb", "--json")
    found = done.document
    assert done.status == 0
    assert (found["ok"], found["types"], found["keys"], found["functions"]) == (
        True,
        TYPES,
        sum(TYPES.values()),
        1,
    )
    assert (found["expires"], found["expired"]) == (1, 0)
    assert found["size"] == found["whole_until"] == (directory / "dump.rdb").stat().st_size
    told = shoal("check-rdb", directory / "dump.rdb").lines
    assert any("The snapshot is whole" in line for line in told)


def test_a_whole_append_only_file(directory: Path) -> None:
    done = shoal("check-aof", manifest(directory), "--json")
    assert done.status == 0, done
    base, last = done.document["files"]
    assert base["snapshot"]["types"] == TYPES
    assert base["valid"]
    assert last["valid"]
    assert last["commands"] >= 5
    assert "All AOF files and manifest are valid" in shoal("check-aof", manifest(directory)).lines[-1]


def test_ours_are_accepted_by_the_tools_of_redis(tmp_path: Path) -> None:
    with running_node(tmp_path, "--appendonly", "yes") as node:
        fill(node)
        node.ask("SAVE")
        status, text = redis_check(REDIS7_CHECK_RDB, node.directory / "dump.rdb")
        assert status == 0, text
        assert "RDB looks OK" in text
        status, text = redis_check(CHECK_AOF, manifest(node.directory))
        assert status == 0, text
        assert "All AOF files and manifest are valid" in text


def test_a_damaged_snapshot_is_refused_with_the_place(directory: Path, tmp_path: Path) -> None:
    data = (directory / "dump.rdb").read_bytes()
    damaged = tmp_path / "dump.rdb"
    for body in (data[:-20], data[:-1], data[:50] + b"\xff" + data[51:], data + b"more", b"", b"no snapshot"):
        damaged.write_bytes(body)
        done = shoal("check-rdb", damaged, "--json")
        assert done.status == 1
        assert done.document["errors"]
        assert done.document["whole_until"] <= len(body)
    assert redis_check(REDIS7_CHECK_RDB, damaged)[0] == 1


@pytest.mark.parametrize(
    "damage", [b"*3\r\n$3\r\nSET", b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n", b"!!!"]
)
def test_the_last_file_is_cut_behind_its_last_whole_command(
    directory: Path, tmp_path: Path, damage: bytes
) -> None:
    folder = copied(directory, tmp_path)
    last = increment(tmp_path)
    whole = last.read_bytes()
    last.write_bytes(whole + damage)
    done = shoal("check-aof", manifest(tmp_path), "--json")
    assert done.status == 1
    assert done.document["files"][-1]["whole_until"] == len(whole)
    assert redis_check(CHECK_NEWER_AOF, manifest(tmp_path))[0] == 1
    assert shoal("check-aof", "--fix", manifest(tmp_path), input="no\n").status == 1
    assert last.read_bytes() == whole + damage
    assert shoal("check-aof", "--fix", manifest(tmp_path), input="yes\n").status == 0
    assert last.read_bytes() == whole
    assert shoal("check-aof", manifest(tmp_path)).status == 0
    assert redis_check(CHECK_NEWER_AOF, manifest(tmp_path))[0] == 0
    assert len(list(folder.iterdir())) == 3


def test_an_earlier_file_is_never_cut(directory: Path, tmp_path: Path) -> None:
    folder = copied(directory, tmp_path)
    (base,) = folder.glob("*.base.rdb")
    base.write_bytes(base.read_bytes() + b"*1\r\n$4\r\nPI")
    before = base.read_bytes()
    done = shoal("check-aof", "--fix", "--yes", manifest(tmp_path))
    assert done.status == 1
    assert any("because it is not the last file" in line for line in done.lines)
    assert base.read_bytes() == before


def copied(directory: Path, target: Path) -> Path:
    folder = target / "appendonlydir"
    folder.mkdir()
    for file in (directory / "appendonlydir").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_what_is_not_there_and_what_is_no_manifest(tmp_path: Path) -> None:
    assert "No such file" in shoal("check-rdb", tmp_path / "nothing").err
    broken = tmp_path / "x.manifest"
    broken.write_text("file a seq 1 type q\n")
    done = shoal("check-aof", broken)
    assert done.status == 1
    assert "line 1" in done.err
    alone = tmp_path / "appendonly.aof"
    alone.write_bytes(encode_command((b"SET", b"a", b"b")))
    assert shoal("check-aof", alone).status == 0
