"""CLIENT: who is connected, what they are called, and what is done to them."""

from __future__ import annotations

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, one_of, token
from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.replies import NO_REPLY, OK, CommandError, Reply, Verbatim
from shoal.node.server.admin.connection import checked_name
from shoal.node.server.client_list import (
    SYNTAX_ERROR,
    all_clients,
    checked_type,
    describe,
    parse_kill_filter,
    type_of,
)
from shoal.node.server.session import ReplyMode, Session

UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK"

COMMON = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_ADMIN = Flag.ADMIN | COMMON
_YES_OR_NO = (token("YES"), token("NO"))
_ON_OFF = one_of("enabled", token("ON"), token("OFF"))

container(
    "CLIENT", group="connection", since="2.4.0", summary="Looks at, names, holds up or ends connections."
)
help_command("CLIENT", since="5.0.0")


@command(
    "CLIENT|ID",
    arity=2,
    flags=COMMON,
    group="connection",
    since="5.0.0",
    complexity="O(1)",
    summary="Answers the id of this connection.",
)
def client_id(session: Session) -> Reply:
    return session.id


@command(
    "CLIENT|INFO",
    arity=2,
    flags=COMMON,
    group="connection",
    since="6.2.0",
    complexity="O(1)",
    summary="Describes this connection.",
    tips=("nondeterministic_output",),
)
def client_info(session: Session) -> Reply:
    return Verbatim(describe(session, b"CLIENT", b"INFO") + b"\n")


@command(
    "CLIENT|LIST",
    arity=-2,
    flags=_ADMIN,
    group="connection",
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    summary="Describes every connection, or those of a type, or those of some ids, a line each.",
    arguments=(
        Arg(
            "client-type",
            "oneof",
            token="TYPE",
            optional=True,
            since="5.0.0",
            arguments=(token("NORMAL"), token("MASTER"), token("REPLICA"), token("PUBSUB")),
        ),
        Arg("client-id", "integer", token="ID", optional=True, multiple=True, since="6.2.0"),
    ),
    history=(
        ("2.8.12", "Shows an id that no other connection has."),
        ("5.0.0", "Added the `TYPE` option."),
        ("6.0.0", "Shows the user."),
        ("6.2.0", "Shows the local address; added the `ID` option."),
        ("7.0.0", "Shows the RESP version and the sizes of buffers."),
        ("7.0.3", "Shows which connection is redirected to."),
        ("7.2.0", "Shows the client library."),
        ("7.4.0", "Shows how many keys are watched."),
        ("8.0.0", "Shows the I/O thread."),
    ),
    tips=("nondeterministic_output",),
)
def client_list(session: Session, *options: bytes) -> Reply:
    sessions = [one for one in all_clients(session.server) if not one.closing or one is session]
    if options:
        word = options[0].lower()
        if word == b"type" and len(options) == 2:
            wanted = checked_type(options[1])
            sessions = [one for one in sessions if type_of(one) == wanted]
        elif word == b"id" and len(options) > 1:
            by_id = {one.id: one for one in sessions}
            wanted_ids = [_client_id(text) for text in options[1:]]
            sessions = [by_id[number] for number in wanted_ids if number in by_id]
        else:
            raise CommandError(SYNTAX_ERROR)
    asking = (b"CLIENT", b"LIST", *options)
    lines = [describe(one, *(asking if one is session else ())) for one in sessions]
    return Verbatim(b"".join(line + b"\n" for line in lines))


def _client_id(text: bytes) -> int:
    number = parse_integer(text)
    if number is None:
        raise CommandError("ERR Invalid client ID")
    return number


@command(
    "CLIENT|KILL",
    arity=-3,
    flags=_ADMIN,
    group="connection",
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    summary="Closes connections, by address or by any mix of filters.",
    arguments=(
        one_of(
            "filter",
            Arg("old-format"),
            Arg(
                "new-format",
                "oneof",
                multiple=True,
                arguments=(
                    Arg("client-id", "integer", token="ID", optional=True, since="2.8.12"),
                    Arg(
                        "client-type",
                        "oneof",
                        token="TYPE",
                        optional=True,
                        since="2.8.12",
                        arguments=(
                            token("NORMAL"),
                            token("MASTER", since="3.2.0"),
                            token("SLAVE"),
                            token("REPLICA", since="5.0.0"),
                            token("PUBSUB"),
                        ),
                    ),
                    Arg("username", token="USER", optional=True),
                    Arg("addr", token="ADDR", optional=True),
                    Arg("laddr", token="LADDR", optional=True, since="6.2.0"),
                    Arg(
                        "skipme",
                        "oneof",
                        token="SKIPME",
                        optional=True,
                        arguments=(token("YES"), token("NO")),
                    ),
                    Arg("maxage", "integer", token="MAXAGE", optional=True, since="7.4.0"),
                ),
            ),
        ),
    ),
    history=(
        ("2.8.12", "Added filters other than the address."),
        ("2.8.12", "Added the `ID` filter."),
        ("3.2.0", "Added `master` to the types."),
        ("5.0.0", "Added `replica` to the types."),
        ("6.2.0", "Added the `LADDR` filter."),
        ("7.4.0", "Added the `MAXAGE` filter."),
    ),
)
def client_kill(session: Session, *words: bytes) -> Reply:
    is_old_style = len(words) == 1
    filters = (b"ADDR", words[0], b"SKIPME", b"no") if is_old_style else words
    wanted = parse_kill_filter(filters, session.server.acl.users)
    following = session.server.replication.following
    victims = [one for one in all_clients(session.server) if wanted.matches(one, session)]
    for victim in victims:
        if victim is session:
            session.close_after_reply()
        elif following is not None and victim is following.session:
            following.reconnect()
        else:
            session.server.drop(victim)
    if not is_old_style:
        return len(victims)
    if not victims:
        raise CommandError("ERR No such client")
    return OK


@command(
    "CLIENT|GETNAME",
    arity=2,
    flags=COMMON,
    group="connection",
    since="2.6.9",
    complexity="O(1)",
    summary="Answers the name of this connection.",
)
def client_getname(session: Session) -> Reply:
    return session.name or None


@command(
    "CLIENT|SETNAME",
    arity=3,
    flags=COMMON,
    group="connection",
    since="2.6.9",
    complexity="O(1)",
    summary="Names this connection.",
    arguments=(Arg("connection-name"),),
)
def client_setname(session: Session, name: bytes) -> Reply:
    session.name = checked_name(name)
    return OK


@command(
    "CLIENT|SETINFO",
    arity=4,
    flags=COMMON,
    group="connection",
    since="7.2.0",
    complexity="O(1)",
    summary="Tells which client library speaks, and its version.",
    arguments=(one_of("attr", Arg("libname", token="LIB-NAME"), Arg("libver", token="LIB-VER")),),
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def client_setinfo(session: Session, attribute: bytes, value: bytes) -> Reply:
    word = attribute.lower()
    if word not in (b"lib-name", b"lib-ver"):
        raise CommandError(f"ERR Unrecognized option '{attribute.decode('utf-8', 'replace')}'")
    if any(not 33 <= byte <= 126 for byte in value):
        shown = word.decode()
        raise CommandError(f"ERR {shown} cannot contain spaces, newlines or special characters.")
    if word == b"lib-name":
        session.lib_name = value
    else:
        session.lib_version = value
    return OK


@command(
    "CLIENT|REPLY",
    arity=3,
    flags=COMMON,
    group="connection",
    since="3.2.0",
    complexity="O(1)",
    summary="Switches answers on or off, or skips the next one.",
    arguments=(one_of("on_off_skip", token("ON"), token("OFF"), token("SKIP")),),
)
def client_reply(session: Session, mode: bytes) -> Reply:
    word = mode.lower()
    if word == b"on":
        session.reply_mode = ReplyMode.ON
        session.refresh_plain()
        return OK
    if word == b"off":
        session.reply_mode = ReplyMode.OFF
    elif word == b"skip":
        if session.reply_mode is ReplyMode.ON:
            session.reply_mode = ReplyMode.SKIP_NEXT
    else:
        raise CommandError(SYNTAX_ERROR)
    session.refresh_plain()
    return NO_REPLY


@command(
    "CLIENT|PAUSE",
    arity=-3,
    flags=_ADMIN,
    group="connection",
    since="2.9.50",
    complexity="O(1)",
    summary="Holds back every client's commands, or only writes, for so many milliseconds.",
    arguments=(
        Arg("timeout", "integer"),
        one_of("mode", token("WRITE"), token("ALL"), optional=True, since="6.2.0"),
    ),
    history=(("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option."),),
)
def client_pause(session: Session, timeout: bytes, *mode: bytes) -> Reply:
    milliseconds = parse_integer(timeout)
    if milliseconds is None:
        raise CommandError("ERR timeout is not an integer or out of range")
    if milliseconds < 0:
        raise CommandError("ERR timeout is negative")
    word = mode[0].lower() if len(mode) == 1 else b"" if mode else b"all"
    if word not in (b"write", b"all"):
        raise CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    pause = session.server.pause
    pause.extend(session.now_ms + milliseconds, only_writes=word == b"write", now_ms=session.now_ms)
    session.server.refresh_gates()
    return OK


@command(
    "CLIENT|UNPAUSE",
    arity=2,
    flags=_ADMIN,
    group="connection",
    since="6.2.0",
    complexity="O(N) Where N is the number of paused clients",
    summary="Ends CLIENT PAUSE.",
)
def client_unpause(session: Session) -> Reply:
    session.server.pause.operator_until_ms = 0
    session.server.resume_paused()
    return OK


@command(
    "CLIENT|NO-EVICT",
    arity=3,
    flags=_ADMIN,
    group="connection",
    since="7.0.0",
    complexity="O(1)",
    summary="Exempts this connection from eviction of clients.",
    arguments=(_ON_OFF,),
)
def client_no_evict(session: Session, switch: bytes) -> Reply:
    session.no_evict = _is_on(switch)
    return OK


@command(
    "CLIENT|NO-TOUCH",
    arity=3,
    flags=COMMON,
    group="connection",
    since="7.2.0",
    complexity="O(1)",
    summary="Keeps this connection's reads from counting as accesses.",
    arguments=(_ON_OFF,),
)
def client_no_touch(session: Session, switch: bytes) -> Reply:
    session.no_touch = _is_on(switch)
    session.refresh_plain()
    return OK


def _is_on(switch: bytes) -> bool:
    word = switch.lower()
    if word not in (b"on", b"off"):
        raise CommandError(SYNTAX_ERROR)
    return word == b"on"


@command(
    "CLIENT|UNBLOCK",
    arity=-3,
    flags=_ADMIN,
    group="connection",
    since="5.0.0",
    complexity="O(log N) where N is the number of client connections",
    summary="Ends another connection's wait, as if its time were up or with an error.",
    arguments=(
        Arg("client-id", "integer"),
        one_of("timeout_error", token("TIMEOUT"), token("ERROR"), optional=True),
    ),
)
def client_unblock(session: Session, client: bytes, *how: bytes) -> Reply:
    number = parse_integer(client)
    if number is None:
        raise CommandError("ERR value is not an integer or out of range")
    word = how[0].lower() if len(how) == 1 else b"" if how else b"timeout"
    if word not in (b"timeout", b"error"):
        raise CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    target = session.server.sessions.get(number)
    if target is None or target.blocked is None or target.blocked.on_timeout is None:
        return 0
    if word == b"error":
        if target.last_entry is not None:
            target.last_entry.failed_calls += 1
        session.server.blocked.end_wait_in_vain(target, CommandError(UNBLOCKED))
    else:
        session.server.blocked.end_wait_soon(target, target.blocked.on_timeout())
    return 1
