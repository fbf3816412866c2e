"""What COMMAND says of a command: its declaration, as the replies that clients and redis-cli expect.

Source: Redis's pages on COMMAND, COMMAND DOCS, key specifications and command tips.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.node.commands.spec import NOWHERE_FIXED, Arg, CommandSpec, Flag, KeySpec, KeyUse
from shoal.node.resp.replies import Reply, SetReply, Status

_HIDDEN_FLAGS = Flag.MAY_REPLICATE
"""Flags that steer the server but are told to nobody."""

_FLAG_ORDER = (
    Flag.WRITE,
    Flag.READONLY,
    Flag.DENYOOM,
    Flag.ADMIN,
    Flag.PUBSUB,
    Flag.NOSCRIPT,
    Flag.BLOCKING,
    Flag.LOADING,
    Flag.STALE,
    Flag.SKIP_MONITOR,
    Flag.SKIP_SLOWLOG,
    Flag.ASKING,
    Flag.FAST,
    Flag.NO_AUTH,
    Flag.NO_MANDATORY_KEYS,
    Flag.NO_ASYNC_LOADING,
    Flag.NO_MULTI,
    Flag.ALLOW_BUSY,
)

ACL_CATEGORIES = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)
"""In the order in which they are listed."""

_SHORT_USES = {KeyUse.RO: "RO", KeyUse.RW: "RW", KeyUse.OW: "OW", KeyUse.RM: "RM"}


def command_info(spec: CommandSpec) -> Reply:
    """The ten elements of COMMAND INFO."""
    children: Reply = [command_info(child) for child in spec.subcommands.values()]
    return [
        spec.full_name.encode(),
        spec.arity,
        _names(flag_names(spec)),
        *spec.key_range,
        _names([f"@{category}" for category in ACL_CATEGORIES if category in spec.acl_categories]),
        SetReply([tip.encode() for tip in spec.tips]),
        SetReply([_key_spec(key) for key in spec.keys]),
        children if spec.subcommands else SetReply([]),
    ]


def flag_names(spec: CommandSpec) -> list[str]:
    """The flags as COMMAND spells them."""
    names = [flag.name.lower() for flag in _FLAG_ORDER if spec.flags & flag & ~_HIDDEN_FLAGS and flag.name]
    if spec.has_movable_keys:
        at = names.index("allow_busy") if "allow_busy" in names else len(names)
        names.insert(at, "movablekeys")
    return names


def use_names(use: KeyUse) -> list[str]:
    """What a command does with a key, as COMMAND spells it."""
    return [_SHORT_USES.get(part) or (part.name or "").lower() for part in KeyUse if use & part]


def command_docs(spec: CommandSpec) -> dict[bytes, Reply]:
    """The map of COMMAND DOCS."""
    docs: dict[bytes, Reply] = {
        b"summary": spec.summary.encode(),
        b"since": spec.since.encode(),
        b"group": spec.group.encode(),
    }
    if spec.complexity:
        docs[b"complexity"] = spec.complexity.encode()
    if spec.plug_in:
        docs[b"module"] = spec.plug_in.encode()
    if spec.doc_flags:
        docs[b"doc_flags"] = _names(spec.doc_flags)
    if spec.deprecated_since:
        docs[b"deprecated_since"] = spec.deprecated_since.encode()
    if spec.replaced_by:
        docs[b"replaced_by"] = spec.replaced_by.encode()
    if spec.history:
        docs[b"history"] = SetReply([[since.encode(), what.encode()] for since, what in spec.history])
    if spec.arguments:
        docs[b"arguments"] = [_argument(argument) for argument in spec.arguments]
    if spec.subcommands:
        docs[b"subcommands"] = {
            child.full_name.encode(): command_docs(child) for child in spec.subcommands.values()
        }
    return docs


def _names(words: Sequence[str]) -> SetReply:
    return SetReply([Status(word.encode()) for word in words])


def _key_spec(key: KeySpec) -> Reply:
    begin: dict[bytes, Reply]
    find: dict[bytes, Reply]
    if key.keyword is not None:
        where: dict[bytes, Reply] = {b"keyword": key.keyword, b"startfrom": key.begin}
        begin = {b"type": b"keyword", b"spec": where}
    elif key.begin == NOWHERE_FIXED:
        begin = {b"type": b"unknown", b"spec": {}}
    else:
        begin = {b"type": b"index", b"spec": {b"index": key.begin}}
    if key.count_at is not None:
        find = {
            b"type": b"keynum",
            b"spec": {b"keynumidx": key.count_at, b"firstkey": key.first_key, b"keystep": key.step},
        }
    elif key.begin == NOWHERE_FIXED:
        find = {b"type": b"unknown", b"spec": {}}
    else:
        find = {
            b"type": b"range",
            b"spec": {b"lastkey": key.last, b"keystep": key.step, b"limit": key.limit},
        }
    return {b"flags": _names(use_names(key.use)), b"begin_search": begin, b"find_keys": find}


def _argument(argument: Arg) -> Reply:
    shown: dict[bytes, Reply] = {b"name": argument.name.encode(), b"type": argument.type.encode()}
    if argument.key_spec is not None:
        shown[b"key_spec_index"] = argument.key_spec
    if argument.token is not None:
        shown[b"token"] = argument.token.encode()
    if argument.since is not None:
        shown[b"since"] = argument.since.encode()
    flags = [name for name in ("optional", "multiple", "multiple_token") if getattr(argument, name)]
    if flags:
        shown[b"flags"] = _names(flags)
    if argument.arguments:
        shown[b"arguments"] = [_argument(part) for part in argument.arguments]
    return shown
