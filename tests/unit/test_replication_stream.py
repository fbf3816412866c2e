"""The stream's bytes, the backlog that keeps their end, and the history that says whose they are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.replication.backlog import BLOCK_BYTES, Backlog
from shoal.node.replication.history import NO_REPLID, History
from shoal.node.replication.stream import Operations, Reader, command_size, render
from shoal.node.resp.writer import encode_command

words = st.lists(st.binary(max_size=300), min_size=1, max_size=12)


def encoded(*commands: list[bytes]) -> bytes:
    return b"".join(map(encode_command, commands))


def told(reader: Reader, operations: Operations) -> bytes:
    return reader.take(operations, render(operations))


@given(words)
def test_the_size_of_a_command_is_that_of_its_encoding(command: list[bytes]) -> None:
    assert command_size(command) == len(encode_command(command))


def test_the_database_is_selected_only_when_it_changes() -> None:
    reader = Reader()
    stream = b"".join(
        told(reader, [(database, (b"SET", b"key", b"%d" % n))]) for n, database in enumerate((2, 2, 0))
    )
    assert stream == encoded(
        [b"SELECT", b"2"],
        [b"SET", b"key", b"0"],
        [b"SET", b"key", b"1"],
        [b"SELECT", b"0"],
        [b"SET", b"key", b"2"],
    )


def test_what_one_command_did_in_several_steps_is_one_transaction() -> None:
    stream = told(Reader(), [(0, (b"DEL", b"a")), (1, (b"DEL", b"b"))])
    assert stream == encoded(
        [b"SELECT", b"0"],
        [b"MULTI"],
        [b"DEL", b"a"],
        [b"SELECT", b"1"],
        [b"DEL", b"b"],
        [b"EXEC"],
    )


@pytest.fixture(scope="module", params=[BLOCK_BYTES, 7])
def _blocks_of(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("shoal.node.replication.backlog.BLOCK_BYTES", request.param)
        yield


@pytest.mark.usefixtures("_blocks_of")
@given(st.lists(st.binary(max_size=40)), st.integers(1, 60), st.integers(0, 1000), st.integers(1, 100))
def test_the_backlog_holds_exactly_the_last_bytes(
    parts: list[bytes], size: int, start: int, most: int
) -> None:
    backlog = Backlog(size, start)
    for part in parts:
        backlog.append(part)
    stream = b"".join(parts)
    assert backlog.end_offset == start + len(stream)
    for offset in range(start - 1, start + len(stream) + 3):
        held = max(start + 1, start + len(stream) - size + 1) <= offset <= start + len(stream) + 1
        assert backlog.holds(offset) == held
        if held:
            assert backlog.read_from(offset, most) == stream[offset - start - 1 :][:most]


@pytest.mark.usefixtures("_blocks_of")
@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 60), st.data())
def test_what_somebody_still_has_to_get_is_held_whatever_the_size(
    parts: list[bytes], size: int, data: st.DataObject
) -> None:
    backlog, stream = Backlog(size, 0), b"".join(parts)
    kept = 1
    for index, part in enumerate(parts):
        if index % 3 == 0:
            kept = data.draw(st.integers(kept, backlog.end_offset + 1))
            backlog.keep_from(kept)
        backlog.append(part)
    assert backlog.read_from(kept, len(stream) + 1) == stream[kept - 1 :]
    assert len(backlog) == max(len(stream) + 1 - kept, min(size, len(stream)))
    backlog.keep_from(None)
    assert len(backlog) == min(size, len(stream))


def test_a_backlog_neither_grows_nor_shrinks_by_being_copied() -> None:
    """Whatever is copied is there twice for a moment, which shows as a peak."""
    size, held = 300_000, 4_000_000
    backlog = Backlog(size, 0)
    backlog.keep_from(1)
    tracemalloc.start()
    try:
        for _ in range(held // 1000):
            backlog.append(b"x" * 1000)
        for kept in range(1, held, 50_000):
            tracemalloc.reset_peak()
            backlog.keep_from(kept)
            backlog.append(b"x" * 1000)
            most = len(backlog) + 3 * BLOCK_BYTES
            assert tracemalloc.get_traced_memory()[1] <= most * 9 // 8, "a bytearray has room to spare"
        backlog.keep_from(None)
        assert len(backlog) == size
        assert tracemalloc.get_traced_memory()[0] <= (size + 2 * BLOCK_BYTES) * 9 // 8
    finally:
        tracemalloc.stop()


def test_a_smaller_backlog_forgets_the_oldest_bytes() -> None:
    backlog = Backlog(100, 0)
    backlog.append(b"0123456789")
    backlog.resize(4)
    assert backlog.first_offset == 7
    assert backlog.read_from(7, 10) == b"6789"


def history_at(offset: int) -> History:
    history = History("a" * 40)
    history.keep_backlog(1000)
    history.feed(b"x" * offset)
    return history


def test_without_a_backlog_nobody_continues() -> None:
    assert not History("a" * 40).continues("a" * 40, 1)


def test_after_a_promotion_the_old_id_continues_up_to_what_is_shared() -> None:
    history = history_at(50)
    history.shift("b" * 40)
    history.feed(b"y" * 10)
    assert history.continues("b" * 40, 61)
    assert history.continues("a" * 40, 1)
    assert history.continues("a" * 40, 51)
    assert not history.continues("a" * 40, 52)
    assert not history.continues("c" * 40, 51)


def test_a_snapshot_replaces_the_past() -> None:
    history = history_at(50)
    history.shift("b" * 40)
    history.adopt("c" * 40, 7)
    history.keep_backlog(1000)
    assert (history.replid, history.offset, history.second_replid) == ("c" * 40, 7, NO_REPLID)
    assert history.continues("c" * 40, 8)
    assert not history.continues("b" * 40, 51)
    assert not history.continues("a" * 40, 20)
