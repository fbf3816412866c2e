"""The command table, and the decorator that puts a function into it.

`command` is the one door: the built-in commands register through it when their modules are imported,
and a plug-in does the same. A name taken twice is an error at import, not a surprise at run time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from shoal.node.commands.spec import Arg, ChannelSpec, CommandSpec, Flag, Handler, KeySpec

COMMANDS: dict[bytes, CommandSpec] = {}
"""Every command by its lower-case name; subcommands hang below their container."""

PLUG_INS: dict[str, str] = {}
"""The modules of others whose commands are in the table: name -> file."""

H = TypeVar("H", bound=Handler)


def command(
    name: str,
    *,
    arity: int,
    flags: Flag,
    group: str,
    since: str,
    complexity: str,
    summary: str,
    keys: tuple[KeySpec, ...] = (),
    channels: ChannelSpec | None = None,
    arguments: tuple[Arg, ...] = (),
    acl: frozenset[str] | set[str] = frozenset(),
    tips: tuple[str, ...] = (),
    history: tuple[tuple[str, str], ...] = (),
    deprecated_since: str | None = None,
    replaced_by: str | None = None,
    internal: bool = False,
) -> Callable[[H], H]:
    """Declare a command (`GET`) or a subcommand (`CONFIG|GET`, after its `container`).

    `arity` counts the name (and the subcommand's name): negative means at least. `acl` names
    categories beyond those that follow from flags and group.
    """

    def register(handler: H) -> H:
        add(
            CommandSpec(
                name=name,
                arity=arity,
                flags=flags,
                group=group,
                since=since,
                complexity=complexity,
                summary=summary,
                keys=keys,
                channels=channels,
                arguments=arguments,
                acl=frozenset(acl),
                tips=tips,
                history=history,
                deprecated_since=deprecated_since,
                replaced_by=replaced_by,
                internal=internal,
                handler=handler,
            )
        )
        return handler

    return register


def container(name: str, *, group: str, since: str, summary: str, flags: Flag = Flag.NONE) -> None:
    """Declare a command that only holds subcommands, such as CONFIG."""
    add(
        CommandSpec(
            name=name,
            arity=-2,
            flags=flags,
            group=group,
            since=since,
            complexity="Depends on subcommand.",
            summary=summary,
        )
    )


def add(spec: CommandSpec) -> None:
    """Put a declaration into the table; ValueError if its name is taken or its container is missing."""
    parent, _, child = spec.name.lower().encode().partition(b"|")
    if not child:
        table, key = COMMANDS, parent
    elif parent in COMMANDS:
        table, key = COMMANDS[parent].subcommands, child
    else:
        raise ValueError(f"{spec.name}: declare the container {parent.decode()!r} first")
    if key in table:
        raise ValueError(f"the command {spec.name} is declared twice")
    table[key] = spec
    if spec.plug_in is not None:
        PLUG_INS[spec.plug_in] = getattr(sys.modules[spec.plug_in], "__file__", None) or ""


def find(words: list[bytes]) -> CommandSpec | None:
    """The declaration of a command line's first word, or of its subcommand where it is a container."""
    spec = COMMANDS.get(words[0].lower())
    if spec is not None and spec.subcommands and len(words) > 1:
        return spec.subcommands.get(words[1].lower())
    return spec
