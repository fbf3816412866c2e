"""The command line: what can be typed, and its help.

Names of cluster options are those of `redis-cli --cluster`, and its longer spelling (`--cluster-yes` for
`--yes`) is understood everywhere.
"""

from __future__ import annotations

import argparse
import os

from shoal import __version__
from shoal.cli.argument_values import (
    SeedAction,
    address,
    natural,
    percentage,
    port,
    positive,
    ranges,
    slot_amount,
    weight,
)


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
    _add_data_commands(commands)
    _add_file_commands(commands)
    commands.add_parser("help", help="show this, or the help of a command").add_argument("topic", nargs="?")
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
    parser.add_argument("--askpass", action="store_true", help="ask for the password on the terminal")
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
    _option(up, "primaries", type=positive, help="how many primaries (default 3)")
    _option(up, "replicas", type=natural, help="replicas of each primary (default 1)")
    up.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    up.add_argument(
        "--detach", action="store_true", help="return when the cluster is ready, leave it running"
    )
    up.add_argument(
        "--server", help="server program (default: SHOAL_SERVER, or the shoal-server beside this)"
    )
    up.add_argument(
        "--node-timeout",
        type=positive,
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
        parser.add_argument("--port", type=port, default=7000, help="port of the first node (default 7000)")
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
    _seed(call, or_two_words=False)
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
        parser, "timeout", type=positive, default=60000, metavar="MS",
        help="milliseconds one transfer may take (default 60000)",
    )  # fmt: skip
    _option(
        parser, "pipeline", type=positive, metavar="N",
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
    amount.add_argument("--slots", "--cluster-slots", type=slot_amount, help="how many slots to move")
    amount.add_argument("--ranges", type=ranges, default=(), help="which slots to move, such as 0-99,200")
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
        type=weight,
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
        rebalance, "threshold", type=percentage, default=2.0, metavar="PERCENT",
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
    create.add_argument("addresses", type=address, nargs="+", metavar="HOST:PORT")
    _option(create, "replicas", type=natural, default=0, help="replicas of each primary (default 0)")
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
    add.add_argument("new", type=address, metavar="NEW", help="address of the node that joins")
    _seed(add, or_two_words=False)
    _option(add, "replica", "slave", action="store_true", help="join as replica of the primary with fewest")
    _option(
        add, "primary-id", "master-id", "primaries-id", metavar="NODE", help="join as replica of this one"
    )
    _option(add, "yes", action="store_true", help=argparse.SUPPRESS)
    remove = _command(
        commands,
        "del-node",
        "remove a node that has no slots",
        "  shoal del-node 127.0.0.1:7000 127.0.0.1:7006\n  shoal del-node 127.0.0.1:7000 NODE_ID",
    )
    _seed(remove, or_two_words=False)
    remove.add_argument("node", metavar="NODE", help="id or address of the node to remove")
    _option(remove, "yes", action="store_true", help=argparse.SUPPRESS)


def _add_data_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    timeout = _command(
        commands,
        "set-timeout",
        "set cluster-node-timeout on every node, and in its configuration file",
        "  shoal set-timeout 127.0.0.1:7000 10000",
    )
    _seed(timeout, or_two_words=False)
    timeout.add_argument("milliseconds", type=positive, help="how long a node may be silent; at least 100")
    imported = _command(
        commands,
        "import",
        "move or copy the keys of a server outside the cluster into it",
        "  shoal import 127.0.0.1:7000 --from 127.0.0.1:6379             moves every key of database 0\n"
        "  shoal import 127.0.0.1:7000 --from 127.0.0.1:6379 --copy      leaves them there as well\n"
        "A key the cluster already has is left alone and named, unless the values are equal or --replace\n"
        "is given. The server may be in use meanwhile: each key moves atomically.",
    )
    _seed(imported)
    _option(
        imported, "from", type=address, required=True, metavar="HOST:PORT", help="the server with the keys"
    )
    _option(imported, "from-user", help="user name to log in there with")
    _option(imported, "from-pass", metavar="PASSWORD", help="password to log in there with")
    _option(imported, "from-askpass", action="store_true", help="ask for that password on the terminal")
    _option(imported, "copy", action="store_true", help="leave the keys also where they are")
    _transfer_options(imported)
    backup = _command(
        commands,
        "backup",
        "save a snapshot of each primary, and who has which slots, in a folder",
        "  shoal backup 127.0.0.1:7000 /var/backups/cluster\n"
        "Writes redis-node-HOST-PORT-ID.rdb for each primary, and nodes.json. To restore, start a server on\n"
        "each file, outside of a cluster, and shoal import from it.",
    )
    _seed(backup, or_two_words=False)
    backup.add_argument("directory", help="folder to write to; made if need be")


def _add_file_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rdb = _command(
        commands,
        "check-rdb",
        "tell whether a snapshot file is whole, and what is in it; exit status 1 if not",
        "  shoal check-rdb /var/lib/shoal/dump.rdb",
    )
    rdb.add_argument("file", help="a snapshot of Redis, Valkey or Shoal")
    aof = _command(
        commands,
        "check-aof",
        "tell whether an append-only file is whole; exit status 1 if not",
        "  shoal check-aof appendonlydir/appendonly.aof.manifest\n"
        "  shoal check-aof --fix appendonlydir/appendonly.aof.manifest",
    )
    aof.add_argument("file", help="the manifest, or one file by itself")
    aof.add_argument("--fix", action="store_true", help="cut the last file behind its last whole command")
    aof.add_argument("--yes", action="store_true", help="do not ask")


def _seed(parser: argparse.ArgumentParser, *, or_two_words: bool = True) -> None:
    """Any node of the cluster. Commands that take no other words understand `HOST PORT` as well."""
    if or_two_words:
        parser.add_argument(
            "seed", nargs="+", action=SeedAction, metavar="HOST:PORT", help="any node of the cluster"
        )
    else:
        parser.add_argument("seed", type=address, metavar="HOST:PORT", help="any node of the cluster")
