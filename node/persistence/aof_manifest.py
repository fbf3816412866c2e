"""The manifest of an append-only file: which files it consists of, in which order they are to be loaded.

An append-only file is one base (all the data at the moment of the last rewrite) and the increments written
since. A rewrite turns the files it replaces into history, which is deleted once a manifest without it
is on disk. The manifest is what makes a set of files an append-only file: it is replaced as a whole, so
at every moment exactly one set is valid.

Source: the multi-part append-only file of Redis 7.0, one line per file: `file <name> seq <n> type <b|h|i>`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.inline import UnbalancedQuotes, split_words

MAX_LINE_BYTES = 1024
_NEEDS_QUOTES = frozenset(b" \"'\\\t\r\n")


class ManifestError(Exception):
    """The manifest cannot be used; the text says why, `line` where (0: nowhere in particular)."""

    def __init__(self, reason: str, line: int = 0, text: str = "") -> None:
        super().__init__(reason)
        self.line = line
        self.text = text


class FileKind(Enum):
    """What a file is, and the letter that says so."""

    BASE = "b"
    HISTORY = "h"
    INCREMENT = "i"


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of the set."""

    name: str
    sequence: int
    kind: FileKind


@dataclass(frozen=True, slots=True)
class Manifest:
    """A set of files. It never changes; every step of a rewrite makes another one."""

    base: LogFile | None = None
    increments: tuple[LogFile, ...] = ()
    history: tuple[LogFile, ...] = ()
    last_base: int = 0
    """The highest sequence number given to a base so far; so for `last_increment`."""
    last_increment: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to load."""
        return self.base is None and not self.increments

    @property
    def files(self) -> tuple[LogFile, ...]:
        """What is to be loaded, in order."""
        return (() if self.base is None else (self.base,)) + self.increments

    def with_increment(self, filename: str) -> Manifest:
        """The set with a new, last increment."""
        number = self.last_increment + 1
        added = LogFile(f"{filename}.{number}.incr.aof", number, FileKind.INCREMENT)
        return replace(self, increments=(*self.increments, added), last_increment=number)

    def next_base(self, filename: str, suffix: str) -> LogFile:
        """What the next base is called."""
        number = self.last_base + 1
        return LogFile(f"{filename}.{number}.base.{suffix}", number, FileKind.BASE)

    def with_base(self, base: LogFile) -> Manifest:
        """The set with this base; the one so far is history."""
        history = _as_history(self.base) + self.history
        return replace(self, base=base, history=history, last_base=base.sequence)

    def adopting(self, name: str) -> Manifest:
        """The set whose base is a file of another name: an append-only file of Redis before 7.0."""
        return replace(self, base=LogFile(name, 1, FileKind.BASE), last_base=1)

    def with_rewritten(self, count: int) -> Manifest:
        """The set without its first `count` increments: the base holds what they did."""
        replaced = self.increments[:count]
        history = sum((_as_history(file) for file in reversed(replaced)), ())
        return replace(self, increments=self.increments[count:], history=history + self.history)

    def without_history(self) -> Manifest:
        """The set once the old files are gone."""
        return replace(self, history=())

    def format(self) -> bytes:
        """As it stands on disk: the base first, the increments last."""
        lines = [_line(file) for file in (*_optional(self.base), *self.history, *self.increments)]
        return "".join(lines).encode("utf-8", "surrogateescape")


def _optional(file: LogFile | None) -> tuple[LogFile, ...]:
    return () if file is None else (file,)


def _as_history(file: LogFile | None) -> tuple[LogFile, ...]:
    return tuple(replace(one, kind=FileKind.HISTORY) for one in _optional(file))


def _line(file: LogFile) -> str:
    return f"file {_spelled(file.name)} seq {file.sequence} type {file.kind.value}\n"


def _spelled(name: str) -> str:
    """A name as one word: in quotes where it would not be one."""
    data = name.encode("utf-8", "surrogateescape")
    if all(0x20 < byte < 0x7F and byte not in _NEEDS_QUOTES for byte in data):
        return name
    spelled = (
        _ESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in data
    )
    return f'"{"".join(spelled)}"'


_ESCAPES = dict(zip(b'"\\\n\r\t\a\b', ('\\"', "\\\\", "\\n", "\\r", "\\t", "\\a", "\\b"), strict=True))


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest. Words it does not know are passed over, as later versions may add some."""
    if not data:
        raise ManifestError("Found an empty AOF manifest")
    manifest = Manifest()
    for number, raw in enumerate(data.splitlines(keepends=True), 1):
        if raw.startswith(b"#"):
            continue
        text = raw.strip().decode("utf-8", "surrogateescape")
        try:
            if not raw.endswith(b"\n") or len(raw) > MAX_LINE_BYTES:
                raise ManifestError("The AOF manifest file contains too long line")
            manifest = _with(manifest, _parse_line(raw.strip(b" \t\r\n")))
        except ManifestError as error:
            raise ManifestError(str(error), number, text) from None
    return manifest


def _with(manifest: Manifest, file: LogFile) -> Manifest:
    if file.kind is FileKind.HISTORY:
        return replace(manifest, history=(*manifest.history, file))
    if file.kind is FileKind.BASE:
        if manifest.base is not None:
            raise ManifestError("Found duplicate base file information")
        return replace(manifest, base=file, last_base=file.sequence)
    if file.sequence <= manifest.last_increment:
        raise ManifestError("Found a non-monotonic sequence number")
    increments = (*manifest.increments, file)
    return replace(manifest, increments=increments, last_increment=file.sequence)


def _parse_line(line: bytes) -> LogFile:
    try:
        words = split_words(line)
    except UnbalancedQuotes:
        words = []
    if len(words) < 6 or len(words) % 2:
        raise ManifestError("Invalid AOF manifest file format")
    said = {key.lower(): value for key, value in zip(words[::2], words[1::2], strict=True)}
    name = said.get(b"file", b"").decode("utf-8", "surrogateescape")
    sequence, kind = parse_integer(said.get(b"seq", b"")), said.get(b"type", b"")[:1].decode("latin-1")
    if "/" in name or "\\" in name:
        raise ManifestError("File can't be a path, just a filename")
    if not name or not sequence or not kind:
        raise ManifestError("Invalid AOF manifest file format")
    if kind not in _KINDS:
        raise ManifestError("Unknown AOF file type")
    return LogFile(name, sequence, _KINDS[kind])


_KINDS = {kind.value: kind for kind in FileKind}
