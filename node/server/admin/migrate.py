"""MIGRATE: move keys to another node."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.cluster.slots import key_slot
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeySpec, KeyUse, one_of, token
from shoal.node.dataset.numbers import require_integer
from shoal.node.persistence.moving_keys import MovingKey
from shoal.node.resp.replies import NO_REPLY, CommandError, Reply, Status
from shoal.node.server.blocking import Blocked, BlockReason
from shoal.node.server.emptying import is_emptying, keys_along
from shoal.node.server.migration import MigrateKeys, begin
from shoal.node.server.session import Session

DEFAULT_TIMEOUT_MS = 1000
_USE = KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE
_WORDS_AFTER = {b"AUTH": 1, b"AUTH2": 2}
SYNTAX_ERROR = "ERR syntax error"


def _named_key(argv: Sequence[bytes]) -> list[int]:
    """The one key, or the empty word that stands in its place if there is no KEYS."""
    return [] if _keys_word(argv) else [3]


def _positions_after_keys(argv: Sequence[bytes]) -> list[int]:
    """The keys behind KEYS; none if there is one before it as well, which is refused."""
    position = _keys_word(argv)
    return list(range(position + 1, len(argv))) if position and not argv[3] else []


def _keys_word(argv: Sequence[bytes]) -> int:
    """Where the first KEYS stands that is no password and no user and has keys behind it; 0 without one."""
    position = 6
    while position < len(argv) - 1:
        word = argv[position].upper()
        if word == b"KEYS":
            return position
        position += 1 + _WORDS_AFTER.get(word, 0)
    return 0


@command(
    "MIGRATE",
    arity=-6,
    flags=Flag.WRITE,
    group="generic",
    since="2.6.0",
    complexity="This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the "
    "target instance. See the pages of these commands for time complexity.",
    summary="Moves keys to another server.",
    keys=(
        KeySpec(_USE, 3, search=_named_key),
        KeySpec(_USE | KeyUse.INCOMPLETE, -2, last=-1, keyword=b"KEYS", search=_positions_after_keys),
    ),
    acl={"keyspace", "dangerous"},
    arguments=(
        Arg("host"),
        Arg("port", "integer"),
        one_of(
            "key_or_empty_string",
            Arg("key", "key", key_spec=0),
            Arg("empty_string", "pure-token", token=""),
        ),
        Arg("destination-db", "integer"),
        Arg("timeout", "integer"),
        token("COPY", optional=True, since="3.0.0"),
        token("REPLACE", optional=True, since="3.0.0"),
        one_of(
            "authentication",
            Arg("password", token="AUTH", optional=True, since="4.0.7"),
            Arg(
                "username_password",
                "block",
                token="AUTH2",
                optional=True,
                since="6.0.0",
                arguments=(Arg("username"), Arg("password")),
            ),
            optional=True,
        ),
        Arg("key", "key", token="KEYS", optional=True, multiple=True, key_spec=1, since="3.0.6"),
    ),
    tips=("nondeterministic_output",),
    history=(
        ("3.0.0", "Added the `COPY` and `REPLACE` options."),
        ("3.0.6", "Added the `KEYS` option."),
        ("4.0.7", "Added the `AUTH` option."),
        ("6.0.0", "Added the `AUTH2` option."),
    ),
)
def migrate(
    session: Session,
    host: bytes,
    port: bytes,
    key: bytes,
    destination: bytes,
    timeout: bytes,
    *options: bytes,
) -> Reply:
    if session.in_exec:
        raise CommandError("ERR MIGRATE inside a transaction is not allowed, since it has to wait")
    copy, replace, credentials, keys = _parse_options(key, options)
    target_host, target_port = host.decode("latin-1"), require_integer(port)
    target_database = require_integer(destination)
    timeout_ms = require_integer(timeout)
    slot = key_slot(keys[0])
    database = session.db
    there = (
        database.peek_all(slot, keys)
        if session.is_clustered  # where all keys of one command are in one slot
        else [(key, value) for key in keys if (value := database.peek(key)) is not None]
    )
    if not there:
        return Status(b"NOKEY")
    moving = tuple([MovingKey(key, database.remaining_ms(key), value) for key, value in there])
    may_take_more = not (copy or session.restricted)
    goes_on = may_take_more and is_emptying(session, slot, keys, target_host, target_port)
    request = MigrateKeys(
        session=session,
        host=target_host,
        port=target_port,
        database=target_database,
        timeout_ms=timeout_ms if timeout_ms > 0 else DEFAULT_TIMEOUT_MS,
        keys=moving,
        along=keys_along(session, slot, keys) if goes_on else (),
        copy=copy,
        replace=replace,
        credentials=credentials,
    )
    session.server.blocked.block(session, Blocked(BlockReason.RUNTIME))
    begin(session.server, request)
    return NO_REPLY


def _parse_options(
    key: bytes, options: tuple[bytes, ...]
) -> tuple[bool, bool, tuple[bytes, ...], list[bytes]]:
    """COPY, REPLACE, the credentials for AUTH, and the keys to move."""
    copy = replace = False
    credentials: tuple[bytes, ...] = ()
    keys = [key]
    position = 0
    while position < len(options):
        word, rest = options[position].lower(), options[position + 1 :]
        if word == b"copy":
            copy = True
        elif word == b"replace":
            replace = True
        elif word == b"auth" and rest:
            credentials = rest[:1]
            position += 1
        elif word == b"auth2" and len(rest) > 1:
            credentials = rest[:2]
            position += 2
        elif word == b"keys":
            if key:
                raise CommandError(
                    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
                )
            return copy, replace, credentials, list(dict.fromkeys(rest))
        else:
            raise CommandError(SYNTAX_ERROR)
        position += 1
    return copy, replace, credentials, keys
