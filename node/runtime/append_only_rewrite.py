"""Rewriting the append-only file: a base of all data takes the place of everything written so far.

The steps, in the order that leaves a whole set of files behind wherever they stop:

1. a new increment is made and named in the manifest; what is written from here on goes there;
2. the data of this moment are written to a temporary file, in slices between commands, and made durable;
3. it gets the name of the next base;
4. the manifest is replaced: the new base, and of the increments the new one only;
5. the files that no longer count are deleted, and the manifest forgets them.

Until step 4 the old base and all increments, the new one included, make up the data; from step 4 on it is the
new base and the new increment. When the file was turned on only now, there is no set yet that an increment
could belong to: it is temporary until step 4, and so is what it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from shoal.node.persistence.aof_writer import AofSave
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.runtime.append_only_log import AppendOnlyLog, Increment
from shoal.node.runtime.disk import write_all
from shoal.node.runtime.slices import SLICE_BYTES, between_slices, slice_bytes
from shoal.node.server.append_only import AofState, timestamp

if TYPE_CHECKING:
    from shoal.node.runtime.append_only_files import AppendOnlyFiles
    from shoal.node.server.server import Server


class BaseWriter:
    """The temporary file of a new base: the data of the moment it was begun."""

    def __init__(self, server: Server, files: AppendOnlyFiles) -> None:
        self._disk = files.disk
        self.path = files.temporary_base
        self.suffix = "rdb" if server.config.aof_use_rdb_preamble else "aof"
        self._fd = self._disk.create(self.path)
        self._save: RdbSave | AofSave
        if server.config.aof_use_rdb_preamble:
            facts = {**server.replication.file_facts(), b"aof-base": b"1"}
            self._save = RdbSave(
                server.keyspace,
                facts,
                checksum=server.config.rdbchecksum,
                compress=server.config.rdbcompression,
            )
        else:
            second = server.keyspace.now_ms // 1000
            head = timestamp(second) if server.config.aof_timestamp_enabled else b""
            self._save = AofSave(server.keyspace, head)

    def step(self, budget: int) -> bool:
        """Write a slice of about so many bytes; True when that was the last. OSError."""
        write_all(self._disk, self._fd, self._save.step(budget))
        return self._save.done

    def sync(self) -> None:
        """Make the file durable. OSError."""
        self._disk.sync(self._fd)

    def stop(self) -> None:
        """Write no more; the keyspace forgets us. Harmless when all is written."""
        self._save.stop()

    def close(self) -> None:
        """`stop`, and close the file."""
        self.stop()
        self._disk.close(self._fd)


class Rewrite:
    """One rewrite, begun now. OSError if it cannot even begin; nothing is changed then."""

    def __init__(self, server: Server, files: AppendOnlyFiles, log: AppendOnlyLog) -> None:
        self._server = server
        self._files = files
        self._log = log
        self._replaced = len(files.manifest.increments)
        self._is_first = server.aof.state is AofState.WAITING
        self._scope = trio.CancelScope()
        files.make_folder()
        self._base = BaseWriter(server, files)
        try:
            self._open_increment(server.aof.state)
        except OSError:
            self._base.close()
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
        """Steps 2 to 4, other work going on between slices. False if given up; OSError if it failed."""
        base, config = self._base, self._server.config
        try:
            with self._scope:
                while not base.step(slice_bytes(config)):
                    await between_slices(config)
                await trio.to_thread.run_sync(base.sync)
        finally:
            base.close()
        if self._scope.cancel_called:
            return False
        self._install()
        return True

    def give_up(self) -> None:
        """Stop at once. What was there before still counts."""
        self._scope.cancel()
        self._base.stop()

    def run_now(self) -> None:
        """Steps 2 to 4 at once, nothing else going on. OSError."""
        try:
            while not self._base.step(SLICE_BYTES):
                pass
            self._base.sync()
        finally:
            self._base.close()
        self._install()

    def _install(self) -> None:
        """Steps 3 and 4."""
        files, disk, log = self._files, self._files.disk, self._log
        base = files.manifest.next_base(files.filename, self._base.suffix)
        base_path = files.path(base.name)
        manifest = files.manifest.with_base(base).with_rewritten(self._replaced)
        disk.rename(self._base.path, base_path)
        if self._is_first:
            manifest = manifest.with_increment(files.filename)
            disk.rename(files.temporary_increment, files.path(manifest.increments[-1].name))
        files.save(manifest)
        if self._is_first:
            self._server.aof.state = AofState.ON
        size = disk.size(base_path)
        if self._server.aof.state is not AofState.OFF and log.increment is not None:
            self._server.aof.current_size = self._server.aof.base_size = size + log.increment.size
