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


def test_save_asked_for_just_before_a_long_script_holds_all_of_it_or_nothing(tmp_path: Path) -> None:
    """Both are sent while the node sleeps, so that one turn finds them. If they miss it, SAVE is first."""
    with running_node(tmp_path, "--enable-debug-command", "yes", "--busy-reply-threshold", "10") as node:
        clients = [socket.create_connection((HOST, node.port), timeout=30) for _ in range(3)]
        holder, saver, runner = clients
        for client in clients:
            client.sendall(encode_command((b"PING",)))
            assert client.recv(100) == b"+PONG\r\n"
        holder.sendall(encode_command((b"DEBUG", b"SLEEP", b"1")))
        saver.sendall(encode_command((b"SAVE",)))
        runner.sendall(encode_command((b"EVAL", SCRIPT, b"0")))
        for client, answer in ((holder, b"+OK\r\n"), (runner, b"$-1\r\n"), (saver, b"+OK\r\n")):
            assert client.recv(100) == answer
            client.close()
        node.ask("DEBUG", "RELOAD", "NOSAVE")
        assert node.ask("EXISTS", "first", "second") in (0, 2)
