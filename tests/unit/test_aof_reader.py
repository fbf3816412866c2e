"""Reading the commands of an append-only file, however its bytes arrive and wherever they are damaged."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.persistence.aof_reader import AofReader
from shoal.node.persistence.errors import AofError
from shoal.node.resp.writer import encode_command

commands = st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=5), max_size=8)


@given(commands, st.lists(st.integers(0, 400), max_size=6))
def test_however_the_file_is_cut_the_commands_are_the_same(sent: list[list[bytes]], cuts: list[int]) -> None:
    encoded = [encode_command(argv) for argv in sent]
    data = b"#TS:1700000000\r\n" + b"#another\n".join(encoded)
    reader = AofReader()
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    found = [item for a, b in itertools.pairwise(places) for item in reader.feed(data[a:b])]
    assert [argv for argv, _ in found] == sent
    assert all(data[:end].endswith(part) for (_, end), part in zip(found, encoded, strict=True))
    assert (reader.unfinished_bytes, reader.offset) == (0, len(data))


def test_at_every_cut_what_is_whole_is_found_and_the_rest_is_unfinished() -> None:
    first, second = encode_command([b"SET", b"a", b"x" * 40]), encode_command([b"DEL", b"a"])
    for size in range(len(first) + len(second)):
        reader = AofReader()
        found = reader.feed((first + second)[:size])
        assert len(found) == (size >= len(first))
        assert reader.unfinished_bytes == (size - len(first) if size >= len(first) else size)


@pytest.mark.parametrize(
    ("damage", "offset"),
    [
        (b"!!!", 0),
        (b"*0\r\n", 0),
        (b"*x\r\n", 0),
        (b"*x", 0),
        (b"*-1\r\n", 0),
        (b"*1\r\n+PING\r\n", 4),
        (b"*1\r\n$x\r\n", 4),
        (b"*1\r\n$4\r\nPINGED\r\n", 12),
        (b"*" + b"1" * 80, 0),
    ],
)
def test_damage_is_refused_at_its_offset(damage: bytes, offset: int) -> None:
    before = encode_command([b"SET", b"a", b"1"])
    with pytest.raises(AofError) as refused:
        AofReader().feed(before + damage)
    assert refused.value.offset == len(before) + offset
