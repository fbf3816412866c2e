"""Hash commands: what clients get, and what replicas are told."""

from __future__ import annotations

import pytest

from shoal.node.resp.replies import OK, CommandError, Pairs
from tests.unit.commands.client import Client


@pytest.fixture
def client() -> Client:
    return Client()


def test_hset_counts_new_fields_and_hmset_says_ok(client: Client) -> None:
    assert client("HSET h a 1 b 2 a 3") == 2
    assert client("HMSET h a 4 c 5") is OK
    assert client("HGETALL h") == Pairs([(b"a", b"4"), (b"b", b"2"), (b"c", b"5")])


def test_a_field_without_a_value_changes_nothing(client: Client) -> None:
    with pytest.raises(CommandError, match=r"^ERR wrong number of arguments for 'hset' command$"):
        client("HSET h a 1 b")
    assert client.call.db.peek(b"h") is None


def test_hgetall_is_a_copy_that_later_commands_do_not_alter(client: Client) -> None:
    client("HSET h a 1")
    before = client("HGETALL h")
    client("HSET h a 2")
    assert before == Pairs([(b"a", b"1")])


def test_hsetnx_leaves_what_is_there(client: Client) -> None:
    assert client("HSETNX h a 1") == 1
    assert client("HSETNX h a 2") == 0
    assert client.sent == []
    assert client("HGET h a") == b"1"


def test_the_last_field_takes_the_key_along(client: Client) -> None:
    client("HSET h a 1 b 2")
    assert client("HDEL h a b c") == 2
    assert client.call.db.peek(b"h") is None


def test_integers_count_up_to_64_bits(client: Client) -> None:
    assert client("HINCRBY h n 9223372036854775806") == 9223372036854775806
    assert client("HINCRBY h n 1") == 9223372036854775807
    with pytest.raises(CommandError, match="ERR increment or decrement would overflow"):
        client("HINCRBY h n 1")
    client("HSET h n 1.5")
    with pytest.raises(CommandError, match="ERR hash value is not an integer"):
        client("HINCRBY h n 1")


def test_floats_reach_replicas_as_the_sum_not_as_the_increment(client: Client) -> None:
    client("HSET h n 10.50")
    assert client("HINCRBYFLOAT h n 0.1") == b"10.6"
    assert client.sent == ["HSET h n 10.6"]
    with pytest.raises(CommandError, match="ERR value is NaN or Infinity"):
        client("HINCRBYFLOAT h n inf")


def test_a_refused_increment_creates_no_key(client: Client) -> None:
    with pytest.raises(CommandError, match="ERR value is not a valid float"):
        client("HINCRBYFLOAT h n x")
    assert client.call.db.peek(b"h") is None


def test_what_is_missing_reads_as_null_empty_or_zero(client: Client) -> None:
    client("HSET h a 1")
    assert client("HMGET h a b") == [b"1", None]
    assert client("HMGET none a b") == [None, None]
    assert client("HGETALL none") == Pairs([])
    assert (client("HKEYS none"), client("HVALS none")) == ([], [])
    assert (client("HLEN none"), client("HSTRLEN h b"), client("HEXISTS h b")) == (0, 0, 0)
