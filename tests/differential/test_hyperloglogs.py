"""HyperLogLogs count, and are stored byte for byte, as Redis 7 counts and stores them."""

from __future__ import annotations

from random import Random

import pytest

from shoal.node.dataset import hyperloglog
from tests.differential.executor import LocalServer, RealServer
from tests.differential.grammar import (
    ODD_NUMBERS,
    Part,
    integers,
    joined,
    one_of,
    pick,
    several,
    texts,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

SKETCHES = pick("h1", "h2", "h3", "text")
ELEMENTS = one_of(integers(0, 300), integers(0, 1 << 60), texts(5), pick(*ODD_NUMBERS))
COUNT_BYTES = pick(bytes(8), bytes(7) + b"\x80", b"\x05" + bytes(7))
HEADER = joined(
    pick(b"HYLL", b"HYLL", b"HYLL", b"HELL"),
    pick(bytes(4), b"\1\0\0\0", b"\1\0\0\0", b"\2\0\0\0"),
    COUNT_BYTES,
)
DAMAGED = pick("d1", "d2")
"""Nothing is added to them: Redis reads on behind the end of what is cut short."""
CORRUPT = joined(HEADER, texts(8))

COMMANDS: list[Part] = [
    words("PFADD", SKETCHES, several(ELEMENTS, 15)),
    words("PFADD", SKETCHES, several(ELEMENTS, 3)),
    words("PFCOUNT", several(SKETCHES, 3, 1)),
    words("PFMERGE", SKETCHES, several(SKETCHES, 3)),
    words("PFDEBUG", pick("ENCODING", "decode", "TODENSE", "what"), SKETCHES),
    words("PFDEBUG", "GETREG", SKETCHES),
    words("GET", SKETCHES),
    words("SET", DAMAGED, CORRUPT),
    words("PFCOUNT", several(DAMAGED, 2, 1)),
    words("PFMERGE", SKETCHES, DAMAGED),
    words("PFMERGE", DAMAGED, SKETCHES),
    words("DEL", DAMAGED),
    words("SET", "text", "HYLL"),
    words("DEL", SKETCHES),
]


def test_hyperloglogs_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, COMMANDS)


def test_growing_sketches_hold_the_same_bytes_from_the_first_element_to_the_last(redis7: RealServer) -> None:
    """Through thousands of splits and joins, the change to dense registers, and merges of either kind."""
    ours, rng = LocalServer(), Random(1)
    redis7.run("FLUSHALL")
    for step in range(30):
        key = f"h{step % 4}"
        added = [rng.randbytes(rng.randrange(1, 40)) for _ in range(80 if step < 22 else 2000)]
        merged = ("PFMERGE", f"merged{step % 3}", key, f"h{rng.randrange(4)}")
        for command in (("PFADD", key, *added), merged, ("PFCOUNT", key), ("PFCOUNT", key, "merged0")):
            assert ours.run(*command) == redis7.run(*command), command[:2]
        for name in (key, merged[1]):
            assert ours.run("GET", name) == redis7.run("GET", name), (step, name)
    encodings = {ours.run("PFDEBUG", "ENCODING", f"h{number}").value for number in range(4)}
    assert encodings == {b"dense"}


def test_merging_into_a_sparse_sketch_takes_redis_s_steps(redis7: RealServer) -> None:
    """Registers raised one after the other, so close together that runs are joined all the time."""
    ours, rng = LocalServer(), Random(2)
    redis7.run("FLUSHALL")
    for server in (ours, redis7):
        server.run("SET", "empty", bytes(hyperloglog.empty()))
    for step in range(30):
        runs = bytearray()
        left = 16384
        while left > 200 and len(runs) < 150:
            kind = rng.choice("zvvvvZ")
            if kind == "z":
                size = rng.choice([1, 1, 2, 3, 64])
                runs.append(size - 1)
            elif kind == "Z":
                size = rng.choice([1, 2, 100])
                runs += bytes([0x40 | (size - 1) >> 8, (size - 1) & 255])
            else:
                size = rng.randrange(1, 5)
                runs.append(0x80 | (rng.choice([1, 1, 1, 2, 32]) - 1) << 2 | size - 1)
            left -= size
        runs += bytes([0x40 | (left - 1) >> 8, (left - 1) & 255])
        sketch = bytes(hyperloglog.empty()[:16]) + bytes(runs)
        target = rng.choice(["empty", "all", f"copy{step}"])
        for command in (
            ("SET", "in", sketch),
            ("PFMERGE", target, "in"),
            ("GET", target),
            ("PFCOUNT", target),
        ):
            assert ours.run(*command) == redis7.run(*command), (step, command[:2])
