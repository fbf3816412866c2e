"""The commands about files on disk: check-rdb and check-aof."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from shoal.cli.errors import CliError
from shoal.cli.file_checks import LogReport, SnapshotReport, check_log, check_snapshot, files_of_manifest
from shoal.cli.printing import Json, Printer, confirm

Found = TypeVar("Found")


async def run_check_rdb(path: Path, printer: Printer) -> int:
    """Say what is in a snapshot; 1 if it cannot be loaded as it is."""
    printer.line(f"[offset 0] Checking RDB file {path}")
    report = await _read(path, lambda: check_snapshot(path, _now_ms()))
    _tell_snapshot(report, printer)
    if report.error:
        printer.error(f"[offset {report.offset}] {report.error}")
    else:
        printer.ok(f"[offset {report.offset}] The snapshot is whole.")
    printer.document({"file": str(path), **_snapshot_fields(report)})
    return 1 if report.error else 0


def _tell_snapshot(report: SnapshotReport, printer: Printer) -> None:
    for name, value in report.auxiliary.items():
        printer.line(f"[info] AUX FIELD {name} = '{value}'")
    types = ", ".join(f"{count} {kind}" for kind, count in sorted(report.types.items()))
    printer.line(f"[info] RDB version {report.version}")
    printer.line(f"[info] {report.keys} keys read{': ' + types if types else ''}")
    printer.line(f"[info] {report.expires} expires")
    printer.line(f"[info] {report.expired} already expired")
    if report.functions:
        printer.line(f"[info] {report.functions} function libraries")


def _snapshot_fields(report: SnapshotReport) -> dict[str, Json]:
    return {
        "size": report.size,
        "whole_until": report.offset,
        "version": report.version,
        "keys": report.keys,
        "types": dict(report.types),
        "expires": report.expires,
        "expired": report.expired,
        "functions": report.functions,
        "auxiliary": report.auxiliary,
    }


async def run_check_aof(path: Path, printer: Printer, *, fix: bool, yes: bool) -> int:
    """Check every file of the set, or one by itself; 1 if one is not whole, and was not made so.

    Only the last file may be cut: it is the one that was being written when something stopped. In an
    earlier one damage is damage, and what follows it would be applied to data that never were.
    """
    is_manifest = path.name.endswith(".manifest")
    files = await _read(path, lambda: files_of_manifest(path)) if is_manifest else (path,)
    printer.line(f"Start checking {'Multi Part AOF' if is_manifest else 'Old-Style AOF'}")
    reports = []
    for file in files:
        report = await _read(file, lambda file=file: check_log(file, _now_ms()))  # type: ignore[misc]
        reports.append(report)
        _tell_log(report, printer)
        if not report.is_whole:
            break
    damaged = next((report for report in reports if not report.is_whole), None)
    if damaged is not None and fix:
        damaged = None if await _cut(damaged, files, printer, yes=yes) else damaged
    elif damaged is not None:
        printer.line("Use the --fix option to cut the file behind its last whole command.")
    if damaged is None:
        printer.ok("All AOF files and manifest are valid" if is_manifest else "The file is valid")
    printer.document({"file": str(path), "files": [_log_fields(report) for report in reports]})
    return 0 if damaged is None else 1


def _tell_log(report: LogReport, printer: Printer) -> None:
    if report.snapshot is not None and not report.snapshot.error:
        keys, offset = report.snapshot.keys, report.snapshot.offset
        printer.line(f"[offset {offset}] RDB preamble is OK, {keys} keys read")
    printer.line(
        f"AOF analyzed: filename={report.name}, size={report.size}, ok_up_to={report.whole_until},"
        f" diff={report.size - report.whole_until}, commands={report.commands}"
    )
    if report.is_whole:
        printer.line(f"AOF {report.name} is valid")
        return
    reasons = [f"a MULTI at offset {report.whole_until} has no EXEC"] if report.in_transaction else []
    reasons += [report.error] if report.error else []
    told = "; ".join(reasons) or "it ends in the middle of a command"
    printer.error(f"AOF {report.name} is not valid: {told}")


async def _cut(report: LogReport, files: tuple[Path, ...], printer: Printer, *, yes: bool) -> bool:
    """Cut a file that is not whole behind its last whole command; False if that was not done."""
    path = next(file for file in files if file.name == report.name)
    if path != files[-1]:
        printer.error(f"Failed to truncate AOF {report.name} because it is not the last file")
        return False
    if report.snapshot is not None and report.snapshot.error:
        printer.error(f"The snapshot at the beginning of {report.name} is damaged: nothing can be kept")
        return False
    lost = report.size - report.whole_until
    question = f"This will shrink {report.name} from {report.size} by {lost} bytes, to {report.whole_until}."
    if not confirm(printer, question, assume_yes=yes):
        return False
    await _read(path, lambda: _truncate(path, report.whole_until))
    printer.start_over()
    printer.line(f"Successfully truncated AOF {report.name}")
    return True


def _truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def _log_fields(report: LogReport) -> dict[str, Json]:
    return {
        "name": report.name,
        "size": report.size,
        "whole_until": report.whole_until,
        "commands": report.commands,
        "valid": report.is_whole,
        "snapshot": None if report.snapshot is None else _snapshot_fields(report.snapshot),
    }


async def _read(path: Path, work: Callable[[], Found]) -> Found:
    """Do what reads or writes a file, away from the tasks; what the system says is told with its name."""
    try:
        return await trio.to_thread.run_sync(work)
    except OSError as problem:
        raise CliError(f"cannot read {path}: {problem.strerror}") from problem


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
