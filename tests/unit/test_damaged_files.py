"""Files that were cut anywhere, or of which a bit flipped: whole, refused, or cut where a crash would cut."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from random import Random
from typing import BinaryIO

import pytest

from shoal.node.persistence.dump_payload import BAD_FORMAT, dump, restore, seal
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_reader import Entry, RdbReader
from shoal.node.resp.replies import CommandError
from shoal.node.runtime.append_only_loading import LoadingFailed
from shoal.node.runtime.disk import Disk
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.unit.append_only_node import AofNode
from tests.unit.real_server import fill, real_server
from tests.unit.samples import plain
from tests.unit.test_rdb_reader import sealed

TEXT = b"0123456789" * 90
LAYOUTS: dict[str, dict[str, object]] = {
    "commands": {},
    "with times": {"aof_timestamp_enabled": True},
    "with functions and databases": {"aof_use_rdb_preamble": False},
}
EDGES = (0, 1, 63, 64, 127, 128, 129, 191, 192, 195, 254, 255)
"""Bytes that mean much where a length or a kind stands."""
FLIPS = 10_000
MUTANTS = 20_000
WATCHED_EACH = 10
ALLOCATED_PER_BYTE = 300
ALLOCATED_IN_ANY_CASE = 256 * 1024
"""What reading a payload may take: so much for each of its bytes, and so much for the reader itself."""


def written(folder: Path, layout: str) -> tuple[Path, list[tuple[int, str]]]:
    """An increment of about 10 KB, and after each turn its size and what the data are."""
    node = AofNode(folder, appendfsync="no", **LAYOUTS[layout])
    node.start()
    increment = node.append_only.files.path("appendonly.aof.1.incr.aof")
    states = [(0, node.digest)]
    number = 0
    while states[-1][0] < 10_000:
        number += 1
        node.server.keyspace.now_ms += 700
        node.run_all(
            [
                [("SET", f"string:{number}", TEXT)],
                [("MULTI",), ("RPUSH", "list", number, TEXT), ("INCR", "count"), ("EXEC",)],
                [("SELECT", 1), ("HSET", "hash", number, TEXT), ("SELECT", 0)],
                [("XADD", "stream", "*", "field", TEXT)],
                [("ZADD", "zset", number, b"\r\n*1\r\n$4\r\nPING" + TEXT)],
            ][number % 5]
        )
        states.append((increment.stat().st_size, node.digest))
    node.append_only.finish()
    return increment, states


class MemoryDisk(Disk):
    """One file in memory, the others where they are: a file that changes thousands of times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path.read_bytes()

    def size(self, path: Path) -> int:
        return len(self.data) if path == self.path else super().size(path)

    def open_to_read(self, path: Path) -> BinaryIO:
        return BytesIO(self.data) if path == self.path else super().open_to_read(path)

    def truncate(self, target: int | Path, size: int) -> None:
        assert target == self.path
        self.data = self.data[:size]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cut_at_any_byte_everything_whole_is_there_and_nothing_else(tmp_path: Path, layout: str) -> None:
    increment, states = written(tmp_path, layout)
    data = increment.read_bytes()
    assert len(data) >= 10_000
    disk, reached = MemoryDisk(increment), 0
    found = AofNode(tmp_path, disk)
    for size in range(len(data) + 1):
        disk.data = data[:size]
        found.load()
        is_boundary = reached + 1 < len(states) and states[reached + 1][0] <= size
        reached += is_boundary
        kept = len(disk.data)
        assert states[reached][0] <= kept <= size, size
        if is_boundary or size % 100 == 0:  # elsewhere what is kept says what was loaded
            assert found.digest == states[reached][1], size


def test_a_flipped_bit_is_refused_or_changes_a_value_and_nothing_else_happens(tmp_path: Path) -> None:
    rng = Random(1)
    increment, _ = written(tmp_path, "commands")
    disk, refused = MemoryDisk(increment), 0
    found, data = AofNode(tmp_path, disk), disk.data
    for _ in range(FLIPS // 2):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        disk.data = bytes(flipped)
        try:
            found.load()
        except LoadingFailed:
            refused += 1
    assert 0 < refused < FLIPS // 2


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_a_flipped_bit_in_a_snapshot_is_always_refused(small_snapshot: bytes) -> None:
    rng = Random(2)
    for _ in range(FLIPS // 2):
        flipped = bytearray(small_snapshot)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        reader = RdbReader()
        with pytest.raises(RdbError):
            reader.feed(bytes(flipped))
            if not reader.finished:
                raise RdbError("the file is cut short")


@pytest.fixture(scope="module")
def small_snapshot(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A few keys of every type, as Redis writes them."""
    directory = tmp_path_factory.mktemp("redis7")
    with real_server(REDIS7_SERVER, directory) as client:
        fill(client)
        for key in client.scan_iter():
            if len(client.dump(key)) > 100:
                client.delete(key)
        client.save()
    return (directory / "dump.rdb").read_bytes()


@pytest.fixture(scope="module")
def payloads(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One of every encoding of three servers, without version and checksum."""
    found = []
    for program in (REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER):
        with real_server(program, tmp_path_factory.mktemp("server")) as client:
            fill(client)
            found += [client.dump(key)[:-10] for key in sorted(client.scan_iter())]
    return [payload for payload in found if len(payload) < 3000]


def mutant(rng: Random, whole: bytes) -> bytes:
    """A few bytes changed, mostly where lengths stand; a piece cut out or doubled; an edge of a number."""
    body = bytearray(whole)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(min(len(body), 40) if rng.random() < 0.6 else len(body))
        body[at] = rng.choice((*EDGES, rng.randrange(256)))
    where, size = rng.randrange(len(body)), rng.randrange(1, 9)
    choice = rng.random()
    if choice < 0.1:
        del body[where:]
    elif choice < 0.2:
        del body[where : where + size]
    elif choice < 0.3:
        body[where:where] = body[where : where + size]
    elif choice < 0.4:
        body[where : where + size] = rng.choice((b"\x81" + b"\xff" * 8, b"\x80\xff\xff\xff\xff", b"\x7f\xff"))
    return bytes(body) or b"\0"


@contextmanager
def bounded_memory(size: int, *, watched: bool) -> Iterator[None]:
    """What happens inside takes no more memory than so many bytes of input may; watching that is slow."""
    if not watched:
        yield
        return
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < ALLOCATED_PER_BYTE * size + ALLOCATED_IN_ANY_CASE
    finally:
        tracemalloc.stop()


@pytest.mark.peers
@needs(REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)
def test_restore_refuses_a_mutant_or_makes_a_sound_value_of_it(payloads: list[bytes]) -> None:
    rng, restored = Random(3), 0
    for number in range(MUTANTS // 2):
        body = mutant(rng, rng.choice(payloads))
        value = None
        with bounded_memory(len(body), watched=number % WATCHED_EACH == 0):
            try:
                value = restore(seal(body))
            except CommandError as error:
                assert error.text.decode() == BAD_FORMAT
        if value is not None:
            restored += 1
            assert plain(restore(dump(value))) == plain(value)
    assert 0 < restored < MUTANTS // 2


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_a_snapshot_that_is_a_mutant_is_refused_or_gives_sound_values(small_snapshot: bytes) -> None:
    rng, sound, body = Random(4), 0, small_snapshot[9:-9]
    for number in range(MUTANTS // 2):
        start = rng.randrange(len(body))  # lengths are everywhere, not only at the beginning
        data = sealed(body[:start] + mutant(rng, body[start:]))
        events: list[object] = []
        with bounded_memory(len(data), watched=number % WATCHED_EACH == 0), suppress(RdbError):
            events += RdbReader().feed(data)
        sound += bool(events)
        for event in events:
            assert not isinstance(event, Entry) or plain(event.value) is not None
    assert 0 < sound < MUTANTS // 2
