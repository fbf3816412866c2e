"""CONFIG: see and change the configuration of a running node."""

from __future__ import annotations

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, block
from shoal.node.dataset.glob import compile_glob
from shoal.node.resp.replies import OK, CommandError, Reply
from shoal.node.server.config import DIRECTIVES, ChangeError
from shoal.node.server.config_file import words_of
from shoal.node.server.config_rewrite import rewritten
from shoal.node.server.parameters import DirectiveError
from shoal.node.server.server import Server
from shoal.node.server.session import Session

_ADMIN = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE

container(
    "CONFIG",
    group="server",
    since="2.0.0",
    summary="Holds the commands about the configuration of the server.",
)
help_command("CONFIG", since="5.0.0")


@command(
    "CONFIG|GET",
    arity=-3,
    flags=_ADMIN,
    group="server",
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
    summary="Returns the directives whose names match any of the patterns, with their values.",
    history=(("7.0.0", "Added the ability to pass multiple pattern parameters in one call"),),
    arguments=(block("parameter", Arg("parameter"), multiple=True),),
)
def config_get(session: Session, *patterns: bytes) -> Reply:
    config = session.server.config
    found: dict[bytes, Reply] = {}
    for pattern in patterns:
        name = pattern.lower().decode("utf-8", "replace")
        if not any(char in name for char in "[*?"):
            if name in DIRECTIVES:
                found[name.encode()] = _bytes(config.shown(name))
            continue
        matches = compile_glob(pattern.lower())
        for name, parameter in DIRECTIVES.items():
            if not parameter.hidden and matches(name.encode()):
                found[name.encode()] = _bytes(config.shown(name))
    return found


@command(
    "CONFIG|SET",
    arity=-4,
    flags=_ADMIN,
    group="server",
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
    summary="Changes one or more directives while the server runs: all of them or none.",
    history=(("7.0.0", "Added the ability to set multiple parameters in one call."),),
    arguments=(block("parameter_value", Arg("parameter"), Arg("value"), multiple=True),),
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def config_set(session: Session, *words: bytes) -> Reply:
    if len(words) % 2:
        raise CommandError("ERR syntax error")
    names = [name.decode("utf-8", "replace") for name in words[::2]]
    _refuse_unchangeable(session, names)
    changes: list[tuple[str, list[str]]] = []
    try:
        for name, value in zip(names, words[1::2], strict=True):
            changes.append((name.lower(), _split_value(name.lower(), value)))
        session.server.config.change(changes)
    except ChangeError as error:
        raise _refusal(error.name, error.reason) from None
    return OK


def _refuse_unchangeable(session: Session, names: list[str]) -> None:
    """Raise for the first directive that is unknown, may not change or comes twice."""
    seen: set[str] = set()
    for name in names:
        parameter = DIRECTIVES.get(name.lower())
        if parameter is None:
            raise CommandError(f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
        if not parameter.mutable:
            raise _refusal(name, "can't set immutable config")
        if parameter.protected and not session.may_use(session.server.config.enable_protected_configs):
            raise _refusal(name, "can't set protected config")
        is_loading = session.server.loading or session.server.replication.async_loading
        if is_loading and parameter.refused_while_loading:
            raise CommandError("LOADING Redis is loading the dataset in memory")
        if parameter.name in seen:
            raise _refusal(name, "duplicate parameter")
        seen.add(parameter.name)


def _split_value(name: str, value: bytes) -> list[str]:
    text = value.decode("utf-8", "surrogateescape")
    if not DIRECTIVES[name].several or not text:
        return [text]
    try:
        return words_of(text)
    except DirectiveError:
        raise ChangeError(name, "Invalid argument") from None


def _refusal(name: str, reason: str) -> CommandError:
    return CommandError(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


@command(
    "CONFIG|RESETSTAT",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="2.0.0",
    complexity="O(1)",
    summary="Sets the counters that INFO reports back to zero.",
)
def config_resetstat(session: Session) -> Reply:
    session.server.reset_statistics()
    return OK


@command(
    "CONFIG|REWRITE",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="2.8.0",
    complexity="O(1)",
    summary="Brings the configuration file up to date with the running configuration.",
)
def config_rewrite(session: Session) -> Reply:
    return rewrite_config(session.server)


def rewrite_config(server: Server, *, with_defaults: bool = False) -> Reply:
    """Put the configuration as it is now into its file."""
    config = server.config
    if config.file is None:
        raise CommandError("ERR The server is running without a config file")
    try:
        lines = () if config.aclfile else server.acl.lines
        users = [line.decode("utf-8", "surrogateescape") for line in lines]
        server.host.rewrite_file(
            config.file, lambda old: rewritten(old, config, users, with_defaults=with_defaults)
        )
    except OSError as error:
        raise CommandError(f"ERR Rewriting config file: {error.strerror}") from None
    return OK


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
