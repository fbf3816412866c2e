"""Loading an append-only file at the start: the base, then the increments in order."""

from __future__ import annotations

import time
from pathlib import Path

from shoal.node.persistence.aof_manifest import LogFile, ManifestError
from shoal.node.persistence.aof_reader import AofReader
from shoal.node.persistence.errors import AofError, RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import RdbReader
from shoal.node.runtime.append_only_files import AppendOnlyFiles
from shoal.node.runtime.log import Log
from shoal.node.runtime.slices import Slices, bytes_to_load
from shoal.node.server.aof_replay import AofReplay
from shoal.node.server.server import Server

_RDB_SIGNATURE = b"REDIS"
_TO_REPAIR = "make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>"


class LoadingFailed(Exception):  # noqa: N818
    """The data on disk cannot be trusted as they are; the text says where and what can be done."""


class AppendOnlyLoading:
    """One start's loading of all files."""

    def __init__(self, server: Server, files: AppendOnlyFiles, log: Log) -> None:
        self._server = server
        self._files = files
        self._log = log

    def run(self) -> Slices[None]:
        """Load everything the manifest names. LoadingFailed if that is not what was written."""
        started = time.monotonic()
        files, config = self._files, self._server.config
        try:
            files.load()
            if files.adopt_old_style():
                self._log.notice(
                    f"Successfully migrated an old-style AOF file ({config.appendfilename})"
                    f" into the AOF directory ({config.appenddirname})."
                )
            if files.manifest.is_empty:
                return
            self._server.aof.current_size = files.size()
        except ManifestError as error:
            raise LoadingFailed(
                f"FATAL AOF MANIFEST FILE ERROR: reading {files.manifest_path}, at line {error.line}"
                f" '{error.text}': {error}"
            ) from None
        except OSError as error:
            raise LoadingFailed(
                f"Unable to obtain the AOF file {error.filename} length. stat: {error.strerror}"
            ) from None
        yield from self.load_files()
        seconds = time.monotonic() - started
        self._log.notice(f"DB loaded from append only file: {seconds:.3f} seconds")

    def load_files(self) -> Slices[None]:
        """Load what the manifest at hand names into an empty keyspace. LoadingFailed, OSError."""
        manifest, server = self._files.manifest, self._server
        if manifest.base is not None:
            server.aof.base_size = self._files.disk.size(self._files.path(manifest.base.name))
        keyspace = server.keyspace
        server.begin_loading(self._files.size())
        recording, server.aof.is_recording = server.aof.is_recording, False
        try:
            for file in manifest.files:
                yield from self._load(file, is_last=file is manifest.files[-1])
        finally:
            server.aof.is_recording = recording
            server.propagation.listeners_changed()
            server.end_loading()
        keyspace.changes = 0
        server.persistence.keys_loaded = len(keyspace)

    def _load(self, file: LogFile, *, is_last: bool) -> Slices[None]:
        started = time.monotonic()
        replay = AofReplay(self._server)
        whole, size = yield from self._replay(file.name, replay)
        if not whole:
            self._cut(file.name, replay.whole_until, size, is_last=is_last)
        if replay.failed:
            self._log.warning(
                f"{replay.failed} commands of {file.name} failed, the first {replay.first_failure}"
            )
        kind = "base" if file is self._files.manifest.base else "incr"
        seconds = time.monotonic() - started
        self._log.notice(f"DB loaded from {kind} file {file.name}: {seconds:.3f} seconds")

    def _replay(self, name: str, replay: AofReplay) -> Slices[tuple[bool, int]]:
        """Run a file's commands; returns whether it ends where one ends, and its size."""
        path = self._files.path(name)
        reader, rdb, size = AofReader(), None, 0
        try:
            with self._files.disk.open_to_read(path) as file:
                while chunk := file.read(bytes_to_load(self._server.config)):
                    if not size and chunk.startswith(_RDB_SIGNATURE):
                        self._log.notice("Reading RDB base file on AOF loading...")
                        rdb = self._begin_rdb()
                    size += len(chunk)
                    self._server.note_loaded(len(chunk))
                    if rdb is not None:
                        loaded = rdb[1].loaded
                        chunk = self._feed_rdb(rdb, chunk)
                        yield rdb[1].loaded - loaded
                        if not rdb[0].finished:
                            continue
                        rdb = None
                        reader = AofReader(size - len(chunk))
                        replay.begin_at(reader.offset)
                    commands = reader.feed(chunk)
                    for argv, end in commands:
                        replay.run(argv, end)
                        while replay.is_suspended:
                            yield 0
                    yield len(commands)
        except AofError as error:
            raise LoadingFailed(_explained(error, path)) from None
        except RdbError as error:
            raise LoadingFailed(f"Error reading the RDB base file {path}: {error}") from None
        except OSError as error:
            raise LoadingFailed(f"Can't open the append log file {path} for reading: {error}") from None
        if rdb is not None:
            raise LoadingFailed(f"Error reading the RDB base file {path}: it is cut short after {size} bytes")
        if replay.in_transaction:
            self._log.warning(f"Revert incomplete MULTI/EXEC transaction in AOF file {name}")
        return not (reader.unfinished_bytes or replay.in_transaction), size

    def _begin_rdb(self) -> tuple[RdbReader, RdbLoader]:
        server = self._server
        reader = RdbReader(verify_checksum=server.config.rdbchecksum)
        return reader, RdbLoader(server.keyspace, keep_expired=True)

    def _feed_rdb(self, rdb: tuple[RdbReader, RdbLoader], chunk: bytes) -> bytes:
        """Load a part of a snapshot; what follows it comes back."""
        reader, loader = rdb
        loader.apply(reader.feed(chunk))
        return reader.surplus

    def _cut(self, name: str, whole_until: int, size: int, *, is_last: bool) -> None:
        """The file ends in the middle of something: drop that, if it can only be what a crash cut off.

        How it arises: the machine or the process stopped in the middle of a write. Nobody was told that what
        is half there had happened, or `appendfsync` allowed that it be lost. Only the file that was being
        written can end so; in an earlier one it is damage.
        """
        path = self._files.path(name)
        if not is_last:
            raise LoadingFailed(
                f"Fatal error: the truncated file is not the last file: {path} ends at {size},"
                f" its last whole command at {whole_until}"
            )
        if not self._server.config.aof_load_truncated:
            raise LoadingFailed(
                f"Unexpected end of file reading the append only file {path} at offset {whole_until}."
                f" You can: 1) {_TO_REPAIR[0].upper()}{_TO_REPAIR[1:]}. 2) Alternatively you can set the"
                " 'aof-load-truncated' configuration option to yes and restart the server."
            )
        self._log.warning(f"!!! Warning: short read while loading the AOF file {name}!!!")
        self._log.warning(f"!!! Truncating the AOF {name} at offset {whole_until} !!!")
        try:
            self._files.disk.truncate(path, whole_until)
        except OSError as error:
            raise LoadingFailed(f"Error truncating the AOF file {path}: {error}") from None
        self._server.aof.current_size -= size - whole_until
        self._log.warning(f"AOF {name} loaded anyway because aof-load-truncated is enabled")


def _explained(error: AofError, path: Path) -> str:
    if str(error).startswith("Unknown command"):
        return f"{error} {path} at offset {error.offset}"
    place = f"{path} at offset {error.offset} ({error})"
    return f"Bad file format reading the append only file {place}: {_TO_REPAIR}"
