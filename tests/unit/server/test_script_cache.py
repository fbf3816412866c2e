"""Which scripts are kept, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

from shoal.node.server.scripting.script_cache import KEPT_FROM_EVAL
from tests.unit.server.client import World, fields

Ask = Callable[..., object]


def script(number: int) -> tuple[str, str]:
    """A script and its digest."""
    text = f"return {number}"
    return text, sha1(text.encode()).hexdigest()


def kept(ask: Ask, numbers: range | list[int]) -> object:
    return ask("SCRIPT", "EXISTS", *[script(number)[1] for number in numbers])


def evict(ask: Ask) -> tuple[object, ...]:
    """Send scripts, three more than are kept, and use two of the first in between."""
    ask("SCRIPT", "LOAD", script(0)[0])
    for number in range(1, KEPT_FROM_EVAL + 1):
        ask("EVAL", script(number)[0], 0)
    ask("EVALSHA", script(1)[1], 0)
    ask("EVAL", script(2)[0], 0)
    before = kept(ask, range(KEPT_FROM_EVAL + 1))
    for number in range(KEPT_FROM_EVAL + 1, KEPT_FROM_EVAL + 4):
        ask("EVAL", script(number)[0], 0)
    return before, kept(ask, range(8)), ask("EVALSHA", script(3)[1], 0)


def test_of_scripts_sent_by_eval_those_used_last_are_kept() -> None:
    world = World()
    before, after, answer = evict(world.client())
    assert before == [1] * (KEPT_FROM_EVAL + 1)
    assert after == [1, 1, 1, 0, 0, 0, 1, 1]
    assert answer == "NOSCRIPT No matching script. Please use EVAL."
    assert fields(world.client()("INFO", "stats"))["evicted_scripts"] == "3"
    assert fields(world.client()("INFO", "memory"))["number_of_cached_scripts"] == str(KEPT_FROM_EVAL + 1)


def test_one_that_is_loaded_later_stays_as_well() -> None:
    """Redis 8.0 lets it go; but its client was told that it may use the digest from now on."""
    client = World().client()
    client("EVAL", script(1)[0], 0)
    client("SCRIPT", "LOAD", script(1)[0])
    for number in range(2, KEPT_FROM_EVAL + 3):
        client("EVAL", script(number)[0], 0)
    assert kept(client, [1, 2, 3]) == [1, 0, 1]
