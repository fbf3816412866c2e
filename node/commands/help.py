"""HELP of every container, rendered from the declarations of its subcommands."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.registry import COMMANDS, command
from shoal.node.commands.spec import Arg, Flag
from shoal.node.resp.replies import Reply, Status


def help_command(container: str, *, since: str, acl: frozenset[str] | set[str] = frozenset()) -> None:
    """Declare the HELP of a container that has been declared."""

    @command(
        f"{container}|HELP",
        arity=2,
        flags=Flag.LOADING | Flag.STALE,
        group=COMMANDS[container.lower().encode()].group,
        since=since,
        complexity="O(1)",
        summary="Shows what each subcommand does.",
        acl=acl,
    )
    def show_help(call: Call) -> Reply:
        return _lines(container)


def _lines(container: str) -> Reply:
    """What it shows: each subcommand with its arguments, and its summary below."""
    lines = [f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    subcommands = COMMANDS[container.lower().encode()].subcommands
    for child, spec in sorted(subcommands.items()):
        words = [child.decode().upper(), *map(spell, spec.arguments)]
        lines += [" ".join(words), f"    {spec.summary}"]
    return [Status(line.encode()) for line in lines]


def spell(argument: Arg) -> str:
    """An argument as usage lines show it: `[COUNT count]`, `<NX | XX>`, `key [key ...]`."""
    if argument.type == "pure-token":
        text = argument.token or argument.name.upper()
    elif argument.type == "oneof":
        text = " | ".join(map(spell, argument.arguments))
        text = text if argument.optional else f"<{text}>"
    elif argument.type == "block":
        text = " ".join(map(spell, argument.arguments))
    else:
        text = f"<{argument.name}>"
    if argument.token and argument.type != "pure-token":
        text = f"{argument.token} {text}"
    if argument.multiple:
        text = f"{text} [{text} ...]"
    return f"[{text}]" if argument.optional else text
