"""Clients as CLIENT LIST and CLIENT INFO describe them, and as CLIENT KILL picks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from shoal.node.dataset.numbers import parse_integer, require_integer
from shoal.node.resp.replies import CommandError
from shoal.node.resp.writer import encode_command
from shoal.node.server.client_memory import client_bytes, queued_bytes
from shoal.node.server.pubsub import Kind, Subscriptions
from shoal.node.server.session import Session
from shoal.node.server.tracking import Tracker

if TYPE_CHECKING:
    from shoal.node.server.acl.users import User
    from shoal.node.server.server import Server

TYPES = (b"normal", b"master", b"primary", b"replica", b"slave", b"pubsub")
SYNTAX_ERROR = "ERR syntax error"


def all_clients(server: Server) -> list[Session]:
    """Everybody with a connection; the primary, whose stream a replica reads, counts as one."""
    following = server.replication.following
    primary = [following.session] if following is not None and following.is_connected else []
    return [*server.sessions.values(), *primary]


def describe(session: Session, *running: bytes) -> bytes:
    """One line about a client, in Redis's fields; ages are in seconds, sizes in bytes.

    The command that it is `running`, if there is one, has not been read yet as Redis counts.
    """
    now_ms = session.now_ms
    in_multi = len(session.transaction.queued) if session.transaction is not None else -1
    unread = session.parser.unparsed + len(session.read_ahead)
    if running:
        unread += len(encode_command(running))
    facts: list[tuple[str, object]] = [
        ("id", session.id),
        ("addr", session.address),
        ("laddr", session.local_address),
        ("fd", session.fd),
        ("name", _text(session.name)),
        ("age", (now_ms - session.created_ms) // 1000),
        ("idle", (now_ms - session.last_seen_ms) // 1000),
        ("flags", flags_of(session)),
        ("db", session.db.index),
        *_subscription_counts(session),
        ("multi", in_multi),
        ("qbuf", unread),
        ("qbuf-free", 0),
        ("argv-mem", session.parser.buffered - session.parser.unparsed),
        ("multi-mem", queued_bytes(session)),
        ("rbs", 0),
        ("rbp", 0),
        ("obl", 0),
        ("oll", len(session.out)),
        ("omem", session.out_bytes),
        ("tot-mem", client_bytes(session)),
        ("events", "rw" if session.out_bytes else "r"),
        ("cmd", session.last_entry.spec.full_name if session.last_entry is not None else "NULL"),
        ("user", "(superuser)" if session.is_primary_link else _text(session.user.name)),
        ("redir", redirection(session)),
        ("resp", session.resp),
        ("lib-name", _text(session.lib_name)),
        ("lib-ver", _text(session.lib_version)),
        ("watch", len(session.watched)),
        ("io-thread", 0),
    ]
    return " ".join(f"{name}={value}" for name, value in facts).encode()


def _subscription_counts(session: Session) -> list[tuple[str, object]]:
    subscriptions = session.subscriptions or Subscriptions()
    names = (("sub", Kind.CHANNEL), ("psub", Kind.PATTERN), ("ssub", Kind.SHARD))
    return [(name, len(subscriptions.names[kind])) for name, kind in names]


def redirection(session: Session) -> int:
    """The client that hears of this one's keys in its place; 0: none, -1: its keys are not tracked."""
    return session.tracker.redirect if session.tracker is not None else -1


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")


def flags_of(session: Session) -> str:
    """The letters of a client's state; N for none."""
    letters = ""
    if session.is_replica_link:
        letters += "S"
    if session.is_primary_link:
        letters += "M"
    if session.subscriptions is not None:
        letters += "P"
    if session.transaction is not None:
        letters += "x"
    if session.blocked is not None:
        letters += "b"
    if session.tracker is not None:
        letters += _tracking_letters(session.tracker)
    if session.watched_changed:
        letters += "d"
    if session.closing:
        letters += "c"
    if session.readonly:
        letters += "r"
    if session.no_evict:
        letters += "e"
    if session.no_touch:
        letters += "T"
    return letters or "N"


def _tracking_letters(tracker: Tracker) -> str:
    return "t" + ("R" if tracker.is_broken else "") + ("B" if tracker.prefixes is not None else "")


def type_of(session: Session) -> bytes:
    """`normal`, `master`, `replica` or `pubsub`, as CLIENT LIST TYPE sorts them."""
    if session.is_primary_link:
        return b"master"
    if session.is_replica_link:
        return b"replica"
    return b"normal" if session.subscriptions is None else b"pubsub"


def checked_type(name: bytes) -> bytes:
    """A client type as the user spells it, in today's spelling."""
    word = name.lower()
    if word not in TYPES:
        raise CommandError(f"ERR Unknown client type '{name.decode('utf-8', 'replace')}'")
    return {b"slave": b"replica", b"primary": b"master"}.get(word, word)


@dataclass(slots=True)
class KillFilter:
    """What CLIENT KILL was told to look for; None means "any"."""

    id: int | None = None
    type: bytes | None = None
    user: User | None = None
    addr: bytes | None = None
    laddr: bytes | None = None
    max_age: int = 0
    """Only connections at least so many seconds old."""
    skip_me: bool = True

    def matches(self, session: Session, killer: Session) -> bool:
        return (
            (self.id is None or session.id == self.id)
            and (self.type is None or type_of(session) == self.type)
            and (self.user is None or (self.user is session.user and not session.is_primary_link))
            and (self.addr is None or session.address.encode() == self.addr)
            and (self.laddr is None or session.local_address.encode() == self.laddr)
            and (not self.max_age or killer.now_ms - session.created_ms >= self.max_age * 1000)
            and not (self.skip_me and session is killer)
        )


def parse_kill_filter(words: Sequence[bytes], users: Mapping[bytes, User]) -> KillFilter:
    """Pairs such as `ID 7 TYPE normal SKIPME no`; CommandError if they make no sense."""
    known = {field.name for field in fields(KillFilter)} - {"skip_me", "max_age"}
    wanted = KillFilter()
    if len(words) % 2:
        raise CommandError(SYNTAX_ERROR)
    for name, value in zip(words[::2], words[1::2], strict=True):
        word = name.lower().decode("latin-1")
        if word == "id":
            wanted.id = parse_integer(value)
            if wanted.id is None or wanted.id < 1:
                raise CommandError("ERR client-id should be greater than 0")
        elif word == "type":
            wanted.type = checked_type(value)
        elif word == "user":
            wanted.user = users.get(value)
            if wanted.user is None:
                raise CommandError(f"ERR No such user '{value.decode('utf-8', 'replace')}'")
        elif word == "maxage":
            wanted.max_age = require_integer(value, "ERR maxage is not an integer or out of range")
            if wanted.max_age < 1:
                raise CommandError("ERR maxage should be greater than 0")
        elif word == "skipme" and value.lower() in (b"yes", b"no"):
            wanted.skip_me = value.lower() == b"yes"
        elif word in known:
            setattr(wanted, word, value)
        else:
            raise CommandError(SYNTAX_ERROR)
    return wanted
