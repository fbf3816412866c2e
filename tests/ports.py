"""Ports on loopback for the servers of tests, none of which is given to two of them.

A server listens on its port and, for the cluster bus, on the one 10,000 above. Both come from below Linux's
ephemeral ports, where no outgoing connection gets in the way. Tests that run side by side take theirs from
ranges of their own, and each range is gone through in turn: a port that a server has been given but does not
listen on yet looks free, and is not looked at again before all others have been.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
BUS_OFFSET = 10_000
LOWEST = 11_000
COUNT = 10_000


def free_port() -> int:
    """A port of one's own that nobody listens on, and neither on its bus port."""
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """So many of them in a row."""
    for first in _STARTS:
        ports = range(first, first + count)
        if ports[-1] in _MINE and all(_is_free(port) and _is_free(port + BUS_OFFSET) for port in ports):
            for _ in ports[1:]:
                next(_STARTS)
            return ports
    raise AssertionError("unreachable")


def _mine() -> range:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    width = COUNT // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(LOWEST + worker * width, LOWEST + (worker + 1) * width)


def _starting_anywhere(ports: range) -> Iterator[int]:
    """All of them over and over, from a random one: two runs of the tests on one machine seldom meet."""
    begin = random.randrange(len(ports))
    return itertools.cycle([*ports[begin:], *ports[:begin]])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


_MINE = _mine()
_STARTS = _starting_anywhere(_MINE)
