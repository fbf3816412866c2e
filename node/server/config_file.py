"""Reading a configuration file, line by line, into a `Config`.

The syntax is redis.conf's: a directive and its words per line, quoted as in an inline command; `#`
begins a comment line; a later line wins over an earlier one. `include` names further files, which are
read at that place. A failure names the file, the line and what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shoal import __version__
from shoal.node.resp.inline import UnbalancedQuotes, split_words
from shoal.node.server.acl.lines import AclError, read_user_line
from shoal.node.server.config import DIRECTIVES, Config
from shoal.node.server.parameters import WRONG_COUNT, DirectiveError

BAD_DIRECTIVE = "Bad directive or wrong number of arguments"
MAX_INCLUDE_DEPTH = 16

_RETIRED = frozenset({"list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"})
"""Directives of old Redis versions that Redis 7 skips without a word."""

_UNSUPPORTED = {
    "loadmodule": "Modules are compiled for Redis and cannot be loaded",
    "sentinel": "sentinel directive while not in sentinel mode",
}


class ConfigFileError(Exception):
    """A configuration that a node cannot start with; `str()` is the whole message, several lines."""

    def __init__(self, source: str, line_number: int, line: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"*** FATAL CONFIG FILE ERROR (Shoal {__version__}) ***\n"
            f"Reading {source}, at line {line_number}\n"
            f">>> '{line}'\n"
            f"{reason}"
        )


@dataclass(frozen=True, slots=True)
class ConfigText:
    """Configuration lines and what to call them in an error, such as "the command line"."""

    source: str
    text: str


ReadInclude = Callable[[str], list[ConfigText]]
"""The files an `include` pattern names, in order of name; OSError if one cannot be read."""


class ConfigReader:
    """Reads one or more texts, in order, into one `Config`."""

    def __init__(self, config: Config, read_include: ReadInclude) -> None:
        self.config = config
        self.read_include = read_include
        self.seen: set[str] = set()
        """Directives some line has set already."""
        self.depth = 0

    def read(self, text: ConfigText) -> None:
        """Take over every line; ConfigFileError at the first that cannot be."""
        for number, raw_line in enumerate(text.text.split("\n"), start=1):
            line = raw_line.strip(" \t\r\n")
            if not line or line.startswith("#"):
                continue
            try:
                self._read_line(line)
            except DirectiveError as refused:
                raise ConfigFileError(text.source, number, line, str(refused)) from None

    def _read_line(self, line: str) -> None:
        words = words_of(line)
        if not words:
            return
        name, values = words[0].lower(), words[1:]
        parameter = DIRECTIVES.get(name)
        if parameter is not None:
            if parameter.several and len(values) == 1 and values[0]:
                values = words_of(values[0])
            elif not parameter.several and len(values) != 1:
                raise DirectiveError(WRONG_COUNT)
            self.config.read(name, values, adding=parameter.name in self.seen)
            self.seen.add(parameter.name)
        elif name == "include" and len(values) == 1:
            self._include(values[0])
        elif name == "rename-command" and len(values) == 2:
            self.config.renamed_commands.append((values[0], values[1]))
        elif name == "user":
            self._add_user(values)
        elif name == "load-commands" and len(values) == 1:
            self.config.command_modules.append(values[0])
        elif name in _UNSUPPORTED:
            raise DirectiveError(_UNSUPPORTED[name])
        elif name not in _RETIRED or len(values) != 1:
            raise DirectiveError(BAD_DIRECTIVE)

    def _add_user(self, words: list[str]) -> None:
        spelled = [word.encode("utf-8", "surrogateescape") for word in words]
        try:
            self.config.users.append(read_user_line(spelled, self.config.users))
        except AclError as error:
            raise DirectiveError(str(error)) from None

    def _include(self, pattern: str) -> None:
        if self.depth == MAX_INCLUDE_DEPTH:
            raise DirectiveError("Files include each other without end")
        try:
            included = self.read_include(pattern)
        except OSError as error:
            raise DirectiveError(f"Can't open the included file: {error.strerror}") from None
        self.depth += 1
        for text in included:
            self.read(text)
        self.depth -= 1


def check_combinations(config: Config) -> None:
    """Refuse directives that exclude each other, whatever the order in which they came."""
    if config.cluster_enabled and config.replicaof is not None:
        raise DirectiveError("replicaof directive not allowed in cluster mode")


def words_of(line: str) -> list[str]:
    """The words of a line, quotes taken away; DirectiveError if a quote is not closed."""
    try:
        words = split_words(line.encode("utf-8", "surrogateescape"))
    except UnbalancedQuotes:
        raise DirectiveError("Unbalanced quotes in configuration line") from None
    return [word.decode("utf-8", "surrogateescape") for word in words]
