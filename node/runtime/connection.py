"""A client's socket: read what is there, send what fits, keep the rest."""

from __future__ import annotations

import socket

from shoal.node.server.session import Session

READ_SIZE = 64 * 1024


class Connection:
    """One accepted socket and its session. Never blocks; knows nothing about commands."""

    __slots__ = ("fd", "sending", "session", "socket", "unsent")

    def __init__(self, sock: socket.socket, session: Session) -> None:
        self.socket = sock
        self.fd = sock.fileno()
        self.session = session
        self.unsent = b""
        self.sending = False
        """Whether the socket's buffer is full and the rest waits for it to drain."""

    def read(self) -> bytes | None:
        """What has come in; b"" at the end of the stream or on an error, None if there is nothing now."""
        try:
            return self.socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send(self) -> bool:
        """Send what is queued as far as the socket takes it. False if the peer is gone."""
        session = self.session
        out = session.out
        if self.unsent:
            out.insert(0, self.unsent)
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        statistics = session.server.statistics
        statistics.writes += 1
        statistics.output_bytes += sent
        if sent == len(data):
            self.unsent = b""
            session.out_bytes = 0
            self.sending = False
        else:
            self.unsent = data[sent:]
            session.out_bytes = len(self.unsent)
            self.sending = True
        return True
