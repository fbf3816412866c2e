"""A client's socket: read what is there, send what fits, keep the rest."""

from __future__ import annotations

import socket

from shoal.node.server.session import Session

READ_SIZE = 64 * 1024


class Connection:
    """One accepted socket and its session. Never blocks; knows nothing about commands."""

    __slots__ = ("fd", "receive", "sending", "session", "socket", "transmit", "unsent")

    def __init__(self, sock: socket.socket, session: Session) -> None:
        self.socket = sock
        self.receive = sock.recv
        self.transmit = sock.send
        self.fd = sock.fileno()
        self.session = session
        self.unsent = b""
        """What the socket had no room for."""
        self.sending = False
        """Whether the socket's buffer is full and `unsent` waits for it to drain."""

    def send(self) -> bool:
        """Send what is queued as far as the socket takes it. False if the peer is gone."""
        session = self.session
        out = session.out
        if self.unsent:
            out.insert(0, self.unsent)
            self.unsent = b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        try:
            sent = self.transmit(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent == len(data):
            session.out_bytes = 0
            self.sending = False
        else:
            self.unsent = data[sent:]
            session.out_bytes = len(self.unsent)
            self.sending = True
        return True
