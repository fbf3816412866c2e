"""A Lua 5.1 interpreter that scripts cannot get out of.

Three walls: the environment of `lua/sandbox.lua`, which holds what its list allows and nothing else; no
Python object ever reaches a script, only functions of the sandbox that hold one; and should one get through
all the same, it has no attributes to a script. Memory is bounded, and `look_up` is called again and again
while a script runs, so that whoever owns the interpreter may turn to other things or end it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from pkgutil import get_data
from typing import Any, Literal, NoReturn, Protocol

from lupa.lua51 import LuaError, LuaMemoryError, LuaRuntime

from shoal.node.resp.inline import quote
from shoal.node.resp.replies import OK, CommandError, Reply, Status
from shoal.node.scripting.brevity import ends_by_itself
from shoal.node.scripting.conversion import boolean, from_lua, script_error, to_integer, to_lua
from shoal.node.scripting.numbers import numeric_tools
from shoal.node.scripting.tail_calls import keep_frames

MEMORY_MAX_BYTES = 512 * 1024 * 1024
"""What all scripts of an interpreter may hold together."""

WORDS_MAX = 1000
"""More words than these are passed as a table; Lua's stack holds few thousand."""

FILES = (
    "base",
    "bit",
    "cjson",
    "cmsgpack",
    "compiling",
    "coroutine",
    "debugger",
    "deprecated",
    "errors",
    "functions",
    "math",
    "patterns",
    "readonly",
    "redis",
    "replies",
    "running",
    "string",
    "struct",
    "table",
    "watch",
)
"""What `lua/sandbox.lua` puts together."""

Script = Any
"""A compiled script; only the interpreter that made it can run it."""


@dataclass(slots=True)
class RegisteredFunction:
    """What a library said of a function of it."""

    name: bytes
    flags: list[bytes]
    description: bytes | None
    callback: Script = None


Accept = Callable[[RegisteredFunction], bytes | None]


Request = tuple[bytes, bytes | None]
"""What a debugger wants to see (`variable`, `variables`, `trace`, `eval`), or how the script is to end."""


class Debugger(Protocol):
    """Whoever sits at the debugger of a script that runs. None of it may raise."""

    def stops_at(self, line: int) -> bool:
        """The script is about to begin a line: whether to stop there."""

    def next_request(self) -> Request | None:
        """What is to be shown next; None if the script goes on. May let others work before it returns."""

    def note(self, text: bytes) -> None:
        """What was asked for."""

    def note_frame(self, is_innermost: bool, name: bytes, line: int) -> None:
        """A function of the call stack that was asked for."""

    def say(self, text: bytes) -> None:
        """`redis.debug`"""

    def stop_soon(self) -> None:
        """`redis.breakpoint`"""


class Caller(Protocol):
    """What the functions of the `redis` table do. None of it may raise."""

    resp: int
    """The protocol version in whose terms the running script gets replies."""

    @property
    def debugger(self) -> Debugger | None:
        """That of the running script, if it has one."""

    @property
    def call(self) -> Callable[[tuple[bytes, ...]], Reply]:
        """What runs a command; an error is its reply."""

    def look_up(self) -> bytes | None:
        """Called every so often; words end the script with them. May let others work before it returns."""

    def log(self, level: int, text: bytes) -> None: ...

    def set_repl(self, targets: int) -> None: ...

    def may_run(self, words: Sequence[bytes]) -> bool | None:
        """Whether the user may run a command; None if there is no such command."""

    def random(self) -> int: ...

    def seed(self, seed: int) -> None: ...


class Interpreter:
    """One Lua state, its sandbox, and the way in and out."""

    def __init__(
        self, caller: Caller, version: str, version_number: int, *, deprecated_api: bool = False
    ) -> None:
        self._caller = caller
        self._lua = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_no_attributes,
            max_memory=MEMORY_MAX_BYTES,
        )
        host = self._lua.table_from(
            {
                b"call": self._call,
                b"call_many": self._call_many,
                b"prepare": self._prepare,
                b"look_up": caller.look_up,
                b"register": self._register,
                b"log": lambda level, text: caller.log(int(level), text),
                b"set_resp": self._set_resp,
                b"set_repl": lambda targets: caller.set_repl(int(targets)),
                b"may_run": self._may_run,
                b"random": caller.random,
                b"seed": lambda seed: caller.seed(int(seed)),
                b"sha1hex": lambda text: sha1(text).hexdigest().encode(),
                b"version": version.encode(),
                b"version_number": version_number,
                b"deprecated_api": deprecated_api,
                b"quoted": quote,
                b"is_debugged": lambda: caller.debugger is not None,
                b"debug_stops": lambda line: self._debugger.stops_at(int(line)),
                b"debug_next": lambda: self._debugger.next_request(),
                b"debug_note": lambda text: self._debugger.note(text),
                b"debug_frame": self._note_frame,
                b"debug_say": self._say,
                b"debug_break": self._stop_soon,
                **numeric_tools(),
            }
        )
        self._is_brief = False
        """Whether the script compiled last ends by itself."""
        self._registered: list[RegisteredFunction] = []
        self._accept: Accept = lambda function: None
        files = self._lua.table_from({name.encode(): self._load(name) for name in FILES})
        self._compile, self._load_library, self._set_debugging = self._load("sandbox")(host, files)

    def _load(self, name: str) -> Callable[..., Any]:
        source = get_data(__package__, f"lua/{name}.lua")
        assert source is not None
        chunk: Callable[..., Any] = self._lua.compile(source, name=b"=lib")
        return chunk

    @property
    def memory_bytes(self) -> int:
        """What the Lua state holds."""
        return int(self._lua.get_memory_used() or 0)

    def compile(self, source: bytes, name: bytes) -> tuple[Script, bool]:
        """A script, compiled, and whether it ends by itself; CommandError with Lua's words if it is none."""
        script, *message = _as_tuple(self._compile(source, name))
        if script is None:
            raise CommandError(message[0])
        return script, self._is_brief

    def _prepare(self, dumped: bytes) -> bytes:
        self._is_brief = ends_by_itself(dumped)
        return keep_frames(dumped)

    def run(self, script: Script, name: bytes, keys: int, words: Sequence[bytes]) -> Reply:
        """Run a script or function, of whose arguments the first `keys` are keys. Its error is raised."""
        try:
            if len(words) > WORDS_MAX:
                answer = script(keys, self._lua.table_from(words))
            else:
                answer = script(keys, None, *words)
        except LuaMemoryError:
            self.collect()
            raise CommandError(b"ERR Error running script " + name + b", not enough memory") from None
        except LuaError as error:
            raise CommandError(f"ERR Error running script {name.decode()}, {error}") from None
        kind = type(answer)
        if kind is bytes:
            return answer  # type: ignore[no-any-return]
        if kind is int or kind is float:
            return to_integer(answer)
        if kind is not tuple:
            return boolean(answer, self._caller.resp) if kind is bool else None
        marks, is_table, *values = answer
        if marks == b"+":
            return OK if values[0] == b"OK" else Status(values[0])
        if marks == b"!":
            return self._fail(name, *values)
        if is_table:
            values = values[0].values()
        reply = from_lua(marks, iter(values), self._caller.resp)
        if isinstance(reply, CommandError):
            raise reply
        return reply

    def debug(self, script: Script, name: bytes, keys: int, words: Sequence[bytes]) -> Reply:
        """`run`, with the caller's debugger called at each line."""
        self._set_debugging(True)
        try:
            return self.run(script, name, keys, words)
        finally:
            self._set_debugging(False)

    @property
    def _debugger(self) -> Debugger:
        debugger = self._caller.debugger
        assert debugger is not None
        return debugger

    def _note_frame(self, is_innermost: bool, name: bytes, line: int) -> None:
        self._debugger.note_frame(is_innermost, name, int(line))

    def _say(self, text: bytes) -> None:
        if self._caller.debugger is not None:
            self._caller.debugger.say(text)

    def _stop_soon(self) -> bool:
        if self._caller.debugger is None:
            return False
        self._caller.debugger.stop_soon()
        return True

    def load_library(self, source: bytes, name: bytes, accept: Accept) -> list[RegisteredFunction]:
        """Run a library's code; the functions it registers, each of which `accept` may refuse with words."""
        self._registered, self._accept = [], accept
        try:
            callbacks, *message = _as_tuple(self._load_library(source, name))
        except LuaError as error:
            self.collect()
            raise CommandError(f"ERR Error registering functions: {error}") from None
        if callbacks == b"!":
            raise CommandError(b"ERR Error " + message[0])
        for function, callback in zip(self._registered, list(callbacks.values()), strict=True):
            function.callback = callback
        return self._registered

    def _register(self, name: bytes, flags: bytes, description: bytes | bool, _: int) -> bytes | None:
        function = RegisteredFunction(
            name, flags.split(b",") if flags else [], description if isinstance(description, bytes) else None
        )
        refused = self._accept(function)
        if refused is None:
            self._registered.append(function)
        return refused

    def collect(self) -> None:
        """Free what no script can reach any more."""
        self._lua.gccollect()

    def _fail(
        self,
        name: bytes,
        text: bytes,
        source: bytes | Literal[False],
        line: bytes | Literal[False],
        counted: bool,
    ) -> NoReturn:
        if text == _OUT_OF_MEMORY:
            self.collect()
            text = b"ERR Error running script " + name + b", not enough memory"
        elif source and line:
            text = b"%b script: %b, on %b:%b." % (text, name, source, line)
        raise script_error(text, counted=counted)

    def _call(self, *words: Any) -> Any:
        for word in words:
            if type(word) is not bytes:
                spelled = _spell(words)
                if spelled is None:
                    return b"-", True, self._lua.table_from([_NOT_WORDS])
                words = spelled
                break
        reply = self._caller.call(words)
        kind = type(reply)
        if kind is bytes or kind is int:
            return reply
        if reply is OK:
            return True
        return to_lua(reply, self._caller.resp, self._lua.table_from)

    def _call_many(self, count: int, words: Any) -> Any:
        return self._call(*[words[position] for position in range(1, int(count) + 1)])

    def _may_run(self, *words: Any) -> Any:
        spelled = _spell(words)
        if spelled is None:
            return _NOT_WORDS.removeprefix(b"ERR ")
        answer = self._caller.may_run(spelled)
        return b"Invalid command passed to redis.acl_check_cmd()" if answer is None else answer

    def _set_resp(self, version: int) -> None:
        self._caller.resp = int(version)


_OUT_OF_MEMORY = b"ERR Error running script, not enough memory"
_NOT_WORDS = b"ERR Lua redis lib command arguments must be strings or integers"


def _spell(words: Sequence[Any]) -> tuple[bytes, ...] | None:
    """The arguments of a call as a command's words; None if one is neither a string nor a number."""
    spelled = list(words)
    for position, word in enumerate(words):
        kind = type(word)
        if kind is not bytes:
            if kind is not int and kind is not float:
                return None
            spelled[position] = b"%.17g" % word
    return tuple(spelled)


def _as_tuple(answer: Any) -> tuple[Any, ...]:
    return answer if type(answer) is tuple else (answer,)


def _no_attributes(target: object, name: object, is_setting: bool) -> NoReturn:
    raise AttributeError("a script sees nothing of this")
