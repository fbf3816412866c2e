"""HELP of every container, rendered from the declarations of its subcommands."""

from __future__ import annotations

from shoal.node.commands.registry import COMMANDS
from shoal.node.commands.spec import Arg
from shoal.node.resp.replies import Reply, Status


def help_reply(name: str) -> Reply:
    """The lines of `NAME HELP`: each subcommand with its arguments, and its summary below."""
    lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    subcommands = COMMANDS[name.lower().encode()].subcommands
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
