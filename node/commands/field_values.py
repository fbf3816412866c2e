"""Commands that read or write fields of a hash and say in the same breath how long these live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoal.node.commands.call import Call
from shoal.node.commands.expiry import has_passed
from shoal.node.commands.field_expiry import deadlines_changed, fields_deleted
from shoal.node.commands.field_options import (
    EXPIRATION_OR_KEEPTTL,
    EXPIRATION_OR_PERSIST,
    FIELDS,
    TIME_WORDS,
    fields_of,
    moment_of,
)
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, block, key_arg, one_key, one_of, token
from shoal.node.dataset.field_expiry import watch_fields
from shoal.node.dataset.hashes import ExpiringHash, HashValue, new_hash
from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.replies import CommandError, Reply, quoted

_WRONG_NUMBER = "ERR wrong number of arguments for 'hsetex' command"
_MOST_FIELDS = (1 << 31) - 1


@command(
    "HGETEX",
    arity=-5,
    flags=Flag.WRITE | Flag.FAST,
    group="hash",
    since="8.0.0",
    complexity="O(N) for N fields named.",
    summary="Returns the values of fields of a hash and sets, changes or removes their times to live.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), EXPIRATION_OR_PERSIST, FIELDS),
)
def hgetex(call: Call, key: bytes, *words: bytes) -> Reply:
    value = call.db.change_hash(key)
    option = words[0].upper()
    at_ms, skip = None, 0
    if option in TIME_WORDS:
        at_ms, skip = moment_of(option, words[1], call.now_ms, "hgetex"), 2
    elif option == b"PERSIST":
        skip = 1
    fields = fields_of(words[skip:])
    if value is None:
        return [None] * len(fields)
    if at_ms is not None and has_passed(call, at_ms):
        return _get_and_delete(call, key, value, fields)
    replies = [value.get(field) for field in fields]
    if at_ms is not None and any(reply is not None for reply in replies):
        for field in fields:
            if field in value:
                value.expiring().deadlines.set(field, at_ms)
        deadlines_changed(call, key, value, "hexpire")
        call.propagate(b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"%d" % len(fields), *fields)
    elif option == b"PERSIST" and _persist(value, fields):
        deadlines_changed(call, key, value, "hpersist")
        call.propagate(b"HPERSIST", key, b"FIELDS", b"%d" % len(fields), *fields)
    return replies


def _persist(value: HashValue, fields: Sequence[bytes]) -> bool:
    """Take times to live away; whether there were any."""
    if not isinstance(value, ExpiringHash):
        return False
    return sum(value.deadlines.discard(field) for field in fields) > 0


def _get_and_delete(call: Call, key: bytes, value: HashValue, fields: Sequence[bytes]) -> list[Reply]:
    """The fields' values, one that is named twice the second time as missing."""
    replies: list[Reply] = []
    for field in fields:
        replies.append(value.get(field))
        value.discard(field)
    if any(reply is not None for reply in replies):
        fields_deleted(call, key, value, fields)
    return replies


@command(
    "HGETDEL",
    arity=-5,
    flags=Flag.WRITE | Flag.FAST,
    group="hash",
    since="8.0.0",
    complexity="O(N) for N fields named.",
    summary="Returns the values of fields of a hash and removes these.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE),
    arguments=(key_arg(), FIELDS),
)
def hgetdel(call: Call, key: bytes, *words: bytes) -> Reply:
    value = call.db.change_hash(key)
    fields = fields_of(words)
    if value is None:
        return [None] * len(fields)
    return _get_and_delete(call, key, value, fields)


@dataclass(slots=True)
class _Setting:
    """What HSETEX was told."""

    pairs: Sequence[bytes] = ()
    at_ms: int | None = None
    keeps_ttl: bool = False
    condition: bytes = b""

    @property
    def fields(self) -> Sequence[bytes]:
        return self.pairs[::2]


@command(
    "HSETEX",
    arity=-6,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    group="hash",
    since="8.0.0",
    complexity="O(N) for N fields set.",
    summary="Sets fields of a hash and how long they live, if all of them, or none, are there already.",
    keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(
        key_arg(),
        one_of("condition", token("FNX"), token("FXX"), optional=True),
        EXPIRATION_OR_KEEPTTL,
        block(
            "fields",
            Arg("numfields", "integer"),
            block("data", Arg("field"), Arg("value"), multiple=True),
            token="FIELDS",
        ),
    ),
)
def hsetex(call: Call, key: bytes, *words: bytes) -> Reply:
    setting = _parse_setting(words, call.now_ms)
    value = call.db.change_hash(key)
    fields, at_ms = setting.fields, setting.at_ms
    if setting.condition == b"FXX" and (value is None or not all(field in value for field in fields)):
        return 0
    if setting.condition == b"FNX" and value is not None and any(field in value for field in fields):
        return 0
    if value is None:
        value = new_hash()
        call.db.set(key, value)
    if setting.keeps_ttl:
        for field, content in zip(fields, setting.pairs[1::2], strict=True):
            value.replace(field, content)
    else:
        value.put_words(setting.pairs)
    call.db.changed(key, "hset")
    if at_ms is None:
        watch_fields(call.db, key, value)
    elif has_passed(call, at_ms):
        for field in fields:
            value.discard(field)
        fields_deleted(call, key, value, fields)
    else:
        for field in fields:
            value.expiring().deadlines.set(field, at_ms)
        deadlines_changed(call, key, value, "hexpire")
        call.propagate(b"HSETEX", key, b"PXAT", b"%d" % at_ms, b"FIELDS", b"%d" % len(fields), *setting.pairs)
    return 1


def _parse_setting(words: Sequence[bytes], now_ms: int) -> _Setting:
    setting = _Setting()
    rest = iter(enumerate(words))
    for position, word in rest:
        name = word.upper()
        if name == b"FIELDS":
            setting.pairs = _pairs(words[position + 1 :])
            return setting
        if name in (b"FNX", b"FXX"):
            if setting.condition:
                raise CommandError("ERR Only one of FXX or FNX arguments can be specified")
            setting.condition = name
        elif name in TIME_WORDS or name == b"KEEPTTL":
            if setting.at_ms is not None or setting.keeps_ttl:
                raise CommandError("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
            if name == b"KEEPTTL":
                setting.keeps_ttl = True
            else:
                digits = next(rest, (0, None))[1]
                if digits is None:
                    raise CommandError("ERR missing expire time")
                setting.at_ms = moment_of(name, digits, now_ms, "hsetex")
        else:
            raise CommandError(b"ERR unknown argument: " + quoted(word))
    raise CommandError("ERR missing FIELDS argument")


def _pairs(words: Sequence[bytes]) -> Sequence[bytes]:
    """The fields and values of `<number> <field> <value> …`, which is all that is left."""
    if len(words) < 3:
        raise CommandError(_WRONG_NUMBER)
    number = parse_integer(words[0])
    if number is None or not 1 <= number <= _MOST_FIELDS:
        raise CommandError("ERR invalid number of fields")
    if 2 * number != len(words) - 1:
        raise CommandError(_WRONG_NUMBER)
    return words[1:]
