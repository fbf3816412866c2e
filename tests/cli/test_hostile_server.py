"""A server that lies, floods, stalls or hangs up costs one line and exit status 1, in bounded time."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.cli.conftest import HOST, shoal, shoal_process

MYSELF = "a" * 40


@contextmanager
def server_that_says(answer: bytes, *, endless: bool = False) -> Iterator[str]:
    """A server that answers everything it is sent with the same bytes, once per command or for ever."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(0.1)
        over = threading.Event()

        def serve_one(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                while received := peer.recv(65536):
                    for _ in range(received.count(b"*")):
                        peer.sendall(answer)
                    while endless and not over.is_set():
                        peer.sendall(answer)

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    peer, _ = listener.accept()
                    peer.settimeout(5)
                    threading.Thread(target=serve_one, args=(peer,)).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{HOST}:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"*2147483647\r\n",
        b"$99999999999\r\n",
        b"*1\r\n" * 10000,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"-ERR \x1b[2J\x1b]0;owned\x07\r\n",
        b"*0\r\n",
        b"$5\r\n\x1b[2J!\r\n",
        b":1\r\n",
        b"$-1\r\n",
    ],
)
def test_a_senseless_answer_is_one_printable_line(answer: bytes) -> None:
    with server_that_says(answer) as address:
        tried = shoal_process("check", address)
    assert tried.status == 1
    assert tried.out == ""
    assert tried.err.startswith("[ERR] ") and tried.err.count("\n") == 1
    assert "\x1b" not in tried.err and "\x07" not in tried.err


def test_no_connection_stays_open_after_a_senseless_answer() -> None:
    with server_that_says(b"*0\r\n") as address:
        assert shoal("check", address).status == 1
    gc.collect()  # what nobody closed is a warning now, which fails the test


def test_a_flood_is_cut_off() -> None:
    with server_that_says(b"*1000000\r\n" + b"$65536\r\n" + b"x" * 65536 + b"\r\n", endless=True) as address:
        tried = shoal_process("info", address)
    assert tried.status == 1
    assert tried.err.count("\n") == 1


def test_a_node_that_is_not_who_another_says_it_is_is_found_out() -> None:
    """Both addresses of this cluster lead to servers that claim the same id."""
    with server_that_says(_nodes_reply(f"{MYSELF} :1@1 myself,master - 0 0 1 connected")) as other:
        lines = (
            f"{MYSELF} :1@1 myself,master - 0 0 1 connected 0-16383",
            f"{'b' * 40} {other}@1 master - 0 0 1 connected",
        )
        with server_that_says(_nodes_reply(*lines)) as seed:
            tried = shoal_process("check", seed)
    assert tried.status == 1
    assert "two nodes announce one address" in tried.err


def _nodes_reply(*lines: str) -> bytes:
    data = "".join(f"{line}\n" for line in lines).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
