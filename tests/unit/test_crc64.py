"""The checksum against its definition: one bit after the other."""

from hypothesis import given
from hypothesis import strategies as st

from shoal.node.persistence.crc64 import crc64

POLYNOMIAL = 0x95AC9329AC4BC9B5


def by_the_bit(data: bytes, checksum: int = 0) -> int:
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = (checksum >> 1) ^ (POLYNOMIAL if checksum & 1 else 0)
    return checksum


def pseudo_random(size: int) -> bytes:
    return bytes((i * i * 31 + i * 7 + (i >> 8)) & 0xFF for i in range(size))


def test_the_check_value():
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA


def test_every_short_length_from_any_start():
    data = pseudo_random(1300)
    for size in (*range(20), *range(380, 420), *range(420, 1300, 29)):
        assert crc64(data[:size], 0x123456789ABCDEF) == by_the_bit(data[:size], 0x123456789ABCDEF)


def test_long_data():
    data = pseudo_random((1 << 16) + 1000)
    assert crc64(data) == by_the_bit(data)


@given(st.binary(max_size=1000), st.integers(1, 8), st.integers(0, 1000))
def test_a_checksum_goes_on_over_any_division(data, repeat, at):
    data *= repeat
    assert crc64(data[at:], crc64(data[:at])) == crc64(data)


@given(st.binary(max_size=800))
def test_any_buffer_will_do(data):
    assert crc64(bytearray(data)) == crc64(memoryview(data)) == crc64(data)
