"""What may be shown of a command to others: to MONITOR, in the slow log. Passwords may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.resp.parser import Arguments
from shoal.node.server.config import DIRECTIVES
from shoal.node.server.parameters import in_quotes

if TYPE_CHECKING:
    from shoal.node.server.session import Session

REDACTED = b"(redacted)"


def monitor_line(session: Session, argv: Arguments) -> bytes:
    """A command as MONITOR shows it: `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`."""
    seconds, milliseconds = divmod(session.now_ms, 1000)
    words = " ".join(in_quotes(word.decode("utf-8", "surrogateescape")) for word in redacted(argv))
    return f"{seconds}.{milliseconds:03d}000 [{session.db.index} {session.address}] {words}".encode()


def redacted(argv: Arguments) -> Arguments:
    """The words of a command, secrets among them replaced."""
    name = argv[0].upper()
    if name == b"AUTH":
        hidden = list(range(1, len(argv)))
    elif name in (b"HELLO", b"MIGRATE"):
        hidden = _after_auth(argv)
    elif name == b"ACL" and len(argv) > 2 and argv[1].upper() == b"SETUSER":
        hidden = list(range(2, len(argv)))
    elif name == b"CONFIG" and len(argv) > 3 and argv[1].upper() == b"SET":
        hidden = [at + 1 for at in range(2, len(argv) - 1, 2) if _is_sensitive(argv[at])]
    else:
        return argv
    shown = list(argv)
    for position in hidden:
        shown[position] = REDACTED
    return shown


def _after_auth(argv: Arguments) -> list[int]:
    for position, word in enumerate(argv):
        if word.upper() in (b"AUTH", b"AUTH2"):
            words = 1 if argv[0].upper() == b"MIGRATE" and word.upper() == b"AUTH" else 2
            return [at for at in range(position + 1, position + 1 + words) if at < len(argv)]
    return []


def _is_sensitive(name: bytes) -> bool:
    parameter = DIRECTIVES.get(name.lower().decode("utf-8", "replace"))
    return parameter is not None and parameter.sensitive
