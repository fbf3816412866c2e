"""MODULE: the plug-ins there are. `load-commands` names them, and none comes or goes while a node runs."""

from __future__ import annotations

from shoal.cluster.effects import Level, Note
from shoal.node.commands.help import help_command
from shoal.node.commands.registry import PLUG_INS, command, container
from shoal.node.commands.spec import Arg, Flag
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server.session import Session

_ADMIN = Flag.ADMIN | Flag.NOSCRIPT
_CHANGES = _ADMIN | Flag.NO_ASYNC_LOADING
_NOT_LOADED = "ERR Error loading the extension. Please check the server logs."
_NO_VERSION = 1
"""A plug-in has none; a module without one does not exist."""

container("MODULE", group="server", since="4.0.0", summary="Holds the commands about modules.")
help_command("MODULE", since="5.0.0")


def loaded_modules() -> list[Reply]:
    """The plug-ins whose commands are served, as MODULE LIST and HELLO show them."""
    return [
        {b"name": name.encode(), b"ver": _NO_VERSION, b"path": path.encode(), b"args": []}
        for name, path in PLUG_INS.items()
    ]


@command(
    "MODULE|LIST",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="4.0.0",
    complexity="O(N) where N is the number of loaded modules.",
    summary="Lists the plug-ins whose commands are served.",
    tips=("nondeterministic_output_order",),
)
def module_list(session: Session) -> Reply:
    return loaded_modules()


@command(
    "MODULE|LOAD",
    arity=-3,
    flags=_CHANGES,
    group="server",
    since="4.0.0",
    complexity="O(1)",
    summary="Refuses to load a module that is compiled for Redis.",
    arguments=(Arg("path"), Arg("arg", optional=True, multiple=True)),
)
def module_load(session: Session, path: bytes, *words: bytes) -> Reply:
    return _refuse_to_load(session, path)


@command(
    "MODULE|LOADEX",
    arity=-3,
    flags=_CHANGES,
    group="server",
    since="7.0.0",
    complexity="O(1)",
    summary="Refuses to load a module that is compiled for Redis, with its configuration.",
    arguments=(
        Arg("path"),
        Arg(
            "configs",
            "block",
            token="CONFIG",
            optional=True,
            multiple=True,
            multiple_token=True,
            arguments=(Arg("name"), Arg("value")),
        ),
        Arg("args", "block", token="ARGS", optional=True, multiple=True, arguments=(Arg("arg"),)),
    ),
)
def module_loadex(session: Session, path: bytes, *words: bytes) -> Reply:
    return _refuse_to_load(session, path)


@command(
    "MODULE|UNLOAD",
    arity=3,
    flags=_CHANGES,
    group="server",
    since="4.0.0",
    complexity="O(1)",
    summary="Refuses to unload a module; a plug-in stays as long as the node runs.",
    arguments=(Arg("name"),),
)
def module_unload(session: Session, name: bytes) -> Reply:
    session.require_permission("MODULE", session.server.config.enable_module_command)
    is_there = name.decode("utf-8", "replace") in PLUG_INS
    why = "operation not possible." if is_there else "no such module with that name"
    raise CommandError(f"ERR Error unloading module: {why}")


def _refuse_to_load(session: Session, path: bytes) -> Reply:
    session.require_permission("MODULE", session.server.config.enable_module_command)
    told = path.decode("utf-8", "backslashreplace")
    why = f"Module {told} is not loaded: name a Python module by the directive load-commands instead"
    session.server.effects.append(Note(Level.WARNING, why))
    raise CommandError(_NOT_LOADED)
