"""DUMP payloads: there and back, to and from real servers, and damaged ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node.dataset.digest import value_digest
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.persistence.crc64 import crc64
from shoal.node.persistence.dump_payload import dump, restore
from shoal.node.resp.replies import CommandError
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.unit.real_server import fill, real_server
from tests.unit.samples import plain, values

WRONG_CHECKSUM = "ERR DUMP payload version or checksum are wrong"
BAD_FORMAT = "ERR Bad data format"


def sealed(body: bytes, version: int = 10) -> bytes:
    payload = body + version.to_bytes(2, "little")
    return payload + crc64(payload).to_bytes(8, "little")


def refusal(payload: bytes) -> str:
    with pytest.raises(CommandError) as refused:
        restore(payload)
    return refused.value.text.decode()


@settings(deadline=None)
@given(values)
def test_a_value_comes_back_from_its_payload(value):
    assert plain(restore(dump(value))) == plain(value)


def test_the_payload_of_a_known_value():
    assert dump(b"10")[:-10] == b"\x00\x0210"
    assert restore(sealed(b"\x00\xc0\x0a")) == b"10"


@pytest.mark.parametrize("version", [0, 13, 79, 81, 65535])
def test_an_unknown_version_is_refused(version):
    assert refusal(sealed(b"\x00\x0210", version)) == WRONG_CHECKSUM


@settings(deadline=None)
@given(values, st.integers(0), st.integers(1, 255))
def test_any_altered_byte_breaks_the_checksum(value, at, difference):
    payload = bytearray(dump(value))
    payload[at % len(payload)] ^= difference
    assert refusal(bytes(payload)) == WRONG_CHECKSUM


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00" * 9, b"\x00" * 10])
def test_what_is_too_short_or_unsealed_is_refused(payload):
    assert refusal(payload) == WRONG_CHECKSUM


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\x00\x03ab",
        b"\x00\x02abc",
        b"\x01\x00",
        b"\x0f\x01",
        b"\x07\x01",
        b"\x63\x00",
        b"\x18\x00",
        b"\x12\x01\x01\x00",
    ],
    ids=[
        "nothing",
        "no string",
        "short",
        "surplus",
        "empty list",
        "stream",
        "module",
        "unknown",
        "field expiry",
        "empty list node",
    ],
)
def test_bad_data_under_a_good_checksum_is_refused(body):
    assert refusal(sealed(body)) == BAD_FORMAT


@pytest.mark.peers
@pytest.mark.parametrize(
    "program",
    [pytest.param(p, marks=needs(p), id=p.parts[-3]) for p in (REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)],
)
def test_payloads_go_both_ways_with_a_real_server(program, tmp_path):
    with real_server(program, tmp_path) as client:
        fill(client)
        keyspace = Keyspace(1)
        for key in sorted(client.keys()):
            value = restore(client.dump(key))
            client.persist(key)
            keyspace.databases[0].set(key, value)
            digest = value_digest(keyspace.databases[0], key).hex().encode()
            assert client.execute_command("DEBUG", "DIGEST-VALUE", key) == [digest], key
            client.restore(key, 0, dump(value), replace=True)
            assert client.execute_command("DEBUG", "DIGEST-VALUE", key) == [digest], key


@pytest.fixture(scope="module")
def real_payloads(tmp_path_factory):
    with real_server(REDIS7_SERVER, tmp_path_factory.mktemp("redis7")) as client:
        fill(client)
        return [client.dump(key)[:-10] for key in sorted(client.keys())]


@pytest.mark.peers
@needs(REDIS7_SERVER)
@settings(max_examples=1500, deadline=None)
@given(data=st.data())
def test_mutants_of_real_payloads_are_refused_or_hold_together(real_payloads, data):
    """A changed byte or two, a cut or a doubled piece, under a recomputed checksum."""
    body = bytearray(data.draw(st.sampled_from([body for body in real_payloads if len(body) < 20000])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(body), 60) - 1) | st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    if data.draw(st.integers(0, 5)) == 0:
        del body[data.draw(st.integers(1, len(body))) :]
    try:
        value = restore(sealed(bytes(body)))
    except CommandError as error:
        assert error.text.decode() == BAD_FORMAT
    else:
        assert plain(restore(dump(value))) == plain(value)
