"""What a user may do: which commands, on which keys and channels. A user has one such selector or several.

Each allows by itself what it allows; two that each allow half of a command line do not add up.
"""

from __future__ import annotations

from enum import IntFlag

from shoal.node.resp.inline import UnbalancedQuotes, split_words
from shoal.node.server.acl.catalogue import EVERY_COMMAND, Catalogue, Listed


class RuleError(Exception):
    """A rule that makes no sense; in Redis's words, which tools match."""

    rule = b""
    """The rule, as a whole."""


class UnknownCommand(RuleError):  # noqa: N818
    """A rule about a command that there is not, or not yet."""


SYNTAX_ERROR = "Syntax error"
_UNKNOWN_COMMAND = "Unknown command or category name in ACL"
_OF_SUBCOMMAND = "Allowing first-arg of a subcommand is not supported"
_NO_EFFECT = (
    "Adding a pattern after the * pattern (or the '{all}' flag) is not valid and does not have any effect."
    " Try '{reset}' to start with an empty list of {what}"
)
_KEYS_ALREADY = _NO_EFFECT.format(all="allkeys", reset="resetkeys", what="patterns")
_CHANNELS_ALREADY = _NO_EFFECT.format(all="allchannels", reset="resetchannels", what="channels")
_SPACES = frozenset(b" \t\n\v\f\r\0")


def has_spaces(text: bytes) -> bool:
    """Whether names and patterns may not be so: they are written into files, between spaces."""
    return not _SPACES.isdisjoint(text)


class Access(IntFlag):
    """What may be done with a key."""

    READ = 1
    WRITE = 2
    BOTH = READ | WRITE


_PREFIXES = {Access.BOTH: b"~", Access.READ: b"%R~", Access.WRITE: b"%W~"}


class Selector:
    """One set of permissions, at first without any."""

    def __init__(self, *, all_channels: bool) -> None:
        self.commands = 0
        """Bits of a catalogue; negative if commands to come are allowed as well."""
        self.all_commands = False
        """Nothing was taken away since `+@all`, so that no bit has to be looked at."""
        self.first_arguments: dict[str, list[bytes]] = {}
        """Of commands that are not allowed: those first arguments with which they are."""
        self.all_keys = False
        self.keys: dict[bytes, Access] = {}
        self.all_channels = all_channels
        self.channels: dict[bytes, None] = {}
        """Patterns, in the order in which they were added, like those of keys."""

    def copy(self) -> Selector:
        """One that changes by itself."""
        copy = Selector(all_channels=self.all_channels)
        copy.commands, copy.all_commands = self.commands, self.all_commands
        copy.first_arguments = {name: list(words) for name, words in self.first_arguments.items()}
        copy.all_keys, copy.keys, copy.channels = self.all_keys, dict(self.keys), dict(self.channels)
        return copy

    @property
    def is_unlimited(self) -> bool:
        """Whether it allows everything."""
        return self.all_commands and self.all_keys and self.all_channels

    # --- rules -------------------------------------------------------------------------------------

    def apply(self, rule: bytes, catalogue: Catalogue) -> None:
        """Change what is allowed as a rule says. RuleError if it makes no sense."""
        word = rule.lower()
        if word in (b"allkeys", b"~*", b"resetkeys"):
            self.all_keys = word != b"resetkeys"
            self.keys = {}
        elif word in (b"allchannels", b"&*", b"resetchannels"):
            self.all_channels = word != b"resetchannels"
            self.channels = {}
        elif word in (b"allcommands", b"+@all", b"nocommands", b"-@all"):
            self.all_commands = word in (b"allcommands", b"+@all")
            self.commands = EVERY_COMMAND if self.all_commands else 0
            self.first_arguments = {}
        elif rule[:1] in (b"~", b"%"):
            self._add_keys(rule)
        elif rule[:1] == b"&":
            self._add_channels(rule[1:])
        elif rule[:2] in (b"+@", b"-@"):
            self._change_category(word[2:], catalogue, allow=rule[:1] == b"+")
        elif rule[:1] == b"+" and b"|" in rule:
            self._allow_part(rule[1:], catalogue)
        elif rule[:1] in (b"+", b"-"):
            self._change(_find(rule[1:], catalogue), allow=rule[:1] == b"+")
        else:
            raise RuleError(SYNTAX_ERROR)

    def _add_keys(self, rule: bytes) -> None:
        if self.all_keys:
            raise RuleError(_KEYS_ALREADY)
        access, pattern = Access.BOTH, rule[1:]
        if rule[:1] == b"%":
            access, pattern = _read_access(rule)
        if has_spaces(pattern):
            raise RuleError(SYNTAX_ERROR)
        self.keys[pattern] = self.keys.get(pattern, access) | access

    def _add_channels(self, pattern: bytes) -> None:
        if self.all_channels:
            raise RuleError(_CHANNELS_ALREADY)
        if has_spaces(pattern):
            raise RuleError(SYNTAX_ERROR)
        self.channels[pattern] = None

    def _change(self, listed: Listed, *, allow: bool) -> None:
        self._set(listed.reach, allow=allow)
        self.first_arguments.pop(listed.name, None)

    def _change_category(self, name: bytes, catalogue: Catalogue, *, allow: bool) -> None:
        category = catalogue.categories.get(name.decode("latin-1"))
        if category is None:
            raise UnknownCommand(_UNKNOWN_COMMAND)
        self._set(category.reach, allow=allow)
        for command in list(self.first_arguments):
            listed = catalogue.find(command.encode())
            if listed is not None and listed.bit & category.members:
                del self.first_arguments[command]

    def _set(self, bits: int, *, allow: bool) -> None:
        if allow:
            self.commands |= bits
        else:
            self.commands &= ~bits
            self.all_commands = False

    def _allow_part(self, name: bytes, catalogue: Catalogue) -> None:
        """`+config|get`, which is a subcommand, or `+select|0`, which is a command with a first argument."""
        command, _, part = name.rpartition(b"|")
        listed = _find(command, catalogue)
        if listed.is_subcommand:
            raise RuleError(_OF_SUBCOMMAND)
        if not part:
            raise RuleError(SYNTAX_ERROR)
        if listed.spec.subcommands:
            self._change(_find(name, catalogue), allow=True)
            return
        words = self.first_arguments.setdefault(listed.name, [])
        if part.lower() not in [word.lower() for word in words]:
            words.append(part)

    # --- as rules again ----------------------------------------------------------------------------

    @property
    def key_rules(self) -> list[bytes]:
        """The rules that allow these keys."""
        if self.all_keys:
            return [b"~*"]
        return [_PREFIXES[access] + pattern for pattern, access in self.keys.items()]

    @property
    def channel_rules(self) -> list[bytes]:
        """The rules that allow these channels."""
        return [b"&*"] if self.all_channels else [b"&" + pattern for pattern in self.channels]


def words_in_parentheses(rule: bytes) -> list[bytes]:
    """The rules of a selector that stands in parentheses."""
    try:
        return split_words(rule[1:-1])
    except UnbalancedQuotes:
        raise RuleError(SYNTAX_ERROR) from None


def _find(name: bytes, catalogue: Catalogue) -> Listed:
    listed = catalogue.find(name)
    if listed is None:
        raise UnknownCommand(_UNKNOWN_COMMAND)
    return listed


def _read_access(rule: bytes) -> tuple[Access, bytes]:
    """`%R~pattern`: any of R and W, each once. Without a `~` the pattern is empty, as in Redis."""
    letters, _, pattern = rule[1:].partition(b"~")
    access = Access(0)
    for letter in letters.upper():
        one = {ord("R"): Access.READ, ord("W"): Access.WRITE}.get(letter)
        if one is None or one & access:
            raise RuleError(SYNTAX_ERROR)
        access |= one
    if not access:
        raise RuleError(SYNTAX_ERROR)
    return access, pattern
