"""INFO: the state of a server as lines of `field:value`, section by section.

The names are Redis's, because dashboards and clients look for them. A field about something that does not
exist here (jemalloc's arenas, forks, I/O threads) is a constant, see `info_constants`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

from shoal import __version__
from shoal.node.commands.registry import PLUG_INS
from shoal.node.server.append_only import AofState, AppendOnly
from shoal.node.server.info_constants import constant_fields
from shoal.node.server.latency import percentile_us
from shoal.node.server.memory_limit import EMPTY_SERVER_BYTES
from shoal.node.server.pausing import UNTIL_IT_ENDS
from shoal.node.server.persistence import Loading
from shoal.node.server.replication_info import replication_fields
from shoal.node.server.versions import REDIS_VERSION

if TYPE_CHECKING:
    from shoal.node.dataset.database import Database
    from shoal.node.server.server import Server

Fields = list[tuple[str, object]]

EXPIRIES_SAMPLED = 1000
"""From how many keys `avg_ttl` is estimated."""


def info_text(server: Server, wanted: Iterable[str]) -> str:
    """The sections asked for, in their fixed order. Unknown names are ignored."""
    names = chosen_sections(wanted)
    parts = [
        f"# {name.capitalize() if name != 'cpu' else 'CPU'}\r\n"
        + "".join(f"{field}:{value}\r\n" for field, value in fields(server) + constant_fields(name))
        for name, fields in SECTIONS.items()
        if name in names
    ]
    return "\r\n".join(parts)


def chosen_sections(wanted: Iterable[str]) -> set[str]:
    """The sections that the words after INFO mean together."""
    chosen: set[str] = set()
    for word in wanted or ["default"]:
        name = word.lower()
        if name == "default":
            chosen |= _DEFAULT
        elif name == "all":
            chosen |= set(SECTIONS) - {"modules"}
        elif name == "everything":
            chosen |= set(SECTIONS)
        else:
            chosen.add(name)
    return chosen


def _server(server: Server) -> Fields:
    facts, config, now_ms = server.host.facts(), server.config, server.keyspace.now_ms
    uptime = (now_ms - server.started_ms) // 1000
    return [
        ("redis_version", REDIS_VERSION),
        ("shoal_version", __version__),
        ("redis_git_sha1", "00000000"),
        ("redis_git_dirty", 0),
        ("redis_build_id", 0),
        ("redis_mode", "cluster" if config.cluster_enabled else "standalone"),
        ("os", facts.operating_system),
        ("arch_bits", 64),
        ("multiplexing_api", facts.multiplexing),
        ("python_version", facts.python),
        ("process_id", facts.process_id),
        ("process_supervised", config.supervised),
        ("run_id", server.run_id),
        ("tcp_port", config.port),
        ("server_time_usec", now_ms * 1000),
        ("uptime_in_seconds", uptime),
        ("uptime_in_days", uptime // 86400),
        ("hz", config.hz),
        ("configured_hz", config.hz),
        ("lru_clock", (now_ms // 1000) & 0xFFFFFF),
        ("executable", facts.executable),
        ("config_file", config.file or ""),
        ("io_threads_active", 0),
        *_listeners(server),
        *_shutdown(server),
    ]


def _listeners(server: Server) -> Fields:
    """Where clients may connect, a line each."""
    config = server.config
    listeners = []
    if config.port:
        binds = ",".join(f"bind={address}" for address in config.bind)
        listeners.append(f"name=tcp,{binds},port={config.port}")
    if config.unixsocket:
        listeners.append(f"name=unix,bind={config.unixsocket}")
    return [(f"listener{number}", listener) for number, listener in enumerate(listeners)]


def _shutdown(server: Server) -> Fields:
    """How much longer a shutdown waits for replicas, while it does."""
    until_ms = server.pause.shutdown_until_ms
    left_ms = max(until_ms - server.keyspace.now_ms, 0)
    return [("shutdown_in_milliseconds", left_ms)] if 0 < until_ms < UNTIL_IT_ENDS else []


def _clients(server: Server) -> Fields:
    sessions = server.sessions.values()
    return [
        ("connected_clients", sum(not session.is_replica_link for session in sessions)),
        ("cluster_connections", len(server.cluster.view.links) if server.cluster is not None else 0),
        ("maxclients", server.config.maxclients),
        ("client_recent_max_output_buffer", max((session.out_bytes for session in sessions), default=0)),
        ("blocked_clients", len(server.blocked)),
        ("tracking_clients", len(server.tracking.trackers)),
        ("pubsub_clients", sum(session.subscriptions is not None for session in sessions)),
        ("watching_clients", sum(bool(session.watched) for session in sessions)),
        ("clients_in_timeout_table", _clients_with_deadline(server)),
        ("total_watched_keys", len({key for session in sessions for key in session.watched})),
        ("total_blocking_keys", server.key_waits.keys),
        ("total_blocking_keys_on_nokey", server.key_waits.keys_that_must_stay),
    ]


def _clients_with_deadline(server: Server) -> int:
    return sum(
        session.blocked is not None and session.blocked.deadline_ms is not None
        for session in server.sessions.values()
    )


def _script_memory(server: Server) -> Fields:
    """Scripts and functions: what their interpreters hold, and what is kept of their sources."""
    scripts = server.scripts
    libraries = scripts.functions.libraries
    in_eval, in_functions = scripts.memory_bytes, scripts.functions.memory_bytes
    kept_scripts = sum(len(script.body) for script in scripts.cache.by_digest.values())
    kept_functions = sum(map(len, server.keyspace.functions))
    return [
        ("used_memory_lua", in_eval),
        ("used_memory_lua_human", human_bytes(in_eval)),
        ("used_memory_vm_eval", in_eval),
        ("used_memory_vm_functions", in_functions),
        ("used_memory_vm_total", in_eval + in_functions),
        ("used_memory_vm_total_human", human_bytes(in_eval + in_functions)),
        ("used_memory_functions", kept_functions),
        ("used_memory_scripts", kept_scripts + kept_functions),
        ("used_memory_scripts_eval", kept_scripts),
        ("used_memory_scripts_human", human_bytes(kept_scripts + kept_functions)),
        ("number_of_cached_scripts", len(scripts.cache.by_digest)),
        ("number_of_functions", sum(len(library.functions) for library in libraries.values())),
        ("number_of_libraries", len(libraries)),
    ]


def _memory(server: Server) -> Fields:
    facts, config = server.host.facts(), server.config
    used = server.memory.reported_bytes()
    peak = server.memory.peak_bytes
    overhead = min(server.memory.overhead_bytes(), used)
    dataset = used - overhead
    backlog_bytes = server.memory.backlog_bytes
    held = used + server.memory.startup_bytes
    return [
        ("used_memory", used),
        ("used_memory_human", human_bytes(used)),
        ("used_memory_rss", facts.resident_bytes),
        ("used_memory_rss_human", human_bytes(facts.resident_bytes)),
        ("used_memory_peak", peak),
        ("used_memory_peak_human", human_bytes(peak)),
        ("used_memory_peak_perc", f"{used * 100 / peak if peak else 0:.2f}%"),
        ("used_memory_overhead", overhead),
        ("used_memory_startup", EMPTY_SERVER_BYTES),
        ("used_memory_interpreter", server.memory.startup_bytes),
        ("used_memory_dataset", dataset),
        ("used_memory_dataset_perc", f"{dataset * 100 / used if used else 0:.2f}%"),
        ("total_system_memory", facts.system_memory_bytes),
        ("total_system_memory_human", human_bytes(facts.system_memory_bytes)),
        ("maxmemory", config.maxmemory),
        ("maxmemory_human", human_bytes(config.maxmemory)),
        ("maxmemory_policy", config.maxmemory_policy),
        *_script_memory(server),
        ("mem_fragmentation_ratio", f"{facts.resident_bytes / held if held else 1:.2f}"),
        ("mem_fragmentation_bytes", facts.resident_bytes - held),
        ("mem_not_counted_for_evict", server.memory.uncounted_bytes()),
        ("mem_clients_normal", _unsent_bytes(server, to_replicas=False)),
        ("mem_clients_slaves", _unsent_bytes(server, to_replicas=True)),
        ("mem_replication_backlog", backlog_bytes),
        ("mem_total_replication_buffers", backlog_bytes + _unsent_bytes(server, to_replicas=True)),
        ("mem_aof_buffer", server.aof.unwritten_bytes),
        ("mem_allocator", "python"),
        ("active_defrag_running", 0),
        ("lazyfree_pending_objects", 0),
        ("lazyfreed_objects", 0),
    ]


def _unsent_bytes(server: Server, *, to_replicas: bool) -> int:
    """What waits to be sent to replicas, or to everybody else."""
    sessions = server.sessions.values()
    return sum(session.out_bytes for session in sessions if session.is_replica_link == to_replicas)


def _persistence(server: Server) -> Fields:
    state, now = server.persistence, server.keyspace.now_ms // 1000
    since = state.in_progress_since
    return [
        ("loading", int(server.loading)),
        ("async_loading", int(_is_loading_beside(server))),
        *_walk(server),
        ("rdb_changes_since_last_save", server.keyspace.changes - state.changes_saved),
        ("rdb_bgsave_in_progress", int(since is not None or bool(server.replication.full_syncs.under_way))),
        ("rdb_last_save_time", state.last_save_time),
        ("rdb_last_bgsave_status", "ok" if state.last_save_ok else "err"),
        ("rdb_last_bgsave_time_sec", state.last_save_seconds),
        ("rdb_current_bgsave_time_sec", -1 if since is None else now - since),
        ("rdb_saves", state.saves),
        ("rdb_last_cow_size", state.last_save_copied),
        ("rdb_last_load_keys_expired", state.keys_expired),
        ("rdb_last_load_keys_loaded", state.keys_loaded),
        *_append_only(server.aof, now),
        ("module_fork_in_progress", 0),
        *_loading(state.loading, now),
    ]


def _walk(server: Server) -> Fields:
    """How far the snapshot is that is under way for longest, whoever it is for.

    What takes memory for it is not pages but single values, copied before a write changes them.
    """
    walk = next(iter(server.keyspace.snapshots), None)
    told, total, copied = (walk.told, walk.total, walk.copied) if walk is not None else (0, 0, 0)
    return [
        ("current_cow_peak", copied),
        ("current_cow_size", copied),
        ("current_cow_size_age", 0),
        ("current_fork_perc", f"{100 * told / max(total, 1):.2f}"),
        ("current_save_keys_processed", told),
        ("current_save_keys_total", total),
    ]


def _loading(loading: Loading | None, now: int) -> Fields:
    """How far the loading of all data is, and how long it will take at this pace."""
    if loading is None:
        return []
    loaded, total, seconds = loading.loaded_bytes, loading.total_bytes, max(now - loading.since, 1)
    return [
        ("loading_start_time", loading.since),
        ("loading_total_bytes", total),
        ("loading_rdb_used_mem", 0),
        ("loading_loaded_bytes", loaded),
        ("loading_loaded_perc", f"{100 * loaded / max(total, 1):.2f}"),
        ("loading_eta_seconds", max(total - loaded, 0) * seconds // loaded if loaded else -1),
    ]


def _append_only(aof: AppendOnly, now: int) -> Fields:
    since, is_on = aof.rewriting_since, aof.state is not AofState.OFF
    fields: Fields = [
        ("aof_enabled", int(is_on)),
        ("aof_rewrite_in_progress", int(since is not None)),
        ("aof_rewrite_scheduled", int(aof.rewrite_scheduled)),
        ("aof_last_rewrite_time_sec", aof.last_rewrite_seconds),
        ("aof_current_rewrite_time_sec", -1 if since is None else now - since),
        ("aof_last_bgrewrite_status", "ok" if aof.last_rewrite_ok else "err"),
        ("aof_rewrites", aof.rewrites),
        ("aof_rewrites_consecutive_failures", aof.failed_rewrites),
        ("aof_last_write_status", "ok" if aof.error is None else "err"),
    ]
    if is_on:
        fields += [
            ("aof_current_size", aof.current_size),
            ("aof_base_size", aof.base_size),
            ("aof_pending_rewrite", int(aof.rewrite_scheduled)),
            ("aof_buffer_length", aof.unwritten_bytes),
            ("aof_pending_bio_fsync", aof.pending_fsyncs),
            ("aof_delayed_fsync", aof.delayed_fsyncs),
        ]
    return fields


def _is_loading_beside(server: Server) -> bool:
    """Whether a primary's snapshot is on its way in, while what there was is still served."""
    following = server.replication.following
    return following is not None and following.incoming is not None and not server.loading


def _stats(server: Server) -> Fields:
    statistics, keyspace = server.statistics, server.keyspace
    return [
        ("total_connections_received", statistics.connections_received),
        ("total_commands_processed", server.dispatcher.commands_processed),
        ("instantaneous_ops_per_sec", round(statistics.commands_rate.per_second)),
        ("total_net_input_bytes", statistics.input_bytes),
        ("total_net_output_bytes", statistics.output_bytes),
        ("instantaneous_input_kbps", f"{statistics.input_rate.per_second / 1024:.2f}"),
        ("instantaneous_output_kbps", f"{statistics.output_rate.per_second / 1024:.2f}"),
        ("rejected_connections", statistics.connections_rejected),
        ("sync_full", server.replication.requested_full_syncs),
        ("sync_partial_ok", server.replication.partial_syncs),
        ("sync_partial_err", server.replication.refused_partial_syncs),
        ("expired_keys", keyspace.expired),
        ("expired_subkeys", keyspace.expired_fields),
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", 0),
        ("evicted_keys", keyspace.evicted),
        ("evicted_clients", statistics.clients_evicted),
        ("evicted_scripts", statistics.scripts_evicted),
        ("client_query_buffer_limit_disconnections", statistics.clients_that_sent_too_much),
        ("client_output_buffer_limit_disconnections", statistics.clients_that_took_too_little),
        ("keyspace_hits", keyspace.hits),
        ("keyspace_misses", keyspace.misses),
        ("pubsub_channels", len(server.pubsub.channels)),
        ("pubsub_patterns", len(server.pubsub.patterns)),
        ("pubsubshard_channels", len(server.pubsub.shard_channels)),
        ("latest_fork_usec", statistics.last_writer_start_us),
        ("total_forks", statistics.snapshots_begun),  # what others fork for
        ("migrate_cached_sockets", statistics.migrate_links),
        ("tracking_total_keys", server.tracking.keys),
        ("tracking_total_items", server.tracking.items),
        ("tracking_total_prefixes", server.tracking.prefixes),
        ("unexpected_error_replies", 0),
        ("total_error_replies", server.error_counts.total()),
        ("total_reads_processed", statistics.reads),
        ("total_writes_processed", statistics.writes),
        ("eventloop_cycles", statistics.turns),
        ("instantaneous_eventloop_cycles_per_sec", round(statistics.turns_rate.per_second)),
        *[(f"acl_access_denied_{reason.label}", count) for reason, count in server.acl.denied.items()],
    ]


def _cpu(server: Server) -> Fields:
    facts = server.host.facts()
    return [
        ("used_cpu_sys", f"{facts.cpu_system:.6f}"),
        ("used_cpu_user", f"{facts.cpu_user:.6f}"),
        ("used_cpu_sys_children", f"{facts.cpu_system_children:.6f}"),
        ("used_cpu_user_children", f"{facts.cpu_user_children:.6f}"),
        ("used_cpu_sys_main_thread", f"{facts.cpu_system:.6f}"),
        ("used_cpu_user_main_thread", f"{facts.cpu_user:.6f}"),
    ]


def _modules(server: Server) -> Fields:
    about = "ver=1,api=1,filters=0,usedby=[],using=[],options=[]"
    return [("module", f"name={name},{about}") for name in PLUG_INS]


def _commandstats(server: Server) -> Fields:
    return [
        (
            f"cmdstat_{entry.spec.full_name}",
            f"calls={entry.calls},usec={entry.microseconds},"
            f"usec_per_call={entry.microseconds / entry.calls if entry.calls else 0:.2f},"
            f"rejected_calls={entry.rejected_calls},failed_calls={entry.failed_calls}",
        )
        for entry in server.dispatcher.all_entries
        if entry.calls or entry.rejected_calls or entry.failed_calls
    ]


def _errorstats(server: Server) -> Fields:
    return [(f"errorstat_{code}", f"count={count}") for code, count in sorted(server.error_counts.items())]


def _latencystats(server: Server) -> Fields:
    if not server.config.latency_tracking:
        return []
    percentiles = server.config.latency_tracking_info_percentiles
    return [
        (
            f"latency_percentiles_usec_{entry.spec.full_name}",
            ",".join(f"p{at:g}={percentile_us(entry.histogram, at):.3f}" for at in percentiles),
        )
        for entry in server.dispatcher.all_entries
        if entry.calls
    ]


def _cluster(server: Server) -> Fields:
    return [("cluster_enabled", int(server.config.cluster_enabled))]


def _keyspace(server: Server) -> Fields:
    return [
        (
            f"db{database.index}",
            f"keys={len(database)},expires={database.expires.count},avg_ttl={average_ttl_ms(database)}",
        )
        for database in server.keyspace.databases
        if len(database)
    ]


def average_ttl_ms(database: Database) -> int:
    """The mean time to live of the keys that have one, estimated from some of them."""
    sample = list(islice(database.expires.moments(), EXPIRIES_SAMPLED))
    now_ms = database.keyspace.now_ms
    return sum(max(at_ms - now_ms, 0) for at_ms in sample) // len(sample) if sample else 0


def human_bytes(size: int) -> str:
    """A size for people: `512B`, `1.50K`, `12.34M`."""
    if size < 1024:
        return f"{size}B"
    scaled = size / 1024
    for unit in "KMGT":
        if scaled < 1024:
            return f"{scaled:.2f}{unit}"
        scaled /= 1024
    return f"{scaled:.2f}P"


SECTIONS: dict[str, Callable[[Server], Fields]] = {
    "server": _server,
    "clients": _clients,
    "memory": _memory,
    "persistence": _persistence,
    "stats": _stats,
    "replication": replication_fields,
    "cpu": _cpu,
    "modules": _modules,
    "commandstats": _commandstats,
    "errorstats": _errorstats,
    "latencystats": _latencystats,
    "cluster": _cluster,
    "keyspace": _keyspace,
}
"""Every section, in the order in which INFO prints them."""

_DEFAULT = set(SECTIONS) - {"commandstats", "latencystats"}
