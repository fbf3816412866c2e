"""LATENCY: spikes that were noticed, and how long each command takes."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag
from shoal.node.resp.replies import CommandError, Pairs, Reply, Verbatim, quoted
from shoal.node.server.entries import Entry
from shoal.node.server.latency import LatencyEvent, cumulative
from shoal.node.server.server import Server
from shoal.node.server.session import Session

_ADMIN = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_TIPS = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")
_GRAPH_ROWS = 4
_GRAPH_MARKS = "_o#"

container(
    "LATENCY",
    group="server",
    since="2.8.13",
    summary="Holds the commands that find out why a server is slow.",
)
help_command("LATENCY", since="2.8.13")


@command(
    "LATENCY|LATEST",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="2.8.13",
    complexity="O(1)",
    summary="Returns each event's latest spike, with its time, and the worst one.",
    tips=_TIPS,
)
def latency_latest(session: Session) -> Reply:
    return [
        [name.encode(), *event.samples[-1], event.worst_ms]
        for name, event in session.server.latency.events.items()
    ]


@command(
    "LATENCY|HISTORY",
    arity=3,
    flags=_ADMIN,
    group="server",
    since="2.8.13",
    complexity="O(1)",
    summary="Returns the recorded spikes of an event, with their times.",
    arguments=(Arg("event"),),
    tips=_TIPS,
)
def latency_history(session: Session, event: bytes) -> Reply:
    found = session.server.latency.events.get(event.decode("utf-8", "replace"))
    return [list(sample) for sample in found.samples] if found else []


@command(
    "LATENCY|RESET",
    arity=-2,
    flags=_ADMIN,
    group="server",
    since="2.8.13",
    complexity="O(1)",
    summary="Forgets the spikes of these events, or of all.",
    arguments=(Arg("event", optional=True, multiple=True),),
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def latency_reset(session: Session, *events: bytes) -> Reply:
    return session.server.latency.reset([event.decode("utf-8", "replace") for event in events])


@command(
    "LATENCY|GRAPH",
    arity=3,
    flags=_ADMIN,
    group="server",
    since="2.8.13",
    complexity="O(1)",
    summary="Draws the recorded spikes of an event.",
    arguments=(Arg("event"),),
    tips=_TIPS,
)
def latency_graph(session: Session, event: bytes) -> Reply:
    found = session.server.latency.events.get(event.decode("utf-8", "replace"))
    if found is None:
        raise CommandError(b"ERR No samples available for event '%b'" % quoted(event))
    return Verbatim(_drawn(event.decode("utf-8", "replace"), found, session.now_ms // 1000).encode())


def _drawn(name: str, event: LatencyEvent, now: int) -> str:
    """A bar per spike, oldest left, its age below it."""
    least = min(ms for _, ms in event.samples)
    greatest = max(ms for _, ms in event.samples)
    levels = _GRAPH_ROWS * len(_GRAPH_MARKS) - 1
    bars = [round((ms - least) * levels / max(greatest - least, 1)) for _, ms in event.samples]
    lines = [
        f"{name} - high {greatest} ms, low {least} ms (all time high {event.worst_ms} ms)",
        "-" * 80,
    ]
    lines += [
        "".join(_mark(bar - row * len(_GRAPH_MARKS)) for bar in bars).rstrip()
        for row in reversed(range(_GRAPH_ROWS))
    ]
    ages = [_age(now - at) for at, _ in event.samples]
    longest = max(map(len, ages))
    lines += ["", *("".join(age.ljust(longest)[row] for age in ages).rstrip() for row in range(longest))]
    return "\n".join(lines) + "\n"


def _mark(height: int) -> str:
    if height < 0:
        return " "
    return _GRAPH_MARKS[height] if height < len(_GRAPH_MARKS) else "|"


def _age(seconds: int) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


@command(
    "LATENCY|DOCTOR",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="2.8.13",
    complexity="O(1)",
    summary="Reports in words what the recorded spikes mean.",
    tips=_TIPS,
)
def latency_doctor(session: Session) -> Reply:
    server = session.server
    return Verbatim("\n".join(_findings(server)).encode() + b"\n")


def _findings(server: Server) -> Iterator[str]:
    if not server.config.latency_monitor_threshold:
        yield "Nothing is being watched. CONFIG SET latency-monitor-threshold <milliseconds> starts it."
        return
    if not server.latency.events:
        yield f"Nothing took {server.config.latency_monitor_threshold} ms or more since the last reset."
        return
    for name, event in server.latency.events.items():
        times = [ms for _, ms in event.samples]
        yield (
            f"{name}: {len(times)} spikes, {sum(times) // len(times)} ms on average,"
            f" {event.worst_ms} ms at worst."
        )
    if "command" in server.latency.events:
        yield "Some commands were slow by themselves: SLOWLOG GET shows which. A node runs one at a time."
    if "fast-command" in server.latency.events:
        yield (
            "Commands that do little took long: the machine is short of processor time or swaps,"
            " or one client's answer was huge."
        )


@command(
    "LATENCY|HISTOGRAM",
    arity=-2,
    flags=_ADMIN,
    group="server",
    since="7.0.0",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
    summary="Returns how the durations of commands are distributed.",
    arguments=(Arg("command", optional=True, multiple=True),),
    tips=_TIPS,
)
def latency_histogram(session: Session, *commands: bytes) -> Reply:
    wanted = [name.decode("utf-8", "replace").lower() for name in commands]
    return {
        entry.spec.full_name.encode(): _distribution(entry)
        for entry in session.server.dispatcher.all_entries
        if entry.calls and (not wanted or _is_wanted(entry.spec.full_name, wanted))
    }


def _is_wanted(name: str, wanted: list[str]) -> bool:
    return name in wanted or name.partition("|")[0] in wanted


def _distribution(entry: Entry) -> Reply:
    return {b"calls": entry.calls, b"histogram_usec": Pairs(list(cumulative(entry.histogram)))}
