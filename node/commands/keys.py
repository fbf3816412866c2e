"""Commands on keys whatever they hold: removing, renaming, copying, asking."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.options import SYNTAX_ERROR, parse_database
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, KeyUse, all_keys, key_arg, key_at, one_key, token
from shoal.node.dataset.database import Database
from shoal.node.dataset.field_expiry import watch_fields
from shoal.node.dataset.values import Value, copy_value, type_name
from shoal.node.resp.replies import OK, CommandError, Reply, Status

NO_SUCH_KEY = "ERR no such key"
SAME_OBJECT = "ERR source and destination objects are the same"
SUM_OF_SHARDS = ("request_policy:multi_shard", "response_policy:agg_sum")
SOME_KEYS = (key_arg(multiple=True),)
NONE = Status(b"none")


@command(
    "DEL",
    arity=-2,
    flags=Flag.WRITE,
    group="generic",
    since="1.0.0",
    complexity="O(N) for N keys; the memory of a collection is freed in O(M) for its M elements.",
    summary="Deletes keys and returns how many there were.",
    keys=all_keys(KeyUse.RM | KeyUse.DELETE),
    arguments=SOME_KEYS,
    tips=SUM_OF_SHARDS,
)
def del_(call: Call, *keys: bytes) -> Reply:
    db = call.db
    deleted = 0
    for key in keys:
        if db.delete(key) or db.delete_hidden(key):
            db.changed(key, "del")
            deleted += 1
    return deleted


@command(
    "UNLINK",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    group="generic",
    since="4.0.0",
    complexity="As DEL: memory is freed at once.",
    summary="Deletes keys and returns how many there were.",
    keys=all_keys(KeyUse.RM | KeyUse.DELETE),
    arguments=SOME_KEYS,
    tips=SUM_OF_SHARDS,
)
def unlink(call: Call, *keys: bytes) -> Reply:
    return del_(call, *keys)


@command(
    "EXISTS",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST,
    group="generic",
    since="1.0.0",
    complexity="O(N) for N keys.",
    summary="Returns how many of the keys exist; a key named twice counts twice.",
    keys=all_keys(KeyUse.RO),
    arguments=SOME_KEYS,
    tips=SUM_OF_SHARDS,
    history=(("3.0.3", "Takes more than one `key`."),),
)
def exists(call: Call, *keys: bytes) -> Reply:
    return sum(call.db.look(key) is not None for key in keys)


@command(
    "TOUCH",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST,
    group="generic",
    since="3.2.1",
    complexity="O(N) for N keys.",
    summary="Marks keys as just used and returns how many exist.",
    keys=all_keys(KeyUse.RO),
    arguments=SOME_KEYS,
    tips=SUM_OF_SHARDS,
)
def touch(call: Call, *keys: bytes) -> Reply:
    return sum(call.db.read(key) is not None for key in keys)


@command(
    "TYPE",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    group="generic",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns the type of the value a key holds, or none.",
    keys=one_key(KeyUse.RO),
    arguments=(key_arg(),),
)
def type_(call: Call, key: bytes) -> Reply:
    value = call.db.look(key)
    return NONE if value is None else Status(type_name(value))


# --- renaming ------------------------------------------------------------------------------------------


@command(
    "RENAME",
    arity=3,
    flags=Flag.WRITE,
    group="generic",
    since="1.0.0",
    complexity="O(1), and the freeing of what the new name held.",
    summary="Gives a key another name; what had that name before is lost.",
    keys=(key_at(1, KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE), key_at(2, KeyUse.OW | KeyUse.UPDATE)),
    arguments=(key_arg(), key_arg("newkey", spec=1)),
)
def rename(call: Call, key: bytes, new_key: bytes) -> Reply:
    table = call.db.table_for_change(key)
    if table is None:
        raise CommandError(NO_SUCH_KEY)
    if key != new_key:
        _rename(call.db, key, new_key, table[key])
    return OK


@command(
    "RENAMENX",
    arity=3,
    flags=Flag.WRITE | Flag.FAST,
    group="generic",
    since="1.0.0",
    complexity="O(1)",
    summary="Gives a key another name, unless a key of that name exists.",
    keys=(key_at(1, KeyUse.RW | KeyUse.ACCESS | KeyUse.DELETE), key_at(2, KeyUse.OW | KeyUse.INSERT)),
    arguments=(key_arg(), key_arg("newkey", spec=1)),
    history=(("3.2.0", "A key renamed to its own name is no error."),),
)
def renamenx(call: Call, key: bytes, new_key: bytes) -> Reply:
    table = call.db.table_for_change(key)
    if table is None:
        raise CommandError(NO_SUCH_KEY)
    if call.db.peek(new_key) is not None:
        return 0
    _rename(call.db, key, new_key, table[key])
    return 1


def _rename(db: Database, key: bytes, new_key: bytes, value: Value) -> None:
    expiry = db.expiry(key)
    db.delete(key)
    place(db, new_key, value, expiry)
    db.changed(key, "rename_from")
    db.announce(new_key, "rename_to")


def place(db: Database, key: bytes, value: Value, expiry: int | None) -> None:
    """Store a value as a new key, with the time to live it had elsewhere. `changed` follows."""
    db.delete(key)
    db.set(key, value)
    watch_fields(db, key, value)
    if expiry is not None:
        db.set_expiry(key, expiry)


# --- copying and moving --------------------------------------------------------------------------------


@command(
    "COPY",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="generic",
    since="6.2.0",
    complexity="O(N) for N elements of a collection, O(1) for a string.",
    summary="Copies a key's value and time to live to another key.",
    keys=(key_at(1, KeyUse.RO | KeyUse.ACCESS), key_at(2, KeyUse.OW | KeyUse.UPDATE)),
    arguments=(
        key_arg("source"),
        key_arg("destination", spec=1),
        Arg("destination-db", "integer", token="DB", optional=True),
        token("REPLACE", optional=True),
    ),
)
def copy(call: Call, source: bytes, destination: bytes, *options: bytes) -> Reply:
    target, replace = call.db, False
    rest = iter(options)
    for option in rest:
        match option.upper():
            case b"REPLACE":
                replace = True
            case b"DB" if (number := next(rest, None)) is not None:
                target = call.keyspace.databases[parse_database(number, len(call.keyspace.databases))]
            case _:
                raise CommandError(SYNTAX_ERROR)
    if target is call.db and source == destination:
        raise CommandError(SAME_OBJECT)
    value = call.db.read(source)
    if value is None or (not replace and target.peek(destination) is not None):
        return 0
    place(target, destination, copy_value(value), call.db.expiry(source))
    target.changed(destination, "copy_to")
    return 1


@command(
    "MOVE",
    arity=3,
    flags=Flag.WRITE | Flag.FAST,
    group="generic",
    since="1.0.0",
    complexity="O(1)",
    summary="Moves a key to another database, unless that has a key of the same name.",
    keys=one_key(KeyUse.RW | KeyUse.ACCESS | KeyUse.UPDATE),
    arguments=(key_arg(), Arg("db", "integer")),
)
def move(call: Call, key: bytes, database: bytes) -> Reply:
    databases = call.keyspace.databases
    source, target = call.db, databases[parse_database(database, len(databases))]
    if source is target:
        raise CommandError(SAME_OBJECT)
    table = source.table_for_change(key)
    if table is None or target.peek(key) is not None:
        return 0
    value = table[key]
    expiry = source.expiry(key)
    source.delete(key)
    place(target, key, value, expiry)
    source.changed(key, "move_from")
    target.announce(key, "move_to")
    return 1
