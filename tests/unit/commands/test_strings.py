"""What comparing with Redis cannot show: limits, changes in place, the longest common subsequence."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.dataset.common_subsequence import longest_common_subsequence
from shoal.node.resp.limits import MAX_BULK_BYTES
from tests.differential.comparison import Command
from tests.differential.executor import LocalServer

TOO_LONG = ("error", "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
BAD_OFFSET = ("error", "ERR bit offset is not an integer or out of range")


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (("SETRANGE", "k", MAX_BULK_BYTES, "v"), TOO_LONG),
        (("SETRANGE", "k", MAX_BULK_BYTES - 1, "vv"), TOO_LONG),
        (("SETRANGE", "k", (1 << 63) - 1, "v"), TOO_LONG),
        (("SETBIT", "k", MAX_BULK_BYTES * 8, 1), BAD_OFFSET),
        (("BITFIELD", "k", "SET", "u8", f"#{MAX_BULK_BYTES}", 1), BAD_OFFSET),
    ],
)
def test_no_string_outgrows_what_a_client_could_receive(command: Command, refusal: object) -> None:
    server = LocalServer()
    assert server.run(*command).value == refusal
    assert server.run("EXISTS", "k").value == 0


def test_nothing_written_far_away_costs_nothing() -> None:
    server = LocalServer()
    assert server.run("SETRANGE", "k", (1 << 63) - 1, "").value == 0
    assert server.run("EXISTS", "k").value == 0


def test_a_reply_does_not_change_with_the_string_it_came_from() -> None:
    server = LocalServer()
    server.run("SET", "k", "abc")
    server.run("APPEND", "k", "def")
    replies = [server.execute([b"GET", b"k"]), server.execute([b"MGET", b"k"])]
    server.run("SETRANGE", "k", 0, "xyz")
    assert replies == [b"abcdef", [b"abcdef"]]


def test_a_copy_lives_apart_from_the_original() -> None:
    server = LocalServer()
    server.run("APPEND", "k", "abc")
    server.run("APPEND", "k", "def")
    server.run("COPY", "k", "j")
    server.run("SETRANGE", "k", 0, "xyz")
    assert server.run("MGET", "k", "j").value == [b"xyzdef", b"abcdef"]


def test_a_changed_string_keeps_its_time_to_live() -> None:
    server = LocalServer()
    for change in (("APPEND", "k", "1"), ("SETRANGE", "k", 1, "1"), ("INCR", "k"), ("INCRBYFLOAT", "k", "1")):
        server.run("SET", "k", "1", "PXAT", 4_000_000_000_000)
        server.run(*change)
        assert server.run("PEXPIRETIME", "k").value == 4_000_000_000_000


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_the_longest_common_subsequence_is_common_and_longest(first: bytes, second: bytes) -> None:
    first, second = bytes(byte % 4 for byte in first), bytes(byte % 4 for byte in second)
    matches = longest_common_subsequence(first, second)
    for match in matches:
        assert first[match.first :][: match.length] == second[match.second :][: match.length]
    for later, earlier in pairwise(matches):
        assert earlier.first + earlier.length <= later.first
        assert earlier.second + earlier.length <= later.second
    assert sum(match.length for match in matches) == table_length(first, second)


def table_length(first: bytes, second: bytes) -> int:
    """The length by the textbook table."""
    row = [0] * (len(second) + 1)
    for byte in first:
        above, row = row, [0]
        for column, other in enumerate(second):
            row.append(above[column] + 1 if byte == other else max(above[column + 1], row[column]))
    return row[-1]
