"""What one MIGRATE sends over a connection, and what the target has answered so far.

It writes until the socket is full, and reads whenever it has written: a target answers while it is
still being sent to. That cannot end with each side waiting for the other to read, because an answer
is shorter than what it answers: a target stuck with its answers has taken more from us than that, and
thereby made room for us to write, after which we read.

A target that is Shoal takes many keys in one command. Whether it is one, its COMMAND INFO tells, which is
asked beside the first keys of a connection. If it refuses some keys together, they are sent again one by
one, so that each gets its own answer and those that can be stored are.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

import hiredis
import trio

from shoal.node.persistence.dump_payload import dump
from shoal.node.persistence.moving_keys import RESTORE_KEYS, MovingKey, pack
from shoal.node.resp.writer import encode_command
from shoal.node.server.migration import READ_ERROR, WRITE_ERROR, MigrateKeys

READ_SIZE = 64 * 1024
KEYS_TOGETHER = 64
"""At most so many keys in one command: other clients of the target have their turn in between."""
_NOTHING = object()


class TargetFailed(Exception):  # noqa: N818
    """The target cannot be reached, or does not take or answer what it is sent. The text is the client's."""


class _Question(Enum):
    """What else an answer may be to."""

    SELECT = "has the database been selected?"
    TAKES_MANY = "does the target know RESTORE-KEYS?"
    OTHER = "was it an error?"


class _Share(NamedTuple):
    """The keys of one command. Those that only go along may be refused: they just stay."""

    keys: Sequence[MovingKey]
    is_named: bool


class Link:
    """A connection to a target."""

    def __init__(self, sock: socket.socket, target: tuple[str, int]) -> None:
        self.socket = sock
        self.target = target
        self.reader = hiredis.Reader(notEnoughData=_NOTHING)
        self.exchange: Exchange | None = None
        self.was_kept = False
        """Whether an earlier exchange left it, so that it may have gone stale since."""
        self.idle_since = 0.0
        self.database: int | None = None
        """The one that was selected last."""
        self.takes_many: bool | None = None
        """Whether the target knows RESTORE-KEYS; None until it was asked."""


class Exchange:
    """One MIGRATE's way over a connection."""

    def __init__(self, request: MigrateKeys, *, is_cluster: bool) -> None:
        self.request = request
        self.is_cluster = is_cluster
        self.timeout_seconds = request.timeout_ms / 1000
        self.deadline = 0.0
        """When the target will have done nothing for too long, on trio's clock."""
        self.link: Link | None = None
        self.restored: list[bytes] = []
        """The keys the target has confirmed."""
        self._error: str | None = None
        self._unsent = memoryview(b"")
        self._awaited: deque[_Share | _Question] = deque()
        """For each answer to come, the keys it is about or the question it answers."""
        self._refused: list[MovingKey] = []
        """Keys that were refused together, to be sent one by one."""
        self._failed_to_send = False
        self._went_astray = False
        """The target refused AUTH or SELECT: what it stored after that is not where it should be."""
        self.is_untouched = True
        """Whether the target has said nothing yet."""

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    @property
    def is_over(self) -> bool:
        """Whether everything is answered, so that the connection can serve again."""
        return not self._awaited

    @property
    def error_text(self) -> str | None:
        """What the client is told of the first error the target answered with."""
        return None if self._error is None else f"ERR Target instance replied with error: {self._error}"

    def begin(self, link: Link) -> None:
        """Start from nothing over this connection, sending at once what it takes at once."""
        self.link = link
        link.exchange = self
        self._awaited.clear()
        self._failed_to_send = False
        request = self.request
        commands: list[bytes] = []
        if request.credentials:
            commands.append(self._ask(_Question.OTHER, b"AUTH", *request.credentials))
        if link.database != request.database:
            commands.append(self._ask(_Question.SELECT, b"SELECT", b"%d" % request.database))
        if self.is_cluster and link.takes_many is None:
            commands.append(self._ask(_Question.TAKES_MANY, b"COMMAND", b"INFO", RESTORE_KEYS))
        if link.takes_many:
            commands += self._together(request.keys, is_named=True)
            commands += self._together(request.along, is_named=False)
        else:
            commands += self._one_by_one(request.keys)
        self._send(commands)

    def go_on(self) -> None:
        """Send more if there is room, and read what was answered. Raises TargetFailed if it broke off."""
        if self._unsent:
            self._send_some()
        if self._failed_to_send:
            raise TargetFailed(WRITE_ERROR)
        self._receive_some()
        if self._refused and not self._awaited:
            refused, self._refused = self._refused, []
            self._send(self._one_by_one(refused))
        self.deadline = trio.current_time() + self.timeout_seconds

    def too_slow(self) -> TargetFailed:
        """What to tell when `deadline` has passed."""
        return TargetFailed(WRITE_ERROR if self._unsent else READ_ERROR)

    # --- sending -----------------------------------------------------------------------------------

    def _ask(self, question: _Question, *words: bytes) -> bytes:
        self._awaited.append(question)
        return encode_command(words)

    def _one_by_one(self, keys: Sequence[MovingKey]) -> Iterable[bytes]:
        """Each key as every version knows it."""
        self._awaited += [_Share((moving,), is_named=True) for moving in keys]
        command = b"RESTORE-ASKING" if self.is_cluster else b"RESTORE"
        replace = (b"REPLACE",) if self.request.replace else ()
        return [
            encode_command((command, moving.key, b"%d" % moving.ttl_ms, dump(moving.value), *replace))
            for moving in keys
        ]

    def _together(self, keys: Sequence[MovingKey], *, is_named: bool) -> Iterable[bytes]:
        """As few commands as possible. What only goes along overwrites nothing: nobody said it may."""
        shares = [keys[start : start + KEYS_TOGETHER] for start in range(0, len(keys), KEYS_TOGETHER)]
        self._awaited += [_Share(share, is_named) for share in shares]
        replace = self.request.replace and is_named
        return [encode_command(pack(share, replace=replace)) for share in shares]

    def _send(self, commands: Iterable[bytes]) -> None:
        self.deadline = trio.current_time() + self.timeout_seconds
        self._unsent = memoryview(b"".join(commands))
        self._send_some()

    def _send_some(self) -> None:
        assert self.link is not None
        try:
            while self._unsent:
                self._unsent = self._unsent[self.link.socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._failed_to_send = True

    # --- receiving ---------------------------------------------------------------------------------

    def _receive_some(self) -> None:
        assert self.link is not None
        reader = self.link.reader
        try:
            data = self.link.socket.recv(READ_SIZE)
            if not data:
                raise TargetFailed(READ_ERROR)
            reader.feed(data)
            while self._awaited and (reply := reader.gets()) is not _NOTHING:
                self._note(reply)
        except BlockingIOError:
            pass
        except (OSError, hiredis.ProtocolError):
            raise TargetFailed(READ_ERROR) from None

    def _note(self, reply: object) -> None:
        assert self.link is not None
        self.is_untouched = False
        about = self._awaited.popleft()
        is_error = isinstance(reply, hiredis.ReplyError)
        if about is _Question.TAKES_MANY:
            self.link.takes_many = isinstance(reply, list) and reply != [None]
        elif isinstance(about, _Share) and not is_error:
            if not self._went_astray:
                self.restored += [moving.key for moving in about.keys]
        elif isinstance(about, _Share) and not about.is_named:
            pass
        elif isinstance(about, _Share) and len(about.keys) > 1:
            self._refused += about.keys
        elif is_error:
            self._error = self._error or str(reply)
            self._went_astray = self._went_astray or isinstance(about, _Question)
        elif about is _Question.SELECT:
            self.link.database = self.request.database
