"""The kinds of configuration directive: what each accepts, what it says when it refuses, how it prints.

A directive is declared once, as an attribute of `Config`: `port = Integer(6379, 0, 65535)` gives the
typed attribute `config.port`, the directive `port` of the configuration file, and `CONFIG GET port`.
A declaration is a descriptor without `__set__`: the value a config holds lies in its `__dict__` and is
found first, so reading a directive costs what reading any attribute costs.

The texts of the errors are Redis's, since tools match on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypedDict, TypeVar, Unpack, overload

from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.inline import quote

T = TypeVar("T")

INT_MAX = (1 << 31) - 1
UINT_MAX = (1 << 32) - 1
LONG_MAX = (1 << 63) - 1
ULONG_MAX = (1 << 64) - 1

WRONG_COUNT = "wrong number of arguments"
NO_EFFECT = "none: "
NO_TLS = NO_EFFECT + "connections are not encrypted"


class DirectiveError(ValueError):
    """A directive's value makes no sense; the message says why, in the words Redis uses."""


class Options(TypedDict, total=False):
    """What may be said of any directive, beside its default."""

    name: str
    """Where it is not the attribute's with hyphens."""
    alias: str
    """An older name, still understood and shown."""
    mutable: bool
    """May change by CONFIG SET. True unless said otherwise, as for the others False is."""
    protected: bool
    """May change only as `enable-protected-configs` allows."""
    refused_while_loading: bool
    hidden: bool
    """Shown only when asked for by its full name."""
    sensitive: bool
    """Kept out of the slow log and of MONITOR."""
    volatile: bool
    """Takes effect again even when set to the value it has: the file it names may have changed."""
    effect: str
    """Empty for a directive that does what it says; otherwise why it does nothing (it begins with NO_EFFECT,
    and the log says so when it is set), or what else it does."""


class Parameter(Generic[T]):
    """One directive. `several` marks one whose value is a list of words."""

    several = False

    def __init__(self, default: T, **options: Unpack[Options]) -> None:
        self.default = default
        self.name = options.get("name", "")
        self.alias = options.get("alias")
        self.mutable = options.get("mutable", True)
        self.protected = options.get("protected", False)
        self.refused_while_loading = options.get("refused_while_loading", False)
        self.hidden = options.get("hidden", False)
        self.sensitive = options.get("sensitive", False)
        self.volatile = options.get("volatile", False)
        self.effect = options.get("effect", "")
        self.attribute = ""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute
        self.name = self.name or attribute.replace("_", "-")

    @overload
    def __get__(self, config: None, owner: type) -> Parameter[T]: ...
    @overload
    def __get__(self, config: object, owner: type) -> T: ...
    def __get__(self, config: object | None, owner: type) -> Parameter[T] | T:
        return self if config is None else self.default

    @property
    def names(self) -> tuple[str, ...]:
        """The name, and the older one Redis still knows it by."""
        return (self.name,) if self.alias is None else (self.name, self.alias)

    def read(self, words: Sequence[str], current: T) -> T:
        """The value these words stand for; DirectiveError if they stand for none.

        `current` is what a directive that is set piece by piece starts from.
        """
        if len(words) != 1:
            raise DirectiveError(WRONG_COUNT)
        return self.parse(words[0])

    def parse(self, word: str) -> T:
        """The value of a single word."""
        raise NotImplementedError

    def joined(self, earlier: T, later: T) -> T:
        """What two lines of one configuration file mean together: the later one, unless they add up."""
        return later

    def show(self, value: T) -> str:
        """As CONFIG GET prints it."""
        return str(value)

    def file_lines(self, value: T) -> list[str]:
        """What follows the name in a configuration file, one entry per line."""
        return [quoted(self.show(value))]


def quoted(text: str) -> str:
    """A word as a configuration file has to spell it so that `split_words` gives it back."""
    if text and all(char.isprintable() and char not in " \"'\\#" for char in text):
        return text
    return in_quotes(text)


def in_quotes(text: str) -> str:
    """A word in double quotes, unprintable bytes escaped."""
    return quote(text.encode("utf-8", "surrogateescape")).decode()


class YesNo(Parameter[bool]):
    def parse(self, word: str) -> bool:
        if word.lower() not in ("yes", "no"):
            raise DirectiveError("argument must be 'yes' or 'no'")
        return word.lower() == "yes"

    def show(self, value: bool) -> str:
        return "yes" if value else "no"


class Text(Parameter[str]):
    """Any text that passes `check`. Undecodable bytes come through unharmed (surrogateescape)."""

    def __init__(
        self, default: str = "", check: Callable[[str], None] | None = None, **options: Unpack[Options]
    ) -> None:
        super().__init__(default, **options)
        self.check = check

    def parse(self, word: str) -> str:
        if self.check is not None:
            self.check(word)
        return word


class Choice(Parameter[str]):
    """One of some words, in any case."""

    def __init__(self, default: str, choices: tuple[str, ...], **options: Unpack[Options]) -> None:
        super().__init__(default, **options)
        self.choices = choices

    def parse(self, word: str) -> str:
        if word.lower() not in self.choices:
            raise DirectiveError(f"argument(s) must be one of the following: {', '.join(self.choices)}")
        return word.lower()


class Integer(Parameter[int]):
    """A decimal number in a range, both ends included."""

    unreadable = "argument couldn't be parsed into an integer"

    def __init__(
        self, default: int, least: int = 0, greatest: int = INT_MAX, **options: Unpack[Options]
    ) -> None:
        super().__init__(default, **options)
        self.least = least
        self.greatest = greatest

    def parse(self, word: str) -> int:
        value = self.number(word)
        if value is None:
            raise DirectiveError(self.unreadable)
        if not self.least <= value <= self.greatest:
            bounds = f"{self.show(self.least)} and {self.show(self.greatest)}"
            raise DirectiveError(f"argument must be between {bounds} inclusive")
        return value

    def number(self, word: str) -> int | None:
        """The number a word spells; None if it spells none."""
        return parse_integer(word.encode("utf-8", "surrogateescape"))


class Octal(Integer):
    """A file mode."""

    unreadable = "argument couldn't be parsed as an octal number"

    def number(self, word: str) -> int | None:
        digits = word.removeprefix("-")
        if not digits or any(digit not in "01234567" for digit in digits):
            return None
        return int(word, 8)

    def show(self, value: int) -> str:
        return f"{value:o}"


class Memory(Integer):
    """A size in bytes: `100`, `100b`, `64kb` = 64 * 1024, `64k` = 64 * 1000, likewise m, mb, g, gb."""

    unreadable = "argument must be a memory value"

    def number(self, word: str) -> int | None:
        return memory_size(word)


class MemoryOrPercent(Memory):
    """A size in bytes, or a part of `maxmemory`: `5%` is held as -5."""

    unreadable = "argument must be a memory or percent value"

    def parse(self, word: str) -> int:
        if word.endswith("%"):
            percent = parse_integer(word[:-1].encode("utf-8", "surrogateescape"))
            if percent is not None and percent >= 0:
                if percent > 100:
                    raise DirectiveError("percentage argument must be less or equal to 100")
                return -percent
        return super().parse(word)

    def show(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)


def memory_size(word: str) -> int | None:
    """Bytes of a size such as `64mb`; None if it is none."""
    digits = word.rstrip("bBkKmMgG")
    factor = _UNITS.get(word[len(digits) :].lower())
    if factor is None or not digits.isascii() or not digits.isdigit():
        return None
    return int(digits) * factor


_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1 << 10,
    "m": 1000**2,
    "mb": 1 << 20,
    "g": 1000**3,
    "gb": 1 << 30,
}


class Words(Parameter[tuple[str, ...]]):
    """Several words; a single empty one means none."""

    several = True

    def read(self, words: Sequence[str], current: tuple[str, ...]) -> tuple[str, ...]:
        return () if list(words) == [""] else tuple(words)

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def file_lines(self, value: tuple[str, ...]) -> list[str]:
        return [" ".join(map(quoted, value)) or '""']


class ChoiceSet(Parameter[tuple[str, ...]]):
    """Some of a few words, kept in the order of declaration; the first stands for none of the others."""

    several = True

    def __init__(
        self, default: tuple[str, ...], choices: tuple[str, ...], **options: Unpack[Options]
    ) -> None:
        super().__init__(default, **options)
        self.choices = choices

    def read(self, words: Sequence[str], current: tuple[str, ...]) -> tuple[str, ...]:
        chosen = {word.lower() for word in words}
        if not chosen or not chosen <= set(self.choices):
            raise DirectiveError(f"argument(s) must be one of the following: {', '.join(self.choices)}")
        return tuple(choice for choice in self.choices[1:] if choice in chosen)

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value) or self.choices[0]

    def file_lines(self, value: tuple[str, ...]) -> list[str]:
        return [self.show(value)]
