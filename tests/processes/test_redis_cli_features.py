"""What redis-cli, valkey-cli and redis-benchmark do beyond sending a command, against a node of ours."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import REDIS7_BENCHMARK, REDIS7_CHECK_RDB, REDIS7_CLI, VALKEY8_CLI, needs
from tests.processes.nodes import DEADLINE_SECONDS, Node, running_cluster, running_node

pytestmark = [pytest.mark.processes, pytest.mark.peers, needs(REDIS7_CLI, VALKEY8_CLI, REDIS7_BENCHMARK)]

CLIENTS = (REDIS7_CLI, VALKEY8_CLI)
BENCHMARK_DEFAULTS = 20
"""How many figures redis-benchmark prints when it is not told which to take."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with a few keys of each type."""
    with running_node(tmp_path_factory.mktemp("node"), "--enable-debug-command", "local") as node:
        for number in range(50):
            node.ask("SET", f"string:{number}", "x" * number)
        node.ask("SET", "string:big", "x" * 100_000)
        node.ask("RPUSH", "list:one", *range(100))
        node.ask("SADD", "set:one", *range(100))
        node.ask("HSET", "hash:one", *range(100))
        node.ask("ZADD", "zset:one", *range(100))
        yield node


def run(program: Path, node: Node, *words: str, feed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [str(program), "-p", str(node.port), *words]
    return subprocess.run(command, input=feed, capture_output=True, timeout=60, check=False)


def printed(program: Path, node: Node, *words: str, feed: bytes = b"") -> str:
    done = run(program, node, *words, feed=feed)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def first_lines(program: Path, node: Node, count: int, *words: str) -> list[str]:
    """The first lines of a program that prints for ever; it is ended then."""
    command = [str(program), "-p", str(node.port), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            return [process.stdout.readline() for _ in range(count)]
        finally:
            process.kill()


@pytest.mark.parametrize("cli", CLIENTS, ids=lambda path: path.name)
class TestClients:
    def test_scan_lists_the_keys_that_match(self, cli: Path, node: Node) -> None:
        assert len(printed(cli, node, "--scan", "--pattern", "string:*").split()) == 51
        assert len(printed(cli, node, "--scan", "--pattern", "*:one").split()) == 4

    def test_the_biggest_keys_of_each_type_are_found(self, cli: Path, node: Node) -> None:
        report = printed(cli, node, "--bigkeys")
        assert re.search(r'Biggest string found ."?string:big"?. has 100000 bytes', report)
        for kind in ("list", "set", "hash", "zset"):
            assert f"{kind}:one" in report

    def test_the_keys_that_take_most_memory_are_found(self, cli: Path, node: Node) -> None:
        report = printed(cli, node, "--memkeys")
        assert any("string:big" in line and "Biggest" in line for line in report.splitlines())

    def test_the_keys_that_are_used_most_are_found(self, cli: Path, node: Node) -> None:
        node.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        try:
            for _ in range(100):
                node.ask("GET", "string:big")
            hottest = next(
                line for line in printed(cli, node, "--hotkeys").splitlines() if "counter:" in line
            )
        finally:
            node.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert "string:big" in hottest

    def test_a_pipe_of_commands_is_taken_and_counted(self, cli: Path, node: Node) -> None:
        feed = b"".join(b"*3\r\n$3\r\nSET\r\n$9\r\npipe:%04d\r\n$1\r\nx\r\n" % i for i in range(3000))
        said = run(cli, node, "--pipe", feed=feed + b"*1\r\n$4\r\nNOPE\r\n").stdout
        assert b"errors: 1, replies: 3001" in said
        assert node.ask("DEL", *(f"pipe:{i:04}" for i in range(3000))) == 3000

    def test_a_snapshot_is_fetched_as_a_replica_would(self, cli: Path, node: Node, tmp_path: Path) -> None:
        path = tmp_path / "copy.rdb"
        run(cli, node, "--rdb", str(path))
        checked = subprocess.run(
            [str(REDIS7_CHECK_RDB), str(path)], capture_output=True, text=True, timeout=60
        )
        assert "RDB looks OK" in checked.stdout
        assert f"{node.ask('DBSIZE')} keys read" in checked.stdout

    def test_functions_are_fetched_without_the_data(self, cli: Path, tmp_path: Path) -> None:
        code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
        with running_node(tmp_path, "--enable-debug-command", "local") as node:
            node.ask("SET", "key", "value")
            node.ask("FUNCTION", "LOAD", code)
            run(cli, node, "--functions-rdb", str(node.directory / "dump.rdb"))
            node.ask("FUNCTION", "FLUSH")
            assert node.ask("DEBUG", "RELOAD", "NOSAVE") == "OK"
            assert node.ask("FCALL", "f", 0) == 1
            assert node.ask("DBSIZE") == 0

    def test_statistics_are_shown_as_they_change(self, cli: Path, node: Node) -> None:
        *_, line = first_lines(cli, node, 3, "--stat", "-i", "0.05")
        assert line.split()[0] == str(node.ask("DBSIZE"))

    def test_latency_is_measured(self, cli: Path, node: Node) -> None:
        least, most, mean, samples = printed(cli, node, "--raw", "--latency", "-i", "0.2").split()
        assert float(least) <= float(mean) <= float(most) and int(samples) > 1
        (history,) = first_lines(cli, node, 1, "--raw", "--latency-history", "-i", "0.1")
        assert len(history.split()) >= 4

    def test_replies_are_shown_as_csv_and_as_json(self, cli: Path, node: Node) -> None:
        assert printed(cli, node, "--csv", "LRANGE", "list:one", "0", "1") == '"0","1"\n'
        assert json.loads(printed(cli, node, "--json", "HGETALL", "hash:one"))["0"] == "1"
        assert printed(cli, node, "-3", "--no-raw", "HGET", "hash:one", "none") == "(nil)\n"

    def test_a_script_file_gets_its_keys_and_arguments(self, cli: Path, node: Node, tmp_path: Path) -> None:
        script = tmp_path / "script.lua"
        script.write_text("return {KEYS[1], ARGV[1], redis.call('EXISTS', KEYS[1])}")
        assert printed(cli, node, "--eval", str(script), "string:big", ",", "word").split() == [
            "string:big",
            "word",
            "1",
        ]

    def test_hints_come_from_our_own_declarations(self, cli: Path, node: Node) -> None:
        assert "field increment" in typed(cli, node, "HINCRBY key ")


def typed(cli: Path, node: Node, text: str) -> str:
    """What a terminal shows once these letters were typed, and no more."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "HOME": "/nonexistent"}
        os.execve(cli, [str(cli), "-p", str(node.port)], environment)
    try:
        read_until(terminal, "> ")
        os.write(terminal, text.encode())
        return read_until(terminal, "increment")
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def read_until(terminal: int, wanted: str) -> str:
    shown, deadline = "", time.monotonic() + DEADLINE_SECONDS
    while wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, shown
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


def test_a_command_is_called_on_every_node_of_a_cluster(tmp_path: Path) -> None:
    with running_cluster(tmp_path, 3) as nodes:
        command = [str(REDIS7_CLI), "--cluster", "call", nodes[0].address, "ping"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
        assert said.count("PONG") == 3
        figures = printed(REDIS7_BENCHMARK, nodes[0], "--cluster", "-t", "get,set,incr", "-n", "300", "-q")
        assert figures.count("requests per second") == 3


def test_every_default_benchmark_runs(node: Node) -> None:
    figures = printed(REDIS7_BENCHMARK, node, "-n", "200", "-c", "10", "-q").replace("\r", "\n")
    lines = [line for line in figures.splitlines() if "requests per second" in line]
    assert len(lines) == BENCHMARK_DEFAULTS, figures


def test_benchmarks_pipeline_and_use_threads(node: Node) -> None:
    options = ("-t", "set,get", "-n", "2000", "-q", "-P", "16", "--threads", "2", "-r", "100")
    assert printed(REDIS7_BENCHMARK, node, *options).count("requests per second") == 2


MEMTIER = shutil.which("memtier_benchmark")


@pytest.mark.skipif(MEMTIER is None, reason="memtier_benchmark is not installed; Debian has no package of it")
def test_memtier_runs(node: Node) -> None:
    assert MEMTIER is not None
    options = ("-n", "100", "-c", "2", "-t", "1", "--hide-histogram")
    assert "Totals" in printed(Path(MEMTIER), node, *options)


@pytest.mark.parametrize("program", CLIENTS, ids=lambda program: program.name)
def test_a_script_is_debugged(program: Path, node: Node, tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text("local number = 5\nredis.call('SET', KEYS[1], ARGV[1])\nreturn number\n")
    words = ("--ldb-sync-mode", "--eval", str(script), "debugged", ",", "value")
    text = printed(
        program, node, *words, feed=b"step\nprint number\nstep\nredis get debugged\ncontinue\nquit\n"
    )
    for line in ("-> 1   local number = 5", "<value> 5", '<reply> "value"', "(integer) 5"):
        assert line in text
