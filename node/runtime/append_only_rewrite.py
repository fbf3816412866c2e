"""Rewriting the append-only file: a base of all data takes the place of everything written so far.

The steps, in the order that leaves a whole set of files behind wherever they stop:

1. a new increment is made and named in the manifest; what is written from here on goes there;
2. the data of this moment are written to a temporary file, in slices between commands and by a process of
   its own, and made durable;
3. it gets the name of the next base;
4. the manifest is replaced: the new base, and of the increments the new one only;
5. the files that no longer count are deleted, and the manifest forgets them.

Until step 4 the old base and all increments, the new one included, make up the data; from step 4 on it is the
new base and the new increment. When the file was turned on only now, there is no set yet that an increment
could belong to: it is temporary until step 4, and so is what it holds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoal.node.persistence.aof_writer import AofSave
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.runtime.append_only_log import AppendOnlyLog, Increment
from shoal.node.runtime.picture_files import BackgroundFile, Picture, fill_at_once
from shoal.node.server.append_only import AofState, timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from shoal.node.runtime.append_only_files import AppendOnlyFiles
    from shoal.node.server.server import Server


class Rewrite:
    """One rewrite, begun now: for `run` to have the base written to the given file, or else for `run_now`.

    OSError if it cannot even begin; nothing is changed then.
    """

    def __init__(
        self, server: Server, files: AppendOnlyFiles, log: AppendOnlyLog, file: BackgroundFile | None = None
    ) -> None:
        self._server = server
        self._files = files
        self._log = log
        self._replaced = len(files.manifest.increments)
        self._is_first = server.aof.state is AofState.WAITING
        self._is_given_up = False
        self._suffix = "rdb" if server.config.aof_use_rdb_preamble else "aof"
        self._file = file
        self._picture = _picture(server)
        try:
            self._open_increment(server.aof.state)
        except OSError:
            self._close()
            raise

    def _open_increment(self, state: AofState) -> None:
        """Step 1. The base's moment and the increment's first command are the same turn."""
        files, disk = self._files, self._files.disk
        if state is AofState.OFF:
            return
        if self._is_first:
            fd = disk.create(files.temporary_increment)
        else:
            manifest = files.manifest.with_increment(files.filename)
            fd = disk.create(files.path(manifest.increments[-1].name))
            try:
                files.save(manifest)
            except OSError:
                disk.close(fd)
                raise
        self._log.switch(Increment(disk, fd))
        self._server.aof.record(state, recording=True)

    async def run(self) -> bool:
        """Steps 2 to 4, other work going on meanwhile. False if given up; OSError if it failed."""
        assert self._file is not None, "it was to be done at once"
        try:
            await self._file.fill(self._picture, self._server.config)
            if not self._is_given_up:
                self._install(self._file.path)
        except OSError:
            if not self._is_given_up:
                raise
        finally:
            self._close()
        return not self._is_given_up

    def give_up(self) -> None:
        """Stop at once. What was there before still counts."""
        self._is_given_up = True
        self._close()

    def _close(self) -> None:
        self._picture.stop()
        if self._file is not None:
            self._file.abandon()  # it has another name by now if it was of use

    def run_now(self) -> None:
        """Steps 2 to 4 at once, nothing else going on. OSError."""
        path = self._files.temporary_base(os.getpid())
        fill_at_once(self._picture, path, self._files.disk)
        self._install(path)

    def _install(self, written: Path) -> None:
        """Steps 3 and 4."""
        files, disk, log = self._files, self._files.disk, self._log
        base = files.manifest.next_base(files.filename, self._suffix)
        base_path = files.path(base.name)
        manifest = files.manifest.with_base(base).with_rewritten(self._replaced)
        disk.rename(written, base_path)
        if self._is_first:
            manifest = manifest.with_increment(files.filename)
            disk.rename(files.temporary_increment, files.path(manifest.increments[-1].name))
        files.save(manifest)
        if self._is_first:
            self._server.aof.state = AofState.ON
        size = disk.size(base_path)
        if self._server.aof.state is not AofState.OFF and log.increment is not None:
            self._server.aof.current_size = self._server.aof.base_size = size + log.increment.size


def _picture(server: Server) -> Picture:
    """The data of this moment, in the base's language."""
    config = server.config
    if not config.aof_use_rdb_preamble:
        second = server.keyspace.now_ms // 1000
        return AofSave(server.keyspace, timestamp(second) if config.aof_timestamp_enabled else b"")
    facts = {**server.replication.file_facts(), b"aof-base": b"1"}
    return RdbSave(server.keyspace, facts, checksum=config.rdbchecksum, compress=config.rdbcompression)
