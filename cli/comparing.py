"""Do two nodes hold the same value under a key? Asked when a key on its way is at its target already."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.cli.client import Command, Connection
from shoal.cli.errors import ReplyError
from shoal.cli.replies import Reply

_NO_KEY = b"0" * 40
_CONTENTS: dict[bytes, tuple[str, ...]] = {
    b"set": ("SMEMBERS",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
}


async def find_differing(first: Connection, second: Connection, keys: Sequence[bytes]) -> list[bytes]:
    """The keys that both nodes hold with different values; keys that only one holds are no conflict.

    DEBUG DIGEST-VALUE answers for all types at once, but servers refuse DEBUG unless they are told
    otherwise; then DUMP does, which asks for the values themselves.
    """
    digests = [await _digests(node, keys) for node in (first, second)]
    if digests[0] is None or digests[1] is None:
        return [key for key in keys if not await _equal_by_dump(first, second, key)]
    return [
        key
        for key, mine, theirs in zip(keys, digests[0], digests[1], strict=True)
        if mine != theirs and _NO_KEY not in (mine, theirs)
    ]


async def _digests(node: Connection, keys: Sequence[bytes]) -> list[Reply] | None:
    (reply,) = await node.call_many([("DEBUG", "DIGEST-VALUE", *keys)])
    return reply if isinstance(reply, list) and len(reply) == len(keys) else None


async def _equal_by_dump(first: Connection, second: Connection, key: bytes) -> bool:
    mine, theirs = [
        await _read(node, ("DUMP", key), ("PTTL", key), ("TYPE", key)) for node in (first, second)
    ]
    if mine[0] is None or theirs[0] is None:
        return True
    if any(isinstance(reply, ReplyError) for reply in (*mine, *theirs)):
        return False
    (dump, expiry, kind), (other_dump, other_expiry, other_kind) = mine, theirs
    if kind != other_kind or (expiry == -1) != (other_expiry == -1):
        return False
    return dump == other_dump or await _equal_contents(first, second, key, kind)


async def _equal_contents(first: Connection, second: Connection, key: bytes, kind: Reply) -> bool:
    """Nodes keep the members of a set, hash or sorted set in an order of their own, and dump them so."""
    if not isinstance(kind, bytes) or kind not in _CONTENTS:
        return False
    name, *options = _CONTENTS[kind]
    contents = [(await _read(node, (name, key, *options)))[0] for node in (first, second)]
    shapes = [_in_order(members, pairs=kind != b"set") for members in contents]
    return shapes[0] is not None and shapes[0] == shapes[1]


def _in_order(members: Reply, *, pairs: bool) -> list[tuple[bytes, ...]] | None:
    """Members, or pairs of them, sorted; None if the reply is none of that."""
    if not isinstance(members, list):
        return None
    texts = [member for member in members if isinstance(member, bytes)]
    if len(texts) != len(members) or (pairs and len(texts) % 2):
        return None
    return sorted(zip(texts[::2], texts[1::2], strict=True) if pairs else ((text,) for text in texts))


async def _read(node: Connection, *commands: Command) -> list[Reply]:
    """Replies to commands about a key whose slot may be on its way: ASKING makes either end answer."""
    asked: list[Command] = []
    for command in commands:
        asked += [("ASKING",), command]
    return (await node.call_many(asked))[1::2]
