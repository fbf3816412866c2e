#!/usr/bin/env -S python3 -IS
"""Tell by the exit status whether a node answers, or whether a cluster serves.

    shoal-health [HOST:PORT]                 0 if the node answers (default 127.0.0.1:6379)
    shoal-health --cluster HOST:PORT...      0 if one of these nodes says cluster_state:ok

It runs every few seconds in every container, so it uses the standard library only and does without
`site`. The password is taken from REDISCLI_AUTH; a node that asks for one is alive.
"""

from __future__ import annotations

import os
import socket
import sys

DEFAULT_ADDRESS = "127.0.0.1:6379"
TIMEOUT_SECONDS = 2.0
LARGEST_REPLY = 1 << 20


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--cluster"]:
        return 0 if any(map(sees_whole_cluster, arguments[1:])) else 1
    return 0 if is_alive(*arguments or [DEFAULT_ADDRESS]) else 1


def is_alive(address: str) -> bool:
    """The node takes commands, though maybe not ours."""
    reply = exchange(address, ["PING"])
    return b"+PONG" in reply or b"-NOAUTH" in reply


def sees_whole_cluster(address: str) -> bool:
    """The node sees an owner for every slot."""
    return b"cluster_state:ok" in exchange(address, ["CLUSTER", "INFO"])


def exchange(address: str, command: list[str]) -> bytes:
    """All that the node answers until it hangs up; nothing if it cannot be reached."""
    host, _, port = address.rpartition(":")
    password = os.environ.get("REDISCLI_AUTH")
    login = [["AUTH", password]] if password else []
    answer = b""
    try:
        with socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_SECONDS) as node:
            node.sendall(b"".join(map(encode, [*login, command, ["QUIT"]])))
            while len(answer) < LARGEST_REPLY and (data := node.recv(65536)):
                answer += data
    except OSError:
        return b""
    return answer


def encode(words: list[str]) -> bytes:
    """A command as a RESP array of bulk strings."""
    bulks = [b"$%d\r\n%b\r\n" % (len(word), word) for word in map(str.encode, words)]
    return b"*%d\r\n" % len(bulks) + b"".join(bulks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
