"""The debugger of a script: what its user wants, in the words of redis-cli's `--ldb`, and what it tells.

The script is suspended while its user thinks (see `Suspension.wait`), so the node answers everybody else that
it is busy instead of answering nobody. Only what has to be looked at from within the script's own stack is
asked of the interpreter (`lua/debugger.lua`); lines, breakpoints and commands are known here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from shoal.node.dataset.numbers import parse_integer
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import CommandError, Reply, Status
from shoal.node.scripting.interpreter import Request
from shoal.node.server.scripting.debugger_texts import HELP, human

if TYPE_CHECKING:
    from shoal.node.server.scripting.scripts import Scripts
    from shoal.node.server.session import Session

BREAKPOINTS_MAX = 64
SHOWN_BYTES = 256
LEAST_SHOWN_BYTES = 60
WORDS_SHOWN = 10
LINES_AROUND = 5
INPUT_MAX_BYTES = 1 << 20
EVERYTHING = 1_000_000

_STEP = (b"s", b"step", b"n", b"next")
_CONTINUE = (b"c", b"continue")
_ABORT: Request = (b"abort", b"script aborted for user request")
_KILLED: Request = (b"abort", b"Script killed by user with SCRIPT KILL...")
_TOO_MUCH_INPUT: Request = (b"abort", b"max client buffer reached")
_UNKNOWN = b"<error> Unknown Redis Lua debugger command or wrong number of arguments."


class ScriptDebugger:
    """One session at the debugger, from the script's first line to its end."""

    def __init__(self, scripts: Scripts, session: Session, body: bytes) -> None:
        self.scripts = scripts
        self.session = session
        self.lines = body.rstrip(b"\r\n").split(b"\n")
        self.line = 0
        """The one that is about to run."""
        self.steps = True
        """Stop at the next line, and tell of commands on the way there."""
        self.was_told_to_stop = False
        """By `redis.breakpoint`."""
        self.breakpoints: list[int] = []
        self.commands: deque[Arguments] = deque()
        """What the user wants next."""
        self.has_user = True
        self.max_bytes = SHOWN_BYTES
        self.hinted = False
        self.notes: list[bytes] = []
        """What the user is to be told."""

    # --- the user's side ---------------------------------------------------------------------------

    def input(self) -> None:
        """The user has said something."""
        session = self.session
        self.commands.extend(session.parser.feed(bytes(session.read_ahead)))
        session.read_ahead.clear()
        if session.parser.error is not None:
            self.leave()
        elif self.commands or session.parser.buffered > INPUT_MAX_BYTES:
            self.scripts.suspension.wake()

    def leave(self) -> None:
        """The user is gone: the script runs on without stopping."""
        self.has_user = False
        self.steps, self.was_told_to_stop, self.breakpoints = False, False, []
        self.scripts.suspension.wake()

    def tell(self) -> None:
        """Send everything that was noted."""
        if not self.session.closing:
            self.session.send([Status(note.translate(_ONE_LINE)) for note in self.notes])
        self.notes = []

    def end(self, reply: Reply) -> None:
        """The script is over. Its client gets the reply and the connection ends, as a sign of it."""
        self.notes.append(b"<endsession>")
        self.tell()
        if not self.session.closing:
            self.session.send(reply)
            self.session.close_after_reply()

    # --- the script's side -------------------------------------------------------------------------

    def stops_at(self, line: int) -> bool:
        self.line = line
        run = self.scripts.running
        if run is not None and run.killed:
            return True
        is_breakpoint = self.was_told_to_stop or line in self.breakpoints
        if not self.has_user or not (self.steps or is_breakpoint):
            return False
        reason = b"step over"
        if is_breakpoint:
            reason = b"redis.breakpoint() called" if self.was_told_to_stop else b"break point"
        self.steps = self.was_told_to_stop = False
        self.notes.append(b"* Stopped at %d, stop reason = %b" % (line, reason))
        self._show_line(line)
        return True

    def next_request(self) -> Request | None:
        self.tell()
        run = self.scripts.running
        while run is not None and not run.killed:
            if self.session.parser.buffered > INPUT_MAX_BYTES:
                return _TOO_MUCH_INPUT
            if self.commands:
                words = self.commands.popleft()
                word = words[0].lower()
                self.steps = word in _STEP
                if self.steps or word in _CONTINUE:
                    break
                request = self._do(word, words)
                if request is not None:
                    return request
                self.tell()
            elif not self.has_user:
                break
            else:
                self.scripts.suspension.wait()
        if run is None or run.killed:
            return _KILLED
        # The time its user took does not count as the script's.
        run.started_ns, run.is_busy = self.scripts.server.stopwatch.clock_ns(), False
        return None

    def note(self, text: bytes) -> None:
        if self.max_bytes and len(text) > self.max_bytes:
            self.notes.append(text[: self.max_bytes] + b" ...")
            if not self.hinted:
                self.notes.append(b"<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.")
            self.hinted = True
        else:
            self.notes.append(text)

    def note_frame(self, is_innermost: bool, name: bytes, line: int) -> None:
        self.notes.append(b"%b %b:" % (b"In" if is_innermost else b"From", name))
        self._show_line(line)

    def say(self, text: bytes) -> None:
        self.notes.append(b"<debug> line %d: %b" % (self.line, text))

    def stop_soon(self) -> None:
        self.was_told_to_stop = True

    def command_called(self, words: Arguments) -> None:
        """The script calls a command."""
        if self.steps:
            shown = b" ".join(words[:WORDS_SHOWN])
            more = b" ... (%d more)" % (len(words) - WORDS_SHOWN) if len(words) > WORDS_SHOWN else b""
            self.notes.append(b"<redis> " + shown + more)

    def command_refused(self, text: bytes) -> None:
        """The command may not run, or there is none such."""
        if self.steps:
            self.notes.append(b"<error> " + text.removeprefix(b"ERR "))

    def command_answered(self, reply: Reply) -> None:
        """The command ran."""
        if self.steps:
            if isinstance(reply, CommandError):
                self.notes.append(b"<error> -" + reply.text)
            self.note(b"<reply> " + human(reply, self.scripts.resp))

    # --- what the user may ask for -----------------------------------------------------------------

    def _do(self, word: bytes, words: Arguments) -> Request | None:
        """Do one thing here, or return what the interpreter has to do."""
        match word:
            case b"h" | b"help":
                self.notes += HELP
            case b"l" | b"list":
                around, context = _number(words, 1), _number(words, 2) if len(words) > 2 else LINES_AROUND
                self._list(around if around > 0 else self.line, context)
            case b"w" | b"whole":
                self._list(1, EVERYTHING)
            case b"b" | b"break":
                self._break(words[1:])
            case b"m" | b"maxlen":
                self._set_max_bytes(words)
            case b"r" | b"redis" if len(words) > 1:
                self.steps = True
                self.scripts.call(tuple(words[1:]))
                self.steps = False
            case b"p" | b"print":
                return (b"variable", words[1]) if len(words) == 2 else (b"variables", None)
            case b"t" | b"trace":
                return (b"trace", None)
            case b"e" | b"eval":
                return (b"eval", b" ".join(words[1:]))
            case b"a" | b"abort":
                return _ABORT
            case _:
                self.notes.append(_UNKNOWN)
        return None

    def _list(self, around: int, context: int) -> None:
        for line in range(1, len(self.lines) + 1):
            if abs(around - line) <= context:
                self._show_line(line)

    def _show_line(self, line: int) -> None:
        is_known = 0 < line <= len(self.lines)
        text = self.lines[line - 1] if is_known else b"<out of range source code line>"
        arrow = b"->" if line == self.line else b"  "
        mark = b"#" if line in self.breakpoints else b" "
        self.notes.append(b"%b%b%-3d %b" % (arrow, mark, line, text))

    def _break(self, words: Arguments) -> None:
        if not words and not self.breakpoints:
            self.notes.append(b"No breakpoints set. Use 'b <line>' to add one.")
        elif not words:
            self.notes.append(b"%d breakpoints set:" % len(self.breakpoints))
            for line in self.breakpoints:
                self._show_line(line)
        for word in words:
            number = parse_integer(word)
            if number is None:
                self.notes.append(b"Invalid argument:'%b'" % word)
            else:
                self._set_breakpoint(number)

    def _set_breakpoint(self, number: int) -> None:
        """Above zero sets one, below zero takes it away, zero takes all away."""
        if number == 0:
            self.breakpoints = []
            self.notes.append(b"All breakpoints removed.")
        elif number < 0:
            is_set = -number in self.breakpoints
            self.breakpoints = [line for line in self.breakpoints if line != -number]
            removed = b"Breakpoint removed." if is_set else b"No breakpoint in the specified line."
            self.notes.append(removed)
        elif len(self.breakpoints) == BREAKPOINTS_MAX:
            self.notes.append(b"Too many breakpoints set.")
        elif number > len(self.lines) or number in self.breakpoints:
            self.notes.append(b"Wrong line number.")
        else:
            self.breakpoints.append(number)
            self._list(number, 1)

    def _set_max_bytes(self, words: Arguments) -> None:
        if len(words) == 2:
            wanted = _number(words, 1)
            self.max_bytes = max(wanted, LEAST_SHOWN_BYTES) if wanted else 0
            self.hinted = True
        if self.max_bytes:
            self.notes.append(b"<value> replies are truncated at %d bytes." % self.max_bytes)
        else:
            self.notes.append(b"<value> replies are unlimited.")


def _number(words: Arguments, position: int) -> int:
    """A word as a number; zero if there is none."""
    return (parse_integer(words[position]) or 0) if position < len(words) else 0


_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
