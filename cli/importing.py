"""The command that brings keys from outside: import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import trio

from shoal.cli.addresses import Address
from shoal.cli.batching import BatchSize
from shoal.cli.checks import check, report
from shoal.cli.client import CALL_TIMEOUT, Connection, Credentials, connected
from shoal.cli.comparing import find_differing
from shoal.cli.creating import parse_info
from shoal.cli.discovery import Cluster, expect_list, expect_text, open_cluster
from shoal.cli.draining import MigrateOptions, is_busy, migrate_command
from shoal.cli.errors import CliError, ReplyError
from shoal.cli.printing import Printer, text_of
from shoal.cli.progress import Progress, progress_for
from shoal.cli.replies import Reply
from shoal.cluster.slots import key_slot

_SCAN_COUNT = 1000
_KEYS_NAMED = 10


async def run_import(
    seed: Address,
    credentials: Credentials,
    printer: Printer,
    options: MigrateOptions,
    *,
    source: Address,
    source_credentials: Credentials,
    copy: bool,
) -> int:
    """Bring the keys of database 0 of a server outside the cluster to who owns their slots."""
    async with open_cluster(seed, credentials) as cluster, connected(source, source_credentials) as link:
        printer.step(f"Importing data from {source} to cluster {seed}")
        health = check(cluster.view)
        report(cluster.view, health, printer)
        if not health.sound:
            raise CliError("Please fix your cluster problems before importing: see the report above")
        await _require_standalone(link, printer)
        size = await _count(link)
        printer.line(f"*** Importing {size} keys from DB 0")
        with progress_for(printer) as progress:
            importer = Importer(cluster, link, options, progress, copy=copy)
            await importer.run(size)
        left = await _count(link)
    for key in importer.conflicts[:_KEYS_NAMED]:
        printer.error(f"BUSYKEY: the cluster has {text_of(key)} with another value; it was left as it is")
    if importer.conflicts:
        printer.error(
            f"{len(importer.conflicts)} keys were not imported, for the cluster has keys of that name; "
            "run again with --replace to overwrite them"
        )
    written = 0 if copy else max(left - len(importer.conflicts), 0)
    if written:
        printer.warning(f"{written} keys were written to {source} meanwhile; run this again to get them.")
    printer.ok(f"Imported {importer.imported} keys.")
    printer.document(
        {
            "imported_keys": importer.imported,
            "conflicts": [text_of(key) for key in importer.conflicts],
            "written_meanwhile": written,
        }
    )
    return 1 if importer.conflicts else 0


async def _count(link: Connection) -> int:
    size = await link.call("DBSIZE")
    return size if isinstance(size, int) else 0


async def _require_standalone(link: Connection, printer: Printer) -> None:
    info = parse_info(expect_text(await link.call("INFO")))
    if info.get("cluster_enabled") == "1":
        raise CliError("The source node should not be a cluster node.")
    others = [name for name in info if name.startswith("db") and name[2:].isdigit() and name != "db0"]
    if others:
        printer.warning(
            f"{link.address} has keys in {', '.join(others)}; a cluster has one database: these stay."
        )


class Importer:
    """Walks the source with SCAN and sends what it finds. A key that cannot go is kept in `conflicts`."""

    def __init__(
        self, cluster: Cluster, source: Connection, options: MigrateOptions, progress: Progress, *, copy: bool
    ) -> None:
        self._cluster = cluster
        self._source = source
        self._options = options
        self._progress = progress
        self._copy = copy
        self._batch = BatchSize(options.batch_keys)
        self._owners = {slot: nodes[0].id for slot, nodes in cluster.view.owners().items()}
        self._addresses = {node.id: node.address for node in cluster.view.primaries}
        self.imported = 0
        self.conflicts: list[bytes] = []

    async def run(self, about: int) -> None:
        """One walk over all keys. Keys that are there from its beginning to its end are all seen."""
        self._progress.begin(0, about)
        cursor = b"0"
        seen_conflicts: set[bytes] = set()
        while True:
            reply = expect_list(await self._source.call("SCAN", cursor, "COUNT", _SCAN_COUNT), "scanning")
            match reply:
                case [bytes() as cursor, list() as keys]:
                    pass
                case _:
                    raise CliError(f"{self._source.address} answers SCAN with something else: {reply!r:.100}")
            # A key may be told twice. One that has moved is then gone, one in conflict is not.
            fresh = dict.fromkeys(key for key in keys if isinstance(key, bytes) and key not in seen_conflicts)
            for owner, names in self._by_owner(fresh):
                await self._send_all(owner, names)
            seen_conflicts.update(self.conflicts)
            if cursor == b"0":
                return

    def _by_owner(self, keys: Iterable[bytes]) -> Iterable[tuple[str, list[bytes]]]:
        groups: dict[str, list[bytes]] = {}
        for key in keys:
            groups.setdefault(self._owners[key_slot(key)], []).append(key)
        return groups.items()

    async def _send_all(self, owner: str, keys: Sequence[bytes]) -> None:
        start = 0
        while start < len(keys):
            batch = keys[start : start + self._batch.keys]
            start += len(batch)
            started = trio.current_time()
            (reply,) = await self._migrate(owner, [batch], replace=self._options.replace)
            self._batch.learn(len(batch), len(batch), trio.current_time() - started)
            if is_busy(reply):
                await self._send_singly(owner, batch)
            else:
                self._count(reply, len(batch))

    async def _send_singly(self, owner: str, keys: Sequence[bytes]) -> None:
        """Of a batch that met a key the cluster has: find out which, and whether it matters.

        Keys of the batch that went over already are gone from the source, or are equal on both sides.
        """
        replies = await self._migrate(owner, [[key] for key in keys], replace=False)
        busy = [key for key, reply in zip(keys, replies, strict=True) if is_busy(reply)]
        for reply in replies:
            if not is_busy(reply):
                self._count(reply, 1)
        differing = set(await find_differing(self._source, self._cluster.connection(owner), busy))
        equal = [key for key in busy if key not in differing]
        self.conflicts += [key for key in busy if key in differing]
        if equal and not self._copy:
            (reply,) = await self._migrate(owner, [equal], replace=True)
            self._count(reply, 0)
        self.imported += len(equal)
        self._progress.keys(len(equal))

    async def _migrate(self, owner: str, batches: Sequence[Sequence[bytes]], *, replace: bool) -> list[Reply]:
        words = (*(("COPY",) if self._copy else ()), *(("REPLACE",) if replace else ()))
        timeout_ms = self._options.timeout_ms
        commands = [
            migrate_command(self._addresses[owner], keys, timeout_ms, words, self._cluster.credentials)
            for keys in batches
        ]
        return await self._source.call_many(commands, timeout=CALL_TIMEOUT + len(batches) * timeout_ms / 1000)

    def _count(self, reply: Reply, keys: int) -> None:
        """NOKEY says that all of a batch had expired or gone, which is as good as moved."""
        if isinstance(reply, ReplyError):
            raise ReplyError(f"{self._source.address} replied with error: {reply}")
        self.imported += keys
        self._progress.keys(keys)
