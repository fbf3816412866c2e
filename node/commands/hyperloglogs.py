"""Commands on HyperLogLogs: counting distinct elements without keeping them."""

from __future__ import annotations

import math
from collections.abc import Callable

from shoal.node.commands.call import Call
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, all_keys, key_arg, key_at, one_key
from shoal.node.dataset import hyperloglog
from shoal.node.dataset.sparse_registers import REGISTERS, CorruptSketchError, describe
from shoal.node.dataset.values import StringValue
from shoal.node.resp.replies import OK, CommandError, Reply, Status

NO_SKETCH = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPT = "INVALIDOBJ Corrupted HLL object detected"

_INTERNAL = frozenset({"hyperloglog"})


@command(
    "PFADD",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="hyperloglog",
    since="2.8.9",
    complexity="O(1) for every element.",
    summary="Lets a HyperLogLog see elements; it is created if needed.",
    keys=one_key(KeyUse.RW | KeyUse.INSERT),
    arguments=(key_arg(), Arg("element", optional=True, multiple=True)),
)
def pfadd(call: Call, key: bytes, *elements: bytes) -> Reply:
    found = call.db.change_string(key)
    sketch = hyperloglog.empty() if found is None else _alterable(found)
    changed = found is None
    limit = call.encoding_limits.hll_sparse_max_bytes
    try:
        changed = hyperloglog.add(sketch, elements, limit) or changed
    except CorruptSketchError:
        raise CommandError(CORRUPT) from None
    if changed:
        hyperloglog.invalidate(sketch)
        call.db.set(key, sketch, keep_expiry=True)
        call.db.changed(key, "pfadd")
    return int(changed)


@command(
    "PFCOUNT",
    arity=-2,
    flags=Flag.READONLY | Flag.MAY_REPLICATE,
    group="hyperloglog",
    since="2.8.9",
    complexity="O(1) for one key; O(N) for N keys, with a much greater constant.",
    summary="Estimates how many distinct elements HyperLogLogs have seen, all of them together.",
    keys=all_keys(KeyUse.RW | KeyUse.ACCESS),
    arguments=(key_arg(multiple=True),),
)
def pfcount(call: Call, *keys: bytes) -> Reply:
    if len(keys) > 1:
        return hyperloglog.estimate(_union(call, keys)[0])
    value = call.db.view_string(keys[0])
    if value is None:
        return 0
    _require_sketch(value)
    cardinality = hyperloglog.known_cardinality(value)
    if cardinality is None:
        cardinality = hyperloglog.estimate(_ranks(value))
        call.db.change_string(keys[0])
        sketch = bytearray(value)
        hyperloglog.note_cardinality(sketch, cardinality)
        call.db.set(keys[0], sketch, keep_expiry=True)
        call.db.changed(keys[0], None)
    return cardinality


@command(
    "PFMERGE",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="hyperloglog",
    since="2.8.9",
    complexity="O(N) to merge N HyperLogLogs, with a great constant.",
    summary="Lets a HyperLogLog see all that others have seen; it is created if needed.",
    keys=(
        key_at(1, KeyUse.RW | KeyUse.ACCESS | KeyUse.INSERT),
        key_at(2, KeyUse.RO | KeyUse.ACCESS, last=-1),
    ),
    arguments=(key_arg("destkey"), key_arg("sourcekey", spec=1, multiple=True)),
)
def pfmerge(call: Call, destination: bytes, *sources: bytes) -> Reply:
    ranks, any_dense = _union(call, (destination, *sources))
    found = call.db.change_string(destination)
    sketch = hyperloglog.empty() if found is None else _alterable(found)
    if any_dense:
        hyperloglog.set_ranks(sketch, ranks)
    else:
        places = ((register, rank) for register, rank in enumerate(ranks) if rank)
        hyperloglog.raise_registers(sketch, places, call.encoding_limits.hll_sparse_max_bytes)
    hyperloglog.invalidate(sketch)
    call.db.set(destination, sketch, keep_expiry=True)
    call.db.changed(destination, "pfadd")
    return OK


def _union(call: Call, keys: tuple[bytes, ...]) -> tuple[bytearray, bool]:
    """The greatest rank of each register in any of the keys, and whether one of them is dense."""
    ranks, any_dense = bytearray(REGISTERS), False
    for key in keys:
        value = call.db.view_string(key)
        if value is not None:
            _require_sketch(value)
            any_dense = any_dense or not hyperloglog.is_sparse(value)
            ranks = hyperloglog.greatest(ranks, _ranks(value))
    return ranks, any_dense


def _ranks(sketch: StringValue) -> bytearray:
    try:
        return hyperloglog.ranks_of(sketch)
    except CorruptSketchError:
        raise CommandError(CORRUPT) from None


def _require_sketch(value: StringValue) -> None:
    if not hyperloglog.is_sketch(value):
        raise CommandError(NO_SKETCH)


def _alterable(value: StringValue) -> bytearray:
    """A sketch that may be changed in place; CommandError for a string that is none."""
    _require_sketch(value)
    return value if isinstance(value, bytearray) else bytearray(value)


# --- looking inside --------------------------------------------------------------------------------


@command(
    "PFDEBUG",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.ADMIN,
    group="hyperloglog",
    since="2.8.9",
    complexity="N/A",
    summary="Shows how a HyperLogLog is stored, or makes it dense.",
    keys=(key_at(2, KeyUse.RW | KeyUse.ACCESS),),
    arguments=(Arg("subcommand"), key_arg()),
    internal=True,
)
def pfdebug(call: Call, subcommand: bytes, key: bytes) -> Reply:
    value = call.db.change_string(key)
    if value is None:
        raise CommandError("ERR The specified key does not exist")
    sketch = _alterable(value)
    inspect = _INSPECTIONS.get(subcommand.lower())
    if inspect is None:
        raise CommandError(b"ERR Unknown PFDEBUG subcommand '" + subcommand + b"'")
    try:
        return inspect(call, key, sketch)
    except CorruptSketchError:
        raise CommandError(CORRUPT) from None


def _to_dense(call: Call, key: bytes, sketch: bytearray) -> Reply:
    changed = hyperloglog.make_dense(sketch)
    if changed:
        call.db.set(key, sketch, keep_expiry=True)
        call.db.changed(key, None)
    return int(changed)


def _registers(call: Call, key: bytes, sketch: bytearray) -> Reply:
    _to_dense(call, key, sketch)
    return list(hyperloglog.ranks_of(sketch))


def _runs(call: Call, key: bytes, sketch: bytearray) -> Reply:
    if not hyperloglog.is_sparse(sketch):
        raise CommandError("ERR HLL encoding is not sparse")
    return describe(sketch, hyperloglog.HEADER_SIZE)


def _encoding(call: Call, key: bytes, sketch: bytearray) -> Reply:
    return Status(b"sparse" if hyperloglog.is_sparse(sketch) else b"dense")


_INSPECTIONS: dict[bytes, Callable[[Call, bytes, bytearray], Reply]] = {
    b"decode": _runs,
    b"encoding": _encoding,
    b"getreg": _registers,
    b"todense": _to_dense,
}


@command(
    "PFSELFTEST",
    arity=1,
    flags=Flag.ADMIN,
    group="hyperloglog",
    since="2.8.9",
    complexity="N/A",
    summary="Checks that sparse and dense HyperLogLogs count alike, and closely enough.",
    internal=True,
)
def pfselftest(call: Call) -> Reply:
    sparse, dense = hyperloglog.empty(), hyperloglog.empty()
    hyperloglog.make_dense(dense)
    size = 0
    for checkpoint in (1, 10, 100, 1000, 10_000):
        elements = [call.rng.randbytes(16) for _ in range(checkpoint - size)]
        size = checkpoint
        for sketch in (sparse, dense):
            hyperloglog.add(sketch, elements, call.encoding_limits.hll_sparse_max_bytes)
        ranks = hyperloglog.ranks_of(dense)
        if hyperloglog.ranks_of(sparse) != ranks:
            raise CommandError("ERR TESTFAILED dense/sparse disagree")
        error = abs(hyperloglog.estimate(ranks) - size)
        if error > math.ceil(6 * 1.04 / math.sqrt(REGISTERS) * size):
            raise CommandError(f"ERR TESTFAILED Too big error. card:{size} abserr:{error}")
    return OK
