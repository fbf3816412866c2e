"""Empties slots of one node into another: MIGRATE, batch after batch, until no key is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from shoal.cli.addresses import Address
from shoal.cli.batching import BatchSize, take_keys
from shoal.cli.client import CALL_TIMEOUT, Command, Connection, Credentials
from shoal.cli.comparing import find_differing
from shoal.cli.discovery import Cluster, expect_list
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
        """Migrate until the source holds no key of these slots. Returns how many keys went over."""
        replies = await route.source.call_many([self._list_keys(slot) for slot in slots])
        waiting: dict[int, list[bytes]] = {}
        for slot, reply in zip(slots, replies, strict=True):
            self._note_keys(waiting, slot, reply)
        moved = 0
        guard = StuckGuard(route)
        while waiting:
            batch = list(take_keys(waiting, self._batch.keys))
            commands: list[Command] = []
            for slot, keys in batch:
                commands += [self._migrate(route, keys, replace=self._options.replace), self._list_keys(slot)]
            started = trio.current_time()
            replies = await route.source.call_many(commands, timeout=self._patience(len(batch)))
            self._batch.learn(sum(len(keys) for _, keys in batch), trio.current_time() - started)
            for (slot, keys), sent, left in zip(batch, replies[::2], replies[1::2], strict=True):
                if is_busy(sent):
                    left = await self._replace_equal_keys(route, slot, keys)
                else:
                    explain_migrate_error(sent, slot, route, self._options)
                moved += len(keys)
                self._progress.keys(len(keys))
                self._note_keys(waiting, slot, left)
                guard.check(slot, keys, waiting.get(slot, []))
        return moved

    async def _replace_equal_keys(self, route: Route, slot: int, keys: Sequence[bytes]) -> Reply:
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
        commands = [self._migrate(route, keys, replace=True), self._list_keys(slot)]
        sent, left = await route.source.call_many(commands, timeout=self._patience(1))
        explain_migrate_error(sent, slot, route, self._options)
        return left

    def _patience(self, batches: int) -> float:
        return CALL_TIMEOUT + batches * self._options.timeout_ms / 1000

    def _list_keys(self, slot: int) -> Command:
        return ("CLUSTER", "GETKEYSINSLOT", slot, self._batch.keys)

    def _note_keys(self, waiting: dict[int, list[bytes]], slot: int, reply: Reply) -> None:
        keys = [
            key for key in expect_list(reply, f"listing the keys of slot {slot}") if isinstance(key, bytes)
        ]
        waiting.pop(slot, None)
        if keys:
            waiting[slot] = keys

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
