"""CLIENT TRACKING and its kin: a client has the server tell it when to forget what it caches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from shoal.node.commands.registry import command
from shoal.node.commands.spec import Arg, one_of, token
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.replies import OK, CommandError, Reply, SetReply
from shoal.node.server.admin.client import COMMON
from shoal.node.server.client_list import SYNTAX_ERROR, redirection
from shoal.node.server.session import Session
from shoal.node.server.tracking import Tracker

_OFF_FIRST = "before disabling tracking for this client, and then re-enabling it with a different mode."


@dataclass(slots=True)
class _Wishes:
    """The options of CLIENT TRACKING."""

    redirect: Session | None = None
    prefixes: list[bytes] = field(default_factory=list)
    broadcast: bool = False
    opt_in: bool = False
    opt_out: bool = False
    no_loop: bool = False


@command(
    "CLIENT|TRACKING",
    arity=-3,
    flags=COMMON,
    group="connection",
    since="6.0.0",
    complexity="O(1). Some options may introduce additional complexity.",
    summary="Has this connection told when a key it read, or one of some prefixes, changes.",
    arguments=(
        one_of("status", token("ON"), token("OFF")),
        Arg("client-id", "integer", token="REDIRECT", optional=True),
        Arg("prefix", token="PREFIX", optional=True, multiple=True, multiple_token=True),
        token("BCAST", optional=True),
        token("OPTIN", optional=True),
        token("OPTOUT", optional=True),
        token("NOLOOP", optional=True),
    ),
)
def client_tracking(session: Session, switch: bytes, *options: bytes) -> Reply:
    wishes = _parse(session, options)
    word = switch.lower()
    if word == b"on":
        _check(session.tracker, wishes)
        _track(session, wishes)
    elif word == b"off":
        session.server.tracking.end(session)
    else:
        raise CommandError(SYNTAX_ERROR)
    return OK


def _parse(session: Session, options: Sequence[bytes]) -> _Wishes:
    wishes = _Wishes()
    words = iter(options)
    left = len(options)
    for word in words:
        left -= 1
        name = word.lower()
        if name == b"redirect" and left:
            left -= 1
            if wishes.redirect is not None:
                raise CommandError("ERR A client can only redirect to a single other client")
            wishes.redirect = session.server.sessions.get(require_integer(next(words)))
            if wishes.redirect is None:
                raise CommandError("ERR The client ID you want redirect to does not exist")
        elif name == b"prefix" and left:
            left -= 1
            wishes.prefixes.append(next(words))
        elif name == b"bcast":
            wishes.broadcast = True
        elif name == b"optin":
            wishes.opt_in = True
        elif name == b"optout":
            wishes.opt_out = True
        elif name == b"noloop":
            wishes.no_loop = True
        else:
            raise CommandError(SYNTAX_ERROR)
    return wishes


def _check(tracker: Tracker | None, wishes: _Wishes) -> None:
    """Raise what does not go together, among the options and with how the client tracks already."""
    if wishes.prefixes and not wishes.broadcast:
        raise CommandError("ERR PREFIX option requires BCAST mode to be enabled")
    if tracker is not None and wishes.broadcast is not (tracker.prefixes is not None):
        raise CommandError(f"ERR You can't switch BCAST mode on/off {_OFF_FIRST}")
    if wishes.broadcast and (wishes.opt_in or wishes.opt_out):
        raise CommandError("ERR OPTIN and OPTOUT are not compatible with BCAST")
    if wishes.opt_in and wishes.opt_out:
        raise CommandError("ERR You can't specify both OPTIN mode and OPTOUT mode")
    if tracker is not None and ((wishes.opt_in and tracker.opt_out) or (wishes.opt_out and tracker.opt_in)):
        raise CommandError(f"ERR You can't switch OPTIN/OPTOUT mode {_OFF_FIRST}")
    if wishes.broadcast:
        _check_prefixes(wishes.prefixes, (tracker and tracker.prefixes) or ())


def _check_prefixes(prefixes: Sequence[bytes], existing: Collection[bytes]) -> None:
    """Raise if a key could begin with two of the prefixes, so that the client would be told of it twice."""
    for position, prefix in enumerate(prefixes):
        rivals = [(b"an existing", other) for other in sorted(existing)]
        rivals += [(b"another provided", other) for other in prefixes[position + 1 :]]
        for kind, other in rivals:
            if prefix.startswith(other) or other.startswith(prefix):
                text = b"ERR Prefix '%b' overlaps with %b prefix '%b'. " % (prefix, kind, other)
                raise CommandError(text + b"Prefixes for a single client must not overlap.")


def _track(session: Session, wishes: _Wishes) -> None:
    tracking = session.server.tracking
    tracker = tracking.begin(session)
    tracking.redirect(tracker, wishes.redirect)
    tracker.opt_in, tracker.opt_out, tracker.no_loop = wishes.opt_in, wishes.opt_out, wishes.no_loop
    if wishes.broadcast:
        tracking.broadcast_to(tracker, wishes.prefixes or [b""])


@command(
    "CLIENT|CACHING",
    arity=3,
    flags=COMMON,
    group="connection",
    since="6.0.0",
    complexity="O(1)",
    summary="Says whether what the next command or transaction reads is to be tracked.",
    arguments=(one_of("mode", token("YES"), token("NO")),),
)
def client_caching(session: Session, mode: bytes) -> Reply:
    tracker, word = session.tracker, mode.lower()
    if tracker is None:
        raise CommandError(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT"
            " mode enabled"
        )
    if word not in (b"yes", b"no"):
        raise CommandError(SYNTAX_ERROR)
    if word == b"yes" and not tracker.opt_in:
        raise CommandError("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
    if word == b"no" and not tracker.opt_out:
        raise CommandError("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
    tracker.caching = True
    return OK


@command(
    "CLIENT|GETREDIR",
    arity=2,
    flags=COMMON,
    group="connection",
    since="6.0.0",
    complexity="O(1)",
    summary="Answers where invalidation messages of this connection go.",
)
def client_getredir(session: Session) -> Reply:
    return redirection(session)


@command(
    "CLIENT|TRACKINGINFO",
    arity=2,
    flags=COMMON,
    group="connection",
    since="6.2.0",
    complexity="O(1)",
    summary="Tells how this connection's keys are tracked.",
)
def client_trackinginfo(session: Session) -> Reply:
    tracker = session.tracker
    prefixes = sorted((tracker and tracker.prefixes) or ())
    return {
        b"flags": SetReply([*_flags(tracker)]),
        b"redirect": redirection(session),
        b"prefixes": prefixes,
    }


def _flags(tracker: Tracker | None) -> list[bytes]:
    if tracker is None:
        return [b"off"]
    flags = [
        (b"on", True),
        (b"bcast", tracker.prefixes is not None),
        (b"optin", tracker.opt_in),
        (b"caching-yes", tracker.opt_in and tracker.caching),
        (b"optout", tracker.opt_out),
        (b"caching-no", tracker.opt_out and tracker.caching),
        (b"noloop", tracker.no_loop),
        (b"broken_redirect", tracker.is_broken),
    ]
    return [name for name, is_set in flags if is_set]
