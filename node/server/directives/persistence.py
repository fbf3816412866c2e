"""What is written to disk, when, and where."""

from __future__ import annotations

from shoal.node.server.parameters import (
    INT_MAX,
    LONG_MAX,
    Choice,
    DirectiveError,
    Integer,
    Memory,
    Text,
    YesNo,
)
from shoal.node.server.special_parameters import SavePoints


def _file_name(name: str, directive: str, kind: str) -> None:
    if not name:
        raise DirectiveError(f"{directive} can't be empty")
    if "/" in name:
        raise DirectiveError(f"{directive} can't be a path, just a {kind}")


def _dbfilename(name: str) -> None:
    if "/" in name:
        raise DirectiveError("dbfilename can't be a path, just a filename")


class PersistenceDirectives:
    """Snapshots and the append-only file."""

    dir = Text(".", protected=True, refused_while_loading=True)
    dbfilename = Text("dump.rdb", _dbfilename, protected=True)
    save = SavePoints(((3600, 1), (300, 100), (60, 10000)))
    rdbchecksum = YesNo(True, mutable=False)
    rdbcompression = YesNo(True, effect="for files, and where python-lzf is installed: `shoal[compression]`")
    rdb_del_sync_files = YesNo(False)
    rdb_save_incremental_fsync = YesNo(True)
    stop_writes_on_bgsave_error = YesNo(True)
    sanitize_dump_payload = Choice(
        "no",
        ("no", "yes", "clients"),
        effect="none: what RESTORE and a snapshot hold is always checked in full",
    )
    rdb_key_save_delay = Integer(0, -INT_MAX - 1, INT_MAX, hidden=True)
    key_load_delay = Integer(0, -INT_MAX - 1, INT_MAX, hidden=True)
    loading_process_events_interval_bytes = Memory(
        2 << 20,
        1024,
        INT_MAX,
        hidden=True,
        effect="differs: others have their turn after 64 KiB at most",
    )

    appendonly = YesNo(False, refused_while_loading=True)
    appendfilename = Text(
        "appendonly.aof", lambda name: _file_name(name, "appendfilename", "filename"), mutable=False
    )
    appenddirname = Text(
        "appendonlydir", lambda name: _file_name(name, "appenddirname", "dirname"), mutable=False
    )
    appendfsync = Choice("everysec", ("everysec", "always", "no"))
    no_appendfsync_on_rewrite = YesNo(False)
    auto_aof_rewrite_percentage = Integer(100)
    auto_aof_rewrite_min_size = Memory(64 << 20, 0, LONG_MAX)
    aof_load_truncated = YesNo(True)
    aof_use_rdb_preamble = YesNo(True)
    aof_timestamp_enabled = YesNo(False)
    aof_disable_auto_gc = YesNo(False)
    aof_rewrite_incremental_fsync = YesNo(True)

    shutdown_timeout = Integer(10)
