"""COMMAND: what commands there are and how they are called, for clients and for people."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import COMMANDS, command
from shoal.node.commands.spec import Arg, CommandSpec, Flag, KeyUse
from shoal.node.dataset.glob import compile_glob
from shoal.node.resp.replies import CommandError, Reply, SetReply, Status
from shoal.node.server.describe import command_docs, command_info, use_names
from shoal.node.server.session import Session

_ALWAYS = Flag.LOADING | Flag.STALE
_UNORDERED = ("nondeterministic_output_order",)
_PER_COMMAND = "O(N) where N is the number of commands to look up"
_PER_TABLE = "O(N) where N is the total number of Redis commands"
_PER_ARGUMENT = "O(N) where N is the number of arguments to the command"


@command(
    "COMMAND",
    arity=-1,
    flags=_ALWAYS,
    group="server",
    since="2.8.13",
    complexity=_PER_TABLE,
    summary="Describes every command for programs.",
    acl={"connection"},
    tips=_UNORDERED,
)
def all_commands(session: Session) -> Reply:
    return [command_info(spec) for spec in COMMANDS.values()]


@command(
    "COMMAND|COUNT",
    arity=2,
    flags=_ALWAYS,
    group="server",
    since="2.8.13",
    complexity="O(1)",
    summary="Tells how many commands there are.",
    acl={"connection"},
)
def command_count(session: Session) -> Reply:
    return len(COMMANDS)


@command(
    "COMMAND|INFO",
    arity=-2,
    flags=_ALWAYS,
    group="server",
    since="2.8.13",
    complexity=_PER_COMMAND,
    summary="Describes these commands for programs, or all of them.",
    history=(("7.0.0", "Allowed to be called with no argument to get info on all commands."),),
    arguments=(Arg("command-name", optional=True, multiple=True),),
    acl={"connection"},
    tips=_UNORDERED,
)
def command_info_(session: Session, *names: bytes) -> Reply:
    if not names:
        return all_commands(session)
    found = [_find(name) for name in names]
    return [command_info(spec) if spec else None for spec in found]


@command(
    "COMMAND|DOCS",
    arity=-2,
    flags=_ALWAYS,
    group="server",
    since="7.0.0",
    complexity=_PER_COMMAND,
    summary="Describes these commands for people, or all of them.",
    arguments=(Arg("command-name", optional=True, multiple=True),),
    acl={"connection"},
    tips=_UNORDERED,
)
def command_docs_(session: Session, *names: bytes) -> Reply:
    specs = [_find(name) for name in names] if names else list(COMMANDS.values())
    return {spec.full_name.encode(): command_docs(spec) for spec in specs if spec}


@command(
    "COMMAND|LIST",
    arity=-2,
    flags=_ALWAYS,
    group="server",
    since="7.0.0",
    complexity=_PER_TABLE,
    summary="Returns the names of all commands, or of those in a category or matching a pattern.",
    arguments=(
        Arg(
            "filterby",
            "oneof",
            token="FILTERBY",
            optional=True,
            arguments=(
                Arg("module-name", token="MODULE"),
                Arg("category", token="ACLCAT"),
                Arg("pattern", "pattern", token="PATTERN"),
            ),
        ),
    ),
    acl={"connection"},
    tips=_UNORDERED,
)
def command_list(session: Session, *options: bytes) -> Reply:
    if not options:
        return [spec.full_name.encode() for spec in _with_subcommands()]
    if len(options) != 3 or options[0].lower() != b"filterby":
        raise CommandError("ERR syntax error")
    kind, wanted = options[1].lower(), options[2].lower()
    if kind == b"module":
        plug_in = options[2].decode("utf-8", "replace")
        return [s.full_name.encode() for s in _with_subcommands() if s.plug_in == plug_in]
    if kind == b"aclcat":
        return [s.full_name.encode() for s in _with_subcommands() if wanted.decode() in s.acl_categories]
    if kind == b"pattern":
        matches = compile_glob(wanted)
        return [s.full_name.encode() for s in _with_subcommands() if matches(s.full_name.encode())]
    raise CommandError("ERR syntax error")


@command(
    "COMMAND|GETKEYS",
    arity=-4,
    flags=_ALWAYS,
    group="server",
    since="2.8.13",
    complexity=_PER_ARGUMENT,
    summary="Tells which words of a command line are keys.",
    acl={"connection"},
)
def command_getkeys(session: Session, *words: bytes) -> Reply:
    return [key for key, _ in _keys(words)]


@command(
    "COMMAND|GETKEYSANDFLAGS",
    arity=-4,
    flags=_ALWAYS,
    group="server",
    since="7.0.0",
    complexity=_PER_ARGUMENT,
    summary="Tells which words of a command line are keys, and what the command does with each.",
    acl={"connection"},
)
def command_getkeysandflags(session: Session, *words: bytes) -> Reply:
    return [[key, SetReply([Status(name.encode()) for name in use_names(use)])] for key, use in _keys(words)]


def _find(name: bytes) -> CommandSpec | None:
    """The declaration of a name such as `get` or `config|get`."""
    parent, _, child = name.lower().partition(b"|")
    spec = COMMANDS.get(parent)
    return spec.subcommands.get(child) if spec is not None and child else spec


def _with_subcommands() -> Iterator[CommandSpec]:
    for spec in COMMANDS.values():
        yield spec
        yield from spec.subcommands.values()


def _keys(words: tuple[bytes, ...]) -> list[tuple[bytes, KeyUse]]:
    """The keys of a command line, with their use; CommandError if it is no proper one."""
    spec = COMMANDS.get(words[0].lower())
    if spec is not None and spec.subcommands and len(words) > 1:
        spec = spec.subcommands.get(words[1].lower())
    if spec is None:
        raise CommandError("ERR Invalid command specified")
    if all(key.use & KeyUse.NOT_KEY for key in spec.keys):
        raise CommandError("ERR The command has no key arguments")
    if not spec.min_args <= len(words) <= spec.max_args:
        raise CommandError("ERR Invalid number of arguments specified for command")
    found = [(words[position], use) for position, use in spec.key_uses(words)]
    if not found and not spec.flags & Flag.NO_MANDATORY_KEYS:
        raise CommandError("ERR Invalid arguments specified for command")
    return found


help_command("COMMAND", since="5.0.0", acl={"connection"})
