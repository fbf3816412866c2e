"""Telling systemd that the node serves, in the way of sd_notify(3)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

READY = b"STATUS=Ready to accept connections\nREADY=1\n"


def report_ready(supervised: str) -> None:
    """Send one datagram to the socket that systemd named, if the node is to (`supervised`) and it did."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or supervised not in ("systemd", "auto"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(READY, address)
