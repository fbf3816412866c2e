"""Running in the background: leaving the terminal, and the file that says which process it is."""

from __future__ import annotations

import os
from pathlib import Path

from shoal.node.runtime.log import Log


def detach() -> None:
    """Go on in a child of its own session, with nothing on the standard streams; the parent exits."""
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    if null > 2:
        os.close(null)


def write_pidfile(path: str, log: Log) -> None:
    """Write the process id. A node that cannot is a node nevertheless, so it only says so."""
    try:
        Path(path).write_text(f"{os.getpid()}\n")
    except OSError as error:
        log.warning(f"Failed to write PID file {path}: {error.strerror}")


def remove_pidfile(path: str) -> None:
    """Remove the file again at the end."""
    Path(path).unlink(missing_ok=True)
