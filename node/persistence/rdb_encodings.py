"""Redis's compact encodings as they stand in RDB data: listpack, ziplist, intset and zipmap.

Each function takes the whole blob and gives its elements as bytes, integers as decimal digits. A blob
comes from elsewhere and may be damaged or made to harm: every length is checked against what the blob
holds, what it says twice must agree, and nothing but RdbError comes out.
Source: the formats' descriptions in Redis's documentation of listpack, and the bytes Redis 2.4 to 8.0 write.
"""

from __future__ import annotations

from itertools import pairwise
from struct import unpack_from

from shoal.node.dataset.listpack import COUNT_UNKNOWN, back_length
from shoal.node.persistence.errors import RdbError

_END = 0xFF


def listpack(blob: bytes) -> list[bytes]:
    """The elements of a listpack: u32 size, u16 count, entries (data, then their length backwards), 0xFF."""
    if len(blob) < 7 or int.from_bytes(blob[:4], "little") != len(blob) or blob[-1] != _END:
        raise RdbError("listpack: the size or the end is wrong")
    count = int.from_bytes(blob[4:6], "little")
    elements: list[bytes] = []
    position, end = 6, len(blob) - 1
    while position < end:
        if 0x80 <= blob[position] < 0xC0:  # the commonest entry, a short string, without a call
            size = 1 + (blob[position] & 0x3F)
            if position + size < end and blob[position + size] == size:
                elements.append(blob[position + 1 : position + size])
                position += size + 1
                continue
        element, size = _listpack_element(blob, position)
        position += size
        back = back_length(size)
        if blob[position : position + len(back)] != back:
            raise RdbError("listpack: an entry's two lengths differ")
        position += len(back)
        elements.append(element)
    if position != end:
        raise RdbError("listpack: the last entry passes the end")
    if count != COUNT_UNKNOWN and count != len(elements):
        raise RdbError(f"listpack: holds {len(elements)} entries, not {count}")
    return elements


def _listpack_element(blob: bytes, position: int) -> tuple[bytes, int]:
    """An element and how many bytes it takes without its backward length."""
    first = blob[position]
    if first < 0x80:
        return b"%d" % first, 1
    if first < 0xC0:
        return _piece(blob, position + 1, first & 0x3F), 1 + (first & 0x3F)
    if first < 0xE0:
        number = (first & 0x1F) << 8 | _piece(blob, position + 1, 1)[0]
        return b"%d" % (number - 8192 if number >= 4096 else number), 2
    if first < 0xF0:
        size = (first & 0x0F) << 8 | _piece(blob, position + 1, 1)[0]
        return _piece(blob, position + 2, size), 2 + size
    if first == 0xF0:
        size = int.from_bytes(_piece(blob, position + 1, 4), "little")
        return _piece(blob, position + 5, size), 5 + size
    if first in _LISTPACK_INTEGERS:
        size = _LISTPACK_INTEGERS[first]
        number = int.from_bytes(_piece(blob, position + 1, size), "little", signed=True)
        return b"%d" % number, 1 + size
    raise RdbError(f"listpack: unknown entry {first:#x}")


_LISTPACK_INTEGERS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}


def ziplist(blob: bytes) -> list[bytes]:
    """The elements of a ziplist: u32 size, u32 offset of the last entry, u16 count, entries, 0xFF."""
    if len(blob) < 11 or int.from_bytes(blob[:4], "little") != len(blob) or blob[-1] != _END:
        raise RdbError("ziplist: the size or the end is wrong")
    tail, count = unpack_from("<IH", blob, 4)
    elements: list[bytes] = []
    position, end = 10, len(blob) - 1
    last, previous_size = 10, 0
    while position < end:
        last, start = position, position + 1
        said = blob[position]
        if said == 0xFE:
            said, start = int.from_bytes(_piece(blob, start, 4), "little"), position + 5
        if said != previous_size:
            raise RdbError("ziplist: an entry misstates the length of the one before it")
        element, size = _ziplist_element(blob, start)
        position = start + size
        previous_size = position - last
        elements.append(element)
    if position != end or tail != last:
        raise RdbError("ziplist: the last entry is not where the header says")
    if count != COUNT_UNKNOWN and count != len(elements):
        raise RdbError(f"ziplist: holds {len(elements)} entries, not {count}")
    return elements


def _ziplist_element(blob: bytes, position: int) -> tuple[bytes, int]:
    """An element and how many bytes it takes without the length of its predecessor."""
    first = _piece(blob, position, 1)[0]
    kind = first >> 6
    if kind == 0:
        return _piece(blob, position + 1, first), 1 + first
    if kind == 1:
        size = (first & 0x3F) << 8 | _piece(blob, position + 1, 1)[0]
        return _piece(blob, position + 2, size), 2 + size
    if first == 0x80:
        size = int.from_bytes(_piece(blob, position + 1, 4), "big")
        return _piece(blob, position + 5, size), 5 + size
    if first in _ZIPLIST_INTEGERS:
        size = _ZIPLIST_INTEGERS[first]
        number = int.from_bytes(_piece(blob, position + 1, size), "little", signed=True)
        return b"%d" % number, 1 + size
    if 0xF1 <= first <= 0xFD:
        return b"%d" % ((first & 0x0F) - 1), 1
    raise RdbError(f"ziplist: unknown entry {first:#x}")


_ZIPLIST_INTEGERS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def intset(blob: bytes) -> list[bytes]:
    """The members of an intset: u32 bytes per integer, u32 count, the integers in ascending order."""
    if len(blob) < 8:
        raise RdbError("intset: cut off")
    width, count = unpack_from("<II", blob)
    if width not in _INTSET_FORMATS or len(blob) != 8 + width * count:
        raise RdbError("intset: the size is wrong")
    numbers = unpack_from(f"<{count}{_INTSET_FORMATS[width]}", blob, 8)
    if any(first >= second for first, second in pairwise(numbers)):
        raise RdbError("intset: not in ascending order")
    return [b"%d" % number for number in numbers]


_INTSET_FORMATS = {2: "h", 4: "i", 8: "q"}


def zipmap(blob: bytes) -> list[bytes]:
    """Fields and values of a zipmap in turn: u8 count, then length, field, length, u8 spare, value, spare."""
    if len(blob) < 2 or blob[-1] != _END:
        raise RdbError("zipmap: the end is wrong")
    elements: list[bytes] = []
    position, end = 1, len(blob) - 1
    while position < end:
        size, position = _zipmap_length(blob, position)
        elements.append(_piece(blob, position, size))
        size, position = _zipmap_length(blob, position + size)
        spare = _piece(blob, position, 1)[0]
        elements.append(_piece(blob, position + 1, size))
        position += 1 + size + spare
    if position != end:
        raise RdbError("zipmap: the last value passes the end")
    if blob[0] < 254 and blob[0] != len(elements) // 2:
        raise RdbError(f"zipmap: holds {len(elements) // 2} fields, not {blob[0]}")
    if not elements:
        raise RdbError("zipmap: holds no field")
    return elements


def _zipmap_length(blob: bytes, position: int) -> tuple[int, int]:
    first = _piece(blob, position, 1)[0]
    if first < 254:
        return first, position + 1
    if first == 254:
        return int.from_bytes(_piece(blob, position + 1, 4), "little"), position + 5
    raise RdbError("zipmap: ends inside a field")


def _piece(blob: bytes, start: int, size: int) -> bytes:
    """`size` bytes of the entries: never past the end mark."""
    if start + size > len(blob) - 1:
        raise RdbError("an entry passes the end of its blob")
    return blob[start : start + size]
