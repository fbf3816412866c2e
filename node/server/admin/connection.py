"""Commands about the connection itself: who is there, in which protocol, in which database."""

from __future__ import annotations

from shoal.node.commands.options import check_database, parse_int32
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, block
from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.replies import OK, PONG, CommandError, Reply, Status, quoted
from shoal.node.server.acl.users import DEFAULT
from shoal.node.server.admin.module import loaded_modules
from shoal.node.server.session import Session
from shoal.node.server.versions import REDIS_VERSION

NO_PASSWORD_SET = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)

_HANDSHAKE = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST | Flag.NO_AUTH | Flag.ALLOW_BUSY


@command(
    "PING",
    arity=-1,
    flags=Flag.FAST,
    group="connection",
    since="1.0.0",
    complexity="O(1)",
    summary="Answers PONG, or the message it was given.",
    arguments=(Arg("message", optional=True),),
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def ping(session: Session, *message: bytes) -> Reply:
    if len(message) > 1:
        raise CommandError("ERR wrong number of arguments for 'ping' command")
    if session.subscriptions is not None and session.resp == 2:
        return [b"pong", message[0] if message else b""]  # where a reply has to look like a message
    return message[0] if message else PONG


@command(
    "ECHO",
    arity=2,
    flags=Flag.FAST | Flag.LOADING | Flag.STALE,
    group="connection",
    since="1.0.0",
    complexity="O(1)",
    summary="Answers with its argument.",
    arguments=(Arg("message"),),
)
def echo(session: Session, message: bytes) -> Reply:
    return message


@command(
    "SELECT",
    arity=2,
    flags=Flag.LOADING | Flag.STALE | Flag.FAST,
    group="connection",
    since="1.0.0",
    complexity="O(1)",
    summary="Chooses the database of this connection.",
    arguments=(Arg("index", "integer"),),
)
def select(session: Session, index: bytes) -> Reply:
    number = parse_int32(index)
    if session.server.cluster is not None and number != 0:
        raise CommandError("ERR SELECT is not allowed in cluster mode")
    check_database(number, len(session.keyspace.databases))
    session.db = session.keyspace.databases[number]
    return OK


@command(
    "AUTH",
    arity=-2,
    flags=_HANDSHAKE,
    group="connection",
    since="1.0.0",
    complexity="O(N) where N is the number of passwords defined for the user",
    summary="Authenticates the connection.",
    arguments=(Arg("username", optional=True, since="6.0.0"), Arg("password")),
    history=(("6.0.0", "Added ACL style (username and password)."),),
)
def auth(session: Session, *words: bytes) -> Reply:
    if len(words) > 2:
        raise CommandError("ERR syntax error")
    acl = session.server.acl
    if len(words) == 1 and acl.default.needs_no_password:
        raise CommandError(NO_PASSWORD_SET)
    user, password = (DEFAULT, words[0]) if len(words) == 1 else words
    acl.authenticate(session, user, password, b"AUTH")
    return OK


@command(
    "HELLO",
    arity=-1,
    flags=_HANDSHAKE,
    group="connection",
    since="6.0.0",
    complexity="O(1)",
    summary="Agrees on the protocol version, and may authenticate and name the connection on the way.",
    arguments=(
        block(
            "arguments",
            Arg("protover", "integer"),
            block("username_password", Arg("username"), Arg("password"), token="AUTH", optional=True),
            Arg("clientname", token="SETNAME", optional=True),
            optional=True,
        ),
    ),
    history=(
        (
            "6.2.0",
            "`protover` made optional; when called without arguments the command "
            "reports the current connection's context.",
        ),
    ),
)
def hello(session: Session, *words: bytes) -> Reply:
    resp = session.resp
    if words:
        version = parse_integer(words[0])
        if version is None:
            raise CommandError("ERR Protocol version is not an integer or out of range")
        if version not in (2, 3):
            raise CommandError("NOPROTO unsupported protocol version")
        resp = version
    name = _hello_options(session, words[1:])
    if not session.authenticated:
        raise CommandError(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> "
            "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
            "version at the same time"
        )
    if name is not None:
        session.name = name
    session.resp = resp
    server = session.server
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": resp,
        b"id": session.id,
        b"mode": b"standalone" if server.cluster is None else b"cluster",
        b"role": server.role_name,
        b"modules": loaded_modules(),
    }


def _hello_options(session: Session, words: tuple[bytes, ...]) -> bytes | None:
    """AUTH and SETNAME; authenticates at once and returns the name, which is set only if all is well."""
    name: bytes | None = None
    position = 0
    while position < len(words):
        word, rest = words[position].lower(), words[position + 1 :]
        if word == b"auth" and len(rest) >= 2:
            session.server.acl.authenticate(session, rest[0], rest[1], b"HELLO")
            position += 3
        elif word == b"setname" and rest:
            name = checked_name(rest[0])
            position += 2
        else:
            raise CommandError(b"ERR Syntax error in HELLO option '%b'" % quoted(words[position]))
    return name


def checked_name(name: bytes) -> bytes:
    """A client name, which CLIENT LIST prints and so must not hold a space or a control character."""
    if any(not 33 <= byte <= 126 for byte in name):
        raise CommandError("ERR Client names cannot contain spaces, newlines or special characters.")
    return name


@command(
    "QUIT",
    arity=-1,
    flags=_HANDSHAKE,
    group="connection",
    since="1.0.0",
    complexity="O(1)",
    summary="Closes the connection.",
    deprecated_since="7.2.0",
    replaced_by="just closing the connection",
)
def quit_(session: Session, *ignored: bytes) -> Reply:
    session.close_after_reply()
    return OK


@command(
    "RESET",
    arity=1,
    flags=_HANDSHAKE,
    group="connection",
    since="6.2.0",
    complexity="O(1)",
    summary="Puts the connection back into the state of a new one.",
)
def reset(session: Session) -> Reply:
    session.reset()
    return Status(b"RESET")
