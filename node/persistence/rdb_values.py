"""Values from RDB data: one object, read as its bytes come in.

A value may be larger than what has been received. Its reader keeps every complete element, so that
going on costs nothing anew, and takes no count on trust: memory grows with what was received, not
with what was announced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan
from struct import unpack

from shoal.node.dataset.hashes import HashValue, hash_of
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.numbers import INT64_MAX, parse_float, parse_integer
from shoal.node.dataset.ranking import Ranking
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.streams import Stream
from shoal.node.dataset.values import SetValue, Value
from shoal.node.persistence import rdb_format as rdb
from shoal.node.persistence.errors import DuplicateElementError, NeedMore, RdbError
from shoal.node.persistence.rdb_encodings import intset, listpack, ziplist, zipmap
from shoal.node.persistence.rdb_source import Source
from shoal.node.persistence.rdb_streams import StreamReader


class ValueReader:
    """Reads one value of the given object type. RdbError if Shoal cannot hold that type."""

    __slots__ = ("_earliest", "_items", "_kind", "_remaining", "_stream")

    def __init__(self, kind: int) -> None:
        if kind in rdb.UNSUPPORTED_TYPES:
            raise RdbError(f"it holds {rdb.UNSUPPORTED_TYPES[kind]}, which is not supported")
        if kind not in _READABLE:
            raise RdbError(f"it is of an unknown object type {kind}")
        self._kind = kind
        self._remaining = -1
        self._earliest: int | None = None
        """Of a hash whose fields expire: the first deadline, once it has been read."""
        self._items: list[bytes] = []
        self._stream = StreamReader(kind) if kind in _STREAMS else None

    def read(self, source: Source) -> Value:
        """The value; or NeedMore, after which `read` goes on with a source that begins at its position.

        A damaged file may hold containers without elements: they are returned, for the caller to refuse.
        """
        kind = self._kind
        if self._stream is not None:
            return self._stream.read(source)
        if kind == rdb.STRING:
            return source.string()
        if kind in _BLOBS:
            return _read_blob(kind, source.string())
        if kind in _EXPIRING and self._earliest is None:
            self._earliest = int.from_bytes(source.take(8), "little")
        if kind == rdb.EXPIRING_HASH_LISTPACK:
            return _expiring_hash(_absolute_deadlines(listpack(source.string())))
        if self._remaining < 0:
            self._remaining = source.length() * (2 if kind == rdb.HASH else 1)
        read_element = _ELEMENTS[kind]
        items = self._items
        while self._remaining:
            before = source.position
            try:
                read_element(source, items)
            except NeedMore:
                source.position = before
                raise
            self._remaining -= 1
        if kind == rdb.EXPIRING_HASH:
            return _expiring_hash(_later_deadlines(items, self._earliest or 0))
        return _BUILDERS[kind](items)


def is_empty(value: Value) -> bool:
    """Whether this is a container without elements, which no key may hold; streams may be empty."""
    return not isinstance(value, (bytes, bytearray, Stream)) and not len(value)


def _read_blob(kind: int, blob: bytes) -> Value:
    """A value in one compact encoding. What is wrong with it is told in the words people search logs for."""
    name, decode, build = _BLOBS[kind]
    try:
        elements = decode(blob)
    except RdbError as error:
        raise RdbError(f"{name} integrity check failed: {error}") from None
    try:
        return build(elements)
    except DuplicateElementError as error:
        raise RdbError(f"{name} with dup elements: {error}") from None


# --- elements ------------------------------------------------------------------------------------------


def _string(source: Source, items: list[bytes]) -> None:
    items.append(source.string())


def _member_and_score(source: Source, items: list[bytes]) -> None:
    member = source.string()
    items += (member, source.take(8))


def _member_and_text_score(source: Source, items: list[bytes]) -> None:
    member = source.string()
    size = source.byte()
    items += (member, _NOT_FINITE[size] if size in _NOT_FINITE else source.take(size))


def _ziplist_node(source: Source, items: list[bytes]) -> None:
    items += ziplist(source.string())


def _listpack_node(source: Source, items: list[bytes]) -> None:
    container = source.length()
    if container == rdb.PLAIN_NODE:
        element = source.string()
        if not element:
            raise RdbError("a list node of one large element holds none")
        items.append(element)
    elif container == rdb.PACKED_NODE:
        items += listpack(source.string())
    else:
        raise RdbError(f"unknown kind of list node {container}")


# --- values from their elements --------------------------------------------------------------------------


def _list(items: list[bytes]) -> ListValue:
    return ListValue(items)


def _set(items: list[bytes]) -> SetValue:
    value = SetValue.of(items)
    if len(value) != len(items):
        raise DuplicateElementError("a set holds a member twice")
    return value


def _hash(items: list[bytes]) -> HashValue:
    if len(items) % 2:
        raise RdbError("a hash's last field has no value")
    value = hash_of(items)
    if len(value) * 2 != len(items):
        raise DuplicateElementError("a hash holds a field twice")
    return value


Expiring = list[tuple[bytes, bytes, int]]
"""Field, value and deadline (0: none)."""


def _absolute_deadlines(items: list[bytes]) -> Expiring:
    """Triples as a listpack holds them: field, value, deadline."""
    if len(items) % 3:
        raise RdbError("a hash's last field has no value or no deadline")
    triples = zip(items[::3], items[1::3], items[2::3], strict=True)
    return [(field, content, _moment(parse_integer(digits))) for field, content, digits in triples]


def _later_deadlines(items: list[bytes], earliest: int) -> Expiring:
    """Triples of which the first is 1 + how much later than the earliest the deadline is, or 0."""
    triples = zip(items[::3], items[1::3], items[2::3], strict=True)
    return [
        (field, content, _moment(int(later) + earliest - 1 if later != b"0" else 0))
        for later, field, content in triples
    ]


def _moment(number: int | None) -> int:
    if number is None or not 0 <= number <= INT64_MAX:
        raise RdbError("a field's deadline is no moment")
    return number


def _expiring_hash(triples: Expiring) -> HashValue:
    value = _hash([word for field, content, _ in triples for word in (field, content)])
    for field, _, at_ms in triples:
        if at_ms:
            value.expiring().deadlines.set(field, at_ms)
    return value


def _deadline_field_and_value(source: Source, items: list[bytes]) -> None:
    items += (b"%d" % source.length(), source.string(), source.string())


def _sorted_set(items: list[bytes]) -> SortedSet:
    """Members and scores in turn, the scores in eight bytes each."""
    scores: tuple[float, ...] = unpack(f"<{len(items) // 2}d", b"".join(items[1::2]))
    if any(map(isnan, scores)):
        raise RdbError("a score is not a number")
    return _scored(items[::2], scores)


def _sorted_set_in_text(items: list[bytes]) -> SortedSet:
    """Members and scores in turn, the scores in decimal digits."""
    scores = []
    for text in items[1::2]:
        number = parse_float(text)
        if number is None:
            raise RdbError(f"the score {text[:40]!r} is no number")
        scores.append(number)
    return _scored(items[::2], scores)


def _scored(members: list[bytes], scores: Sequence[float]) -> SortedSet:
    if len(members) != len(scores):
        raise RdbError("a sorted set's last member has no score")
    value = SortedSet()
    value.scores.put_all(zip(members, scores, strict=True))
    if len(value) != len(members):
        raise DuplicateElementError("a sorted set holds a member twice")
    value.order = Ranking(zip(value.scores.values(), value.scores, strict=True))
    return value


_NOT_FINITE = {253: b"nan", 254: b"inf", 255: b"-inf"}
"""What the length byte of a score in text can say instead of a length."""

_ELEMENTS: dict[int, Callable[[Source, list[bytes]], None]] = {
    rdb.LIST: _string,
    rdb.SET: _string,
    rdb.HASH: _string,
    rdb.EXPIRING_HASH: _deadline_field_and_value,
    rdb.SORTED_SET: _member_and_score,
    rdb.SORTED_SET_TEXT: _member_and_text_score,
    rdb.LIST_QUICKLIST: _ziplist_node,
    rdb.LIST_QUICKLIST_2: _listpack_node,
}
_BUILDERS: dict[int, Callable[[list[bytes]], Value]] = {
    rdb.LIST: _list,
    rdb.SET: _set,
    rdb.HASH: _hash,
    rdb.SORTED_SET: _sorted_set,
    rdb.SORTED_SET_TEXT: _sorted_set_in_text,
    rdb.LIST_QUICKLIST: _list,
    rdb.LIST_QUICKLIST_2: _list,
}
_BLOBS: dict[int, tuple[str, Callable[[bytes], list[bytes]], Callable[[list[bytes]], Value]]] = {
    rdb.HASH_ZIPMAP: ("Zipmap", zipmap, _hash),
    rdb.LIST_ZIPLIST: ("List ziplist", ziplist, _list),
    rdb.SET_INTSET: ("Intset", intset, _set),
    rdb.SORTED_SET_ZIPLIST: ("Zset ziplist", ziplist, _sorted_set_in_text),
    rdb.HASH_ZIPLIST: ("Hash ziplist", ziplist, _hash),
    rdb.HASH_LISTPACK: ("Hash listpack", listpack, _hash),
    rdb.SORTED_SET_LISTPACK: ("Zset listpack", listpack, _sorted_set_in_text),
    rdb.SET_LISTPACK: ("Set listpack", listpack, _set),
}
"""By object type: its name in messages, how the blob is taken apart, and what is made of its elements."""

_STREAMS = (rdb.STREAM, rdb.STREAM_2, rdb.STREAM_3)
_EXPIRING = (rdb.EXPIRING_HASH, rdb.EXPIRING_HASH_LISTPACK)
_READABLE = {rdb.STRING, *_ELEMENTS, *_BLOBS, *_STREAMS, *_EXPIRING}
