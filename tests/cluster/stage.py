"""One real machine among hand-made peers: say exactly what each peer says, see exactly what comes back."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TypeVar

from shoal.cluster import effects as fx
from shoal.cluster import events as ev
from shoal.cluster.invariants import check
from shoal.cluster.machine import ClusterMachine
from shoal.cluster.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    GossipEntry,
    Header,
    Message,
    MessageFlag,
    MessageType,
    NodeFlag,
    Ping,
)
from shoal.cluster.settings import ClusterSettings
from shoal.cluster.slots import slots_to_bitmap
from shoal.cluster.view import SavedConfig, SavedNode

START_MS = 1_700_000_000_000
TIMEOUT_MS = 1000
Kind = TypeVar("Kind", bound=fx.Effect)
Sent = TypeVar("Sent", bound=Message)

A, B, C, D, E, F = (letter * 40 for letter in "abcdef")
SLOTS = {A: (0, 5460), B: (5461, 10922), C: (10923, 16383)}


def member(node: str, primary: str | None = None, epoch: int = 0) -> SavedNode:
    """A primary with its third of the slots, or a replica."""
    number = "abcdef".index(node[0]) + 1
    return SavedNode(
        node,
        ip=f"10.0.0.{number}",
        tcp_port=7000,
        bus_port=17000,
        shard_id=(primary or node),
        flags=NodeFlag.REPLICA if primary else NodeFlag.PRIMARY,
        primary=primary,
        config_epoch=epoch,
        slots=() if primary or node not in SLOTS else (SLOTS[node],),
    )


STANDARD = (member(A, epoch=1), member(B, epoch=2), member(C, epoch=3), member(D, A), member(E, A))


class Stage:
    """The machine as `me`, a member of the standard cluster: primaries A, B, C, replicas D and E of A."""

    def __init__(
        self,
        me: str,
        members: tuple[SavedNode, ...] = STANDARD,
        *,
        epoch: int = 5,
        last_vote: int = 0,
        keys: dict[int, int] | None = None,
        connected: bool = True,
        first: ev.Event | None = None,
        **settings: object,
    ) -> None:
        self.keys = {1: 1} if keys is None else keys
        self.now_ms = START_MS
        options = ClusterSettings(node_timeout_ms=TIMEOUT_MS, tcp_port=7000, bus_port=17000)
        for name, value in settings.items():
            setattr(options, name, value)
        nodes = tuple(
            replace(node, flags=node.flags | NodeFlag.MYSELF) if node.id == me else node for node in members
        )
        saved = SavedConfig(nodes, current_epoch=epoch, last_vote_epoch=last_vote)
        self.machine = ClusterMachine(options, Random(7), self, saved, self.now_ms)
        self.view = self.machine.view
        self.members = {node.id: node for node in members}
        self.effects: list[fx.Effect] = []
        if first is not None:
            self.step(first)
        started = self.step(ev.Tick())
        for connect in [effect for effect in started if isinstance(effect, fx.Connect)] if connected else []:
            self.step(ev.LinkConnected(connect.link))
            self.hears(connect.node, self.ping(connect.node, MessageType.PONG))

    # The dataset

    def count_keys_in_slot(self, slot: int) -> int:
        return self.keys.get(slot, 0)

    def is_empty(self) -> bool:
        return not self.keys

    # Driving

    def step(self, event: ev.Event) -> list[fx.Effect]:
        self.effects = self.machine.step(event, self.now_ms)
        problems = check(self.view)
        assert not problems, problems
        return self.effects

    def wait(self, duration_ms: int) -> list[fx.Effect]:
        """Let time pass with a tick at each deadline; returns all effects of it."""
        end_ms, seen = self.now_ms + duration_ms, []
        while (due_ms := self.machine.next_deadline()) <= end_ms:
            self.now_ms = max(due_ms, self.now_ms)
            seen += self.step(ev.Tick())
        self.now_ms = end_ms
        self.effects = seen
        return seen

    def ask(self, request: ev.AdminRequest) -> str:
        answers = [effect for effect in self.step(request) if isinstance(effect, fx.AnswerAdmin)]
        assert len(answers) == 1
        assert answers[0].is_error == (answers[0].text.split()[0] == "ERR")
        return answers[0].text

    def hears(self, node: str, message: Message, *, inbound: bool = False) -> list[fx.Effect]:
        """`node` says something, on our link to it or on its own to us."""
        known = self.view.nodes.get(node)
        own = known.link.id if known is not None and known.link is not None and not inbound else None
        number = "abcdef".index(node[0]) + 1
        return self.step(ev.MessageReceived(own or -number, message, f"10.0.0.{number}", "10.0.0.9"))

    # What peers say

    def header(self, node: str, **changes: object) -> Header:
        """What `node` would say of itself in the settled cluster, with changes."""
        mine = self.members[node]
        primary = self.members[mine.primary] if mine.primary else mine
        slots = [slot for first, last in primary.slots for slot in range(first, last + 1)]
        header = Header(
            sender=node,
            current_epoch=self.view.current_epoch,
            config_epoch=primary.config_epoch,
            replication_offset=0,
            slots=slots_to_bitmap(slots),
            replica_of=mine.primary,
            ip="",
            port=7000,
            bus_port=17000,
            secondary_port=0,
            flags=mine.flags,
            cluster_ok=True,
            message_flags=MessageFlag.EXT_DATA,
        )
        return replace(header, **changes)  # type: ignore[arg-type]

    def ping(
        self,
        node: str,
        kind: MessageType = MessageType.PING,
        gossip: tuple[GossipEntry, ...] = (),
        **changes: object,
    ) -> Ping:
        return Ping(kind, self.header(node, **changes), gossip)

    def entry(self, node: str, flags: NodeFlag | None = None, ip: str = "") -> GossipEntry:
        """A line of gossip about `node`."""
        saved = self.members.get(node)
        address = ip or f"10.0.0.{'abcdef'.index(node[0]) + 1}"
        known = saved.flags if saved is not None else NodeFlag.PRIMARY
        return GossipEntry(
            node, 0, self.now_ms // 1000, address, 7000, 17000, known | (flags or NodeFlag.NONE)
        )

    def pongs(self, *nodes: str) -> None:
        """These nodes answer, whatever they were asked."""
        for node in nodes:
            self.hears(node, self.ping(node, MessageType.PONG))

    def fails(self, node: str, by: str) -> list[fx.Effect]:
        return self.hears(by, Fail(self.header(by), node))

    def request(self, node: str, epoch: int, flags: MessageFlag = MessageFlag.NONE) -> list[fx.Effect]:
        """`node` asks for a vote."""
        header = self.header(node, current_epoch=epoch, message_flags=flags | MessageFlag.EXT_DATA)
        return self.hears(node, FailoverAuthRequest(header))

    def votes(self, node: str, epoch: int) -> list[fx.Effect]:
        return self.hears(node, FailoverAuthAck(self.header(node, current_epoch=epoch)))

    # What we did

    def sent(self, kind: type[Sent], to: str | None = None) -> list[Sent]:
        """Messages of one type among the last effects, to anybody or to one node."""
        links = {link.id for link in self.view.links.values() if link.node and link.node.id == to}
        return [
            effect.message
            for effect in self.effects
            if isinstance(effect, fx.Send)
            and isinstance(effect.message, kind)
            and (to is None or effect.link in links)
        ]

    def did(self, kind: type[Kind]) -> list[Kind]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def notes(self) -> list[str]:
        return [note.text for note in self.did(fx.Note)]

    def comes_before(self, first: type[fx.Effect], second: type[Message]) -> bool:
        """Whether an effect of the first kind stands before every message of the second kind."""
        kinds = [type(e.message) if isinstance(e, fx.Send) else type(e) for e in self.effects]
        return first in kinds and second in kinds and kinds.index(first) < kinds.index(second)
