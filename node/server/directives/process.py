"""The process and its logs, and how the node watches itself."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

from shoal.node.server.parameters import LONG_MAX, Choice, ChoiceSet, DirectiveError, Integer, Text, YesNo
from shoal.node.server.special_parameters import OomScores, Percentiles

_NO_SYSLOG = "none: the log goes to logfile or to standard output, which a supervisor can hand to syslog"
_ONE_THREAD = "none: a node is one process with one thread; pin it with taskset"
_NO_CRASH_TEST = "none: after a crash the process ends at once, with nothing more than its report"
_SHUTDOWN_CHOICES = ("default", "save", "nosave", "now", "force")
_FACILITIES = ("user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7")


_TITLE_VARIABLES = frozenset(
    {"title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"}
)


def _title_template(template: str) -> None:
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        parts = [("", "", None, None)]
    for _, name, form, conversion in parts:
        if name is not None and (name not in _TITLE_VARIABLES or form or conversion):
            raise DirectiveError("template format is invalid or contains unknown variables")


class ShutdownOptions(ChoiceSet):
    """What a signal's shutdown does; SAVE and NOSAVE exclude each other."""

    def read(self, words: Sequence[str], current: tuple[str, ...]) -> tuple[str, ...]:
        options = super().read(words, current)
        if "save" in options and "nosave" in options:
            raise DirectiveError("shutdown options SAVE and NOSAVE can't be used simultaneously")
        return options


class ProcessDirectives:
    """Running as a service, logging, slow commands, latency."""

    daemonize = YesNo(False, mutable=False)
    supervised = Choice("no", ("upstart", "systemd", "auto", "no"), mutable=False)
    pidfile = Text(mutable=False)
    hz = Integer(10, 0)
    dynamic_hz = YesNo(True, effect="none: timers do not become dearer with more clients")
    set_proc_title = YesNo(True, mutable=False)
    proc_title_template = Text("{title} {listen-addr} {server-mode}", _title_template)
    always_show_logo = YesNo(
        False, mutable=False, effect="differs: there is no logo, but its facts (mode, port, PID) are logged"
    )
    disable_thp = YesNo(True, mutable=False, effect="none: nothing here forks and copies pages")
    oom_score_adj = Choice("no", ("no", "yes", "relative", "absolute"))
    oom_score_adj_values = OomScores((0, 200, 800))
    server_cpulist = Text(alias="server_cpulist", effect=_ONE_THREAD)
    bio_cpulist = Text(alias="bio_cpulist", effect=_ONE_THREAD)
    aof_rewrite_cpulist = Text(alias="aof_rewrite_cpulist", effect=_ONE_THREAD)
    bgsave_cpulist = Text(alias="bgsave_cpulist", effect=_ONE_THREAD)
    shutdown_on_sigint = ShutdownOptions((), _SHUTDOWN_CHOICES)
    shutdown_on_sigterm = ShutdownOptions((), _SHUTDOWN_CHOICES)
    crash_log_enabled = YesNo(True)
    crash_memcheck_enabled = YesNo(True, effect=_NO_CRASH_TEST)
    use_exit_on_panic = YesNo(False, hidden=True, effect=_NO_CRASH_TEST)
    watchdog_period = Integer(0, hidden=True, effect="none: see latency-monitor-threshold instead")

    hide_user_data_from_log = YesNo(False, effect="none: what clients store is not logged")
    loglevel = Choice("notice", ("debug", "verbose", "notice", "warning"))
    logfile = Text(mutable=False)
    syslog_enabled = YesNo(False, mutable=False, effect=_NO_SYSLOG)
    syslog_ident = Text("shoal", mutable=False, effect=_NO_SYSLOG)
    syslog_facility = Choice("local0", _FACILITIES, mutable=False, effect=_NO_SYSLOG)

    slowlog_log_slower_than = Integer(10000, -1, LONG_MAX)
    slowlog_max_len = Integer(128, 0, LONG_MAX)
    latency_monitor_threshold = Integer(0, 0, LONG_MAX)
    latency_tracking = YesNo(True)
    latency_tracking_info_percentiles = Percentiles((50.0, 99.0, 99.9))
    busy_reply_threshold = Integer(5000, 0, LONG_MAX, alias="lua-time-limit")
    lua_enable_deprecated_api = YesNo(
        False,
        mutable=False,
        hidden=True,
        effect="differs: only scripts' own functions have an environment; no proxy has a finalizer",
    )
