"""A client's socket: read what is there, send what fits, keep the rest."""

from __future__ import annotations

import socket

from shoal.node.server.session import Session

READ_SIZE = 64 * 1024


class Connection:
    """One accepted socket and its session. Never blocks; knows nothing about commands."""

    __slots__ = ("ended", "fd", "receive", "sending", "session", "socket", "transmit", "unsent")

    def __init__(self, sock: socket.socket, session: Session) -> None:
        self.socket = sock
        self.receive = sock.recv
        self.transmit = sock.send
        self.fd = sock.fileno()
        self.session = session
        self.unsent: memoryview | None = None
        """What the socket had no room for; goes out before anything in the session's `out`."""
        self.sending = False
        """Whether the socket's buffer is full and `unsent` waits for it to drain."""
        self.ended = False
        """Whether the client said all it had to say; what it asked for is done before it is closed."""

    def send(self) -> bool:
        """Send what is queued as far as the socket takes it. False if the peer is gone.

        What is left of a long answer is never copied again, however often the socket takes a little of it.
        """
        if self.unsent is not None:
            if not self.send_rest():
                return False
            if self.unsent is not None:
                return True
        session = self.session
        out = session.out
        if not out:
            session.out_bytes = 0
            return True
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
        else:
            self.unsent = memoryview(data)[sent:]
            session.out_bytes = len(self.unsent)
            self.sending = True
        return True

    def send_rest(self) -> bool:
        """Send what the socket had no room for, and nothing else. False if the peer is gone."""
        if self.unsent is None:
            return True
        try:
            sent = self.transmit(self.unsent)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.session.out_bytes -= sent
        if sent == len(self.unsent):
            self.unsent, self.sending = None, False
        else:
            self.unsent = self.unsent[sent:]
        return True
