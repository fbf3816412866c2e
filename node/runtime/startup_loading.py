"""The data of the last run, loaded at the start while clients are already answered: LOADING, mostly.

Whoever watches the node sees that it lives and how far it is (INFO); nothing else may be asked of it, neither
its clients nor its cluster, before all data are there.
"""

from __future__ import annotations

import time
from pathlib import Path

from shoal.cluster.messages import NodeFlag
from shoal.cluster.view import SavedConfig
from shoal.node.persistence.errors import RdbError
from shoal.node.replication.stream import render
from shoal.node.runtime.append_only import AppendOnlyFile
from shoal.node.runtime.append_only_loading import AppendOnlyLoading, LoadingFailed
from shoal.node.runtime.collector import leave_alone_what_is_there
from shoal.node.runtime.log import Log
from shoal.node.runtime.rdb_file import load_rdb
from shoal.node.runtime.slices import Slices, load_in_slices
from shoal.node.server.config import Config
from shoal.node.server.server import Server


class StartupLoading:
    """One start's loading, from the append-only file or else from the snapshot."""

    def __init__(
        self, server: Server, log: Log, append_only: AppendOnlyFile, saved: SavedConfig | None
    ) -> None:
        self._server = server
        self._log = log
        self._append_only = append_only
        self._is_replica = starts_as_replica(server.config, saved)

    async def run(self) -> None:
        """Load what there is. LoadingFailed or RdbError if it cannot be trusted."""
        server, append_only, config = self._server, self._append_only, self._server.config
        if config.appendonly:
            loading = AppendOnlyLoading(server, append_only.files, self._log)
            await load_in_slices(loading.run(), server)
            try:
                append_only.open_at_start()
            except OSError as error:
                raise LoadingFailed(f"Can't open the append-only file: {error}") from None
        else:
            await load_in_slices(self._load_snapshot(), server)
        leave_alone_what_is_there()

    def _load_snapshot(self) -> Slices[None]:
        """Load the snapshot of the last run, if there is one.

        A replica keeps keys whose time has come until its primary's DEL. A primary drops them, and tells
        replicas, which go on from the moment of the snapshot, of each.
        """
        server, path = self._server, Path(self._server.config.dbfilename)
        server.persistence.last_save_time = server.keyspace.now_ms // 1000
        if not server.config.dbfilename or not path.exists():
            return
        started = time.monotonic()
        try:
            loader = yield from load_rdb(server, path, keep_expired=self._is_replica)
        except (RdbError, OSError) as error:
            self._log.warning(f"Internal error in RDB reading: {error}")
            self._log.warning("Terminating server after rdb file reading failure.")
            raise RdbError(f"Fatal error loading the DB {path.absolute()}: {error}") from None
        server.replication.resume(loader.auxiliary, is_replica=self._is_replica)
        if server.replication.has_stream:
            for index, key in loader.expired:
                dropped = [(index, (b"DEL", key))]
                server.replication.append(dropped, render(dropped))
        expired = len(loader.expired)
        server.persistence.note_loaded(loader.loaded, expired)
        counts = f"keys loaded: {loader.loaded}, keys expired: {expired}"
        if loader.empty_keys:
            for key in loader.empty_keys:
                self._log.notice(f"RDB: skipping empty key: {key.decode('utf-8', 'replace')}")
            counts += f", empty keys skipped: {len(loader.empty_keys)}"
        self._log.notice(f"Done loading RDB, {counts}.")
        self._log.notice(f"DB loaded from disk: {time.monotonic() - started:.3f} seconds")


def starts_as_replica(config: Config, saved: SavedConfig | None) -> bool:
    """Whether this node will follow a primary, by what its cluster, or without one its directives, say."""
    if not config.cluster_enabled:
        return config.replicaof is not None
    mine = NodeFlag.MYSELF | NodeFlag.REPLICA
    return saved is not None and any(node.flags & mine == mine for node in saved.nodes)
