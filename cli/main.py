"""Entry point of `shoal`: from the command line to a command, and from its outcome to an exit status.

0: done, and all is well. 1: something is wrong; the report or the error says what. 2: the command line
makes no sense. 130: interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.cli.arguments import build_parser
from shoal.cli.errors import CliError
from shoal.cli.printing import Printer

if TYPE_CHECKING:
    from shoal.cli.client import Credentials

INTERRUPTED = 130
_CALL_FLAGS = {
    "--cluster-only-masters": "only_primaries",
    "--cluster-only-primaries": "only_primaries",
    "--cluster-only-replicas": "only_replicas",
    "--cluster-only-slaves": "only_replicas",
}

Work = Callable[[], Awaitable[int]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command == "help":
        parser.parse_args([*([options.topic] if options.topic else []), "--help"])
    printer = Printer(as_json=options.json)
    # Loaded only now, so that --help and --version answer at once.
    import trio

    try:
        return trio.run(_choose(options, printer), strict_exception_groups=True)
    except CliError as failure:
        _report_failure(printer, failure)
        return 1
    except (KeyboardInterrupt, BaseExceptionGroup) as interruption:
        if isinstance(interruption, BaseExceptionGroup) and interruption.split(KeyboardInterrupt)[1]:
            raise
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return 1


def _report_failure(printer: Printer, failure: CliError) -> None:
    """On standard error, and in JSON mode also as a document."""
    complaint = Printer(out=sys.stderr)
    complaint.error(str(failure))
    for line in failure.details:
        complaint.line(f"   {line}")
    if printer.as_json:
        printer.error(str(failure))
        printer.document({})


def _choose(options: argparse.Namespace, printer: Printer) -> Work:
    """The coroutine function of the command, with its arguments."""
    from shoal.cli.client import Credentials

    credentials = Credentials(options.user, _ask_password("") if options.askpass else options.password)
    command: str = options.command
    if command in {"up", "down", "status"}:
        return _choose_local(options, credentials, printer)
    if command in {"reshard", "rebalance"}:
        return _choose_moving(options, credentials, printer)
    if command in {"check", "info", "call"}:
        return _choose_inspecting(options, credentials, printer)
    if command in {"check-rdb", "check-aof"}:
        return _choose_file_check(options, printer)
    if command == "fix":
        return _choose_fix(options, credentials, printer)
    if command in {"import", "backup", "set-timeout"}:
        return _choose_data(options, credentials, printer)
    from shoal.cli import membership

    if command == "create":
        return partial(
            membership.run_create,
            options.addresses,
            credentials,
            printer,
            replicas=options.replicas,
            yes=options.yes,
            if_needed=options.if_needed,
        )
    if command == "add-node":
        return partial(
            membership.run_add_node,
            options.new,
            options.seed,
            credentials,
            printer,
            replica=options.replica,
            primary_id=options.primary_id,
        )
    return partial(membership.run_del_node, options.seed, credentials, printer, node_id=options.node)


def _choose_local(options: argparse.Namespace, credentials: Credentials, printer: Printer) -> Work:
    from shoal.cli import local, local_status
    from shoal.cli.local_nodes import ServerCommand
    from shoal.cli.local_state import default_directory

    directory = Path(options.dir).absolute() if options.dir else default_directory(options.port)
    if options.command == "down":
        return partial(local_status.run_down, directory, printer)
    if options.command == "status":
        return partial(local_status.run_status, directory, credentials, printer)
    cluster = local.choose_cluster(directory, options.host, options.port, options.primaries, options.replicas)
    server = ServerCommand(local.find_server(options.server), options.node_timeout, options.directives)
    return partial(local.run_up, cluster, directory, server, credentials, printer, detach=options.detach)


def _choose_moving(options: argparse.Namespace, credentials: Credentials, printer: Printer) -> Work:
    from shoal.cli import resharding
    from shoal.cli.draining import MigrateOptions

    migrate = MigrateOptions(options.timeout, options.pipeline, options.replace)
    if options.command == "reshard":
        return partial(
            resharding.run_reshard,
            options.seed,
            credentials,
            printer,
            migrate,
            sources=getattr(options, "from"),
            target=options.to,
            count=options.slots,
            ranges=options.ranges,
            yes=options.yes,
        )
    return partial(
        resharding.run_rebalance,
        options.seed,
        credentials,
        printer,
        migrate,
        weights=options.weight,
        use_empty=options.use_empty_primaries,
        threshold=options.threshold,
        simulate=options.simulate,
    )


def _choose_fix(options: argparse.Namespace, credentials: Credentials, printer: Printer) -> Work:
    from shoal.cli import fixing
    from shoal.cli.draining import MigrateOptions

    return partial(
        fixing.run_fix,
        options.seed,
        credentials,
        printer,
        MigrateOptions(options.timeout, options.pipeline, options.replace),
        search_multiple_owners=options.search_multiple_owners,
        with_unreachable=options.fix_with_unreachable_masters,
        dry_run=options.dry_run,
        yes=options.yes,
    )


def _choose_data(options: argparse.Namespace, credentials: Credentials, printer: Printer) -> Work:
    from shoal.cli.client import Credentials
    from shoal.cli.draining import MigrateOptions

    if options.command == "set-timeout":
        from shoal.cli import configuring

        return partial(
            configuring.run_set_timeout, options.seed, credentials, printer, milliseconds=options.milliseconds
        )
    if options.command == "backup":
        from shoal.cli import backing_up

        return partial(
            backing_up.run_backup, options.seed, credentials, printer, directory=Path(options.directory)
        )
    from shoal.cli import importing

    source = getattr(options, "from")
    password = _ask_password(f" of {source}") if options.from_askpass else options.from_pass
    return partial(
        importing.run_import,
        options.seed,
        credentials,
        printer,
        MigrateOptions(options.timeout, options.pipeline, options.replace),
        source=source,
        source_credentials=Credentials(options.from_user, password),
        copy=options.copy,
    )


def _ask_password(whose: str) -> str:
    import getpass

    return getpass.getpass(f"Please input password{whose}: ")


def _choose_file_check(options: argparse.Namespace, printer: Printer) -> Work:
    from shoal.cli import checking_files

    path = Path(options.file)
    if options.command == "check-rdb":
        return partial(checking_files.run_check_rdb, path, printer)
    return partial(checking_files.run_check_aof, path, printer, fix=options.fix, yes=options.yes)


def _choose_inspecting(options: argparse.Namespace, credentials: Credentials, printer: Printer) -> Work:
    from shoal.cli import inspecting

    if options.command == "check":
        search = options.search_multiple_owners
        return partial(
            inspecting.run_check, options.seed, credentials, printer, search_multiple_owners=search
        )
    if options.command == "info":
        return partial(inspecting.run_info, options.seed, credentials, printer)
    words: list[str] = options.words
    # redis-cli takes these after the command too; as words of a command they would make no sense.
    while words and words[-1] in _CALL_FLAGS:
        setattr(options, _CALL_FLAGS[words.pop()], True)
    if not words:
        raise CliError("no command to send; write it after the address: shoal call HOST:PORT DBSIZE")
    return partial(
        inspecting.run_call,
        options.seed,
        credentials,
        printer,
        words,
        only_primaries=options.only_primaries,
        only_replicas=options.only_replicas,
    )


if __name__ == "__main__":
    sys.exit(main())
