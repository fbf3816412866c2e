"""The program of a process that writes one file for a node: what comes over a socket goes into the file.

A disk that is slow, full of other work or hung makes who writes to it wait, a moment or for good. A node has
clients to answer, so it has its long files written by somebody who has none.

The conversation: first the file's descriptor, then its bytes until the node closes its half of the
socket. Then the file is made durable, and the answer is a line with the number of the error that ended it
(errno), or 0. Who gets no answer knows that this process was killed. When the node is gone, so is the socket.

It is run by its path, without the site's packages, and imports only what it needs: so it is there soon.
"""

from __future__ import annotations

import os
import socket
import sys

CHUNK_BYTES = 64 * 1024
_fdatasync = getattr(os, "fdatasync", os.fsync)


def write_file(source: socket.socket, sync_every: int) -> None:
    """Write the file that this socket brings, down to the disk; OSError.

    With `sync_every` bytes it is made durable as it grows, so that the disk never has it all to do at once.
    """
    _, descriptors, _, _ = socket.recv_fds(source, 1, 1)
    if not descriptors:
        return  # whoever wanted a file has thought better of it
    fd, unsynced = descriptors[0], 0
    while data := source.recv(CHUNK_BYTES):
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        unsynced += len(data)
        if 0 < sync_every <= unsynced:
            _fdatasync(fd)
            unsynced = 0
    _fdatasync(fd)


def main() -> None:
    """Standard input is the socket; the argument says how many bytes may wait for the disk, 0: any number."""
    source = socket.socket(fileno=os.dup(0))
    try:
        write_file(source, int(sys.argv[1]))
        answer = 0
    except OSError as error:
        answer = error.errno or -1
    source.sendall(b"%d\n" % answer)


if __name__ == "__main__":
    main()
