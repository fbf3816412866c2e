"""What COMMAND and COMMAND DOCS say of each command is what Redis 7.0 says, or 8.0 of its own commands."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from shoal.node import builtin_commands
from shoal.node.commands.registry import COMMANDS
from shoal.node.resp.writer import encode
from shoal.node.server.describe import command_docs, command_info
from tests.differential.executor import RealServer
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, needs

builtin_commands.load()

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER, REDIS8_SERVER)]

OWN_WORDS = frozenset({"summary", "complexity", "history"})
"""Texts that are written anew rather than copied, like the notes on keys. The versions count."""

AS_IN_8 = frozenset(
    {
        "blmove", "blpop", "brpop", "brpoplpush", "bzpopmax", "bzpopmin", "client|kill", "client|list",
        "hscan", "wait", "xinfo|consumers", "xinfo|stream", "zrank", "zrevrank",
    }
)  # fmt: skip
"""Commands that 8.0 knows more of than 7.0 does: options, or that scripts may run them."""
DEPRECATION = frozenset({"deprecated_since", "replaced_by", "doc_flags"})
REAL_VERSION = "7.0.15"

Table = dict[str, tuple[list[Any], dict[str, Any]]]


def parsed(data: bytes) -> Any:
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(data)
    return reader.gets()


def described(server: RealServer) -> Table:
    """By name: COMMAND INFO and COMMAND DOCS of a real server, in RESP2, where order shows."""
    names = [name.decode() for name in COMMANDS]
    infos: Any = server.run("COMMAND", "INFO", *names).value
    docs: Any = server.run("COMMAND", "DOCS", *names).value
    by_name = dict(zip(docs[::2], docs[1::2], strict=True))
    return {
        name: (decoded(info), pairs(by_name[name.encode()]))
        for name, info in zip(names, infos, strict=True)
        if info is not None
    }


@pytest.fixture(scope="module")
def real_table(redis7: RealServer, redis8: RealServer) -> Table:
    """What Redis 7.0 says, but 8.0 where it alone has a command or subcommand, or where we follow it."""
    old, new = described(redis7), described(redis8)
    for name, (info, docs) in new.items():
        if name not in old or name in AS_IN_8:
            old[name] = info, docs
            continue
        old_info, old_docs = old[name]
        known = {child[0] for child in old_info[-1]} - AS_IN_8
        of_old = [child for child in old_info[-1] if child[0] in known]
        old_info[-1] = of_old + [child for child in info[-1] if child[0] not in known]
        if "subcommands" in docs:
            by_name = {**subcommands(docs), **{k: v for k, v in subcommands(old_docs).items() if k in known}}
            old_docs["subcommands"] = [part for pair in by_name.items() for part in pair]
    return old


def subcommands(docs: dict[str, Any]) -> dict[str, Any]:
    names = docs.get("subcommands", [])
    return dict(zip(names[::2], names[1::2], strict=True))


def decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [decoded(item) for item in value] if isinstance(value, list) else value


def pairs(flat: list[Any]) -> dict[str, Any]:
    items = decoded(flat)
    return dict(zip(items[::2], items[1::2], strict=True))


def flattened(info: list[Any]) -> dict[str, list[Any]]:
    """A command and its subcommands by name, what has no order as sorted lists; HELP is compared too."""
    name, arity, flags, first, last, step, categories, tips, keys, children = info
    specs = [key[2:] if key[0] == "notes" else key for key in keys]
    own = [arity, sorted(flags), first, last, step, sorted(categories), sorted(tips), specs]
    found = {name: own}
    for child in children:
        found.update(flattened(child))
    return found


def flattened_docs(name: str, docs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    own = {key: value for key, value in docs.items() if key not in OWN_WORDS | {"subcommands"}}
    if own.get("deprecated_since", "") > REAL_VERSION:
        own = {key: value for key, value in own.items() if key not in DEPRECATION}
    own["arguments"] = [without_deprecation(argument) for argument in own.get("arguments", [])]
    own["history"] = sorted(since for since, _ in docs.get("history", []))
    found = {name: own}
    children = docs.get("subcommands", [])
    for child, child_docs in zip(children[::2], children[1::2], strict=True):
        found.update(flattened_docs(child, pairs(child_docs)))
    return found


def without_deprecation(argument: list[Any]) -> dict[str, Any]:
    """An argument without the word on when it went out of use, which is not declared here."""
    fields = dict(zip(argument[::2], argument[1::2], strict=True))
    fields.pop("deprecated_since", None)
    fields.pop("display_text", None)  # since 7.2, beside the name
    fields["arguments"] = [without_deprecation(part) for part in fields.get("arguments", [])]
    return fields


@pytest.mark.parametrize("name", [name.decode() for name in COMMANDS])
def test_a_command_is_described_as_redis_describes_it(name: str, real_table: Table) -> None:
    if name not in real_table:
        return
    spec = COMMANDS[name.encode()]
    real_info, real_docs = real_table[name]
    real, mine = flattened(real_info), flattened(parsed(encode(command_info(spec), 2)))
    known = [child for child in mine if child in real]
    assert {child: mine[child] for child in known} == {child: real[child] for child in known}
    docs = flattened_docs(name, real_docs)
    mine_docs = flattened_docs(name, pairs(parsed(encode(command_docs(spec), 2))))
    assert {child: mine_docs[child] for child in known} == {child: docs[child] for child in known}


def test_no_command_of_redis_is_missing(redis7: RealServer, redis8: RealServer) -> None:
    ours = {name.decode() for name in COMMANDS}
    ours |= {child.full_name for spec in COMMANDS.values() for child in spec.subcommands.values()}
    for server in (redis7, redis8):
        listed: Any = server.run("COMMAND", "LIST").value
        missing = {name.decode() for name in listed} - ours
        assert not [name for name in missing if name == name.lower()]  # Redis 8.0 brings modules, in capitals
