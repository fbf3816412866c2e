"""up, down and status: a cluster from nothing, back from its directory, and never a process left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.cluster

from shoal.cli.local_state import ProcessIdentity, load_state, save_state, start_of
from tests.cli.conftest import HOST, Outcome, ask, eventually, shoal_command, shoal_process
from tests.peers import REDIS7_SERVER, needs
from tests.ports import free_ports

pytestmark = [pytest.mark.peers, pytest.mark.processes, needs(REDIS7_SERVER)]


class Bench:
    """`shoal up` and its kin for one directory, one port and one server program."""

    def __init__(self, server: Path, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.port = free_ports(6)[0]

    def words(self, command: str, *arguments: object) -> list[object]:
        server = ["--server", self.server] if command == "up" else []
        return [command, "--dir", self.directory, "--port", self.port, *server, *arguments]

    def run(self, command: str, *arguments: object) -> Outcome:
        return shoal_process(*self.words(command, *arguments))

    def start_in_foreground(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            shoal_command(*self.words("up", "--json", *arguments)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def address(self, index: int) -> str:
        return f"{HOST}:{self.port + index}"


@pytest.fixture
def bench(server_program: Path, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(server_program, tmp_path / "cluster")
    yield bench
    recorded = load_state(bench.directory)
    for process in recorded.processes if recorded else ():
        process.signal(signal.SIGKILL)


def read_document(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON document a foreground `up` prints when it is ready."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            found = json.loads(text)
            assert isinstance(found, dict)
            return found
    raise AssertionError(f"no document: {text} {process.stderr and process.stderr.read()}")


def test_a_cluster_in_the_background_is_ready_shown_and_stopped(bench: Bench) -> None:
    started = bench.run("up", "--detach", "--json")
    assert started.status == 0, started
    ready = started.document
    assert len(ready["seeds"]) == 6
    assert [node["role"] for node in ready["nodes"]] == ["primary"] * 3 + ["replica"] * 3
    for node in ready["nodes"][3:]:
        assert ask(node["address"], "ROLE")[3] == "connected"
    with redis.cluster.RedisCluster(host=HOST, port=bench.port) as client:
        assert client.set("a", "1") and client.set("b", "2") and client.set("c", "3")
    assert shoal_process("check", ready["seeds"][5]).status == 0
    status = bench.run("status")
    assert status.status == 0, status
    assert len(status.lines) == 7
    pids = [node["pid"] for node in ready["nodes"]]
    stopped = bench.run("down")
    assert stopped.lines == ["[OK] Stopped 6 nodes."]
    assert all(start_of(pid) is None for pid in pids)
    gone = bench.run("status", "--json")
    assert gone.status == 1
    assert {node["state"] for node in gone.document["nodes"]} == {"down"}


def test_a_background_cluster_outlives_a_reader_of_its_report_that_has_gone(bench: Bench) -> None:
    started = subprocess.Popen(
        shoal_command(*bench.words("up", "--detach")), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert started.stdout is not None
    started.stdout.close()
    started.wait(60)
    assert bench.run("status").status == 0
    assert bench.run("down").lines == ["[OK] Stopped 6 nodes."]


def test_data_and_roles_survive_a_restart_from_the_same_directory(bench: Bench) -> None:
    options = ["--primaries", 2, "--replicas", 0, "--detach", "--json"]
    assert bench.run("up", *options, "--", "--save", "3600 1").status == 0
    with redis.cluster.RedisCluster(host=HOST, port=bench.port) as client:
        for number in range(50):
            client.set(f"key:{number}", number)
    before = {node["id"] for node in bench.run("status", "--json").document["nodes"]}
    assert bench.run("down").status == 0
    again = bench.run("up", "--detach", "--json", "--", "--save", "3600 1")
    assert again.status == 0, again
    assert {node["id"] for node in again.document["nodes"]} == before
    with redis.cluster.RedisCluster(host=HOST, port=bench.port) as client:
        assert [client.get(f"key:{number}") for number in range(50)] == [
            b"%d" % number for number in range(50)
        ]
    other = bench.run("up", "--primaries", 3)
    assert (other.status, "a cluster is running" in other.err) == (1, True)
    assert bench.run("down").status == 0
    other = bench.run("up", "--primaries", 3)
    assert (other.status, "holds 2 primaries" in other.err) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_foreground_cluster_stops_all_nodes_when_told(bench: Bench, number: signal.Signals) -> None:
    process = bench.start_in_foreground("--primaries", 1, "--replicas", 1)
    try:
        ready = read_document(process)
        process.send_signal(number)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert all(start_of(node["pid"]) is None for node in ready["nodes"])


def test_a_signal_before_the_cluster_is_ready_leaves_nothing_behind(bench: Bench) -> None:
    process = bench.start_in_foreground()
    try:
        eventually(lambda: bool((state := load_state(bench.directory)) and state.alive), "nodes start")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 1
    finally:
        process.kill()
        process.communicate()
    recorded = load_state(bench.directory)
    assert recorded is not None and not recorded.alive
    assert bench.run("up", "--detach").status == 0, "and the half-formed cluster can be started afresh"
    assert bench.run("down").status == 0


def test_a_node_that_ends_is_reported_and_the_others_run_on(bench: Bench) -> None:
    process = subprocess.Popen(
        shoal_command(*bench.words("up", "--primaries", 2, "--replicas", 0)),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("stop ") for line in lines)
        recorded = load_state(bench.directory)
        assert recorded is not None
        os.kill(recorded.processes[1].pid, signal.SIGKILL)
        assert any(line == f"Node {bench.port + 1} ended with status -9.\n" for line in lines)
        assert ask(bench.address(0), "PING")
        assert bench.run("status").status == 1
        os.kill(recorded.processes[0].pid, signal.SIGTERM)
        assert process.wait(30) == 1
    finally:
        process.kill()
        process.communicate()


def test_a_busy_port_is_an_error_before_anything_starts(bench: Bench) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, bench.port + 3 + 10000))
        other.listen()
        refused = bench.run("up")
    assert refused.status == 1
    assert f"bus port {bench.port + 3 + 10000} on {HOST} cannot be used" in refused.err
    assert not bench.directory.exists()


def test_a_node_that_dies_at_the_start_shows_its_log_and_stops_all(bench: Bench) -> None:
    refused = bench.run("up", "--", "--no-such-directive", "1")
    assert refused.status == 1
    assert "ended during start-up" in refused.err
    assert "\n   >>> 'no-such-directive" in refused.err
    recorded = load_state(bench.directory)
    assert recorded is not None and not recorded.alive


def test_a_missing_server_is_named(bench: Bench) -> None:
    refused = shoal_process("up", "--dir", bench.directory, "--server", "/nonexistent/server")
    assert refused.status == 1
    assert "/nonexistent/server" in refused.err and "SHOAL_SERVER" in refused.err
    assert (
        shoal_process("up", "--dir", bench.directory, env={"SHOAL_SERVER": "/nonexistent/server"}).status == 1
    )


def test_without_a_record_down_and_status_say_what_to_do(bench: Bench) -> None:
    for command in ("down", "status"):
        told = bench.run(command)
        assert told.status == 1
        assert "start one with shoal up" in told.err
    bench.directory.mkdir()
    record = bench.directory / "cluster.json"
    record.write_text("{")
    assert "move it away" in bench.run("down").err
    record.unlink()


def test_the_default_directory_follows_xdg_state_home(tmp_path: Path) -> None:
    told = shoal_process("status", "--port", 7123, env={"XDG_STATE_HOME": str(tmp_path)})
    assert f"no cluster in {tmp_path}/shoal/7123" in told.err


def test_a_pid_that_belongs_to_somebody_else_by_now_is_not_signalled(bench: Bench) -> None:
    assert bench.run("up", "--detach", "--primaries", 1, "--replicas", 0).status == 0
    assert bench.run("down").status == 0
    recorded = load_state(bench.directory)
    assert recorded is not None
    with subprocess.Popen(["sleep", "60"]) as bystander:
        stale = ProcessIdentity(bystander.pid, recorded.processes[0].started)
        save_state(bench.directory, recorded.started_as([stale]))
        assert bench.run("down").lines == ["[OK] No node was running."]
        assert bystander.poll() is None
        bystander.kill()
