"""nodes.conf: the one file a cluster node must not lose, as a value and as text.

One line per node, then a `vars` line with the epochs:

    <id> <ip:port@bus_port[,hostname[,key=value...]]> <flags> <primary|-> <ping_sent> <pong_received>
    <config_epoch> <connected|disconnected> [<slot>|<first>-<last>|[<slot>->-<id>]|[<slot>-<-<id>]]...

The `vars` line comes last and every line ends in a newline, so a file that lost its tail is always told
from a whole one. Nothing is guessed: a node that came back with half its memory could vote twice in an
epoch or claim slots it has lost, so whatever is not understood is an error that names the line.
Source: the format Redis 7.0-8.x and Valkey 7.2-8.x write; `key=value` fields appeared with Redis 7.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from shoal.cluster.messages import NodeFlag
from shoal.cluster.slot_sets import REMEMBERED_SETS
from shoal.cluster.slots import SLOT_COUNT
from shoal.cluster.view import SavedConfig, SavedNode

MAX_EPOCH = (1 << 63) - 1

FLAG_NAMES = {
    "myself": NodeFlag.MYSELF,
    "master": NodeFlag.PRIMARY,
    "slave": NodeFlag.REPLICA,
    "fail?": NodeFlag.PFAIL,
    "fail": NodeFlag.FAIL,
    "handshake": NodeFlag.HANDSHAKE,
    "noaddr": NodeFlag.NOADDR,
    "nofailover": NodeFlag.NOFAILOVER,
    "noflags": NodeFlag.NONE,
}

_is_id = re.compile(r"[a-z0-9]{40}").fullmatch
_is_number = re.compile(r"[0-9]{1,19}").fullmatch
_is_ip = re.compile(r"[A-Za-z0-9.:%_-]{0,45}").fullmatch
_is_hostname = re.compile(r"[A-Za-z0-9._-]{0,255}").fullmatch
_match_address = re.compile(r"(?P<ip>.*):(?P<port>[0-9]{1,5})(?:@(?P<bus_port>[0-9]{1,5}))?").fullmatch
_match_slots = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?").fullmatch
_match_open_slot = re.compile(r"\[([0-9]{1,5})-([<>])-([a-z0-9]{40})\]").fullmatch


class ConfigFileError(Exception):
    """nodes.conf cannot be trusted. `line` counts from 1; 0 means the file as a whole."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _NodeLine:
    """What one line says, and where it stands."""

    number: int
    node: SavedNode
    migrating: tuple[tuple[int, str], ...]
    importing: tuple[tuple[int, str], ...]


def parse_config(data: bytes, *, tls_cluster: bool = False) -> SavedConfig:
    """Read a whole file. Raises ConfigFileError for one that is cut, edited wrongly or contradicts itself.

    `tls_cluster` says what kind of port a file without `tcp-port` or `tls-port` fields (Redis 7.0) means.
    An empty file is an error too: whether it may count as "no file yet" is for the caller to decide.
    """
    numbered = _lines(data)
    current_epoch, last_vote_epoch = _parse_vars(*numbered[-1])
    lines: list[_NodeLine] = []
    for number, text in numbered[:-1]:
        try:
            lines.append(_parse_node(number, text, tls_cluster))
        except ValueError as problem:
            raise ConfigFileError(number, str(problem)) from None
    _check_nodes(lines)
    _check_slots(lines)
    mine = next(line for line in lines if line.node.flags & NodeFlag.MYSELF)
    return SavedConfig(
        nodes=tuple(line.node for line in lines),
        current_epoch=current_epoch,
        last_vote_epoch=last_vote_epoch,
        migrating=mine.migrating,
        importing=mine.importing,
    )


def format_config(saved: SavedConfig, *, tls_cluster: bool = False) -> bytes:
    """The file for a state; a field nobody set is left out.

    Redis 7.2+ and Valkey read all of it. Redis 7.0 starts from it too: it takes the `key=value` fields for
    a part of the hostname, which the first packet from that node corrects.
    """
    lines = []
    for node in saved.nodes:
        words = [line_of(node, tls_cluster=tls_cluster)]
        if node.flags & NodeFlag.MYSELF:
            words += open_slot_words(saved)
        lines.append(" ".join(words))
    lines.append(f"vars currentEpoch {saved.current_epoch} lastVoteEpoch {saved.last_vote_epoch}\n")
    return "\n".join(lines).encode("ascii")


def line_of(node: SavedNode, *, tls_cluster: bool = False, auxiliary: bool = True) -> str:
    """One node's line without open slots. `CLUSTER NODES` shows it without the auxiliary fields."""
    port = node.tls_port if tls_cluster else node.tcp_port
    address = f"{node.ip}:{port}@{node.bus_port}"
    fields = [f"{key}={value}" for key, value in _auxiliary_fields(node, tls_cluster)] if auxiliary else []
    if node.hostname or fields:
        address = ",".join([address, node.hostname, *fields])
    words = [
        node.id,
        address,
        flag_names(node.flags),
        node.primary or "-",
        str(node.ping_sent_ms),
        str(node.pong_received_ms),
        str(node.config_epoch),
        "connected" if node.connected else "disconnected",
    ]
    if node.slots:
        words.append(_slot_words(node.slots))
    return " ".join(words)


@lru_cache(REMEMBERED_SETS)
def _slot_words(ranges: tuple[tuple[int, int], ...]) -> str:
    return " ".join([str(first) if first == last else f"{first}-{last}" for first, last in ranges])


def open_slot_words(saved: SavedConfig) -> list[str]:
    """Open slots by number: `[5->-id]` moves to a node, `[5-<-id]` comes from one."""
    opened = [(slot, ">", peer) for slot, peer in saved.migrating]
    opened += [(slot, "<", peer) for slot, peer in saved.importing]
    return [f"[{slot}-{arrow}-{peer}]" for slot, arrow, peer in sorted(opened)]


@lru_cache(REMEMBERED_SETS)
def flag_names(flags: NodeFlag) -> str:
    """Flags as the file and `CLUSTER NODES` write them; those of no interest outside are left out."""
    return ",".join([name for name, flag in FLAG_NAMES.items() if flag & flags]) or "noflags"


def _auxiliary_fields(node: SavedNode, tls_cluster: bool) -> Iterator[tuple[str, str]]:
    if tls_cluster:
        yield "tcp-port", str(node.tcp_port)
    elif node.tls_port:
        yield "tls-port", str(node.tls_port)
    if node.human_name:
        yield "nodename", node.human_name
    if node.shard_id:
        yield "shard-id", node.shard_id


def _lines(data: bytes) -> list[tuple[int, str]]:
    """The non-empty lines with their numbers. Old versions fill a shrunken file up with newlines."""
    if not data:
        raise ConfigFileError(0, "the file is empty")
    number_of_last = data.count(b"\n") + 1
    if not data.endswith(b"\n"):
        raise ConfigFileError(number_of_last, "the file ends in the middle of a line: its tail is lost")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigFileError(line, "a byte that is not ASCII text") from None
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not numbered or numbered[-1][1].split()[0] != "vars":
        raise ConfigFileError(number_of_last, "the file does not end with a vars line: its tail is lost")
    return numbered


def _parse_vars(number: int, line: str) -> tuple[int, int]:
    words = line.split()[1:]
    names, values = words[::2], words[1::2]
    if sorted(names) != ["currentEpoch", "lastVoteEpoch"] or len(values) != 2:
        raise ConfigFileError(number, "the vars line does not name currentEpoch and lastVoteEpoch once each")
    try:
        epochs = {name: _number(value, name, MAX_EPOCH) for name, value in zip(names, values, strict=True)}
    except ValueError as problem:
        raise ConfigFileError(number, str(problem)) from None
    return epochs["currentEpoch"], epochs["lastVoteEpoch"]


def _parse_node(number: int, line: str, tls_cluster: bool) -> _NodeLine:
    """One node's line. Raises ValueError saying what is wrong with it."""
    words = line.split()
    if words[0] == "vars":
        raise ValueError("a vars line before the end of the file")
    if len(words) < 8:
        raise ValueError(f"{len(words)} fields where a node has at least 8")
    identity, address, flags, primary, ping_sent, pong_received, config_epoch, link, *slots = words
    if link not in ("connected", "disconnected"):
        raise ValueError(f"unknown link state {link!r}")
    node = SavedNode(
        id=_id(identity),
        flags=_flags(flags),
        primary=None if primary == "-" else _id(primary),
        ping_sent_ms=_number(ping_sent, "ping_sent", MAX_EPOCH),
        pong_received_ms=_number(pong_received, "pong_received", MAX_EPOCH),
        config_epoch=_number(config_epoch, "config epoch", MAX_EPOCH),
        connected=link == "connected",
        slots=tuple([_slot_range(word) for word in slots if word[0] != "["]),
    )
    opened = [_open_slot(word) for word in slots if word[0] == "["]
    if opened and not node.flags & NodeFlag.MYSELF:
        raise ValueError("open slots on a node that is not myself")
    return _NodeLine(
        number,
        _with_address(node, address, tls_cluster),
        tuple([(slot, peer) for slot, arrow, peer in opened if arrow == ">"]),
        tuple([(slot, peer) for slot, arrow, peer in opened if arrow == "<"]),
    )


def _with_address(node: SavedNode, text: str, tls_cluster: bool) -> SavedNode:
    """`ip:port@bus_port,hostname,key=value...`: the port is of the kind the fields do not name."""
    address, *rest = text.split(",")
    match = _match_address(address)
    if match is None or not _is_ip(match["ip"]):
        raise ValueError(f"{address!r} is not an address of the form ip:port@bus_port")
    port = _number(match["port"], "port", 65535)
    bus_port = _number(match["bus_port"], "bus port", 65535) if match["bus_port"] else port + 10000
    hostname = rest[0] if rest else ""
    if not _is_hostname(hostname):
        raise ValueError(f"{hostname!r} is not a hostname")
    fields = _fields(rest[1:])
    if "tcp-port" in fields or (tls_cluster and "tls-port" not in fields):
        tcp_port, tls_port = _number(fields.get("tcp-port", "0"), "tcp-port", 65535), port
    else:
        tcp_port, tls_port = port, _number(fields.get("tls-port", "0"), "tls-port", 65535)
    return replace(
        node,
        ip=match["ip"],
        tcp_port=tcp_port,
        tls_port=tls_port,
        bus_port=bus_port,
        hostname=hostname,
        human_name=fields.get("nodename", ""),
        shard_id=_id(fields["shard-id"]) if "shard-id" in fields else "",
    )


def _fields(words: list[str]) -> dict[str, str]:
    """The `key=value` fields. Keys of later versions are read over; they describe, they do not decide."""
    fields: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise ValueError(f"{word!r} is not of the form key=value")
        if key in fields:
            raise ValueError(f"{key} is given twice")
        fields[key] = value
    return fields


def _flags(text: str) -> NodeFlag:
    flags = NodeFlag.NONE
    for name in text.split(","):
        if name not in FLAG_NAMES:
            raise ValueError(f"unknown flag {name!r}")
        flags |= FLAG_NAMES[name]
    if flags & NodeFlag.PRIMARY and flags & NodeFlag.REPLICA:
        raise ValueError("both master and slave")
    if flags & NodeFlag.MYSELF and not flags & (NodeFlag.PRIMARY | NodeFlag.REPLICA):
        raise ValueError("myself is neither master nor slave")
    return flags


def _slot_range(word: str) -> tuple[int, int]:
    match = _match_slots(word)
    if match is None:
        raise ValueError(f"{word!r} is neither a slot nor a range of slots")
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last < SLOT_COUNT:
        raise ValueError(f"{word!r} is not a range within 0-{SLOT_COUNT - 1}")
    return first, last


def _open_slot(word: str) -> tuple[int, str, str]:
    match = _match_open_slot(word)
    if match is None or int(match[1]) >= SLOT_COUNT:
        raise ValueError(f"{word!r} is not an open slot")
    return int(match[1]), match[2], match[3]


def _id(text: str) -> str:
    if not _is_id(text):
        raise ValueError(f"{text!r} is not an id of 40 characters of a-z0-9")
    return text


def _number(text: str, what: str, most: int) -> int:
    if not _is_number(text) or int(text) > most:
        raise ValueError(f"{what} {text!r} is not a number from 0 to {most}")
    return int(text)


def _check_nodes(lines: list[_NodeLine]) -> None:
    """One myself, no node twice, and every node that another one names is there."""
    by_id: dict[str, _NodeLine] = {}
    myself: _NodeLine | None = None
    for line in lines:
        if line.node.id in by_id:
            raise ConfigFileError(
                line.number, f"node {line.node.id} is already on line {by_id[line.node.id].number}"
            )
        by_id[line.node.id] = line
        if line.node.flags & NodeFlag.MYSELF:
            if myself is not None:
                raise ConfigFileError(line.number, f"myself is already on line {myself.number}")
            myself = line
    if myself is None:
        raise ConfigFileError(0, "no node is marked as myself")
    for line in lines:
        primary = line.node.primary
        if primary is not None and (primary not in by_id or primary == line.node.id):
            raise ConfigFileError(line.number, f"follows {primary}, which is not another node of this file")
        if primary is not None and not line.node.flags & NodeFlag.REPLICA:
            raise ConfigFileError(line.number, "follows a primary without being a slave")
        for slot, peer in line.migrating + line.importing:
            if peer not in by_id:
                raise ConfigFileError(
                    line.number, f"slot {slot} is open towards {peer}, which is not in this file"
                )


def _check_slots(lines: list[_NodeLine]) -> None:
    """A slot has one owner, and owners are primaries."""
    owner_line = [0] * SLOT_COUNT
    for line in lines:
        if line.node.slots and line.node.flags & NodeFlag.REPLICA:
            raise ConfigFileError(line.number, "a slave owns slots")
        for first, last in line.node.slots:
            for slot in range(first, last + 1):
                if owner_line[slot]:
                    raise ConfigFileError(
                        line.number, f"slot {slot} already has an owner on line {owner_line[slot]}"
                    )
                owner_line[slot] = line.number
