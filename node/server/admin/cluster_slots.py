"""CLUSTER as operators use it to give slots to nodes and move them."""

from __future__ import annotations

from shoal.cluster.events import (
    AddSlots,
    DelSlots,
    FlushSlots,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
    SetSlotStable,
)
from shoal.cluster.slots import SLOT_COUNT
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, Flag, block, one_of, token
from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.replies import CommandError, Reply
from shoal.node.server.admin.cluster import cluster_of
from shoal.node.server.session import Session

_ADMIN = Flag.ADMIN | Flag.STALE | Flag.NO_ASYNC_LOADING
_RANGE = block("start-slot_end-slot", Arg("start-slot", "integer"), Arg("end-slot", "integer"), multiple=True)


@command(
    "CLUSTER|ADDSLOTS",
    arity=-3,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the total number of hash slot arguments",
    summary="Gives this node slots that nobody owns.",
    arguments=(Arg("slot", "integer", multiple=True),),
)
def cluster_addslots(session: Session, *slots: bytes) -> Reply:
    return cluster_of(session).request(AddSlots(tuple(_slot(slot) for slot in slots)))


@command(
    "CLUSTER|ADDSLOTSRANGE",
    arity=-4,
    flags=_ADMIN,
    group="cluster",
    since="7.0.0",
    complexity="O(N) where N is the total number of the slots between the start slot and end slot arguments.",
    summary="Gives this node ranges of slots that nobody owns.",
    arguments=(_RANGE,),
)
def cluster_addslotsrange(session: Session, *bounds: bytes) -> Reply:
    cluster = cluster_of(session)
    return cluster.request(AddSlots(_slots_in_ranges("addslotsrange", bounds)))


@command(
    "CLUSTER|DELSLOTS",
    arity=-3,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(N) where N is the total number of hash slot arguments",
    summary="Makes this node forget who owns some slots.",
    arguments=(Arg("slot", "integer", multiple=True),),
)
def cluster_delslots(session: Session, *slots: bytes) -> Reply:
    return cluster_of(session).request(DelSlots(tuple(_slot(slot) for slot in slots)))


@command(
    "CLUSTER|DELSLOTSRANGE",
    arity=-4,
    flags=_ADMIN,
    group="cluster",
    since="7.0.0",
    complexity="O(N) where N is the total number of the slots between the start slot and end slot arguments.",
    summary="Makes this node forget who owns some ranges of slots.",
    arguments=(_RANGE,),
)
def cluster_delslotsrange(session: Session, *bounds: bytes) -> Reply:
    cluster = cluster_of(session)
    return cluster.request(DelSlots(_slots_in_ranges("delslotsrange", bounds)))


@command(
    "CLUSTER|FLUSHSLOTS",
    arity=2,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Makes this node forget who owns its slots; it must hold no key.",
)
def cluster_flushslots(session: Session) -> Reply:
    return cluster_of(session).request(FlushSlots())


@command(
    "CLUSTER|SETSLOT",
    arity=-4,
    flags=_ADMIN,
    group="cluster",
    since="3.0.0",
    complexity="O(1)",
    summary="Opens a slot for migration, closes it, or says who owns it.",
    arguments=(
        Arg("slot", "integer"),
        one_of(
            "subcommand",
            Arg("node-id", token="IMPORTING"),
            Arg("node-id", token="MIGRATING"),
            Arg("node-id", token="NODE"),
            token("STABLE"),
        ),
    ),
)
def cluster_setslot(session: Session, slot: bytes, action: bytes, *rest: bytes) -> Reply:
    cluster = cluster_of(session)
    number, word = _slot(slot), action.lower()
    if word == b"stable" and not rest:
        return cluster.request(SetSlotStable(number))
    if len(rest) == 1:
        node_id = rest[0].decode("latin-1")
        if word == b"migrating":
            return cluster.request(SetSlotMigrating(number, node_id))
        if word == b"importing":
            return cluster.request(SetSlotImporting(number, node_id))
        if word == b"node":
            return cluster.request(SetSlotNode(number, node_id))
    raise CommandError("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")


def _slot(text: bytes) -> int:
    number = parse_integer(text)
    if number is None or not 0 <= number < SLOT_COUNT:
        raise CommandError("ERR Invalid or out of range slot")
    return number


def _slots_in_ranges(subcommand: str, bounds: tuple[bytes, ...]) -> tuple[int, ...]:
    if len(bounds) % 2:
        raise CommandError(f"ERR wrong number of arguments for 'cluster|{subcommand}' command")
    slots: list[int] = []
    for first_text, last_text in zip(bounds[::2], bounds[1::2], strict=True):
        first, last = _slot(first_text), _slot(last_text)
        if first > last:
            raise CommandError(f"ERR start slot number {first} is greater than end slot number {last}")
        slots += range(first, last + 1)
    return tuple(slots)
