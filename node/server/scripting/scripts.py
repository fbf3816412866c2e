"""The scripts of a server: compiled once, run for a client, ended if somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.commands.spec import Flag
from shoal.node.resp.replies import NO_REPLY, CommandError, Reply
from shoal.node.scripting.interpreter import Interpreter
from shoal.node.scripting.lrand48 import Lrand48
from shoal.node.scripting.shebang import ScriptFlag, split_shebang
from shoal.node.server.entries import WRITES, Entry
from shoal.node.server.scripting.calls import ScriptCalls
from shoal.node.server.scripting.debugger import ScriptDebugger
from shoal.node.server.scripting.functions import Functions
from shoal.node.server.scripting.runs import Runnable, ScriptRun, check_may_run, effective_flags
from shoal.node.server.scripting.script_cache import CachedScript, ScriptCache
from shoal.node.server.scripting.suspension import Suspension
from shoal.node.server.session import Session
from shoal.node.server.versions import REDIS_VERSION

if TYPE_CHECKING:
    from shoal.node.server.server import Server

LOAD_LIMIT_NS = 500_000_000
"""How long a library may take to register its functions."""

_LOAD_TIMEOUT = b"FUNCTION LOAD timeout"
_KILLED = b"Script killed by user with SCRIPT KILL..."

_NO_FLAGS = int(ScriptFlag.COMPATIBLE)

NAME_OF_SCRIPTS = b"@user_script"
_LEVELS = (Level.DEBUG, Level.VERBOSE, Level.NOTICE, Level.WARNING)
_UNKILLABLE = (
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the"
    " script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)


class Scripts:
    """Everything about scripts that one server has. It is the `Caller` of its interpreter."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.running: ScriptRun | None = None
        self.calls = ScriptCalls(self)
        self.call = self.calls.call
        self.suspension = Suspension(server)
        self.cache = ScriptCache()
        self._interpreter: Interpreter | None = None
        self._random = Lrand48(server.rng.getrandbits(32))
        self.loading_since_ns: int | None = None
        """When the library that is being loaded began to run."""
        self.functions = Functions(self)
        self.debugger: ScriptDebugger | None = None
        """That of the script that runs, if its client debugs it."""
        self.may_run_any_command = False
        """Only while a test wants it: DEBUG SET-DISABLE-DENY-SCRIPTS."""

    # --- the cache ---------------------------------------------------------------------------------

    @property
    def interpreter(self) -> Interpreter:
        """The Lua state, which a server gets with its first script."""
        if self._interpreter is None:
            self._interpreter = self.new_interpreter()
        return self._interpreter

    def new_interpreter(self) -> Interpreter:
        """A Lua state of its own, whose scripts run commands here."""
        major, minor, patch = map(int, REDIS_VERSION.split("."))
        number = major << 16 | minor << 8 | patch
        deprecated = self.server.config.lua_enable_deprecated_api
        return Interpreter(self, REDIS_VERSION, number, deprecated_api=deprecated)

    @property
    def memory_bytes(self) -> int:
        """What the Lua state holds."""
        return self._interpreter.memory_bytes if self._interpreter is not None else 0

    def load(self, body: bytes) -> CachedScript:
        """A script, compiled and kept for a while."""
        cached = self.cache.of_body(body)
        if cached is None:
            digest = sha1(body).hexdigest().encode()
            flags, source = split_shebang(body)
            try:
                compiled, is_brief = self.interpreter.compile(source, NAME_OF_SCRIPTS)
            except CommandError as error:
                raise CommandError(b"ERR Error compiling script (new function): " + error.text) from None
            cached = CachedScript(
                digest,
                int(flags),
                compiled,
                self.interpreter,
                is_function=False,
                is_brief=is_brief,
                body=body,
            )
            self.server.statistics.scripts_evicted += self.cache.add(cached)
        return cached

    def flush(self) -> None:
        """Forget every script, and the Lua state with them."""
        self.cache = ScriptCache()
        self._interpreter = None

    def flags_of_call(self, entry: Entry, argv: Sequence[bytes]) -> Flag:
        """The flags of a command as far as the script it runs, the first of its arguments, decides them."""
        return effective_flags(entry.spec.flags, self._declared_flags(entry, argv[entry.script_at]))

    def _declared_flags(self, entry: Entry, script: bytes) -> int:
        if entry.spec.name.startswith("FCALL"):
            function = self.functions.find(script)
            return function.flags if function is not None else _NO_FLAGS
        if entry.spec.name.startswith("EVALSHA"):
            cached = self.cache.of_digest(script)
            return cached.flags if cached is not None else _NO_FLAGS
        try:
            return int(split_shebang(script)[0])
        except CommandError:
            return _NO_FLAGS  # it will be refused when it is to be compiled

    # --- running -----------------------------------------------------------------------------------

    def run(
        self, caller: Session, script: Runnable, keys: int, words: Sequence[bytes], read_only: bool
    ) -> Reply:
        """Run a script for a client, with words of which so many are keys, the others arguments.

        Its error is raised. NO_REPLY if it takes long.
        """
        run = ScriptRun(script, caller, keys, words, read_only)
        if script.is_brief:
            return self._execute(run)
        return self.suspension.run(caller, self._execute, run)

    def _execute(self, run: ScriptRun) -> Reply:
        script, caller, server = run.script, run.caller, self.server
        if script.flags != _NO_FLAGS or not server.open_for[WRITES]:
            check_may_run(server, run)
        run.is_plain = (
            server.open_for[WRITES] and caller.plain and not run.read_only and self.debugger is None
        )
        session = self.calls.session
        session.db = caller.db
        session.is_primary_link = caller.is_primary_link
        session.user, session.restricted = caller.user, caller.restricted
        session.resp = 2
        self.running = run
        try:
            runner = script.interpreter.run if self.debugger is None else script.interpreter.debug
            return runner(script.compiled, script.name, run.key_count, run.words)
        finally:
            self.running = None
            caller.propagated = []  # what it changed is recorded; the script itself is not propagated

    # --- debugging ---------------------------------------------------------------------------------

    def debug(self, caller: Session, body: bytes, run: Callable[[], Reply]) -> Reply:
        """Do `run`, which runs one script, with its client at the debugger, who answers as well."""
        self._tell(Level.WARNING, "Synchronous debugging session of a script started")
        return self.suspension.run(caller, self._debug, (caller, body, run))

    def _debug(self, given: tuple[Session, bytes, Callable[[], Reply]]) -> Reply:
        caller, body, run = given
        debugger = self.debugger = ScriptDebugger(self, caller, body)
        reply: Reply
        try:
            reply = run()
        except CommandError as error:
            reply = error
            self.server.count_error(error)
        finally:
            self.debugger = None
        debugger.end(reply)
        self._tell(Level.WARNING, "Synchronous debugging session of a script ended")
        return NO_REPLY

    def debugger_input(self, session: Session) -> None:
        """A client whose script is being debugged has said something."""
        if self.debugger is not None and self.debugger.session is session:
            self.debugger.input()

    def debugger_gone(self, session: Session) -> None:
        """A client is gone; its script, if it debugs one, is not."""
        if self.debugger is not None and self.debugger.session is session:
            self.debugger.leave()

    def _tell(self, level: Level, text: str) -> None:
        self.server.effects.append(Note(level, text))

    # --- what the interpreter asks -----------------------------------------------------------------

    @property
    def resp(self) -> int:
        return self.calls.session.resp

    @resp.setter
    def resp(self, version: int) -> None:
        self.calls.session.resp = version

    def look_up(self) -> bytes | None:
        run, now_ns = self.running, self.server.stopwatch.clock_ns()
        if run is None:
            began_ns = self.loading_since_ns
            return _LOAD_TIMEOUT if began_ns is not None and now_ns - began_ns > LOAD_LIMIT_NS else None
        threshold_ms = self.server.config.busy_reply_threshold
        elapsed_ms = (now_ns - run.started_ns) // 1_000_000
        if not threshold_ms or elapsed_ms < threshold_ms:
            return None
        if not run.is_busy:
            run.is_busy = True
            run.is_plain = False
            self._tell_slow(run, elapsed_ms)
        self.suspension.pause()
        if not run.killed:
            return None
        self.server.effects.append(Note(Level.WARNING, "Lua script killed by user with SCRIPT KILL."))
        return _KILLED

    def _tell_slow(self, run: ScriptRun, elapsed_ms: int) -> None:
        how, name = (
            "FUNCTION" if run.script.is_function else "SCRIPT",
            run.script.name.decode(errors="replace"),
        )
        text = (
            f"Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try"
            f" killing the script using the {how} KILL command. Script name is: {name}."
        )
        self.server.effects.append(Note(Level.WARNING, text))

    def log(self, level: int, text: bytes) -> None:
        self.server.effects.append(Note(_LEVELS[level], text.decode("utf-8", "replace")))

    def set_repl(self, targets: int) -> None:
        if self.running is not None:
            self.running.targets, self.running.is_plain = targets, False

    def may_run(self, words: Sequence[bytes]) -> bool | None:
        entry, run = self.server.dispatcher.table.look_up(words), self.running
        if entry is None:
            return None
        if run is None or not run.caller.restricted:
            return True
        return self.server.acl.denial(run.caller.user, entry.spec, words) is None

    def random(self) -> int:
        return self._random.next()

    def seed(self, seed: int) -> None:
        self._random.seed(seed)

    # --- ending one --------------------------------------------------------------------------------

    @property
    def busy(self) -> ScriptRun | None:
        """The script that holds everybody up, if one does."""
        return self.running if self.suspension.is_suspended else None

    def kill(self, *, function: bool) -> None:
        """End the busy script, as long as it has changed nothing."""
        run = self.busy
        if run is None:
            raise CommandError("NOTBUSY No scripts in execution right now.")
        if run.caller.is_primary_link:
            raise CommandError(
                "UNKILLABLE The busy script was sent by a master instance in the context of replication"
                " and cannot be killed."
            )
        if run.wrote:
            raise CommandError(_UNKILLABLE)
        if run.script.is_function is not function:
            raise CommandError(run.busy_text)
        run.killed = True
        self.suspension.wake()
