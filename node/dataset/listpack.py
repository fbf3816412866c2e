"""The elements of a listpack: how one is written, and read back out of bytes that are known to be sound.

An element is a number or a string, followed by its own length for readers coming from behind. A string
that spells a number of 64 bits is written as that number. Bytes from elsewhere are checked first, by
`persistence/rdb_encodings.py`. Source: the description of the format in Redis's documentation of listpack.
"""

from __future__ import annotations

from shoal.node.dataset.numbers import parse_integer

HEADER_BYTES = 6
"""The whole listpack's size in four bytes, and how many elements it has in two."""

COUNT_UNKNOWN = 0xFFFF
END = b"\xff"
_LONGEST_NUMBER = 20
_WIDTHS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
SHORT_TEXT_BYTES = 64
BEFORE_SHORT_TEXT = [bytes((0x80 | size,)) for size in range(SHORT_TEXT_BYTES)]
BEHIND_SHORT_TEXT = [bytes((size + 1,)) for size in range(SHORT_TEXT_BYTES)]
"""What stands around a text of fewer bytes, by their number."""
NO_NUMBER = b":"
"""Stands behind all digits and signs: a greater text spells no number."""


def encode_text(text: bytes) -> bytes:
    """A string as an element."""
    size = len(text)
    if text < NO_NUMBER and size <= _LONGEST_NUMBER and text[-1:].isdigit():
        number = parse_integer(text)
        if number is not None:
            return encode_integer(number)
    if size < SHORT_TEXT_BYTES:
        return BEFORE_SHORT_TEXT[size] + text + BEHIND_SHORT_TEXT[size]
    if size < 4096:
        element = (0xE000 | size).to_bytes(2, "big") + text
    else:
        element = b"\xf0" + size.to_bytes(4, "little") + text
    return element + back_length(len(element))


def encode_integer(number: int) -> bytes:
    """A signed number of 64 bits as an element."""
    return NUMBERS[number] if -NEAR <= number < NEAR else _encode_integer(number)


def _encode_integer(number: int) -> bytes:
    if 0 <= number < 128:
        return bytes((number, 1))
    if -4096 <= number < 4096:
        return (0xC000 | number & 0x1FFF).to_bytes(2, "big") + b"\x02"
    for kind, width in _WIDTHS.items():
        if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
            return b"%c%b%c" % (kind, number.to_bytes(width, "little", signed=True), width + 1)
    raise OverflowError(f"{number} has more than 64 bits")


def back_length(size: int) -> bytes:
    """An element's length for readers coming from behind: seven bits a byte, the lowest last."""
    if size < 128:
        return size.to_bytes(1, "little")
    backwards = bytearray()
    while size > 127:
        backwards.append(size & 127 | 128)
        size >>= 7
    backwards.append(size)
    return bytes(reversed(backwards))


def text_at(data: bytearray, position: int) -> tuple[bytes, int]:
    """The element at `position` as a string, and where the next one begins."""
    first = data[position]
    if 0x80 <= first < 0xC0:
        end = position + 1 + (first & 0x3F)
        return bytes(data[position + 1 : end]), end + 1
    if first < 0xE0 or first > 0xF0:
        number, following = integer_at(data, position)
        return b"%d" % number, following
    if first < 0xF0:
        start = position + 2
        end = start + ((first & 0x0F) << 8 | data[position + 1])
    else:
        start = position + 5
        end = start + int.from_bytes(data[position + 1 : start], "little")
    return bytes(data[start:end]), end + len(back_length(end - position))


def integer_at(data: bytearray, position: int) -> tuple[int, int]:
    """The number at `position`, and where the next element begins."""
    first = data[position]
    if first < 0x80:
        return first, position + 2
    if first < 0xE0:
        number = (first & 0x1F) << 8 | data[position + 1]
        return number - 8192 if number >= 4096 else number, position + 3
    end = position + 1 + _WIDTHS[first]
    return int.from_bytes(data[position + 1 : end], "little", signed=True), end + 1


def assemble(count: int, elements: bytes) -> bytes:
    """A whole listpack of `count` elements."""
    size = HEADER_BYTES + len(elements) + len(END)
    return size.to_bytes(4, "little") + min(count, COUNT_UNKNOWN).to_bytes(2, "little") + elements + END


NEAR = 512
NUMBERS = [_encode_integer(number) for number in (*range(NEAR), *range(-NEAR, 0))]
"""The elements of numbers from -NEAR up to NEAR, each at its own index: negative ones count from the end."""
