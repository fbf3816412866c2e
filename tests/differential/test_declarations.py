"""What COMMAND and COMMAND DOCS would say from our declarations is what Redis 7 says.

Summaries, complexities and history texts are our own; the rest clients and routers act on.
"""

from __future__ import annotations

from typing import cast

import pytest

from shoal.node.commands.registry import COMMANDS
from shoal.node.commands.spec import Arg, CommandSpec, Flag, KeySpec, KeyUse
from tests.differential.executor import RealServer, load_all_commands
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

load_all_commands()
Tree = dict[bytes, object]


def every_spec() -> list[CommandSpec]:
    found = []
    for spec in COMMANDS.values():
        found += [spec, *spec.subcommands.values()]
    return found


def named(array: object) -> Tree:
    """A RESP2 map as a dict."""
    assert isinstance(array, list)
    return dict(zip(array[::2], array[1::2], strict=True))


@pytest.fixture(params=every_spec(), ids=lambda spec: spec.full_name)
def spec(request: pytest.FixtureRequest, redis7: RealServer) -> CommandSpec:
    spec = cast(CommandSpec, request.param)
    if redis7.run("COMMAND", "INFO", spec.full_name).value == [None]:
        pytest.skip("Redis 7.0 has no such command")
    return spec


def test_command_info(spec: CommandSpec, redis7: RealServer) -> None:
    reply = redis7.run("COMMAND", "INFO", spec.full_name).value
    assert isinstance(reply, list)
    name, arity, flags, first, last, step, categories, tips, key_specs, _subcommands = reply[0]
    assert (spec.full_name.encode(), spec.arity, spec.key_range) == (name, arity, (first, last, step))
    assert flag_names(spec) == set(flags)
    assert {b"@" + category.encode() for category in spec.acl_categories} == set(categories)
    assert [tip.encode() for tip in spec.tips] == tips
    assert [shown_key_spec(key) for key in spec.keys] == [without_notes(real) for real in key_specs]


def test_command_docs(spec: CommandSpec, redis7: RealServer) -> None:
    documented = named(redis7.run("COMMAND", "DOCS", spec.full_name).value)
    docs = named(documented[spec.full_name.encode()])
    assert spec.summary and spec.complexity
    assert (spec.group.encode(), spec.since.encode()) == (docs[b"group"], docs[b"since"])
    assert [flag.encode() for flag in spec.doc_flags] == docs.get(b"doc_flags", [])
    assert as_bytes(spec.deprecated_since) == docs.get(b"deprecated_since")
    assert as_bytes(spec.replaced_by) == docs.get(b"replaced_by")
    assert [shown_arg(arg) for arg in spec.arguments] == real_args(docs.get(b"arguments", []))
    history = cast("list[list[bytes]]", docs.get(b"history", []))
    assert [version.encode() for version, _ in spec.history] == [version for version, _ in history]


def flag_names(spec: CommandSpec) -> set[bytes]:
    flags = {flag.name.lower().encode() for flag in Flag if flag in spec.flags and flag.name}
    return flags | ({b"movablekeys"} if spec.has_movable_keys else set())


def as_bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def shown_key_spec(key: KeySpec) -> object:
    """A key specification as COMMAND INFO nests it."""
    short = {use: use.name if use.value <= KeyUse.RM.value else (use.name or "").lower() for use in KeyUse}
    flags = {(short[use] or "").encode() for use in KeyUse if use in key.use}
    if key.keyword is None:
        begin: Tree = {b"index": key.begin}
    else:
        begin = {b"keyword": key.keyword, b"startfrom": key.begin}
    if key.count_at is None:
        find: Tree = {b"lastkey": key.last, b"keystep": key.step, b"limit": key.limit}
    else:
        find = {b"keynumidx": key.count_at, b"firstkey": key.first_key, b"keystep": key.step}
    return (flags, begin, find)


def without_notes(array: object) -> object:
    real = named(array)
    begin, find = named(real[b"begin_search"]), named(real[b"find_keys"])
    return (set(cast("list[bytes]", real[b"flags"])), named(begin[b"spec"]), named(find[b"spec"]))


def shown_arg(arg: Arg) -> Tree:
    flags = {
        word
        for word, is_set in (
            (b"optional", arg.optional),
            (b"multiple", arg.multiple),
            (b"multiple_token", arg.multiple_token),
        )
        if is_set
    }
    return {
        b"name": arg.name.encode(),
        b"type": arg.type.encode(),
        b"token": as_bytes(arg.token),
        b"since": as_bytes(arg.since),
        b"key_spec_index": arg.key_spec,
        b"flags": flags,
        b"arguments": [shown_arg(part) for part in arg.arguments],
    }


def real_args(array: object) -> list[Tree]:
    found = []
    for item in cast("list[object]", array):
        real = named(item)
        found.append(
            {
                b"name": real[b"name"],
                b"type": real[b"type"],
                b"token": real.get(b"token"),
                b"since": real.get(b"since"),
                b"key_spec_index": real.get(b"key_spec_index"),
                b"flags": set(cast("list[bytes]", real.get(b"flags", []))),
                b"arguments": real_args(real.get(b"arguments", [])),
            }
        )
    return found
