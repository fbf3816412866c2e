"""The command line: what can be typed, its help, and the values it becomes.

Names of cluster options are those of `redis-cli --cluster`, and its longer spelling (`--cluster-yes` for
`--yes`) is understood everywhere.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from fractions import Fraction

from shoal import __version__
from shoal.cli.addresses import Address, parse_address
from shoal.cli.topology import SlotRange
from shoal.cluster.slots import SLOT_COUNT


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shoal",
        description="Start a cluster on this machine, or look after any Redis-compatible cluster.",
        epilog="Each command has its own help with examples: shoal reshard --help",
    )
    parser.add_argument("--version", action="version", version=f"shoal {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_local_commands(commands)
    _add_inspecting_commands(commands)
    _add_moving_commands(commands)
    _add_membership_commands(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, examples: str
) -> argparse.ArgumentParser:
    """A command with what all have: its examples, --json and the login."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument(
        "-a",
        "--password",
        "--pass",
        default=os.environ.get("REDISCLI_AUTH"),
        help="password of the nodes (default: the environment variable REDISCLI_AUTH)",
    )
    parser.add_argument("--user", help="user name that goes with the password")
    return parser


def _option(parser: argparse.ArgumentParser, *names: str, **settings: object) -> None:
    """An option under its names, each also with the `cluster-` prefix redis-cli wants."""
    spellings = [f"--{prefix}{name}" for prefix in ("", "cluster-") for name in names]
    parser.add_argument(*spellings, dest=names[0].replace("-", "_"), **settings)  # type: ignore[arg-type]


def _add_local_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = _command(
        commands,
        "up",
        "start a cluster on this machine, from nothing or from what an earlier one left",
        "  shoal up                               3 primaries and 3 replicas on ports 7000-7005\n"
        "  shoal up --primaries 5 --replicas 0 --port 7100\n"
        "  shoal up --detach && shoal status && shoal down\n"
        "  shoal up -- --maxmemory 100mb          further directives for every node",
    )
    _option(up, "primaries", type=_positive, help="how many primaries (default 3)")
    _option(up, "replicas", type=_natural, help="replicas of each primary (default 1)")
    up.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    up.add_argument(
        "--detach", action="store_true", help="return when the cluster is ready, leave it running"
    )
    up.add_argument(
        "--server", help="server program (default: SHOAL_SERVER, or the shoal-server beside this)"
    )
    up.add_argument(
        "--node-timeout",
        type=_positive,
        default=5000,
        metavar="MS",
        help="milliseconds after which a silent node counts as failing (default 5000)",
    )
    up.add_argument("directives", nargs="*", metavar="-- --DIRECTIVE VALUE", help="passed to every node")
    down = _command(
        commands, "down", "stop a cluster of this machine", "  shoal down\n  shoal down --port 7100"
    )
    status = _command(
        commands,
        "status",
        "show each node of a cluster of this machine; exit status 1 unless all serve",
        "  shoal status\n  shoal status --port 7100 --json",
    )
    for parser in (up, down, status):
        parser.add_argument("--port", type=_port, default=7000, help="port of the first node (default 7000)")
        parser.add_argument(
            "--dir", help="where the nodes keep their data (default: ~/.local/state/shoal/PORT)"
        )


def _add_inspecting_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = _command(
        commands,
        "check",
        "tell whether a cluster is sound; exit status 1 if not",
        "  shoal check 127.0.0.1:7000\n  shoal check 127.0.0.1:7000 --json",
    )
    _seed(check)
    _option(
        check, "search-multiple-owners", action="store_true", help="look for slots claimed by several nodes"
    )
    _add_fix(commands)
    _seed(
        _command(
            commands, "info", "show keys, slots and replicas of each primary", "  shoal info 127.0.0.1:7000"
        )
    )
    call = _command(
        commands,
        "call",
        "send one command to every node",
        "  shoal call 127.0.0.1:7000 DBSIZE\n"
        "  shoal call --only-primaries 127.0.0.1:7000 CONFIG SET maxmemory 1gb",
    )
    _option(call, "only-primaries", "only-masters", action="store_true", help="leave replicas out")
    _option(call, "only-replicas", "only-slaves", action="store_true", help="leave primaries out")
    _seed(call)
    call.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments"
    )


def _add_fix(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fix = _command(
        commands,
        "fix",
        "mend a cluster: close open slots, cover slots nobody has, bring keys to their owner",
        "  shoal fix 127.0.0.1:7000 --dry-run          show what would be done\n"
        "  shoal fix 127.0.0.1:7000 --yes\n"
        "  shoal fix 127.0.0.1:7000 --search-multiple-owners\n"
        "What an interrupted reshard left open is finished. No key is dropped: one that two nodes hold with\n"
        "different values is left alone and named, unless --replace says that the source's counts.",
    )
    _seed(fix)
    _option(
        fix, "search-multiple-owners", action="store_true",
        help="look also for keys on nodes that do not own their slot",
    )  # fmt: skip
    _option(
        fix, "fix-with-unreachable-masters", "fix-with-unreachable-primaries", action="store_true",
        help="give away the slots of primaries that do not answer; their keys are lost when they come back",
    )  # fmt: skip
    fix.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
    _option(fix, "yes", action="store_true", help="do not ask")
    _transfer_options(fix)


def _transfer_options(parser: argparse.ArgumentParser) -> None:
    """How keys go from node to node."""
    _option(
        parser, "timeout", type=_positive, default=60000, metavar="MS",
        help="milliseconds one transfer may take (default 60000)",
    )  # fmt: skip
    _option(
        parser, "pipeline", type=_positive, metavar="N",
        help="keys per transfer (default: as many as stay quick)",
    )  # fmt: skip
    _option(parser, "replace", action="store_true", help="overwrite keys the target already has")


def _add_moving_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    reshard = _command(
        commands,
        "reshard",
        "move slots with their keys to one node",
        "  shoal reshard 127.0.0.1:7000 --from all --to 127.0.0.1:7002 --slots 1000 --yes\n"
        "  shoal reshard 127.0.0.1:7000 --to 127.0.0.1:7002 --ranges 0-99,200\n"
        "Slots that an interrupted run left open are continued; with the same --ranges, the rest is done.",
    )
    _seed(reshard)
    _option(reshard, "from", metavar="NODES", help="ids or addresses of sources, comma-separated, or all")
    _option(reshard, "to", metavar="NODE", help="id or address of the node that gets the slots")
    amount = reshard.add_mutually_exclusive_group()
    amount.add_argument("--slots", "--cluster-slots", type=_slot_amount, help="how many slots to move")
    amount.add_argument("--ranges", type=_ranges, default=(), help="which slots to move, such as 0-99,200")
    _option(reshard, "yes", action="store_true", help="do not ask")
    rebalance = _command(
        commands,
        "rebalance",
        "give every primary its share of the slots",
        "  shoal rebalance 127.0.0.1:7000 --simulate\n"
        "  shoal rebalance 127.0.0.1:7000 --use-empty-primaries\n"
        "  shoal rebalance 127.0.0.1:7000 --weight 127.0.0.1:7001=2 127.0.0.1:7002=0",
    )
    _seed(rebalance)
    _option(
        rebalance,
        "weight",
        type=_weight,
        action="extend",
        nargs="+",
        default=[],
        metavar="NODE=WEIGHT",
        help="share of a node, named by id or address; 0 empties it (default 1 for each)",
    )
    _option(
        rebalance,
        "use-empty-primaries",
        "use-empty-masters",
        action="store_true",
        help="give slots also to primaries that have none",
    )
    _option(
        rebalance, "threshold", type=_percentage, default=2.0, metavar="PERCENT",
        help="do nothing while every node is this close to its share (default 2)",
    )  # fmt: skip
    _option(rebalance, "simulate", action="store_true", help="show the moves without making them")
    _option(rebalance, "yes", action="store_true", help=argparse.SUPPRESS)
    for parser in (reshard, rebalance):
        _transfer_options(parser)


def _add_membership_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    create = _command(
        commands,
        "create",
        "make one cluster of empty nodes",
        "  shoal create 10.0.0.1:7000 10.0.0.2:7000 10.0.0.3:7000 --yes\n"
        "  shoal create 127.0.0.1:7000 … 127.0.0.1:7005 --replicas 1",
    )
    create.add_argument("addresses", type=_address, nargs="+", metavar="HOST:PORT")
    _option(create, "replicas", type=_natural, default=0, help="replicas of each primary (default 0)")
    _option(create, "yes", action="store_true", help="do not ask")
    create.add_argument(
        "--if-needed",
        action="store_true",
        help="if they are one cluster already, reunite nodes whose addresses changed and wait for it",
    )
    add = _command(
        commands,
        "add-node",
        "let an empty node join",
        "  shoal add-node 127.0.0.1:7006 127.0.0.1:7000\n"
        "  shoal add-node 127.0.0.1:7006 127.0.0.1:7000 --replica\n"
        "  shoal add-node 127.0.0.1:7006 127.0.0.1:7000 --primary-id 127.0.0.1:7001",
    )
    add.add_argument("new", type=_address, metavar="NEW", help="address of the node that joins")
    _seed(add)
    _option(add, "replica", "slave", action="store_true", help="join as replica of the primary with fewest")
    _option(add, "primary-id", "master-id", metavar="NODE", help="join as replica of this one")
    _option(add, "yes", action="store_true", help=argparse.SUPPRESS)
    remove = _command(
        commands,
        "del-node",
        "remove a node that has no slots",
        "  shoal del-node 127.0.0.1:7000 127.0.0.1:7006\n  shoal del-node 127.0.0.1:7000 NODE_ID",
    )
    _seed(remove)
    remove.add_argument("node", metavar="NODE", help="id or address of the node to remove")
    _option(remove, "yes", action="store_true", help=argparse.SUPPRESS)


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("seed", type=_address, metavar="HOST:PORT", help="any node of the cluster")


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _integer(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
    return int(text)


def _natural(text: str) -> int:
    return _integer(text, 0, 10**9)


def _positive(text: str) -> int:
    return _integer(text, 1, 10**9)


def _port(text: str) -> int:
    return _integer(text, 1, 65535)


def _slot_amount(text: str) -> int:
    return _integer(text, 1, SLOT_COUNT)


def _ranges(text: str) -> Sequence[SlotRange]:
    ranges: list[SlotRange] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = _integer(first, 0, SLOT_COUNT - 1)
        end = _integer(last, start, SLOT_COUNT - 1) if dash else start
        ranges.append((start, end))
    return ranges


def _weight(text: str) -> tuple[str, Fraction]:
    node, _, weight = text.rpartition("=")
    try:
        value = (
            Fraction(weight) if len(weight) < 20 and weight.replace(".", "", 1).isdigit() else Fraction(-1)
        )
    except ValueError:
        value = Fraction(-1)
    if not node or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE=WEIGHT, such as 127.0.0.1:7001=1.5")
    return node, value


def _percentage(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage")
    return value
