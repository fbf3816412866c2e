"""What a command may touch while it runs, and what it may ask for beyond its reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from shoal.node.dataset.database import Database
from shoal.node.dataset.encodings import EncodingLimits
from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.resp.replies import NULL_ARRAY, CommandError, Reply


@dataclass(frozen=True, slots=True)
class KeyWait:
    """What a client waits for that found none of its keys worth an answer.

    `serve` is called with one of `keys` once it holds a value of type `kind`: after the command, transaction
    or script that put it there, and in the order in which clients began to wait for that key. It does what
    the command would have done, propagates that in words of its own, and returns the reply. It may be
    called in vain; then it changes nothing and returns NO_REPLY.
    """

    keys: tuple[bytes, ...]
    kind: type
    serve: Callable[[bytes], Reply]
    timeout_ms: int
    """How long; 0 is for ever."""
    timeout_reply: Reply = NULL_ARRAY
    no_wait_reply: Reply = NULL_ARRAY
    """The answer where no command may wait: in a transaction, in a script, in a stream of commands."""
    destination: bytes | None = None
    """A key that `serve` changes beside the one it is called with."""
    gone: CommandError | None = None
    """The answer when one of the keys holds a value of that type no more; None to go on waiting."""


AS_TYPED: list[tuple[bytes, ...]] = []
"""What `Call.propagated` is when the command is no change, but something replicas are to hear of."""


class Call:
    """One client's way into the data: the same object for every command the client runs.

    `propagated` holds what replicas and the append-only file get instead of the command as it was sent;
    None means the command itself, if it changed anything.
    """

    __slots__ = ("db", "encoding_limits", "keyspace", "propagated", "rng")

    def __init__(self, keyspace: Keyspace, rng: Random, encoding_limits: EncodingLimits) -> None:
        self.keyspace = keyspace
        self.db: Database = keyspace.databases[0]
        self.rng = rng
        self.encoding_limits = encoding_limits
        self.propagated: list[tuple[bytes, ...]] | None = None

    @property
    def now_ms(self) -> int:
        """Unix milliseconds, the same for every command of a turn."""
        return self.keyspace.now_ms

    @property
    def obeys_stream(self) -> bool:
        """Whether commands are those of a primary or a log: done as they say, for they passed every check."""
        return self.keyspace.expiry_mode is ExpiryMode.IGNORE

    def propagate(self, *words: bytes) -> None:
        """Send this to replicas instead of the command as typed. More than one goes out as a transaction.

        For commands whose effect depends on the time, on chance or on what was there: relative expiry
        becomes PEXPIREAT, SPOP becomes SREM. Unless `keyspace.is_repeated` nobody is to hear of it, and a
        command that has many words need not say them.
        """
        if self.propagated is None:
            self.propagated = []
        self.propagated.append(words)

    @property
    def is_clustered(self) -> bool:
        """Whether keys that a command computes, and no client routed by, may be on another node."""
        return False

    def may_answer_with(self, elements: int) -> bool:
        """Whether an answer of so many elements may be made, which the data do not bound: draws with repeats.

        If not, its client is owed more than it is allowed, and there is nothing to answer any more.
        """
        return True

    def may_read_every_key(self, *words: bytes) -> bool:
        """Whether this command line, of these words, may read keys that nobody named."""
        return True

    def wait_for_keys(self, wait: KeyWait) -> Reply:
        """Let the client wait for its keys, if it may; returns what the command returns."""
        return wait.no_wait_reply

    def propagate_as_typed(self) -> None:
        """Send the command itself to replicas although it is no data, changed or to be kept: PUBLISH."""
        self.propagated = AS_TYPED
