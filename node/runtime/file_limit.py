"""How many files the process may have open, which bounds how many clients it can have."""

from __future__ import annotations

import resource
from contextlib import suppress

RESERVED_FILES = 32
"""For everything that is not a client: listening sockets, links, snapshots, the log."""


def allow_clients(count: int) -> int:
    """Raise the limit on open files for so many clients; returns for how many it suffices, at most `count`.

    The hard limit is raised too if the system lets us; else the soft one goes as far as the hard one.
    """
    needed = count + RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return count
    for limits in ((needed, max(hard, needed)), (hard, hard)):
        if limits[1] < hard:
            continue
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], limits[1]), limits[1]))
            break
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return count if soft == resource.RLIM_INFINITY else min(count, soft - RESERVED_FILES)
