"""From a command line and what it names to a `Config`, or to a reason not to start.

The command line is redis-server's: `[redis.conf] [-] [--directive word …] …`. The file is read first,
then standard input (for `-`), then the options, each as a line of a configuration file would be, so
the last word on a directive is the command line's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shoal import __version__
from shoal.node.server.config import Config
from shoal.node.server.config_file import (
    ConfigFileError,
    ConfigReader,
    ConfigText,
    check_combinations,
    words_of,
)
from shoal.node.server.parameters import DirectiveError, in_quotes

USAGE = """\
Usage: shoal-server [/path/to/redis.conf] [options] [-]
       shoal-server -v | --version
       shoal-server -h | --help

An option is any directive of the configuration file, its words after it. Later ones win.
A lone - reads more directives from standard input.

Examples:
       shoal-server
       shoal-server /etc/redis/6379.conf --loglevel verbose
       shoal-server --port 7000 --cluster-enabled yes --save ""
       echo "maxmemory 128mb" | shoal-server -
"""

VERSION = f"Shoal server v={__version__}"


class StartupStopped(Exception):  # noqa: N818
    """The process ends instead of serving: print `text` (to standard error if `status` is not 0)."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class Files(Protocol):
    """What starting up reads from outside; the runtime has the real one."""

    def absolute(self, path: str) -> str:
        """The path from the root on."""

    def read(self, path: str) -> str:
        """The text of a file (undecodable bytes by surrogateescape), or OSError."""

    def matching(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern, sorted. A plain path always matches itself."""

    def standard_input(self) -> str:
        """Everything there is on standard input."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line understood: what to read, and the options as configuration lines."""

    file: str | None
    reads_standard_input: bool
    options: str


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Understand the arguments after the program's name; StartupStopped for those that only ask."""
    if arguments:
        _answer_question(arguments[0])
    file = arguments[0] if arguments and not arguments[0].startswith("-") else None
    reads_standard_input = False
    lines: list[str] = []
    expects_word = False
    for position in range(0 if file is None else 1, len(arguments)):
        word = arguments[position]
        is_last = position == len(arguments) - 1
        if word == "-" and (position == 0 or is_last):
            reads_standard_input = True
        elif word.startswith("--") and not expects_word:
            lines.append(word[2:])
            expects_word = _is_one_word(word)
            if word == "--save" and (is_last or arguments[position + 1].startswith("--")):
                lines[-1] += ' ""'
                expects_word = False
        else:
            if not lines:
                lines.append("")
            lines[-1] += f" {in_quotes(word)}"
            expects_word = False
    return CommandLine(file, reads_standard_input, "\n".join(lines))


def _answer_question(word: str) -> None:
    if word in ("-v", "--version"):
        raise StartupStopped(VERSION, 0)
    if word in ("-h", "--help"):
        raise StartupStopped(USAGE, 0)
    if word in ("--test-memory", "--check-system"):
        raise StartupStopped(f"shoal-server does not test the machine: {word} is not supported", 1)
    if word == "--sentinel":
        raise StartupStopped("shoal-server cannot run as a sentinel", 1)


def _is_one_word(word: str) -> bool:
    try:
        return len(words_of(word)) == 1
    except DirectiveError:
        return True


def load_config(command_line: CommandLine, files: Files) -> Config:
    """Read everything the command line names, in its order; StartupStopped if anything is wrong."""
    config = Config()
    reader = ConfigReader(config, lambda pattern: _included(pattern, files))
    texts: list[ConfigText] = []
    if command_line.file is not None:
        config.file = files.absolute(command_line.file)
        try:
            text = files.read(config.file)
        except OSError as error:
            reason = f"Fatal error, can't open config file '{config.file}': {error.strerror}"
            raise StartupStopped(reason, 1) from None
        texts.append(ConfigText(f"the configuration file '{config.file}'", text))
    if command_line.reads_standard_input:
        texts.append(ConfigText("the configuration from standard input", files.standard_input()))
    texts.append(ConfigText("the command line", command_line.options))
    try:
        for text_ in texts:
            reader.read(text_)
        check_combinations(config)
    except ConfigFileError as error:
        raise StartupStopped(str(error), 1) from None
    except DirectiveError as error:
        raise StartupStopped(f"*** FATAL CONFIG FILE ERROR (Shoal {__version__}) ***\n{error}", 1) from None
    return config


def _included(pattern: str, files: Files) -> list[ConfigText]:
    return [
        ConfigText(f"the configuration file '{path}'", files.read(path)) for path in files.matching(pattern)
    ]
