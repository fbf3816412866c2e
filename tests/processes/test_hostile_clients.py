"""Clients that talk nonsense, fall silent, never read, or come in thousands hurt nobody but themselves."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import hiredis
import pytest

from shoal.node.resp.writer import encode_command
from tests.processes.nodes import HOST, Node, running_node, wait_until

pytestmark = pytest.mark.processes

MIB = 1024 * 1024
PING = encode_command([b"PING"])
PAGE_SIZE = resource.getpagesize()
IDLE_CLIENTS = 10_000
BYTES_PER_IDLE_CLIENT = 8 * 1024
FILES_BESIDE_CLIENTS = 200


def resident_bytes(node: Node) -> int:
    return int(Path(f"/proc/{node.pid}/statm").read_text().split()[1]) * PAGE_SIZE


def processor_seconds(node: Node) -> float:
    fields = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def connected(node: Node) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, node.port), timeout=30) as client:
        yield client


def read_replies(client: socket.socket, count: int) -> list[object]:
    """So many replies; ConnectionError if the connection ends before."""
    reader = hiredis.Reader()
    replies: list[object] = []
    while len(replies) < count:
        reply = reader.gets()
        if reply is not False:
            replies.append(reply)
            continue
        data = client.recv(MIB)
        if not data:
            raise ConnectionResetError(f"closed after {replies}")
        reader.feed(data)
    return replies


def read_to_end(client: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    said = b""
    try:
        while data := client.recv(65536):
            said += data
    except ConnectionResetError:
        pass
    return said


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with running_node(tmp_path_factory.mktemp("node"), "--maxclients", "20000") as running:
        yield running
        assert "Traceback" not in running.log


# --- nonsense ------------------------------------------------------------------------------------------


def test_random_bytes_leave_the_node_as_it_was(node):
    rng = Random(20231123)
    before = resident_bytes(node)
    for number in range(200):
        start = [b"", b"*", b"*3\r\n$3\r\nSET\r\n$", b"$", PING, b"*1\r\n*1\r\n"][number % 6]
        with connected(node) as client:
            try:
                client.sendall(start + rng.randbytes(rng.randrange(1, 8192)))
                client.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                continue
            read_to_end(client)
    assert node.ask("PING") == "PONG"
    assert resident_bytes(node) - before < 32 * MIB


def test_a_broken_protocol_is_named_and_the_connection_closed(node):
    with connected(node) as client:
        client.sendall(PING + b"*1\r\n$-1\r\n" + PING)
        assert read_to_end(client) == b"+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"


def test_an_announcement_of_two_thousand_million_words_costs_nothing(node):
    before, spent = resident_bytes(node), processor_seconds(node)
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(connected(node))
            client.sendall(PING + b"*2147483647\r\n$536870912\r\n")
            assert read_replies(client, 1) == [b"PONG"]
    assert node.ask("PING") == "PONG"
    assert resident_bytes(node) - before < 16 * MIB
    assert processor_seconds(node) - spent < 5


@pytest.mark.parametrize("words", [b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_browser_made_to_talk_to_us_is_hung_up_on_before_its_body_is_read(node, words):
    with connected(node) as client:
        client.sendall(words + b"\r\nSET forged 1\r\n")
        assert read_to_end(client) == b""
    assert node.ask("EXISTS", "forged") == 0
    assert "attack" in node.log


# --- silence -------------------------------------------------------------------------------------------


def test_half_a_command_may_be_finished_whenever_the_client_likes_and_others_are_served_meanwhile(node):
    half, rest = (
        encode_command([b"SET", b"half", b"x" * 100])[:30],
        encode_command([b"SET", b"half", b"x" * 100])[30:],
    )
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(node)) for _ in range(200)]
        for client in clients:
            client.sendall(half)
        assert node.ask("PING") == "PONG"
        for client in clients:
            client.sendall(rest)
        assert [read_replies(client, 1) for client in clients] == [[b"OK"]] * len(clients)


# --- not reading ---------------------------------------------------------------------------------------


def send_until_blocked(client: socket.socket, data: bytes, most: int) -> int:
    """Send `data` again and again without reading, until the other side takes no more for a while."""
    client.settimeout(1)
    sent = 0
    try:
        while sent < most:
            client.sendall(data)
            sent += len(data)
    except TimeoutError:
        pass
    return sent


def test_a_client_that_asks_for_gigabytes_and_never_reads_costs_a_few_megabytes(node):
    """Ten thousand answers of a mebibyte are asked for. The bound: unsent answers and reads ahead."""
    node.ask("SET", "big", b"x" * MIB)
    before = resident_bytes(node)
    with connected(node) as client:
        send_until_blocked(client, encode_command([b"GET", b"big"]) * 100, 10_000 * 25)
        for _ in range(20):
            assert node.ask("GET", "half-way") is None
        assert resident_bytes(node) - before < 48 * MIB
        client.settimeout(30)
        assert all(reply == b"x" * MIB for reply in read_replies(client, 20))
    assert node.ask("DEL", "big") == 1


@pytest.mark.parametrize("name", ["a..b", "a" * 64, b"\xe9"], ids=["empty label", "long label", "no text"])
def test_a_host_name_that_cannot_be_looked_up_is_one_that_cannot_be_reached(node, name):
    assert node.ask("SET", "moving", "x") == "OK"
    with pytest.raises(hiredis.ReplyError, match=r"^IOERR "):
        node.ask("MIGRATE", name, 1, "moving", 0, 1000)
    tried = node.log.count("No link to MASTER")
    assert node.ask("REPLICAOF", name, 1) == "OK"
    wait_until(lambda: node.log.count("No link to MASTER") > tried, "the node tried to connect")
    assert node.ask("REPLICAOF", "NO", "ONE") == "OK"


def test_what_a_client_sent_before_it_left_is_run(node):
    with connected(node) as client:
        client.sendall(encode_command([b"INCR", b"counter"]) * 50_000)
        client.shutdown(socket.SHUT_WR)
        read_to_end(client)
    assert node.ask("GET", "counter") == "50000"


def test_a_client_that_sends_a_whole_pipeline_before_it_reads_gets_all_its_answers(node):
    """As client libraries do: it would wait for ever if its commands were not read while answers wait."""
    count, value = 300_000, b"v" * 100
    node.ask("SET", "value", value)
    before = resident_bytes(node)
    with connected(node) as client:
        client.sendall(encode_command([b"GET", b"value"]) * count)
        assert resident_bytes(node) - before < 48 * MIB
        replies = read_replies(client, count)
    assert replies == [value] * count


def test_output_beyond_the_configured_limit_closes_the_client_that_does_not_take_it(tmp_path):
    limit = ("--client-output-buffer-limit", "normal 500kb 0 0")
    with running_node(tmp_path, *limit) as node, connected(node) as client:
        node.ask("SET", "big", b"x" * 8 * MIB)
        client.sendall(encode_command([b"GET", b"big"]) * 4)
        wait_until(lambda: node.info("clients")["connected_clients"] == "1", "the client is closed")


# --- crowds --------------------------------------------------------------------------------------------


@contextmanager
def crowd(node: Node, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(node)) for _ in range(count)]
        wait_until(lambda: int(node.info("clients")["connected_clients"]) > count, "all are connected")
        yield clients


def allow_files(count: int) -> None:
    """Let this process, and those it starts, open so many files; skip where that is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"only {hard} open files are allowed here, {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def requests_cost(node: Node, count: int) -> float:
    """Seconds of the node's processor for so many requests, each answered before the next is sent."""
    with connected(node) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = processor_seconds(node)
        for _ in range(count):
            client.sendall(PING)
            assert client.recv(100) == b"+PONG\r\n"
        return processor_seconds(node) - before


def test_ten_thousand_idle_clients_cost_little_memory_and_no_time(tmp_path):
    allow_files(IDLE_CLIENTS + FILES_BESIDE_CLIENTS)
    with running_node(tmp_path, "--maxclients", "20000") as node:
        requests_cost(node, 500)
        alone = requests_cost(node, 4000)
        before = resident_bytes(node)
        with crowd(node, IDLE_CLIENTS):
            assert resident_bytes(node) - before < IDLE_CLIENTS * BYTES_PER_IDLE_CLIENT
            crowded = requests_cost(node, 4000)
        assert crowded < 3 * alone + 0.5
        wait_until(lambda: node.info("clients")["connected_clients"] == "1", "all have left")


def has_room(node: Node) -> bool:
    with connected(node) as client:
        client.sendall(PING)
        return client.recv(100) == b"+PONG\r\n"


def connected_clients(client):
    """How many clients the node counts, as one of them is told."""
    client.sendall(b"INFO clients\r\n")
    [text] = read_replies(client, 1)
    return int(text.partition(b"connected_clients:")[2].split(b"\r\n")[0])


def test_one_client_too_many_is_told_so_and_the_others_are_served(tmp_path):
    with running_node(tmp_path, "--maxclients", "10") as node, ExitStack() as stack:
        clients = [stack.enter_context(connected(node))]
        # Until the one connection that asked whether the node is up has gone, it is one of the ten.
        wait_until(lambda: connected_clients(clients[0]) == 1, "nobody else is connected")
        clients += [stack.enter_context(connected(node)) for _ in range(9)]
        for client in clients:
            client.sendall(PING)
            assert read_replies(client, 1) == [b"PONG"]
        with connected(node) as refused:
            assert read_to_end(refused) == b"-ERR max number of clients reached\r\n"
        clients[0].close()
        wait_until(lambda: has_room(node), "there is room again")


def test_idle_clients_are_closed_after_timeout_seconds(tmp_path):
    with running_node(tmp_path, "--timeout", "1") as node, connected(node) as client:
        client.sendall(PING)
        assert read_to_end(client) == b"+PONG\r\n"


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="timers of sockets are not shown here")
@pytest.mark.parametrize(("seconds", "watched"), [(300, True), (0, False)])
def test_dead_peers_are_looked_for_as_tcp_keepalive_says(tmp_path, seconds, watched):
    with running_node(tmp_path, "--tcp-keepalive", str(seconds)) as node, connected(node) as client:
        client.sendall(PING)
        assert read_replies(client, 1) == [b"PONG"]
        here, there = f"{node.port:04X}", f"{client.getsockname()[1]:04X}"

        def timer() -> str:
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                words = line.split()
                if words[1].endswith(f":{here}") and words[2].endswith(f":{there}"):
                    return words[5][:2]
            raise AssertionError("the connection is not listed")

        wait_until(lambda: timer() == ("02" if watched else "00"), "the keepalive timer is as told")


def test_clients_that_come_and_go_by_the_hundred_leave_nothing_behind(node):
    def come_and_go() -> None:
        for number in range(100):
            with connected(node) as client:
                client.sendall(PING[: number % len(PING)] if number % 2 else PING)

    threads = [threading.Thread(target=come_and_go) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: node.info("clients")["connected_clients"] == "1", "all have left")
