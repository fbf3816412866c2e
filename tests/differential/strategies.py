"""Words from small pools, so that commands of one sequence meet each other's keys."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.differential.comparison import Command

KEYS = st.sampled_from(["a", "b", "c", "{t}1", "{t}2"])
TEXTS = st.sampled_from(
    [
        "", "x", "hello", "0", "-1", "12", " 1", "1 ", "+1", "01", "-0", "1.5", "-2.25e2", "inf", "nan",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1_0", b"\x00\xff\r\n",
        "y" * 45, "ohmytext", "mynewtext",
    ]
)  # fmt: skip
INTEGERS = st.one_of(
    st.integers(-12, 12),
    st.sampled_from([100, -100, 1 << 31, (1 << 63) - 1, -(1 << 63), 1 << 63, 9223372036854776]),
    st.sampled_from(["", "x", "1.0", "007", " 5"]),
)
FUTURE_MS = st.sampled_from([4_000_000_000_000, 4_000_000_500_000, 5_000_000_000_000])
"""Absolute times that no test lives to see."""
PAST_MS = st.sampled_from([1, 1000, 1_000_000_000_000])


def words(*parts: st.SearchStrategy[object] | str) -> st.SearchStrategy[Command]:
    """A command from fixed words and strategies; a strategy that yields a tuple adds several words."""
    strategies = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*strategies).map(flatten)


def flatten(parts: tuple[object, ...]) -> Command:
    """Splice tuples inside a command into it."""
    found: list[bytes | str | int] = []
    for part in parts:
        if isinstance(part, tuple):
            found.extend(flatten(part))
        else:
            assert isinstance(part, (bytes, str, int))
            found.append(part)
    return tuple(found)


def any_case(*options: str) -> st.SearchStrategy[str]:
    """One of some words, in upper or lower case."""
    return st.sampled_from([*options, *(option.lower() for option in options)])


def several(strategy: st.SearchStrategy[object], most: int = 3, least: int = 0) -> st.SearchStrategy[object]:
    """Some words from a strategy, to be spliced in."""
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


def sequences(commands: list[st.SearchStrategy[Command]], most: int = 25) -> st.SearchStrategy[list[Command]]:
    """Sequences of commands, every command as likely as the others."""
    return st.lists(st.one_of(commands), min_size=1, max_size=most)
