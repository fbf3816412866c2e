"""Datasets drawn at random: commands that make keys of every type, size class and encoding."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

FAR_AWAY_MS = 4_000_000_000_000
"""Times to live end long after the test does."""
FIELD_DEADLINE_MS = 2_000_000_000_000
FIELDS = ("first", "second", "third")
"""Those that a hash whose fields expire has in any case."""
LIBRARY = "#!lua name=lib{0}\nredis.register_function('f{0}', function(keys, args) return {0} end)"
Word = bytes | str | int
Command = tuple[Word, ...]


def settings_of(rng: Random) -> dict[str, object]:
    """Directives that decide which encodings there are, and how they are written."""
    return {
        "hash-max-listpack-entries": rng.choice((0, 8, 512)),
        "hash-max-listpack-value": rng.choice((4, 64, 5000)),
        "zset-max-listpack-entries": rng.choice((0, 8, 512)),
        "zset-max-listpack-value": rng.choice((4, 64, 5000)),
        "set-max-intset-entries": rng.choice((0, 8, 512)),
        "list-max-listpack-size": rng.choice((-5, -2, -1, 1, 7, 128)),
        "list-compress-depth": rng.choice((0, 1, 3)),
        "stream-node-max-entries": rng.choice((1, 5, 100)),
        "hll-sparse-max-bytes": rng.choice((0, 3000)),
        "rdbcompression": rng.choice(("yes", "no")),
    }


def commands_of(rng: Random, dataset: int, *, fields_expire: bool) -> Iterator[Command]:
    """The commands that make one dataset in the selected database."""
    for number in range(4):
        yield from _strings(rng, f"string:{number}")
        yield ("RPUSH", f"list:{number}", *_elements(rng))
        yield ("SADD", f"set:{number}", *(_integers(rng) if rng.random() < 0.5 else _elements(rng)))
        fields = list(dict.fromkeys(_elements(rng)))
        yield ("HSET", f"hash:{number}", *(word for name in fields for word in (name, _element(rng))))
        yield ("ZADD", f"zset:{number}", *(word for name in fields for word in (_score(rng), name)))
        yield from _stream(rng, f"stream:{number}")
        if fields_expire:
            yield from _expiring_hash(rng, f"expiring hash:{number}", fields)
    yield ("PFADD", "hyperloglog", *range(rng.choice((1, 50, 1000))))
    yield ("GEOADD", "places", rng.uniform(-170, 170), rng.uniform(-80, 80), "somewhere")
    yield ("SETBIT", "bits", rng.randrange(1 << rng.randrange(1, 18)), 1)
    for kind in ("string", "list", "set", "hash", "zset", "stream"):
        yield ("PEXPIREAT", f"{kind}:{rng.randrange(4)}", FAR_AWAY_MS + rng.randrange(1 << 40))
    if rng.random() < 0.2:
        yield ("FUNCTION", "LOAD", LIBRARY.format(dataset))


def _expiring_hash(rng: Random, key: str, others: list[bytes]) -> Iterator[Command]:
    """A hash of which some fields have a deadline."""
    names = (*FIELDS, *others)
    yield ("HSET", key, *(word for name in names for word in (name, _element(rng))))
    for name in FIELDS[: rng.randrange(1, 1 + len(FIELDS))]:
        yield ("HPEXPIREAT", key, FIELD_DEADLINE_MS + rng.randrange(1 << 30), "FIELDS", 1, name)


def _strings(rng: Random, key: str) -> Iterator[Command]:
    yield ("SET", key, _element(rng))
    yield ("SET", f"{key}:number", rng.choice(_integers(rng)))
    yield ("SET", bytes([rng.randrange(256)]) * rng.randrange(1, 400) + key.encode(), _element(rng))
    yield ("APPEND", f"{key}:grown", _element(rng) + b"x")


def _integers(rng: Random) -> list[int]:
    """Of one size class, whose edges are the likeliest to be wrong."""
    bits = rng.choice((6, 7, 8, 12, 13, 15, 16, 23, 24, 31, 32, 63))
    edge = 1 << bits
    near = [edge - 1, -edge, edge - 2, 1 - edge]
    return near + [rng.randrange(-edge, edge) for _ in range(rng.choice((0, 0, 3, 3, 140)))]


def _elements(rng: Random) -> list[bytes]:
    return [
        _element(rng)
        for _ in range(rng.choice((1, 2, 5, 5, 5, 9, 9, 150) if rng.random() < 0.2 else (1, 2, 3, 9)))
    ]


def _element(rng: Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return b"%d" % rng.choice(_integers(rng))
    sizes = (0, 1, 2, 10, 63, 64, 65, 300) if rng.random() < 0.995 else (4095, 4096, 20000)
    size = rng.choice(sizes)
    if kind == 1:
        return rng.randbytes(size)
    if kind == 2:
        return bytes([rng.randrange(256)]) * size
    return (b"text %d " % rng.randrange(1000) * (size // 6 + 1))[:size]


def _score(rng: Random) -> Word:
    """Such that 17 digits and the fewest that do look the same: servers digest them in either way."""
    if rng.random() < 0.05:
        return rng.choice(("inf", "-inf"))
    return repr(rng.randrange(-1 << 40, 1 << 40) / 8)


def _stream(rng: Random, key: str) -> Iterator[Command]:
    ids = []
    for number in range(rng.choice((1, 3, 7, 7, 110))):
        ids.append(f"{number // 3 + 1}-{number % 3 + 1}")
        fields = [b"field", b"other"] if rng.random() < 0.7 else [b"f%d" % rng.randrange(9)]
        yield ("XADD", key, ids[-1], *(word for name in fields for word in (name, _element(rng))))
    for group in range(rng.randrange(3)):
        yield ("XGROUP", "CREATE", key, f"group {group}", rng.choice(("0", "$", rng.choice(ids))))
        for consumer in range(rng.randrange(3)):
            count = rng.randrange(1, 10)
            yield (
                "XREADGROUP",
                "GROUP",
                f"group {group}",
                f"c{consumer}",
                "COUNT",
                count,
                "STREAMS",
                key,
                ">",
            )
        yield ("XACK", key, f"group {group}", *rng.sample(ids, min(3, len(ids))))
    yield ("XDEL", key, *rng.sample(ids, rng.randrange(1, 1 + max(1, len(ids) // 4))))
