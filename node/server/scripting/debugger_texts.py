"""What the debugger of scripts prints: its help, and a reply as a person reads it."""

from __future__ import annotations

from shoal.node.resp.inline import quote
from shoal.node.resp.replies import Reply
from shoal.node.resp.writer import encode

HELP = (
    b"Shoal Lua debugger help:",
    b"[h]elp               Show this help.",
    b"[s]tep               Run the current line and stop again.",
    b"[n]ext               The same as step.",
    b"[c]ontinue           Run up to the next breakpoint.",
    b"[l]ist               Show the lines around the current one.",
    b"[l]ist [line]        Show the lines around this one; 0 is the current one.",
    b"[l]ist [line] [ctx]  Show so many lines before and after it.",
    b"[w]hole              Show all lines.",
    b"[p]rint              Show all local variables.",
    b"[p]rint <var>        Show a local variable, or KEYS or ARGV.",
    b"[b]reak              Show all breakpoints.",
    b"[b]reak <line>       Add a breakpoint.",
    b"[b]reak -<line>      Remove a breakpoint.",
    b"[b]reak 0            Remove all breakpoints.",
    b"[t]race              Show who called whom.",
    b"[e]val <code>        Run Lua code, apart from the script.",
    b"[r]edis <cmd>        Run a command.",
    b"[m]axlen [len]       Trim values and replies to so many bytes; 0 is no limit.",
    b"[a]bort              End the script. What it has changed stays.",
    b"",
    b"Functions for scripts:",
    b"redis.debug()        Print values here.",
    b"redis.breakpoint()   Stop at the next line.",
)


def human(reply: Reply, resp: int) -> bytes:
    """A reply as a person reads it, told apart by its type in the protocol."""
    return _read(encode(reply, resp), 0)[0]


def _read(data: bytes, at: int) -> tuple[bytes, int]:
    """One reply that begins at `at`, and where the next one does."""
    end = data.index(b"\r\n", at)
    kind, rest, after = data[at : at + 1], data[at + 1 : end], end + 2
    match kind:
        case b"$" | b"=" if rest != b"-1":
            end = after + int(rest)
            return quote(data[after:end]), end + 2
        case b"+" | b"-":
            return quote(kind + rest), after
        case b"*" | b"~" | b"%" if rest != b"-1":
            return _read_many(kind, int(rest), data, after)
        case b"$" | b"*":
            return b"NULL", after
        case b"_":
            return b"(null)", after
        case b"#":
            return b"#true" if rest == b"t" else b"#false", after
        case b",":
            return b"(double) " + rest, after
    return rest, after


def _read_many(kind: bytes, count: int, data: bytes, at: int) -> tuple[bytes, int]:
    parts: list[bytes] = []
    for _ in range(count):
        part, at = _read(data, at)
        if kind == b"%":
            value, at = _read(data, at)
            part += b" => " + value
        parts.append(part)
    first, last = {b"*": (b"[", b"]"), b"~": (b"~(", b")"), b"%": (b"{", b"}")}[kind]
    return first + b",".join(parts) + last, at
