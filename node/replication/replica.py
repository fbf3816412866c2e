"""A replica's end of one connection to its primary: bytes come in, events say what they mean.

The order: PING, AUTH and the REPLCONFs go out at once and their answers are taken as they come. PSYNC follows
only after the last of them, because a primary refuses it while it still has an answer to send. Then
either the stream goes on where it broke off, or a snapshot comes first.

Source: Redis's replication documentation and the PSYNC protocol as Redis 7.0 speaks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from shoal.node.replication.transfer import MalformedTransferError, Transfer
from shoal.node.resp.writer import encode_command

MAX_LINE_BYTES = 64 * 1024


class LinkState(Enum):
    """How far a link is; the words are those of ROLE."""

    CONNECT = "connect"
    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    SYNC = "sync"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a replica says about itself and its past."""

    listening_port: int
    replid: str
    next_offset: int
    """The first byte of the stream it does not have."""
    announced_ip: str = ""
    user: str = ""
    password: str = ""
    is_failover: bool = False
    """It was the primary so far, and asks its replica to take over."""


@dataclass(frozen=True, slots=True)
class SendBytes:
    """Write this to the primary."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotBegins:
    """Everything must be loaded anew: a snapshot follows, taken at this offset of this stream."""

    replid: str
    offset: int


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """The next bytes of the snapshot."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotEnds:
    """The snapshot is complete. With a mark behind it the primary sends nothing more until an ACK."""

    uses_mark: bool


@dataclass(frozen=True, slots=True)
class Continues:
    """The stream goes on where it broke off, under this ID if one is named."""

    replid: str | None


@dataclass(frozen=True, slots=True)
class StreamPart:
    """The next bytes of the stream."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The link is of no use; close it."""

    reason: str
    refused_sync: bool = False
    """The primary would not have us as its replica."""


LinkEvent: TypeAlias = (
    SendBytes | SnapshotBegins | SnapshotPart | SnapshotEnds | Continues | StreamPart | Failed
)


class ReplicaLink:
    """One connection, from its opening on."""

    def __init__(self, introduction: Introduction) -> None:
        self.state = LinkState.HANDSHAKE
        self._introduction = introduction
        self._buffer = b""
        self._expected = _opening(introduction)
        """(name, command) of everything whose answer is still to come."""
        self._transfer: Transfer | None = None

    def open(self) -> bytes:
        """What to send as soon as the connection stands."""
        return b"".join(encode_command(words) for words in self._expected)

    def feed(self, data: bytes) -> list[LinkEvent]:
        """What these bytes mean, in order. After Failed nothing more is to be fed."""
        events: list[LinkEvent] = []
        while data:
            if self.state is LinkState.CONNECTED:
                events.append(StreamPart(data))
                break
            if self._transfer is not None:
                data = self._feed_transfer(self._transfer, data, events)
                continue
            line, found, rest = (self._buffer + data).partition(b"\n")
            if not found:
                self._buffer = line
                if len(line) > MAX_LINE_BYTES:
                    events.append(Failed("the primary's answer is endless"))
                break
            self._buffer, data = b"", rest
            self._take_line(line.rstrip(b"\r"), events)
            if events and isinstance(events[-1], Failed):
                break
        return events

    def _feed_transfer(self, transfer: Transfer, data: bytes, events: list[LinkEvent]) -> bytes:
        part = transfer.feed(data)
        if part:
            events.append(SnapshotPart(part))
        if not transfer.finished:
            return b""
        events.append(SnapshotEnds(transfer.uses_mark))
        self._transfer = None
        self.state = LinkState.CONNECTED
        return transfer.surplus

    def _take_line(self, line: bytes, events: list[LinkEvent]) -> None:
        if not line:
            return  # a primary that is still preparing says so with empty lines
        if self._expected:
            self._take_answer(self._expected.pop(0), line, events)
        elif self.state is LinkState.HANDSHAKE:
            self._take_psync_answer(line, events)
        else:
            try:
                self._transfer = Transfer(line)
            except MalformedTransferError as error:
                events.append(Failed(f"the snapshot does not begin: {error}"))

    def _take_answer(self, words: tuple[bytes, ...], line: bytes, events: list[LinkEvent]) -> None:
        if line.startswith(b"-") and not _may_refuse(words, line):
            is_auth = words[0] == b"AUTH"
            refusal = "Unable to AUTH to MASTER" if is_auth else f"{words[0].decode()} was refused"
            events.append(Failed(f"{refusal}: {_shown(line)}"))
        elif not self._expected:
            mine = self._introduction
            request = (b"FAILOVER",) if mine.is_failover else ()
            psync = (b"PSYNC", mine.replid.encode(), b"%d" % mine.next_offset, *request)
            events.append(SendBytes(encode_command(psync)))

    def _take_psync_answer(self, line: bytes, events: list[LinkEvent]) -> None:
        words = line.split()
        if words[0] == b"+FULLRESYNC" and len(words) == 3 and len(words[1]) == 40 and words[2].isdigit():
            self.state = LinkState.SYNC
            events.append(SnapshotBegins(words[1].decode("latin-1"), int(words[2])))
        elif words[0] == b"+CONTINUE":
            self.state = LinkState.CONNECTED
            events.append(Continues(words[1].decode("latin-1") if len(words) > 1 else None))
        else:
            events.append(Failed(f"PSYNC was refused: {_shown(line)}", refused_sync=True))


def _opening(introduction: Introduction) -> list[tuple[bytes, ...]]:
    commands: list[tuple[bytes, ...]] = [(b"PING",)]
    if introduction.password:
        user = (_as_given(introduction.user),) if introduction.user else ()
        commands.append((b"AUTH", *user, _as_given(introduction.password)))
    commands.append((b"REPLCONF", b"listening-port", b"%d" % introduction.listening_port))
    if introduction.announced_ip:
        commands.append((b"REPLCONF", b"ip-address", introduction.announced_ip.encode()))
    commands.append((b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"))
    return commands


def _as_given(text: str) -> bytes:
    """A directive's bytes, also where they are no text."""
    return text.encode("utf-8", "surrogateescape")


def _may_refuse(words: tuple[bytes, ...], line: bytes) -> bool:
    """REPLCONF tells a primary what an old one need not know; PING only asks whether anybody is there."""
    if words[0] == b"REPLCONF":
        return not line.startswith((b"-NOAUTH", b"-NOPERM"))
    return words[0] == b"PING" and line.startswith((b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"))


def _shown(line: bytes) -> str:
    return line[:200].decode("utf-8", "replace")
