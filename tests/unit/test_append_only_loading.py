"""Loading an append-only file: whole, cut short at any byte, damaged, in several files, or an old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.node.dataset.digest import keyspace_digest
from shoal.node.resp.writer import encode_command
from shoal.node.runtime.append_only_loading import LoadingFailed
from tests.unit.append_only_node import NOW_MS, AofNode, loaded

FILL = b"x" * 190
COMMANDS: list[list[tuple[str | int | bytes, ...]]] = [
    [("SET", "string", FILL)],
    [("APPEND", "string", "\r\n*1\r\n$4\r\nPING\r\n")],
    [("RPUSH", "list", *(b"%d" % number + FILL for number in range(6)))],
    [("MULTI",), ("HSET", "hash", "field", FILL), ("SADD", "set", "1", "2"), ("LPOP", "list"), ("EXEC",)],
    [("ZADD", "zset", "1.5", "one", "-inf", "none")],
    [("SELECT", "1"), ("SET", "other", "", "EX", "100"), ("SELECT", "0")],
    [("SPOP", "set")],
    [("MULTI",), ("INCR", "count"), ("SELECT", "1"), ("INCR", "count"), ("SELECT", "0"), ("EXEC",)],
    [("SETRANGE", "string", "10", FILL)],
    [("HDEL", "hash", "field")],
    [("SET", "last", FILL * 3)],
]
"""Turns: what belongs together is one of them."""


def written(folder: Path, **directives: object) -> tuple[Path, list[tuple[int, str]]]:
    """An increment with all of COMMANDS, and after each turn its size and what the data are."""
    node = AofNode(folder, appendfsync="no", **directives)
    node.start()
    increment = node.append_only.files.path("appendonly.aof.1.incr.aof")
    states = [(0, node.digest)]
    for commands in COMMANDS:
        node.run_all(commands)
        states.append((increment.stat().st_size, node.digest))
    node.append_only.finish()
    return increment, states


@pytest.mark.parametrize("annotated", [False, True])
def test_cut_at_any_byte_it_holds_what_was_whole_and_goes_on_from_there(
    tmp_path: Path, annotated: bool
) -> None:
    increment, states = written(tmp_path, aof_timestamp_enabled=annotated)
    data = increment.read_bytes()
    assert len(data) == states[-1][0] > 3000
    found = AofNode(tmp_path)
    for size in range(len(data) + 1) if not annotated else range(0, len(data), 97):
        increment.write_bytes(data[:size])
        found.load()
        assert found.digest == max(state for state in states if state[0] <= size)[1], size
        assert increment.stat().st_size <= size
        assert data.startswith(increment.read_bytes())
        assert found.server.aof.current_size == found.append_only.files.size()
    assert loaded(tmp_path).digest == found.digest


def test_without_aof_load_truncated_a_cut_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    increment, states = written(tmp_path)
    for size in (states[-1][0] - 1, states[4][0] - 30):
        increment.write_bytes(data := increment.read_bytes()[:size])
        with pytest.raises(
            LoadingFailed, match=r"Unexpected end of file .*incr\.aof at offset \d+\. You can"
        ):
            loaded(tmp_path, aof_load_truncated=False)
        assert increment.read_bytes() == data


def test_damage_is_refused_with_file_and_offset(tmp_path: Path) -> None:
    increment, states = written(tmp_path)
    data, place = increment.read_bytes(), states[2][0]
    increment.write_bytes(data[:place] + b"!!!" + data[place:])
    with pytest.raises(LoadingFailed) as refused:
        loaded(tmp_path)
    assert f"Bad file format reading the append only file {increment} at offset {place}" in str(refused.value)
    increment.write_bytes(data[:place] + encode_command([b"BLA", b"foo"]) + data[place:])
    with pytest.raises(LoadingFailed) as refused:
        loaded(tmp_path)
    assert f"Unknown command 'BLA' reading the append only file {increment} at offset {place}" in str(
        refused.value
    )


def test_a_base_that_is_damaged_or_cut_is_refused(tmp_path: Path) -> None:
    node = AofNode(tmp_path)
    node.start()
    base = node.append_only.files.path("appendonly.aof.1.base.rdb")
    whole = base.read_bytes()
    for data in (whole[:-9], whole[:-1] + b"!", b"REDIS9999" + whole[9:]):
        base.write_bytes(data)
        with pytest.raises(LoadingFailed, match=r"Error reading the RDB base file .*base\.rdb"):
            loaded(tmp_path)
    base.unlink()
    with pytest.raises(LoadingFailed, match=r"base\.rdb"):
        loaded(tmp_path)


def test_only_the_last_file_may_be_cut(tmp_path: Path) -> None:
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    first, second = folder / "a.1.incr.aof", folder / "a.2.incr.aof"
    manifest = folder / "appendonly.aof.manifest"
    manifest.write_text(
        "file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\nfile gone.aof seq 9 type h\n"
    )
    first.write_bytes(encode_command([b"SET", b"a", b"1"]))
    second.write_bytes(encode_command([b"INCR", b"a"])[:-1])
    assert loaded(tmp_path).run("GET", "a") == "1"
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(LoadingFailed, match="the truncated file is not the last file"):
        loaded(tmp_path)
    second.unlink()
    with pytest.raises(LoadingFailed, match=r"a\.2\.incr\.aof"):
        loaded(tmp_path)
    manifest.write_text("nonsense\n")
    with pytest.raises(LoadingFailed, match="at line 1 'nonsense': Invalid AOF manifest file format"):
        loaded(tmp_path)


def test_a_single_file_of_before_redis_7_is_taken_in_also_when_that_was_interrupted(tmp_path: Path) -> None:
    old = tmp_path / "appendonly.aof"
    old.write_bytes(encode_command([b"SET", b"a", b"1"]))
    node = AofNode(tmp_path)
    node.start()
    assert node.run("INCR", "a") == 2
    assert not old.exists()
    manifest = node.append_only.files.manifest_path
    assert manifest.read_text().splitlines()[0] == "file appendonly.aof seq 1 type b"
    assert loaded(tmp_path).run("GET", "a") == "2"
    (tmp_path / "appendonlydir" / "appendonly.aof").rename(old)
    manifest.write_text("file appendonly.aof seq 1 type b\n")
    assert loaded(tmp_path).run("GET", "a") == "1"


def test_keys_whose_time_has_come_are_there_for_the_commands_that_follow(tmp_path: Path) -> None:
    node = AofNode(tmp_path)
    node.start()
    node.run("RPUSH", "list", "a")
    node.run("PEXPIREAT", "list", NOW_MS + 10)
    node.run("RPUSH", "list", "b")
    node.run("PERSIST", "list")
    node.run("SET", "dead", "1", "PXAT", NOW_MS + 10)
    again = loaded(tmp_path)
    again.server.keyspace.now_ms = NOW_MS + 20
    assert again.run("LRANGE", "list", 0, -1) == ["a", "b"]
    assert again.run("GET", "dead") is None


def test_a_command_that_fails_while_loading_is_told_and_the_rest_is_loaded(tmp_path: Path) -> None:
    node = AofNode(tmp_path)
    node.start()
    node.run("SET", "a", "1")
    increment = node.append_only.files.path("appendonly.aof.1.incr.aof")
    with increment.open("ab") as file:
        file.write(encode_command([b"LPUSH", b"a", b"1"]) + encode_command([b"SET", b"b", b"2"]))
    found = loaded(tmp_path)
    assert (found.run("GET", "a"), found.run("GET", "b")) == ("1", "2")
    assert keyspace_digest(found.server.keyspace).hex() == found.digest
