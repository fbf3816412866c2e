"""Whether a file that a server wrote is whole: snapshots and append-only files, read as a node reads them.

Nothing is decided here that the node would decide otherwise: the readers are its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shoal.cli.errors import CliError
from shoal.node.persistence.aof_manifest import ManifestError, parse_manifest
from shoal.node.persistence.aof_reader import AofReader
from shoal.node.persistence.errors import AofError, RdbError
from shoal.node.persistence.rdb_reader import (
    Auxiliary,
    EmptyKey,
    Entry,
    Event,
    Function,
    RdbReader,
    ShortStrings,
)

READ_BYTES = 1 << 20
RDB_SIGNATURES = (b"REDIS", b"VALKEY")
_KINDS = {
    "bytes": "string",
    "bytearray": "string",
    "ListValue": "list",
    "SetValue": "set",
    "WideSet": "set",
    "HashValue": "hash",
    "PackedHash": "hash",
    "ExpiringHash": "hash",
    "WideHash": "hash",
    "WideExpiringHash": "hash",
    "SortedSet": "zset",
    "Stream": "stream",
}
"""What clients call the type of a value, by the class that holds it."""


@dataclass(slots=True)
class SnapshotReport:
    """What is in a snapshot. `error` says what is wrong with it, `offset` where it stops being whole."""

    size: int = 0
    offset: int = 0
    version: int = 0
    keys: int = 0
    expires: int = 0
    expired: int = 0
    functions: int = 0
    types: Counter[str] = field(default_factory=Counter)
    auxiliary: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def take(self, event: Event, now_ms: int) -> None:
        """Count what the reader found."""
        if isinstance(event, Entry):
            self.keys += 1
            self.types[_KINDS[type(event.value).__name__]] += 1
            if event.expiry_ms is not None:
                self.expires += 1
                self.expired += event.expiry_ms < now_ms
        elif isinstance(event, ShortStrings):
            self.keys += len(event.values)
            self.types["string"] += len(event.values)
        elif isinstance(event, Auxiliary):
            self.auxiliary[_text(event.name)] = _text(event.value)
        elif isinstance(event, Function):
            self.functions += 1
        elif isinstance(event, EmptyKey) and not self.error:
            self.error = f"the key '{_text(event.key)}' holds a container without elements"


@dataclass(slots=True)
class LogReport:
    """One file of an append-only file: whole up to `whole_until`."""

    name: str
    size: int = 0
    whole_until: int = 0
    commands: int = 0
    snapshot: SnapshotReport | None = None
    """What it begins with, if that is a snapshot."""
    error: str = ""
    in_transaction: bool = False

    @property
    def is_whole(self) -> bool:
        return not self.error and self.whole_until == self.size


def read_pieces(path: Path) -> Iterator[bytes]:
    """A file a part at a time. OSError."""
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            yield piece


def check_snapshot(path: Path, now_ms: int) -> SnapshotReport:
    """Read a snapshot file to its end, or to where it cannot be read any more. OSError."""
    report, reader = SnapshotReport(), RdbReader()
    for piece in read_pieces(path):
        report.size += len(piece)
        if not _feed_snapshot(report, reader, piece, now_ms):
            report.size = path.stat().st_size
            return report
    if not reader.finished:
        report.error = f"unexpected end of the file after {report.size} bytes"
    elif reader.surplus and not report.error:
        report.error = f"{len(reader.surplus)} bytes follow the end of the snapshot"
    return report


def _feed_snapshot(report: SnapshotReport, reader: RdbReader, piece: bytes, now_ms: int) -> bool:
    """Take in a part; False if it cannot be read."""
    try:
        for event in reader.feed(piece):
            report.take(event, now_ms)
    except RdbError as error:
        report.error = str(error)
    report.version, report.offset = reader.version, reader.offset
    return not report.error


def check_log(path: Path, now_ms: int) -> LogReport:
    """Read a base or an increment: a snapshot first, if it begins with one, then commands. OSError."""
    report, check = LogReport(path.name, path.stat().st_size), _CommandsCheck(0)
    reader: RdbReader | None = None
    for piece in read_pieces(path):
        if check.fed == 0 and reader is None and piece.startswith(RDB_SIGNATURES):
            reader, report.snapshot = RdbReader(), SnapshotReport()
        if reader is not None and report.snapshot is not None:
            if not _feed_snapshot(report.snapshot, reader, piece, now_ms):
                report.error = report.snapshot.error
                return report
            if not reader.finished:
                continue
            piece, check = reader.surplus, _CommandsCheck(reader.offset)
            report.snapshot.size, reader = reader.offset, None
        if not check.feed(piece):
            break
    if reader is not None:
        report.error = "the snapshot at its beginning is cut short"
        return report
    report.whole_until, report.commands = check.whole_until, check.commands
    report.error, report.in_transaction = check.error, check.transaction_began is not None
    return report


class _CommandsCheck:
    """Reads commands, and keeps in mind where the last one ended that a loading would keep."""

    def __init__(self, offset: int) -> None:
        self._reader = AofReader(offset)
        self.fed = 0
        self.commands = 0
        self.error = ""
        self.transaction_began: int | None = None
        """Where the MULTI begins whose EXEC has not come: all that is open would be dropped."""
        self._previous_end = offset

    def feed(self, piece: bytes) -> bool:
        """The next bytes; False if they are no commands."""
        self.fed += len(piece)
        try:
            commands = self._reader.feed(piece)
        except AofError as error:
            self.error, commands = f"{error} at offset {error.offset}", error.commands
        for argv, end in commands:
            self._take(argv, end)
        return not self.error

    def _take(self, argv: list[bytes], end: int) -> None:
        name = argv[0].lower()
        if name == b"multi" and self.transaction_began is None:
            self.transaction_began = self._previous_end
        elif name == b"exec":
            self.transaction_began = None
        self.commands += 1
        self._previous_end = end

    @property
    def whole_until(self) -> int:
        return self._reader.offset if self.transaction_began is None else self.transaction_began


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def files_of_manifest(path: Path) -> tuple[Path, ...]:
    """The files that a manifest names, in order, the base first. CliError if it makes no sense. OSError."""
    try:
        manifest = parse_manifest(path.read_bytes())
    except ManifestError as error:
        raise CliError(f"the manifest {path} makes no sense at line {error.line}: {error}") from None
    return tuple(path.parent / file.name for file in manifest.files)
