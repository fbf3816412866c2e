"""One client as the server sees it: its protocol state, its transaction, what it still has to be sent.

A session has no socket. The runtime feeds it bytes, and sends what gathers in `out`; a test does the
same by hand. It is also the `Call` that every command of this client gets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from shoal.node.commands.call import Call, KeyWait
from shoal.node.commands.registry import find
from shoal.node.resp.parser import Arguments, CommandParser
from shoal.node.resp.replies import NO_REPLY, CommandError, Reply
from shoal.node.resp.writer import encode
from shoal.node.server.blocking import Blocked, BlockReason

if TYPE_CHECKING:
    from shoal.node.dataset.database import Database
    from shoal.node.server.acl.users import User
    from shoal.node.server.entries import Entry
    from shoal.node.server.pubsub import Subscriptions
    from shoal.node.server.server import Server
    from shoal.node.server.tracking import Tracker


LEAST_ELEMENT_BYTES = len(b"$0\r\n\r\n")
"""What any string in an answer takes."""

BYTES_PER_WORD = 64
"""What keeping a word of a queued command takes beside its bytes, about."""


class ReplyMode(Enum):
    """CLIENT REPLY: whether answers are sent, and if not, whether that ends after one command."""

    ON = "on"
    OFF = "off"
    SKIP = "skip"
    SKIP_NEXT = "skip_next"


@dataclass(slots=True)
class Transaction:
    """The commands queued since MULTI."""

    queued: list[tuple[Entry, Arguments]] = field(default_factory=list)
    queued_bytes: int = 0
    flags_of_any: int = 0
    flags_of_all: int = -1
    """Of scripts those that they declare."""
    broken: bool = False
    """A command was refused while queueing: EXEC answers EXECABORT."""

    def queue(self, entry: Entry, argv: Arguments, flags: int) -> None:
        """Add a command, of these flags."""
        self.queued.append((entry, argv))
        self.queued_bytes += sum(map(len, argv)) + BYTES_PER_WORD * len(argv)
        self.flags_of_any |= flags
        self.flags_of_all &= flags


UNIX_SOCKET_PORT = ":0"
"""What stands for the port in the address of a client that came over a unix socket."""


def is_local_address(address: str) -> bool:
    """Whether `address` is on this machine: over loopback or a unix socket."""
    return address.startswith(("127.", "[::1]")) or address.endswith(UNIX_SOCKET_PORT)


class Session(Call):
    """One client."""

    __slots__ = (
        "address",
        "asking",
        "authenticated",
        "blocked",
        "closing",
        "created_ms",
        "debugs_scripts",
        "fd",
        "hears_for_others",
        "id",
        "in_exec",
        "is_primary_link",
        "is_replica_link",
        "last_entry",
        "last_seen_ms",
        "lib_name",
        "lib_version",
        "listed",
        "local_address",
        "name",
        "no_evict",
        "no_touch",
        "out",
        "out_bytes",
        "parser",
        "pending",
        "plain",
        "read_ahead",
        "readonly",
        "reply_mode",
        "resp",
        "restricted",
        "server",
        "subscriptions",
        "tracker",
        "transaction",
        "user",
        "watched",
        "watched_changed",
        "write_offset",
    )

    def __init__(self, server: Server, session_id: int, address: str, local_address: str) -> None:
        super().__init__(server.keyspace, server.rng, server.encoding_limits)
        self.server = server
        self.id = session_id
        self.fd = -1
        """The descriptor of its socket, for CLIENT LIST only."""
        self.address = address
        self.local_address = local_address
        self.created_ms = self.last_seen_ms = server.keyspace.now_ms
        self.parser = CommandParser()
        self.parser.limit(server.config.proto_max_bulk_len, server.config.client_query_buffer_limit)
        self.pending: deque[Arguments] = deque()
        """Commands that came in but may not run yet: the client is blocked, or used up its turn."""
        self.read_ahead = bytearray()
        """What came in behind those, not yet parsed."""
        self.out: list[bytes] = []
        self.out_bytes = 0
        self.closing = False
        """Close once `out` is sent; nothing more is read or run."""
        self.blocked: Blocked | None = None
        self.is_primary_link = False
        """The stream of the primary this node replicates: no gate applies, no reply is sent."""
        self.is_replica_link = False
        self.write_offset = 0
        """The replication offset after this client's last write: what its WAIT waits for."""
        self.in_exec = False
        """Commands of a transaction are running: none of them may wait."""
        self.last_entry: Entry | None = None
        """The command that ran last."""
        self.name = b""
        self.lib_name = b""
        self.lib_version = b""
        self.no_evict = False
        self.no_touch = False
        self.watched: dict[tuple[Database, bytes], None] = {}
        """A set in the order of WATCH."""
        self.subscriptions: Subscriptions | None = None
        """What the client listens to; None if to nothing."""
        self.listed: dict[int, list[bytes]] | None = None
        """The keys of open slots it was told last, see `emptying`."""
        self.tracker: Tracker | None = None
        """How the keys it reads are tracked; None if they are not."""
        self.hears_for_others = False
        """Others have redirected to it what they are to be told about keys."""
        self.reset()

    def reset(self) -> None:
        """The state of a fresh connection, as RESET leaves it; also what `__init__` starts from."""
        self.resp = 2
        self.db = self.keyspace.databases[0]
        self.user: User = self.server.acl.default
        self.authenticated = self.user.is_open
        self.parser.restrict(self.must_authenticate)
        self.transaction: Transaction | None = None
        self.server.stop_monitoring(self)
        self.server.pubsub.forget(self)
        self.server.tracking.end(self)
        self.unwatch()
        self.readonly = False
        self.asking = False
        self.reply_mode = ReplyMode.ON
        self.name = b""
        self.no_evict = self.no_touch = False
        self.debugs_scripts = False
        """Its next script runs in the debugger: SCRIPT DEBUG."""
        self.refresh_plain()

    def refresh_plain(self) -> None:
        """`plain` is true when nothing about this client needs a second look before a command runs.

        To be called by whoever changes one of the states it is made of.
        """
        self.restricted = self.user.is_limited and not self.is_primary_link
        self.plain = (
            not (self.restricted or self.must_authenticate)
            and self.transaction is None
            and self.subscriptions is None
            and self.tracker is None
            and not self.hears_for_others
            and self.reply_mode is ReplyMode.ON
            and not (self.readonly or self.asking or self.no_touch)
            and not (self.is_primary_link or self.is_replica_link)
        )

    def send(self, reply: Reply) -> None:
        """Queue a reply or a push. Goes out at the end of the turn."""
        data = encode(reply, self.resp)
        if data:
            self.send_bytes(data)

    def send_bytes(self, data: bytes) -> None:
        """Queue bytes that are already RESP."""
        if not self.out:
            self.server.outgoing.append(self)
        self.out.append(data)
        self.out_bytes += len(data)
        if self.out_bytes > self.server.client_care.credit_bytes:
            self.server.client_care.check_output(self)

    def close_after_reply(self) -> None:
        """Say what is queued, then hang up."""
        self.closing = True
        self.forget_input()
        self.server.closing.append(self)

    def forget_input(self) -> None:
        """Whatever it asked for and did not get yet, it does not get."""
        self.pending.clear()
        self.read_ahead.clear()

    @property
    def has_input(self) -> bool:
        """Whether there is something to run, now or when a wait is over."""
        return bool(self.pending or self.read_ahead or self.parser.has_more)

    def become(self, user: User) -> None:
        """Act for a user from now on."""
        self.user = user
        self.authenticated = True
        self.parser.restrict(False)
        self.refresh_plain()

    @property
    def must_authenticate(self) -> bool:
        """Whether the client has to say who it is before it is served."""
        return not self.authenticated and self.server.acl.requires_password

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine: over loopback or a unix socket."""
        return is_local_address(self.address)

    def require_permission(self, name: str, permission: str) -> None:
        """Raise unless the directive `enable-<name>-command` grants the command to this client."""
        if not self.may_use(permission):
            raise CommandError(
                f"ERR {name} command not allowed. If the enable-{name.lower()}-command option is set to "
                '"local", you can run it from a local connection, otherwise you need to set this option in '
                "the configuration file, and then restart the server."
            )

    def may_use(self, permission: str) -> bool:
        """What a `yes`, `no` or `local` directive, such as `enable-debug-command`, grants this client."""
        return permission == "yes" or (permission == "local" and self.is_local)

    # --- transactions ------------------------------------------------------------------------------

    def watch(self, key: bytes) -> None:
        """Make the next EXEC fail if this key changes before."""
        if (self.db, key) not in self.watched:
            self.watched[self.db, key] = None
            self.db.watch(key, self)

    def unwatch(self) -> None:
        """Forget every watched key, and that one of them changed."""
        for database, key in self.watched:
            database.unwatch(key, self)
        self.watched = {}
        self.watched_changed = False

    def end_transaction(self) -> None:
        """Leave the transaction, run or not; watched keys are forgotten with it."""
        self.transaction = None
        self.unwatch()
        self.refresh_plain()

    def watched_key_changed(self) -> None:
        self.watched_changed = True

    @property
    def is_clustered(self) -> bool:
        return self.server.cluster is not None

    def may_answer_with(self, elements: int) -> bool:
        """See `Call`; what is made within a transaction is looked at with the whole of it."""
        return not self.server.client_care.would_exceed(self, elements * LEAST_ELEMENT_BYTES)

    def may_read_every_key(self, *words: bytes) -> bool:
        if not self.restricted:
            return True
        spec = find(list(words))
        return spec is not None and self.server.acl.may_read_every_key(self.user, spec, words)

    # --- waiting -----------------------------------------------------------------------------------

    @property
    def is_script(self) -> bool:
        """Whether scripts run their commands in it."""
        return False

    def wait_for_keys(self, wait: KeyWait) -> Reply:
        """See `Call`; the command's reply is sent once the wait is over."""
        if self.in_exec or self.is_primary_link:
            return wait.no_wait_reply
        self.server.key_waits.begin(self, wait)
        return NO_REPLY

    def begin_suspension(self) -> None:
        """Its command takes long and goes on in later turns, see `Suspension`."""
        self.server.blocked.block(self, Blocked(BlockReason.SCRIPT))

    def end_suspension(self, reply: Reply) -> None:
        """Its command has ended."""
        if not self.closing:
            self.server.blocked.end_wait(self, reply)
