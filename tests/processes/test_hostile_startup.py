"""What a node is started with: it is understood, or it is refused by file and line with nothing changed."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.processes.nodes import DEADLINE_SECONDS, HOST, SHOAL, ask, running_node, wait_until

pytestmark = pytest.mark.processes

CLUSTER = ("--cluster-enabled", "yes")


def start(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a node that is expected to end by itself."""
    return subprocess.run(
        [*SHOAL, *arguments], cwd=folder, input=text, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )


def refused(folder: Path, *arguments: str, text: str = "") -> str:
    """What a node says that refuses to start."""
    ended = start(folder, *arguments, text=text)
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stderr


# --- the configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no-such-directive 1", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port 99999", "argument must be between 0 and 65535 inclusive"),
        ("port seven", "argument couldn't be parsed into an integer"),
        ("appendonly maybe", "argument must be 'yes' or 'no'"),
        ("maxmemory 3elephants", "argument must be a memory value"),
        ('dir "unclosed', "Unbalanced quotes in configuration line"),
        ("include missing.conf", "No such file"),
    ],
)
def test_a_line_that_makes_no_sense_is_named_with_its_file_and_number(tmp_path, line, reason):
    file = tmp_path / "redis.conf"
    file.write_text(f"# a comment\nport {free_port()}\n{line}\n")
    said = refused(tmp_path, str(file))
    assert f"redis.conf', at line 3\n>>> '{line}'\n" in said
    assert reason in said


def test_a_wrong_option_is_named_as_the_command_lines(tmp_path):
    said = refused(tmp_path, "--port", str(free_port()), "--no-such-directive", "1")
    assert "Reading the command line, at line 2\n>>> 'no-such-directive \"1\"'" in said


def test_a_configuration_file_that_is_missing_or_a_folder_is_named(tmp_path):
    assert "missing.conf" in refused(tmp_path, str(tmp_path / "missing.conf"))
    assert str(tmp_path) in refused(tmp_path, str(tmp_path))


def test_a_folder_that_is_missing_is_named(tmp_path):
    assert "missing" in refused(tmp_path, "--dir", str(tmp_path / "missing"), "--port", str(free_port()))


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        assert str(port) in refused(tmp_path, "--port", str(port), "--bind", HOST)


def test_directives_come_from_standard_input_when_asked_for(tmp_path):
    port = free_port()
    process = subprocess.Popen([*SHOAL, "-"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        assert process.stdin is not None
        process.stdin.write(f'port {port}\nbind {HOST}\nsave ""\nmaxclients 77\n'.encode())
        process.stdin.close()
        wait_until(lambda: ask(port, "PING") == "PONG", "the node answers")
        assert ask(port, "CONFIG", "GET", "maxclients") == ["maxclients", "77"]
    finally:
        process.kill()
        process.wait()


def test_a_wrong_line_of_standard_input_is_named_as_its(tmp_path):
    said = refused(tmp_path, "-", text="port 0\nnonsense\n")
    assert "standard input" in said
    assert "at line 2\n>>> 'nonsense'" in said


# --- nodes.conf ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved_nodes_conf(tmp_path_factory):
    """The file of a node that lived."""
    folder = tmp_path_factory.mktemp("saved")
    with running_node(folder, *CLUSTER) as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        node.stop()
        return (node.directory / "nodes.conf").read_bytes()


def damaged(whole: bytes) -> dict[str, bytes]:
    lines = whole.splitlines(keepends=True)
    node_id = whole[:40]
    return {
        "cut in its last line": whole[:-10],
        "cut in its first line": whole[:50],
        "without its last line": b"".join(lines[:-1]),
        "noise": bytes(range(256)) * 4,
        "zeros": bytes(len(whole)),
        "a slot too many": whole.replace(b"0-16383", b"0-16384"),
        "slots reversed": whole.replace(b"0-16383", b"16383-0"),
        "an unknown flag": whole.replace(b"myself", b"oneself"),
        "a bad id": whole.replace(node_id, b"Z" * 40),
        "an epoch that is no number": whole.replace(b"currentEpoch ", b"currentEpoch x"),
        "two of myself": lines[0] + whole,
    }


@pytest.mark.parametrize("damage", sorted(damaged(b"a" * 40 + b"\n")))
def test_a_damaged_nodes_conf_is_refused_and_left_byte_for_byte(tmp_path, saved_nodes_conf, damage):
    content = damaged(saved_nodes_conf)[damage]
    assert content != saved_nodes_conf
    file = tmp_path / "nodes.conf"
    file.write_bytes(content)
    said = refused(tmp_path, "--port", str(free_port()), "--bind", HOST, "--dir", str(tmp_path), *CLUSTER)
    assert "nodes.conf" in said
    assert "line " in said
    assert file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["nodes.conf"]


def test_the_whole_file_is_accepted_again(tmp_path, saved_nodes_conf):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "nodes.conf").write_bytes(saved_nodes_conf)
    with running_node(tmp_path, *CLUSTER) as node:
        assert node.ask("CLUSTER", "MYID") == saved_nodes_conf[:40].decode()


def test_a_nodes_conf_in_use_by_another_node_is_refused(tmp_path):
    with running_node(tmp_path, *CLUSTER) as node:
        before = (node.directory / "nodes.conf").read_bytes()
        arguments = ("--port", str(free_port()), "--bind", HOST, "--dir", str(node.directory))
        assert "in use by another node" in refused(tmp_path, *arguments, *CLUSTER)
        assert (node.directory / "nodes.conf").read_bytes() == before
        assert node.ask("PING") == "PONG"


# --- a service -----------------------------------------------------------------------------------------


def test_a_daemon_goes_to_the_background_writes_its_pidfile_and_removes_it_at_the_end(tmp_path):
    port, pidfile = free_port(), tmp_path / "shoal.pid"
    options = ("--port", str(port), "--bind", HOST, "--dir", str(tmp_path), "--save", "")
    ended = start(
        tmp_path,
        *options,
        "--daemonize",
        "yes",
        "--pidfile",
        str(pidfile),
        "--logfile",
        str(tmp_path / "log"),
    )
    assert ended.returncode == 0, ended
    wait_until(lambda: ask(port, "PING") == "PONG", "the daemon answers")
    pid = int(pidfile.read_text())
    try:
        assert ask(port, "INFO", "server").count(f"process_id:{pid}\r\n") == 1
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pidfile.exists(), "the pidfile is removed")
    assert "bye bye" in (tmp_path / "log").read_text()


def test_a_unix_socket_has_the_permissions_asked_for_and_serves(tmp_path):
    path = tmp_path / "shoal.sock"
    with running_node(tmp_path, "--unixsocket", str(path), "--unixsocketperm", "700") as node:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            assert client.recv(100) == b"+PONG\r\n"
        assert node.stop() == 0


def test_a_file_that_is_no_socket_is_not_removed_to_make_room_for_one(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    said = refused(tmp_path, "--port", "0", "--unixsocket", str(path))
    assert str(path) in said
    assert path.read_text() == "data"
