"""Directives that reach the process: changed while it runs, or heeded when it starts and ends."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import hiredis
import pytest

from tests.ports import free_port
from tests.processes.nodes import HOST, SHOAL, Node, ask, running_node, running_nodes, wait_until

pytestmark = pytest.mark.processes

START_SECONDS = 30


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


def keys_on_disk(node: Node) -> int:
    """How many keys a new process finds in the node's directory."""
    again = Node(node.directory)
    again.start()
    try:
        return int(again.ask("DBSIZE"))
    finally:
        again.kill()


def test_the_log_level_changes_what_is_logged(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        node.ask("CONFIG", "SET", "loglevel", "warning")
        node.ask("BGSAVE")
        wait_until(lambda: node.info("persistence")["rdb_saves"] == "1", "saved")
        assert "DB saved on disk" not in node.log
        node.ask("CONFIG", "SET", "loglevel", "notice")
        node.ask("SAVE")
        assert "DB saved on disk" in node.log


def test_the_directory_moves_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with running_node(tmp_path, "--enable-protected-configs", "yes") as node:
        before = node.ask("CONFIG", "GET", "dir")
        with pytest.raises(hiredis.ReplyError, match=r"argument 'dir'\) - No such file or directory"):
            node.ask("CONFIG", "SET", "dir", str(tmp_path / "missing"))
        assert node.ask("CONFIG", "GET", "dir") == before
        node.ask("CONFIG", "SET", "dir", str(elsewhere))
        node.ask("SAVE")
        assert (elsewhere / "dump.rdb").exists()
        assert Path(f"/proc/{node.pid}/cwd").resolve() == elsewhere


def test_the_port_moves_and_a_taken_one_is_refused(tmp_path: Path) -> None:
    with running_node(tmp_path) as node, socket.create_server((HOST, 0)) as taken:
        old, new = node.port, free_port()
        error = r"argument 'port'\) - Unable to listen on this port\. Check server logs\."
        with pytest.raises(hiredis.ReplyError, match=error):
            node.ask("CONFIG", "SET", "port", taken.getsockname()[1])
        assert node.ask("CONFIG", "GET", "port") == ["port", str(old)]
        node.ask("CONFIG", "SET", "port", new)
        assert ask(new, "PING") == "PONG"
        assert refused(old)


def test_the_addresses_move_and_an_impossible_one_is_refused(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        with pytest.raises(hiredis.ReplyError, match=r"'bind'\) - Failed to bind to specified addresses\."):
            node.ask("CONFIG", "SET", "bind", "192.0.2.1")
        assert node.ask("CONFIG", "GET", "bind") == ["bind", HOST]
        node.ask("CONFIG", "SET", "bind", "127.0.0.2")
        assert refused(node.port)
        with socket.create_connection(("127.0.0.2", node.port)) as client:
            client.sendall(b"PING\r\n")
            assert client.recv(100) == b"+PONG\r\n"


def test_without_addresses_only_the_unix_socket_is_served(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with running_node(tmp_path, "--unixsocket", path) as node:
        node.ask("CONFIG", "SET", "bind", "")
        assert refused(node.port)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"CONFIG SET bind 127.0.0.1\r\n")
            assert client.recv(100) == b"+OK\r\n"
        assert node.ask("PING") == "PONG"


def test_a_node_that_would_listen_nowhere_does_not_start(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="Configured to not listen anywhere"),
        running_node(tmp_path, "--bind", ""),
    ):
        pass


def test_a_node_that_is_to_encrypt_does_not_start_and_is_not_talked_into_it(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="TLS is not supported"),
        running_node(tmp_path / "one", "--tls-port", "1"),
    ):
        pass
    with running_node(tmp_path / "other", "--io-threads", "4") as node:
        with pytest.raises(hiredis.ReplyError, match="TLS is not supported"):
            node.ask("CONFIG", "SET", "tls-port", 1)
        assert node.ask("CONFIG", "GET", "tls-port") == ["tls-port", "0"]
        assert "io-threads has no effect: a node is one thread by design" in node.log


def test_a_replica_comes_from_the_address_it_is_told_to(tmp_path: Path) -> None:
    with running_nodes(tmp_path, 2) as (primary, replica):
        replica.ask("CONFIG", "SET", "bind-source-addr", "127.0.0.2")
        replica.ask("REPLICAOF", HOST, primary.port)
        wait_until(lambda: "ip=127.0.0.2" in primary.info("replication").get("slave0", ""), "came from there")


def test_a_client_that_has_not_said_who_it_is_is_owed_little(tmp_path: Path) -> None:
    with (
        running_node(tmp_path, "--requirepass", "secret") as node,
        socket.create_connection((HOST, node.port)) as client,
        pytest.raises(ConnectionError),
    ):
        for _ in range(10_000):
            client.sendall(b"GET x\r\n" * 1000)


def test_accepted_sockets_are_kept_alive(tmp_path: Path) -> None:
    with running_node(tmp_path) as node, socket.create_connection((HOST, node.port)) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(100) == b"+PONG\r\n"
        assert _timer_of(node.port, client.getsockname()[1]) == KEEPALIVE_TIMER


KEEPALIVE_TIMER = 2
"""How Linux's /proc/net/tcp numbers the timer of a connection that only waits for its next probe."""


def _timer_of(port: int, peer_port: int) -> int:
    """Which timer runs for the server's end of a connection."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, timer, *_ = line.split()
        if local.endswith(f":{port:04X}") and remote.endswith(f":{peer_port:04X}"):
            return int(timer.split(":")[0])
    raise AssertionError("no such connection")


def test_the_limit_of_open_files_follows_the_limit_of_clients(tmp_path: Path) -> None:
    with running_node(
        tmp_path, "--maxclients", "500", command=("prlimit", "--nofile=200:4096", *SHOAL)
    ) as node:
        assert resource.prlimit(node.pid, resource.RLIMIT_NOFILE)[0] == 532
        node.ask("CONFIG", "SET", "maxclients", 600)
        assert resource.prlimit(node.pid, resource.RLIMIT_NOFILE)[0] == 632


def test_the_append_only_file_is_turned_on_and_off_while_the_node_runs(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        node.ask("SET", "before", "1")
        node.ask("CONFIG", "SET", "appendonly", "yes")
        wait_until(lambda: node.info("persistence")["aof_rewrite_in_progress"] == "0", "the first rewrite")
        node.ask("SET", "while", "1")
        node.ask("CONFIG", "SET", "appendonly", "no")
        node.ask("SET", "after", "1")
        node.kill()
        node.directives = ("--appendonly", "yes")
        node.start()
        assert sorted(node.ask("KEYS", "*")) == ["before", "while"]


def test_systemd_is_told_when_the_node_serves(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(START_SECONDS)
        command = ("env", f"NOTIFY_SOCKET={address}", *SHOAL)
        with running_node(tmp_path, "--supervised", "systemd", command=command):
            assert b"READY=1\n" in systemd.recv(1000)


# --- snapshots ---------------------------------------------------------------------------------------


def test_a_failed_snapshot_stops_writes_until_one_succeeds(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        node.ask("CONFIG", "SET", "save", "3600 1")
        node.ask("SET", "key", "value")
        obstacle = node.directory / "dump.rdb"
        obstacle.mkdir()
        with pytest.raises(hiredis.ReplyError):
            node.ask("SAVE")
        assert node.info("persistence")["rdb_last_bgsave_status"] == "err"
        with pytest.raises(hiredis.ReplyError, match=r"^MISCONF Redis is configured to save RDB snapshots"):
            node.ask("SET", "key", "other")
        assert node.ask("GET", "key") == "value"
        node.ask("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        node.ask("SET", "key", "other")
        node.ask("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        obstacle.rmdir()
        node.ask("SAVE")
        assert node.ask("SET", "key", "third") == "OK"


def test_a_save_point_saves_and_its_time_is_told(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        before = node.ask("LASTSAVE")
        node.ask("CONFIG", "SET", "save", "1 1")
        node.ask("SET", "key", "value")
        wait_until(lambda: node.info("persistence")["rdb_changes_since_last_save"] == "0", "saved")
        assert node.ask("LASTSAVE") >= before
        node.kill()
        assert keys_on_disk(node) == 1


def test_what_flushall_deletes_does_not_come_back(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        node.ask("CONFIG", "SET", "save", "3600 1")
        node.ask("SET", "key", "value")
        node.ask("SAVE")
        node.ask("FLUSHALL")
        assert node.info("persistence")["rdb_changes_since_last_save"] == "0"
        node.kill()
        assert keys_on_disk(node) == 0


def test_a_damaged_snapshot_is_not_started_from(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        node.ask("SET", "key", "a value of some length")
        node.ask("SAVE")
        node.kill()
        path = node.directory / "dump.rdb"
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:-12] + b"\0" + whole[-11:], b"nonsense"):
            path.write_bytes(damaged)
            ended = subprocess.run(
                [*SHOAL, "--port", str(free_port()), "--dir", str(node.directory)],
                capture_output=True,
                text=True,
                timeout=START_SECONDS,
            )
            assert ended.returncode == 1
            assert f"Fatal error loading the DB {path}" in ended.stderr
            assert path.read_bytes() == damaged


def test_a_snapshot_in_the_background_is_of_one_moment(tmp_path: Path) -> None:
    """Two counters far apart are always raised together, one after the other in one transaction."""
    with running_node(tmp_path) as node:
        with socket.create_connection((HOST, node.port)) as client:
            reader = hiredis.Reader()
            filler = b"".join(b"SET filler:%d %b\r\n" % (i, b"x" * 100) for i in range(50_000))
            client.sendall(b"SET first 0\r\n" + filler + b"SET last 0\r\nBGSAVE\r\n")
            raise_both = b"MULTI\r\nINCR first\r\nINCR last\r\nEXEC\r\n" * 2000
            client.sendall(raise_both)
            _read(client, reader, 50_003 + 8000)
        wait_until(lambda: node.info("persistence")["rdb_saves"] == "1", "saved")
        assert node.ask("MGET", "first", "last") == ["2000", "2000"]
        node.kill()
        again = Node(node.directory)
        again.start()
        try:
            first, last = again.ask("MGET", "first", "last")
            assert first == last
            assert int(first) < 2000, "the picture was taken long after it was asked for"
            assert again.ask("DBSIZE") == 50_002
        finally:
            again.kill()


def _read(client: socket.socket, reader: hiredis.Reader, count: int) -> None:
    while count:
        if reader.gets() is False:
            data = client.recv(65536)
            assert data
            reader.feed(data)
        else:
            count -= 1


# --- counters ----------------------------------------------------------------------------------------


def test_what_is_sent_is_counted_however_it_goes_out(tmp_path: Path) -> None:
    """A long answer to a client that is slow to read leaves in many pieces; each byte counts once."""
    size, times = 1_000_000, 20
    with running_node(tmp_path) as node:
        node.ask("SET", "long", b"x" * size)
        before = int(node.info("stats")["total_net_output_bytes"])
        with socket.create_connection((HOST, node.port)) as client:
            client.sendall(b"GET long\r\n" * times)
            wait_until(lambda: node.info("clients")["client_recent_max_output_buffer"] != "0", "it waits")
            _read(client, hiredis.Reader(), times)
        found = node.info("stats")
        sent = int(found["total_net_output_bytes"]) - before
        assert size * times < sent < size * (times + 1)
        assert int(found["total_writes_processed"]) > 5
        assert int(found["total_reads_processed"]) > 2


def test_a_client_too_many_is_counted(tmp_path: Path) -> None:
    with running_node(tmp_path) as node, socket.create_connection((HOST, node.port)) as client:
        client.sendall(b"CONFIG SET maxclients 1\r\n")
        assert client.recv(100) == b"+OK\r\n"
        with pytest.raises(hiredis.ReplyError, match="max number of clients"):
            node.ask("PING")
        client.sendall(b"INFO stats\r\n")
        assert b"rejected_connections:1\r\n" in client.recv(65536)


# --- the end -----------------------------------------------------------------------------------------


def end(node: Node, *words: str) -> int:
    """SHUTDOWN, which answers only when it fails; the exit status."""
    assert node.process is not None
    with suppress(ConnectionResetError):
        node.ask("SHUTDOWN", *words)
    return node.process.wait(START_SECONDS)


@pytest.mark.parametrize(
    ("directives", "words", "keys"),
    [
        (("--save", "3600 1"), (), 1),
        (("--save", "3600 1"), ("NOSAVE",), 0),
        ((), (), 0),
        ((), ("SAVE", "NOW"), 1),
    ],
)
def test_shutdown_saves_as_asked_or_configured(
    tmp_path: Path, directives: tuple[str, ...], words: tuple[str, ...], keys: int
) -> None:
    with running_node(tmp_path, *directives) as node:
        node.ask("SET", "key", "value")
        assert end(node, *words) == 0
        assert keys_on_disk(node) == keys


@pytest.mark.parametrize(
    ("directives", "number", "keys"),
    [
        (("--save", "3600 1"), signal.SIGTERM, 1),
        (("--save", "3600 1", "--shutdown-on-sigterm", "nosave"), signal.SIGTERM, 0),
        (("--shutdown-on-sigint", "save now"), signal.SIGINT, 1),
    ],
)
def test_signals_end_the_node_as_configured(
    tmp_path: Path, directives: tuple[str, ...], number: int, keys: int
) -> None:
    with running_node(tmp_path, *directives) as node:
        node.ask("SET", "key", "value")
        assert node.process is not None
        os.kill(node.pid, number)
        assert node.process.wait(START_SECONDS) == 0
        assert keys_on_disk(node) == keys


def test_a_snapshot_under_way_gives_way_to_the_last_one(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        _populate(node)
        node.ask("BGSAVE")
        node.ask("SET", "last", "words")
        assert end(node, "SAVE") == 0
        assert not list(node.directory.glob("temp-*"))
        assert keys_on_disk(node) == 20_001


def _populate(node: Node) -> None:
    with socket.create_connection((HOST, node.port)) as client:
        client.sendall(b"".join(b"SET filler:%d x\r\n" % i for i in range(20_000)))
        _read(client, hiredis.Reader(), 20_000)


def test_a_node_that_cannot_save_stays_unless_forced(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        (node.directory / "dump.rdb").mkdir()
        with pytest.raises(hiredis.ReplyError, match="Errors trying to SHUTDOWN"):
            node.ask("SHUTDOWN", "SAVE")
        assert node.ask("PING") == "PONG"
        assert end(node, "SAVE", "FORCE") == 0


def test_a_primary_waits_for_its_replica_and_can_be_called_back(tmp_path: Path) -> None:
    directives = ("--shutdown-timeout", "60", "--repl-diskless-sync-delay", "0")
    with running_nodes(tmp_path, 2, *directives) as (primary, replica):
        with pytest.raises(hiredis.ReplyError, match=r"^ERR No shutdown in progress"):
            primary.ask("SHUTDOWN", "ABORT")
        replica.ask("REPLICAOF", HOST, primary.port)
        wait_until(lambda: "state=online" in primary.info("replication").get("slave0", ""), "in sync")
        os.kill(replica.pid, signal.SIGSTOP)
        primary.ask("SET", "key", "value")
        os.kill(primary.pid, signal.SIGTERM)
        wait_until(lambda: "Waiting up to 60 seconds for replicas" in primary.log, "waits")
        assert primary.ask("GET", "key") == "value"
        assert primary.ask("SHUTDOWN", "ABORT") == "OK"
        assert primary.ask("SET", "key", "other") == "OK"
        os.kill(primary.pid, signal.SIGTERM)
        wait_until(lambda: primary.log.count("Waiting up to 60 seconds for replicas") == 2, "waits again")
        assert primary.process is not None
        assert primary.process.poll() is None
        os.kill(replica.pid, signal.SIGCONT)
        assert primary.process.wait(START_SECONDS) == 0
        assert replica.ask("GET", "key") == "other"


def oom_score(node: Node) -> int:
    return int(Path(f"/proc/{node.pid}/oom_score_adj").read_text())


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="of Linux only")
def test_the_score_for_when_memory_runs_out_is_that_of_the_role(tmp_path: Path) -> None:
    with running_node(tmp_path, "--oom-score-adj", "yes", "--oom-score-adj-values", "10", "20", "30") as node:
        given = int(Path("/proc/self/oom_score_adj").read_text())
        assert oom_score(node) == given + 10
        node.ask("CONFIG", "SET", "oom-score-adj-values", "15 25 35")
        assert oom_score(node) == given + 15
        node.ask("REPLICAOF", HOST, str(node.port))
        assert oom_score(node) == given + 25
        node.ask("CONFIG", "SET", "oom-score-adj", "absolute", "oom-score-adj-values", "900 950 999")
        assert oom_score(node) == 950
        node.ask("REPLICAOF", "NO", "ONE")
        assert oom_score(node) == 900
        node.ask("CONFIG", "SET", "oom-score-adj", "no")
        assert oom_score(node) == given


@pytest.mark.skipif(
    subprocess.run(
        ["sh", "-c", "echo -1000 > /proc/self/oom_score_adj"], check=False, stderr=subprocess.DEVNULL
    ).returncode
    == 0,
    reason="this process may lower the score",
)
def test_a_score_that_the_system_refuses_is_refused(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        node.ask("CONFIG", "SET", "oom-score-adj-values", "-1000 -1000 -1000")
        with pytest.raises(hiredis.ReplyError, match="Failed to apply new oom_score_adj configuration"):
            node.ask("CONFIG", "SET", "oom-score-adj", "absolute")
        assert node.ask("CONFIG", "GET", "oom-score-adj") == ["oom-score-adj", "no"]
        assert "Unable to write oom_score_adj: Permission denied" in node.log
