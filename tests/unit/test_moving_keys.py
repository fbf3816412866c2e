"""The words of RESTORE-KEYS: there and back, and damaged ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node.persistence.crc64 import crc64
from shoal.node.persistence.moving_keys import MovingKey, pack, unpack
from shoal.node.resp.replies import CommandError
from tests.unit.samples import plain, values

keys = st.dictionaries(st.binary(max_size=10), st.tuples(st.integers(0, 1 << 62), values), min_size=1)


def refusal(words: list[bytes]) -> str:
    with pytest.raises(CommandError) as refused:
        unpack(words)
    return refused.value.text.decode()


def sealed(*words: bytes) -> list[bytes]:
    return [*words, crc64(b"".join(words)).to_bytes(8, "little")]


@settings(deadline=None)
@given(keys, st.booleans())
def test_keys_come_back_from_their_words(sent, replace):
    name, *words = pack([MovingKey(key, *sent[key]) for key in sent], replace=replace)
    arriving = unpack(words)
    assert name == b"RESTORE-KEYS" and arriving.replace == replace
    assert {key: plain(value) for key, value in arriving.values.items()} == {
        key: plain(value) for key, (_, value) in sent.items()
    }
    assert arriving.ttls_ms == {key: ttl_ms for key, (ttl_ms, _) in sent.items() if ttl_ms}


@settings(deadline=None)
@given(st.data())
def test_no_damage_goes_unnoticed(data):
    _, *words = pack([MovingKey(b"k", 0, b"some value"), MovingKey(b"m", 5, b"another")], replace=False)
    index = data.draw(st.integers(0, len(words) - 1))
    damaged = bytearray(words[index])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    words[index] = bytes(damaged)
    assert refusal(words) in ("ERR syntax error", "ERR DUMP payload version or checksum are wrong")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (sealed(b"k", b"0", b"sv", b"MAYBE"), "ERR syntax error"),
        (sealed(b"k", b"0", b"sv"), "ERR syntax error"),
        (sealed(b"k", b"-1", b"sv", b"KEEP"), "ERR Invalid TTL value, must be >= 0"),
        (sealed(b"k", b"x", b"sv", b"KEEP"), "ERR value is not an integer or out of range"),
        (sealed(b"k", b"0", b"", b"KEEP"), "ERR Bad data format"),
        (sealed(b"k", b"0", b"\x01\x00", b"KEEP"), "ERR Bad data format"),
        (sealed(b"k", b"0", b"\x00\x05v", b"KEEP"), "ERR Bad data format"),
    ],
)
def test_words_that_make_no_sense_are_refused(words, error):
    assert refusal(words) == error
