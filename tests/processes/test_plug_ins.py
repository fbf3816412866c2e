"""Commands of one's own: the example in deploy/plug-ins is one like any other, and what is broken is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import hiredis
import pytest
import redis

from tests.processes.nodes import HOST, SHOAL, running_node, wait_until

pytestmark = pytest.mark.processes

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "plug-ins"
START_SECONDS = 30


@pytest.fixture(autouse=True)
def python_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the nodes find modules: the example's folder, and one of the test."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLE), str(folder)]))
    return folder


def refusal(*directives: str) -> tuple[int, str]:
    """How a node ends that does not start, and its last line."""
    ended = subprocess.run(
        [*SHOAL, "--port", "0", *directives], capture_output=True, text=True, timeout=START_SECONDS
    )
    return ended.returncode, ended.stderr.strip().splitlines()[-1]


def test_the_example_is_a_command_like_any_other(tmp_path: Path) -> None:
    with (
        running_node(tmp_path / "ours", "--load-commands", "greeting") as node,
        running_node(tmp_path / "replica", "--replicaof", f"{HOST} {node.port}") as replica,
    ):
        node.ask("SET", "name", "Ada", "EX", 1000)
        assert node.ask("GREET", "name") == "Hello, Ada!"
        assert node.ask("TTL", "name") > 900
        [info] = node.ask("COMMAND", "INFO", "greet")
        assert info[:6] == ["greet", 2, ["write", "denyoom", "fast"], 1, 1, 1]
        assert sorted(info[6]) == ["@fast", "@string", "@write"]
        docs = node.ask("COMMAND", "DOCS", "greet")[1]
        assert (docs[1], docs[docs.index("module") + 1]) == ("Greets whom a key names.", "greeting")
        assert node.ask("COMMAND", "GETKEYS", "greet", "name") == ["name"]
        assert node.ask("COMMAND", "LIST", "FILTERBY", "MODULE", "greeting") == ["greet"]
        listed = ["name", "greeting", "ver", 1, "path", str(EXAMPLE / "greeting.py"), "args", []]
        assert node.ask("MODULE", "LIST") == node.ask("HELLO")[-1] == [listed]
        assert "module:name=greeting,ver=1," in node.ask("INFO", "modules")
        assert "greet" in node.ask("ACL", "CAT", "string")
        assert node.ask("EVAL", "return redis.call('GREET', KEYS[1])", 1, "scripted") == "Hello, stranger!"
        with redis.Redis(port=node.port) as client:
            assert client.pipeline().execute_command("GREET", "queued").execute() == [b"Hello, stranger!"]
        with pytest.raises(hiredis.ReplyError, match="wrong number of arguments for 'greet' command"):
            node.ask("GREET")
        node.ask("RPUSH", "list", "x")
        with pytest.raises(hiredis.ReplyError, match="WRONGTYPE"):
            node.ask("GREET", "list")
        wait_until(lambda: replica.ask("EXISTS", "name", "scripted", "queued") == 3, "all is copied")
        with pytest.raises(hiredis.ReplyError, match="unknown command"):
            replica.ask("GREET", "name")
        assert replica.ask("GET", "name") == "Hello, Ada!"


def test_its_keys_are_routed_in_a_cluster(tmp_path: Path) -> None:
    with (
        running_node(tmp_path / "node", "--load-commands", "greeting", "--cluster-enabled", "yes") as node,
        pytest.raises(hiredis.ReplyError, match="CLUSTERDOWN"),
    ):
        node.ask("GREET", "name")


def test_an_installed_package_names_its_modules_by_entry_points(tmp_path: Path, python_path: Path) -> None:
    package = python_path / "greetings-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[shoal.commands]\ngreetings = greeting\n")
    with running_node(tmp_path / "node") as node:
        assert node.ask("GREET", "name") == "Hello, stranger!"


def test_a_module_that_cannot_be_loaded_keeps_the_node_from_starting(python_path: Path) -> None:
    text = (EXAMPLE / "greeting.py").read_text()
    (python_path / "taken.py").write_text(text.replace('"GREET"', '"GET"'))
    (python_path / "broken.py").write_text("1 / 0\n")
    assert refusal("--load-commands", "no.such") == (
        1,
        "Cannot load commands (load-commands no.such): ModuleNotFoundError: No module named 'no'",
    )
    assert refusal("--load-commands", "greeting", "--load-commands", "taken") == (
        1,
        "Cannot load commands (load-commands taken): ValueError: the command GET is declared twice",
    )
    assert refusal("--load-commands", "broken")[1].endswith("ZeroDivisionError: division by zero")
    assert refusal("--load-commands", "two", "words")[1] == "Bad directive or wrong number of arguments"
