"""Commands out of plain bytes: a grammar that reads one command from the digits of one large number.

Hypothesis takes a tenth of a millisecond for each choice, so that it makes one for a whole batch: a seed.
Here every choice takes the number's remainder by how many ways there are, and leaves the quotient to the
next. A number whose digits are used up goes on with zeros, which choose what stands first.

Words come from small pools, so that commands of one sequence meet each other's keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

Word = bytes | str | int
Command = tuple[bytes, ...]
Part = Callable[["Digits"], Command]
"""Some words of a command, read from digits."""

BYTES_PER_COMMAND = 24


class Digits:
    """A number read digit by digit, each to a base of its own."""

    __slots__ = ("left",)

    def __init__(self, data: bytes) -> None:
        self.left = int.from_bytes(data, "little")

    def below(self, limit: int) -> int:
        """The next digit."""
        self.left, digit = divmod(self.left, limit)
        return digit


def as_bytes(word: Word) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


def read_commands(commands: Sequence[Part], data: bytes) -> list[Command]:
    """A command for every so many bytes, each as likely as the others."""
    pieces = (data[start : start + BYTES_PER_COMMAND] for start in range(0, len(data), BYTES_PER_COMMAND))
    choose = one_of(*commands)
    return [choose(Digits(piece)) for piece in pieces]


def pick(*pool: Word) -> Part:
    """One word of a pool."""
    choices = [(as_bytes(word),) for word in pool]
    return lambda digits: choices[digits.below(len(choices))]


def any_case(*options: str) -> Part:
    """One of some words, in upper or lower case."""
    return pick(*options, *(option.lower() for option in options))


def one_of(*parts: Part) -> Part:
    """One of some parts, each as likely as the others."""
    return lambda digits: parts[digits.below(len(parts))](digits)


def integers(low: int, high: int) -> Part:
    """A whole number from `low` to `high`."""
    return lambda digits: (b"%d" % (low + digits.below(high - low + 1)),)


def floats(low: float, high: float) -> Part:
    """A number with all its digits."""
    return lambda digits: (repr(low + digits.below(1 << 32) / (1 << 32) * (high - low)).encode(),)


def texts(longest: int) -> Part:
    """Any bytes."""
    return lambda digits: (bytes([digits.below(256) for _ in range(digits.below(longest + 1))]),)


def words(*parts: Part | Word) -> Part:
    """Words and parts one after the other."""
    sequence = [part if callable(part) else pick(part) for part in parts]

    def read(digits: Digits) -> Command:
        found: Command = ()
        for part in sequence:
            found += part(digits)
        return found

    return read


def several(part: Part, most: int = 3, least: int = 0) -> Part:
    """From `least` to `most` times the same part."""

    def read(digits: Digits) -> Command:
        found: Command = ()
        for _ in range(least + digits.below(most - least + 1)):
            found += part(digits)
        return found

    return read


def formatted(text: str, part: Part) -> Part:
    """The words of a part, each with a text around it: `({}` makes an end exclusive."""
    before, _, after = text.encode().partition(b"{}")
    return lambda digits: tuple(before + word + after for word in part(digits))


def joined(*parts: Part) -> Part:
    """One word, made of the words of some parts."""
    return lambda digits: (b"".join(words(*parts)(digits)),)


KEYS = pick("a", "b", "c", "{t}1", "{t}2", "", b"\x00\xff\r\n")
ODD_NUMBERS = (
    "", " 1", "1 ", "+1", "01", "-0", "00", "1_0", "1.0", "0x10", "1e3", "--1", "-", "x", "1\x00", "nan",
    "inf", "-inf", "١٢", "1\n", "²",
    (1 << 63) - 1, -(1 << 63), 1 << 63, -(1 << 63) - 1, (1 << 64) - 1, 1 << 64, (1 << 63) - 2, 10**30,
)  # fmt: skip
"""What looks like a number, and some that only just are one."""

TEXTS = pick(
    "x", "", "hello", "0", "-1", "12", "1.5", "-2.25e2", "9223372036854775800", b"\x00\xff\r\n", "y" * 44,
    "y" * 45, "ohmytext", "mynewtext", "3.0e-5", "1e17", "inf", "-inf", "1e400", ".5", "5.", *ODD_NUMBERS,
)  # fmt: skip
INTEGERS = one_of(
    integers(-12, 12),
    integers(-3, 3),
    pick(100, -100, 1 << 31, -(1 << 31) - 1, 1 << 32, 9223372036854776, 4611686018427387904, *ODD_NUMBERS),
)
FUTURE_MS = pick(4_000_000_000_000, 4_000_000_500_000, 5_000_000_000_000)
"""Absolute times that no test lives to see."""
PAST_MS = pick(1, 1000, 1_000_000_000_000)
NOT_ONE = tuple(word for word in ODD_NUMBERS if word not in ("01", "+1"))
"""Those that are no small number above zero to any reader: of things drawn by chance, or seconds to live."""
LIFETIMES = pick(0, -1, 1_000_000, 2_000_000, *NOT_ONE)
"""None of them ends while a test runs."""


def drawn(*commands: Part) -> st.SearchStrategy[Command]:
    """One of some commands, for tests in which hypothesis chooses each."""
    choose = one_of(*commands)
    return st.binary(min_size=BYTES_PER_COMMAND, max_size=BYTES_PER_COMMAND).map(
        lambda data: choose(Digits(data))
    )
