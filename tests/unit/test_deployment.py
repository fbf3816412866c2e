"""The files under deploy/ say what they should, as far as can be told without starting a container."""

from __future__ import annotations

import re
import runpy
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shoal.cli.arguments import build_parser
from shoal.node.server.config import Config
from shoal.node.server.config_file import ConfigReader, ConfigText, check_combinations
from shoal.node.server.startup import CommandLine, parse_command_line

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
NODES = {f"node-{number}": 7000 + number for number in range(6)}
ADDRESSES = [f"{name}:{port}" for name, port in NODES.items()]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found = compose["services"]
    assert isinstance(found, dict)
    return found


def command_of(service: dict[str, Any], **environment: str) -> CommandLine:
    """The command line a node is started with, its variables replaced as compose does."""

    def value(match: re.Match[str]) -> str:
        return environment.get(match[1], match[2])

    entrypoint = re.sub(r"\$\{(\w+):-([^}]*)\}", value, service["entrypoint"]).replace("'", "").split(" ")
    assert entrypoint[0] == "shoal-server"
    return parse_command_line([*entrypoint[1:], *service["command"]])


def config_from(text: str) -> Config:
    config = Config()
    ConfigReader(config, lambda _: []).read(ConfigText("test", text))
    check_combinations(config)
    return config


@pytest.mark.parametrize(("name", "port"), NODES.items())
def test_a_node_is_published_and_checked_at_the_port_it_listens_on(
    services: dict[str, Any], name: str, port: int
) -> None:
    service = services[name]
    config = config_from(command_of(service).options)
    assert (config.port, config.cluster_enabled, config.protected_mode) == (port, True, False)
    host = "${SHOAL_HOST:-127.0.0.1}"
    assert service["ports"] == [f"{host}:{each}:{each}" for each in (port, port + 10000)]
    assert service["healthcheck"]["test"] == ["CMD", "shoal-health", f"127.0.0.1:{port}"]
    assert service["volumes"] == [f"data-{port - 7000}:/data"]


def test_nothing_is_announced_unless_asked_for(services: dict[str, Any]) -> None:
    config = config_from(command_of(services["node-0"]).options)
    assert (config.cluster_announce_ip, config.cluster_preferred_endpoint_type) == ("", "ip")
    told = command_of(services["node-0"], SHOAL_HOST="192.0.2.7", SHOAL_ENDPOINT="unknown-endpoint")
    config = config_from(told.options)
    assert config.cluster_announce_ip == "192.0.2.7"
    assert config.cluster_preferred_endpoint_type == "unknown-endpoint"


def test_the_cluster_is_made_of_all_nodes_once_they_are_healthy(services: dict[str, Any]) -> None:
    create = services["create"]
    assert create["entrypoint"][0] == "shoal"
    options = build_parser().parse_args([*create["entrypoint"][1:], *create["command"]])
    assert list(map(str, options.addresses)) == ADDRESSES
    assert (options.yes, options.if_needed, options.replicas) == (True, True, 1)
    assert create["depends_on"] == {node: {"condition": "service_healthy"} for node in NODES}


def test_the_last_service_to_start_is_healthy_when_the_cluster_serves(services: dict[str, Any]) -> None:
    last = services["cluster"]
    assert last["depends_on"] == {"create": {"condition": "service_completed_successfully"}}
    assert last["healthcheck"]["test"] == ["CMD", "shoal-health", "--cluster", *ADDRESSES]


def test_every_service_can_build_the_image_it_needs(services: dict[str, Any]) -> None:
    assert {service["image"] for service in services.values()} == {"shoal"}
    for service in services.values():
        assert service["build"] == {"context": "..", "dockerfile": "deploy/Containerfile"}


def test_every_volume_is_declared(compose: dict[str, Any]) -> None:
    assert set(compose["volumes"]) == {f"data-{number}" for number in range(6)}


def test_the_image_runs_the_server_itself_and_not_as_root() -> None:
    stage = (DEPLOY / "Containerfile").read_text().split("FROM ${BASE}")[-1]
    assert 'ENTRYPOINT ["shoal-server"]' in stage
    assert "STOPSIGNAL SIGTERM" in stage
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .* CMD \[\"shoal-health\"\]$", stage, re.MULTILINE)
    command = re.search(r"^CMD \[(.*)\]$", stage, re.MULTILINE)
    assert command is not None
    words = [word.strip(' "') for word in command[1].split(",")]
    config = config_from(parse_command_line(words).options)
    assert (config.protected_mode, config.bind) == (False, ("*",))


def test_what_the_image_is_built_from_is_let_through() -> None:
    patterns = (ROOT / ".dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert "node" in sources
    assert all(f"!{source}" in patterns and (ROOT / source).exists() for source in sources)


@pytest.mark.parametrize("name", ["Containerfile", "compose.yaml", "check", "shoal.service", "shoal.conf"])
def test_no_file_names_a_registry_or_a_package_index(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert re.findall(r"https?://\S+|index-url|\b[\w-]+(?:\.[\w-]+)+(?::\d+)?/[\w-]+[:@]", text) == []


def test_the_default_configuration_is_understood() -> None:
    config = config_from((DEPLOY / "shoal.conf").read_text())
    assert (config.protected_mode, config.dir, config.bind) == (True, "/var/lib/shoal", ("127.0.0.1", "-::1"))


def test_every_directive_offered_in_a_comment_is_understood() -> None:
    text = (DEPLOY / "shoal.conf").read_text()
    offered = re.findall(r"^# ([a-z]+(?:-[a-z]+)+ \S+|requirepass \S+|replicaof .+)$", text, re.MULTILINE)
    assert len(offered) >= 3
    for line in offered:
        config_from(line)


HealthCheck = Callable[[list[str]], int]


@pytest.fixture
def health_check() -> HealthCheck:
    main = runpy.run_path(str(DEPLOY / "healthcheck.py"))["main"]
    assert callable(main)
    return main  # type: ignore[no-any-return]


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Addresses of servers that say one thing to whoever comes, and hang up."""
    listeners: list[socket.socket] = []

    def serve(listener: socket.socket, answer: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)

    def listen(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield listen
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"+PONG\r\n+OK\r\n", 0),
        (b"-NOAUTH Authentication required.\r\n+OK\r\n", 0),
        (b"-LOADING Redis is loading the dataset in memory\r\n+OK\r\n", 1),
        (b"", 1),
    ],
)
def test_a_node_is_healthy_when_it_takes_commands(
    health_check: HealthCheck, answering: Callable[[bytes], str], answer: bytes, status: int
) -> None:
    assert health_check([answering(answer)]) == status


def test_a_cluster_is_healthy_when_one_of_its_nodes_says_so(
    health_check: HealthCheck, answering: Callable[[bytes], str]
) -> None:
    broken, whole = (b"$18\r\ncluster_state:%b\r\n\r\n+OK\r\n" % state for state in (b"fail", b"ok"))
    assert health_check(["--cluster", answering(broken)]) == 1
    assert health_check(["--cluster", answering(broken), answering(whole)]) == 0


def test_a_node_that_is_not_there_is_not_healthy(health_check: HealthCheck) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    assert health_check([address]) == 1
