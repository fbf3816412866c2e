"""COMMAND LIST, COUNT, INFO and DOCS choose among commands as Redis does, and refuse what it refuses."""

from __future__ import annotations

import pytest

from tests.differential.executor import RealServer
from tests.differential.grammar import Command
from tests.differential.twin import Twin, encoded
from tests.differential.typed_replies import Reply, parse_all
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

PATTERNS = (
    "*",
    "get*",
    "GET",
    "config|*",
    "*|help",
    "x[ar]*",
    "?et",
    "",
    "[^a]*t",
    "\\g*",
    "[x-z]*",
    "*" * 9,
)
UNUSUAL_CATEGORIES = ("READ", "nosuch", "", "@read", "all")
REFUSED = (
    "INFO nosuch",
    "INFO nosuch config|nosuch get|child config|get|x |",
    "DOCS nosuch",
    "DOCS nosuch config|nosuch |",
    "COUNT a",
    "NOSUCH",
    "LIST PATTERN a b",
    "LIST FILTERBY",
    "LIST FILTERBY NOSUCH a",
    "LIST FILTERBY PATTERN",
    "LIST FILTERBY PATTERN a b",
    "LIST FILTERBY MODULE nosuch",
)


def ask(twin: Twin, asked: list[Command]) -> tuple[list[Reply], list[Reply]]:
    mine, real = (parse_all(server.ask(encoded(asked))) for server in (twin.ours, twin.theirs))
    return mine, real


def names(reply: Reply) -> set[bytes]:
    _, listed = reply
    assert isinstance(listed, list)
    return {name for _, name in listed}


def test_lists_hold_what_those_of_redis_hold(redis7: RealServer) -> None:
    """Of ours only what Redis 7.0 knows. WAIT is counted among what blocks since 7.2."""
    twin = Twin(redis7)
    categories = [name.decode() for name in names(parse_all(twin.theirs.ask(encoded([(b"ACL", b"CAT")])))[0])]
    filters = [("PATTERN", pattern) for pattern in PATTERNS]
    filters += [("ACLCAT", category) for category in (*categories, *UNUSUAL_CATEGORIES)]
    asked = [(b"COMMAND", b"LIST")]
    asked += [(b"COMMAND", b"LIST", b"FILTERBY", kind.encode(), word.encode()) for kind, word in filters]
    all_answers = list(zip(asked, *ask(twin, asked), strict=True))
    known = names(all_answers[0][2]) - {b"wait"}
    for question, mine, real in all_answers:
        assert names(mine) & known == names(real) & known, question


def test_what_there_is_not_is_told_as_by_redis(redis7: RealServer) -> None:
    asked = [(b"COMMAND", *line.encode().split()) for line in REFUSED]
    for question, mine, real in zip(asked, *ask(Twin(redis7), asked), strict=True):
        assert mine == real, question


def test_information_comes_in_the_order_asked_for(redis7: RealServer) -> None:
    asked = [(b"COMMAND", b"INFO", b"get", b"nosuch", b"CONFIG|GET", b"GET", b"config")]
    mine, real = ask(Twin(redis7), asked)
    assert [_name_and_arity(info) for info in _parts(mine[0])] == [
        _name_and_arity(info) for info in _parts(real[0])
    ]


def test_as_many_commands_are_counted_as_listed(redis7: RealServer) -> None:
    """Their number is not that of Redis 7.0, which lacks what came with 7.2 and 8.0."""
    asked = [(b"COMMAND", b"COUNT"), (b"COMMAND",), (b"COMMAND", b"INFO"), (b"COMMAND", b"LIST")]
    for answers in ask(Twin(redis7), asked):
        (_, count), whole, infos, listed = answers
        assert count == b"%d" % len(_parts(whole)) == b"%d" % len(_parts(infos))
        assert count == b"%d" % sum(b"|" not in name for name in names(listed))


def _parts(reply: Reply) -> list[Reply]:
    _, parts = reply
    assert isinstance(parts, list)
    return parts


def _name_and_arity(info: Reply) -> list[Reply] | None:
    return None if info[1] is None else _parts(info)[:2]
