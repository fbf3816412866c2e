"""A snapshot holds all of a script or nothing, whenever it was asked for."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from shoal.node.resp.writer import encode_command
from tests.processes.nodes import HOST, running_node

pytestmark = pytest.mark.processes

SCRIPT = b"redis.call('SET','first',1) for i=1,5e6 do end redis.call('SET','second',1)"
"""It takes long enough to be suspended between its two writes, for it is said to be slow after 10 ms."""


ATTEMPTS = 10


def test_save_asked_for_just_before_a_long_script_holds_all_of_it_or_nothing(tmp_path: Path) -> None:
    """Both are sent while the node sleeps, so that one turn finds them. If they miss it, SAVE is first.

    Where the script overtakes SAVE, that is refused, and they try again.
    """
    with running_node(tmp_path, "--enable-debug-command", "yes", "--busy-reply-threshold", "10") as node:
        assert any(save_before_script(node.port) for _ in range(ATTEMPTS))
        node.ask("DEBUG", "RELOAD", "NOSAVE")
        assert node.ask("EXISTS", "first", "second") in (0, 2)


def save_before_script(port: int) -> bool:
    """Whether the node took SAVE before the script, which it was told in this order."""
    clients = [socket.create_connection((HOST, port), timeout=30) for _ in range(3)]
    holder, saver, runner = clients
    for client in clients:
        client.sendall(encode_command((b"PING",)))
        assert client.recv(100) == b"+PONG\r\n"
    holder.sendall(encode_command((b"DEBUG", b"SLEEP", b"1")))
    saver.sendall(encode_command((b"SAVE",)))
    runner.sendall(encode_command((b"EVAL", SCRIPT, b"0")))
    answers = [client.recv(200) for client in clients]
    for client in clients:
        client.close()
    assert answers[2] == b"$-1\r\n"
    assert all(answer == b"+OK\r\n" or answer.startswith(b"-BUSY") for answer in answers[:2])
    return answers[1] == b"+OK\r\n"
