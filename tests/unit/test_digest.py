"""The digest: equal to Redis's own for the same data, and blind to order."""

import pytest

from shoal.node.dataset.digest import keyspace_digest, value_digest
from shoal.node.dataset.keyspace import Keyspace
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.unit.real_server import fill, real_server
from tests.unit.samples import hash_value, load, set_value, sorted_set


def test_an_empty_keyspace_has_a_digest_of_zeros():
    assert keyspace_digest(Keyspace(16)) == bytes(20)
    assert value_digest(Keyspace(1).databases[0], b"missing") == bytes(20)


def test_order_of_keys_fields_and_members_does_not_matter():
    one, other = Keyspace(1).databases[0], Keyspace(1).databases[0]
    one.set(b"hash", hash_value({b"a": b"1", b"b": b"2"}))
    one.set(b"set", set_value([b"a", b"b"]))
    other.set(b"set", set_value([b"b", b"a"]))
    other.set(b"hash", hash_value({b"b": b"2", b"a": b"1"}))
    assert keyspace_digest(one.keyspace) == keyspace_digest(other.keyspace)


def test_fields_are_not_confused_with_each_others_contents():
    database = Keyspace(1).databases[0]
    database.set(b"one", hash_value({b"a": b"1", b"b": b"2"}))
    database.set(b"other", hash_value({b"a": b"2", b"b": b"1"}))
    assert value_digest(database, b"one") != value_digest(database, b"other")


def test_a_string_that_was_appended_to_digests_as_its_bytes():
    database = Keyspace(1).databases[0]
    database.set(b"one", b"text")
    database.set(b"other", bytearray(b"text"))
    assert value_digest(database, b"one") == value_digest(database, b"other")


@pytest.mark.peers
@needs(REDIS7_SERVER)
@pytest.mark.parametrize("size", [10, 1000])
def test_scores_digest_in_seventeen_digits_at_every_size(tmp_path, size):
    with real_server(REDIS7_SERVER, tmp_path) as client:
        scores = {b"member %d" % i: (i - 5) / 7 * 10.0 ** (i % 40 - 20) for i in range(size)}
        client.zadd("zset", scores)
        database = Keyspace(1).databases[0]
        database.set(b"zset", sorted_set(scores))
        theirs = client.execute_command("DEBUG", "DIGEST-VALUE", "zset")
        assert [value_digest(database, b"zset").hex().encode()] == theirs


@pytest.mark.peers
@pytest.mark.parametrize(
    "program",
    [pytest.param(p, marks=needs(p), id=p.parts[-3]) for p in (REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)],
)
def test_digests_equal_a_real_servers(program, tmp_path):
    with real_server(program, tmp_path) as client:
        fill(client)
        client.save()
        keyspace = load((tmp_path / "dump.rdb").read_bytes())
        assert keyspace_digest(keyspace).hex().encode() == client.execute_command("DEBUG", "DIGEST")
        keys = sorted(client.keys())
        theirs = client.execute_command("DEBUG", "DIGEST-VALUE", *keys, "missing")
        ours = [value_digest(keyspace.databases[0], key).hex().encode() for key in (*keys, b"missing")]
        assert ours == theirs
