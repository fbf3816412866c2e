"""XGROUP: making and removing consumer groups and their consumers."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag, KeyUse, key_arg, key_at, one_of
from shoal.node.commands.stream_deliveries import add_consumer
from shoal.node.dataset.numbers import require_integer
from shoal.node.dataset.stream_groups import ConsumerGroup
from shoal.node.dataset.stream_ids import parse_id, parse_strict_id
from shoal.node.dataset.streams import Stream
from shoal.node.resp.replies import OK, CommandError, Reply, quoted

_GROUP = (key_arg(), Arg("groupname"))
_CONSUMER = (*_GROUP, Arg("consumername"))
_ID = one_of("id", Arg("id"), Arg("new_id", "pure-token", token="$"))
_ENTRIES_READ = Arg("entries_read", "integer", token="ENTRIESREAD", optional=True)
_INSERT = (key_at(2, KeyUse.RW | KeyUse.INSERT),)
_DELETE = (key_at(2, KeyUse.RW | KeyUse.DELETE),)
NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the"
    " MKSTREAM option to create an empty stream automatically."
)

container("XGROUP", group="stream", since="5.0.0", summary="Holds the commands that manage consumer groups.")
help_command("XGROUP", since="5.0.0")


@command(
    "XGROUP|CREATE",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Creates a consumer group that reads what follows an id.",
    keys=_INSERT,
    arguments=(*_GROUP, _ID, Arg("mkstream", "pure-token", token="MKSTREAM", optional=True), _ENTRIES_READ),
    history=(("7.0.0", "Knows `ENTRIESREAD`."),),
)
def xgroup_create(call: Call, key: bytes, name: bytes, last_id: bytes, *words: bytes) -> Reply:
    options = _parse_options(words, "CREATE")
    stream = call.db.change_as(key, Stream)
    if stream is None and not options.make_stream:
        raise CommandError(NO_KEY)
    if last_id == b"$":
        start = 0 if stream is None else stream.last_id
    else:
        start = parse_strict_id(last_id)
    if stream is None:
        stream = Stream()
        call.db.set(key, stream)
        call.db.changed(key, "xgroup-create")
    elif name in stream.groups:
        raise CommandError("BUSYGROUP Consumer Group name already exists")
    else:
        call.db.changed_unwatched(key, "xgroup-create")
    stream.groups[name] = ConsumerGroup(start, options.entries_read)
    return OK


@command(
    "XGROUP|SETID",
    arity=-5,
    flags=Flag.WRITE,
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Lets a group go on reading behind another id.",
    keys=(key_at(2, KeyUse.RW | KeyUse.UPDATE),),
    arguments=(*_GROUP, _ID, _ENTRIES_READ),
    history=(("7.0.0", "Knows `ENTRIESREAD`."),),
)
def xgroup_setid(call: Call, key: bytes, name: bytes, last_id: bytes, *words: bytes) -> Reply:
    options = _parse_options(words, "SETID")
    stream = _existing_stream(call, key)
    group = _existing_group(stream, key, name)
    group.last_id = stream.last_id if last_id == b"$" else parse_id(last_id)
    group.entries_read = options.entries_read
    call.db.changed_unwatched(key, "xgroup-setid")
    return OK


@command(
    "XGROUP|DESTROY",
    arity=4,
    flags=Flag.WRITE,
    group="stream",
    since="5.0.0",
    complexity="O(N) for N entries pending in the group.",
    summary="Removes a consumer group.",
    keys=_DELETE,
    arguments=_GROUP,
)
def xgroup_destroy(call: Call, key: bytes, name: bytes) -> Reply:
    stream = _existing_stream(call, key)
    if stream.groups.pop(name, None) is None:
        return 0
    call.db.changed(key, "xgroup-destroy")  # so that those who wait in the group hear of it
    return 1


@command(
    "XGROUP|CREATECONSUMER",
    arity=5,
    flags=Flag.WRITE | Flag.DENYOOM,
    group="stream",
    since="6.2.0",
    complexity="O(1)",
    summary="Creates a consumer of a group.",
    keys=_INSERT,
    arguments=_CONSUMER,
)
def xgroup_createconsumer(call: Call, key: bytes, name: bytes, consumer: bytes) -> Reply:
    group = _existing_group(_existing_stream(call, key), key, name)
    if consumer in group.consumers:
        return 0
    add_consumer(call, key, group, consumer)
    return 1


@command(
    "XGROUP|DELCONSUMER",
    arity=5,
    flags=Flag.WRITE,
    group="stream",
    since="5.0.0",
    complexity="O(N*log(P)) for N entries pending for the consumer, of P in its group.",
    summary="Removes a consumer and what is pending for it.",
    keys=_DELETE,
    arguments=_CONSUMER,
)
def xgroup_delconsumer(call: Call, key: bytes, name: bytes, consumer: bytes) -> Reply:
    group = _existing_group(_existing_stream(call, key), key, name)
    found = group.consumers.get(consumer)
    if found is None:
        return 0
    dropped = group.delete_consumer(found)
    call.db.changed_unwatched(key, "xgroup-delconsumer")
    return dropped


class _Options:
    """The options of CREATE and SETID."""

    make_stream = False
    entries_read: int | None = None


def _parse_options(words: tuple[bytes, ...], subcommand: str) -> _Options:
    options = _Options()
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name == b"MKSTREAM" and subcommand == "CREATE":
            options.make_stream = True
        elif name == b"ENTRIESREAD" and (count := next(rest, None)) is not None:
            read = require_integer(count)
            if read < -1:
                raise CommandError("ERR value for ENTRIESREAD must be positive or -1")
            options.entries_read = None if read == -1 else read
        else:
            raise CommandError(
                f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try XGROUP HELP."
            )
    return options


def _existing_stream(call: Call, key: bytes) -> Stream:
    stream = call.db.change_as(key, Stream)
    if stream is None:
        raise CommandError(NO_KEY)
    return stream


def _existing_group(stream: Stream, key: bytes, name: bytes) -> ConsumerGroup:
    group = stream.groups.get(name)
    if group is None:
        raise CommandError(
            b"NOGROUP No such consumer group '%b' for key name '%b'" % (quoted(name), quoted(key))
        )
    return group
