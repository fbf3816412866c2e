"""The command line understands its own names and those of redis-cli."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from shoal.cli.addresses import Address
from shoal.cli.arguments import build_parser
from tests.cli.conftest import shoal_process
from tests.peers import REDIS7_CLI, VALKEY8_CLI, needs

SEED = "127.0.0.1:7000"


@pytest.mark.parametrize("prefix", ["--", "--cluster-"])
def test_options_are_known_with_and_without_the_prefix_of_redis_cli(prefix: str) -> None:
    parse = build_parser().parse_args
    reshard = parse(
        ["reshard", SEED, f"{prefix}from", "all", f"{prefix}to", "x", f"{prefix}slots", "5", f"{prefix}yes"]
    )
    assert (getattr(reshard, "from"), reshard.to, reshard.slots, reshard.yes) == ("all", "x", 5, True)
    assert parse(["create", SEED, f"{prefix}replicas", "2"]).replicas == 2
    assert parse(["check", SEED, f"{prefix}search-multiple-owners"]).search_multiple_owners
    for old, new in (
        ("use-empty-masters", "use_empty_primaries"),
        ("use-empty-primaries", "use_empty_primaries"),
    ):
        assert getattr(parse(["rebalance", SEED, prefix + old]), new)
    added = parse(["add-node", SEED, SEED, f"{prefix}slave", f"{prefix}master-id", "x"])
    assert added.replica and added.primary_id == "x"


def test_values_become_what_they_mean() -> None:
    options = build_parser().parse_args(["rebalance", SEED, "--weight", "a=1.5", "b=0", "--weight", "c=2"])
    assert options.seed == Address("127.0.0.1", 7000)
    assert options.weight == [("a", Fraction(3, 2)), ("b", Fraction(0)), ("c", Fraction(2))]
    assert build_parser().parse_args(["reshard", SEED, "--ranges", "0-2,9"]).ranges == [(0, 2), (9, 9)]


@pytest.mark.parametrize(
    "words",
    [
        ["check", "nonsense"],
        ["reshard", SEED, "--slots", "0"],
        ["reshard", SEED, "--slots", "16385"],
        ["reshard", SEED, "--slots", "1_0"],
        ["reshard", SEED, "--ranges", "5-3"],
        ["reshard", SEED, "--ranges", "1,16384"],
        ["rebalance", SEED, "--weight", "a=-1"],
        ["rebalance", SEED, "--weight", "a=nan"],
        ["rebalance", SEED, "--weight", "=1"],
        ["rebalance", SEED, "--threshold", "nan"],
        [],
    ],
)
def test_a_senseless_command_line_exits_with_two(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(words)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "down",
        "status",
        "create",
        "check",
        "info",
        "reshard",
        "rebalance",
        "add-node",
        "del-node",
        "call",
        "fix",
        "import",
        "backup",
        "set-timeout",
    ],
)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    helped = shoal_process(command, "--help")
    assert helped.status == 0
    assert f"examples:\n  shoal {command}" in helped.out


def test_a_server_that_is_not_there_is_one_line_and_status_one() -> None:
    tried = shoal_process("check", "127.0.0.1:1")
    assert tried.status == 1
    assert tried.err.startswith("[ERR] cannot connect to 127.0.0.1:1")
    assert tried.err.count("\n") == 1


_HELP_OPTION = re.compile(r"^ {17}(--cluster-[a-z-]+)(?: (.+))?$")
_WORDS_OF = {
    "create": [SEED, SEED],
    "add-node": [SEED, SEED],
    "del-node": [SEED, "a" * 40],
    "call": [SEED, "ping"],
    "set-timeout": [SEED, "1000"],
    "backup": [SEED, "/tmp"],
    "help": [],
}
_VALUES = {"--cluster-from": SEED, "--cluster-weight": "a=1", "--cluster-from-user": "u"}


def listed_options(program: Path) -> dict[str, list[list[str]]]:
    """By subcommand of `--cluster help`, its options, each with a value if it takes one."""
    told = subprocess.run(
        [str(program), "--cluster", "help"], capture_output=True, text=True, timeout=30, check=False
    )
    found: dict[str, list[list[str]]] = {}
    for line in told.stdout.splitlines():
        if option := _HELP_OPTION.match(line):
            name, value = option.groups()
            found[list(found)[-1]].append([name, *([_VALUES.get(name, "5")] if value else [])])
        elif line.startswith("  ") and not line.startswith("  --"):
            found[line.split()[0]] = []
    return found


@pytest.mark.peers
@pytest.mark.parametrize(
    "program",
    [pytest.param(REDIS7_CLI, marks=needs(REDIS7_CLI)), pytest.param(VALKEY8_CLI, marks=needs(VALKEY8_CLI))],
    ids=["redis7", "valkey8"],
)
def test_whatever_the_help_of_redis_cli_lists_is_understood(program: Path) -> None:
    listed = listed_options(program)
    assert len(listed) == 13
    parse = build_parser().parse_args
    for command, options in listed.items():
        words = _WORDS_OF.get(command, [SEED])
        required = ["--from", SEED] if command == "import" else []
        parse([command, *words, *required])
        for option in options:
            given = [*option, *words] if command == "call" else [*words, *required, *option]
            parse([command, *given])
            parse([command, *[word.replace("--cluster-", "--") for word in given]])


@pytest.mark.parametrize("command", ["check", "info", "fix", "rebalance", "reshard", "import"])
def test_host_and_port_may_be_two_words(command: str) -> None:
    extra = ["--from", SEED] if command == "import" else []
    assert build_parser().parse_args([command, "127.0.0.1", "7000", *extra]).seed == Address(
        "127.0.0.1", 7000
    )
    with pytest.raises(SystemExit):
        build_parser().parse_args([command, "127.0.0.1", "7000", "7001", *extra])


def test_help_is_a_command_too() -> None:
    assert "reshard" in shoal_process("help").out
    assert "examples:\n  shoal fix" in shoal_process("help", "fix").out
