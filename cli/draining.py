"""Empties slots of one node into another: MIGRATE, batch after batch, until no key is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from shoal.cli.addresses import Address
from shoal.cli.batching import BatchSize, take_keys
from shoal.cli.client import CALL_TIMEOUT, Command, Connection, Credentials
from shoal.cli.comparing import find_differing
from shoal.cli.discovery import Cluster, expect_integer, expect_list
from shoal.cli.errors import CliError, ReplyError
from shoal.cli.printing import text_of
from shoal.cli.progress import Progress
from shoal.cli.replies import Reply

_STUCK_AFTER = 3
_KEYS_NAMED = 5


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    """How keys travel. `batch_keys` fixes how many go at once; None adapts it to the nodes' speed."""

    timeout_ms: int = 60000
    batch_keys: int | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """The two ends of a move."""

    source_id: str
    target_id: str
    source: Connection
    target: Connection
    target_address: Address


def route_between(cluster: Cluster, source_id: str, target_id: str, source: Connection) -> Route:
    """The ends of a move. The source sends keys to the address it knows, which may differ from ours."""
    target = cluster.connection(target_id)
    view = cluster.view.find(source_id).view
    known = next((line for line in view if line.id == target_id and line.host), None)
    address = Address(known.host, known.port) if known else target.address
    return Route(source_id, target_id, source, target, address)


class Drainer:
    """Moves the keys of slots; the slots themselves must be open already, or owned by the target."""

    def __init__(self, options: MigrateOptions, credentials: Credentials, progress: Progress) -> None:
        self._options = options
        self._credentials = credentials
        self._progress = progress
        self._batch = BatchSize(options.batch_keys)

    async def drain(self, route: Route, slots: Sequence[int]) -> int:
        """Migrate until the source holds no key of these slots. Returns how many keys went over.

        The source says how many, since it may take more along than it was told to move.
        """
        replies = await route.source.call_many([word for slot in slots for word in self._look(slot)])
        waiting: dict[int, list[bytes]] = {}
        held: dict[int, int] = {}
        for slot, names, count in zip(slots, replies[::2], replies[1::2], strict=True):
            held[slot] = self._note_keys(waiting, slot, names, count)
        before = sum(held.values())
        guard = StuckGuard(route)
        while waiting:
            batch = list(take_keys(waiting, self._batch.keys))
            commands: list[Command] = []
            for slot, keys in batch:
                commands += [self._migrate(route, keys, replace=self._options.replace), *self._look(slot)]
            started = trio.current_time()
            replies = await route.source.call_many(commands, timeout=self._patience(len(batch)))
            seconds = trio.current_time() - started
            gone = 0
            for (slot, keys), sent, names, count in zip(
                batch, replies[::3], replies[1::3], replies[2::3], strict=True
            ):
                if is_busy(sent):
                    names, count = await self._replace_equal_keys(route, slot, keys)
                else:
                    explain_migrate_error(sent, slot, route, self._options)
                left = self._note_keys(waiting, slot, names, count)
                gone += held[slot] - left
                held[slot] = left
                guard.check(slot, keys, waiting.get(slot, []))
            self._batch.learn(sum(len(keys) for _, keys in batch), gone, seconds)
            self._progress.keys(gone)
        return before - sum(held.values())

    async def _replace_equal_keys(
        self, route: Route, slot: int, keys: Sequence[bytes]
    ) -> tuple[Reply, Reply]:
        """Some key is at the target already. If it has the same value there, nothing is lost by replacing it.

        That is what a move leaves behind that was interrupted after the target had a key and before the
        source had dropped it. Different values are for the user to decide about.
        """
        differing = await find_differing(route.source, route.target, keys)
        if differing:
            names = [text_of(key) for key in differing]
            more = [f"... and {len(names) - _KEYS_NAMED} more"] if len(names) > _KEYS_NAMED else []
            raise ReplyError(
                f"slot {slot}, {route.source.address} to {route.target.address}: BUSYKEY, {len(names)} keys "
                "have different values on the two nodes; run again with --replace to overwrite the "
                "target's by the source's, or delete one of each",
                [*(f"- {name}" for name in names[:_KEYS_NAMED]), *more],
            )
        commands = [self._migrate(route, keys, replace=True), *self._look(slot)]
        sent, listed, count = await route.source.call_many(commands, timeout=self._patience(1))
        explain_migrate_error(sent, slot, route, self._options)
        return listed, count

    def _patience(self, batches: int) -> float:
        return CALL_TIMEOUT + batches * self._options.timeout_ms / 1000

    def _look(self, slot: int) -> tuple[Command, Command]:
        """Ask for the names of some keys of a slot, and for how many there are."""
        return ("CLUSTER", "GETKEYSINSLOT", slot, self._batch.names), ("CLUSTER", "COUNTKEYSINSLOT", slot)

    def _note_keys(self, waiting: dict[int, list[bytes]], slot: int, names: Reply, count: Reply) -> int:
        """Take in the answers to `_look`; returns how many keys there are."""
        keys = [
            key for key in expect_list(names, f"listing the keys of slot {slot}") if isinstance(key, bytes)
        ]
        waiting.pop(slot, None)
        if keys:
            waiting[slot] = keys
        return expect_integer(count, f"counting the keys of slot {slot}")

    def _migrate(self, route: Route, keys: Sequence[bytes], *, replace: bool) -> Command:
        words = ("REPLACE",) if replace else ()
        return migrate_command(route.target_address, keys, self._options.timeout_ms, words, self._credentials)


def migrate_command(
    target: Address, keys: Sequence[bytes], timeout_ms: int, words: Sequence[str], credentials: Credentials
) -> Command:
    """MIGRATE of several keys to database 0 of a node; `words` are options such as REPLACE."""
    login = authentication(credentials)
    return ("MIGRATE", target.host, target.port, "", 0, timeout_ms, *words, *login, "KEYS", *keys)


class StuckGuard:
    """Notices a source that reports keys as sent and yet keeps them, which would make a drain endless."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._repeats: dict[int, int] = {}

    def check(self, slot: int, sent: Sequence[bytes], left: Sequence[bytes]) -> None:
        repeated = bool(left) and left[0] == sent[0]
        self._repeats[slot] = self._repeats.get(slot, 0) + 1 if repeated else 0
        if self._repeats[slot] >= _STUCK_AFTER:
            raise CliError(
                f"{self._route.source.address} keeps listing the same keys of slot {slot} after moving them; "
                "look at its log"
            )


def authentication(credentials: Credentials) -> tuple[str, ...]:
    """What MIGRATE needs to log in at the target."""
    if credentials.password is None:
        return ()
    if credentials.user is None:
        return ("AUTH", credentials.password)
    return ("AUTH2", credentials.user, credentials.password)


def is_busy(reply: Reply) -> bool:
    """MIGRATE found a key of that name at the target."""
    return isinstance(reply, ReplyError) and "BUSYKEY" in str(reply)


def explain_migrate_error(reply: Reply, slot: int, route: Route, options: MigrateOptions) -> None:
    """Raise for a MIGRATE that failed, with the way out."""
    if not isinstance(reply, ReplyError):
        return
    text = str(reply)
    where = f"slot {slot}, {route.source.address} to {route.target.address}"
    if reply.code == "IOERR":
        raise ReplyError(
            f"{where}: no answer from the target within {options.timeout_ms} ms ({text}); check that the "
            "source can reach it, or run again, perhaps with a greater --timeout"
        )
    raise ReplyError(f"{where}: {text}")
