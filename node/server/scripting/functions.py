"""The libraries of functions of a server, compiled, beside their sources in the keyspace.

The sources are data: saved, loaded and replicated as a whole. So whoever replaces them does not have to know
of Lua; what is compiled follows when it is next asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.resp.replies import CommandError
from shoal.node.scripting.interpreter import Interpreter, RegisteredFunction
from shoal.node.scripting.library_header import BAD_NAME, is_name, split_header
from shoal.node.scripting.shebang import FLAG_NAMES, ScriptFlag
from shoal.node.server.scripting.runs import Runnable

if TYPE_CHECKING:
    from shoal.node.server.scripting.scripts import Scripts

NAME_OF_LIBRARIES = b"@user_function"


@dataclass(frozen=True, slots=True)
class Function(Runnable):
    """A function that FCALL runs."""

    flag_names: tuple[bytes, ...]
    description: bytes | None


@dataclass(slots=True)
class Library:
    """What one FUNCTION LOAD brought."""

    name: bytes
    code: bytes
    functions: dict[bytes, Function] = field(default_factory=dict)


class Functions:
    """Every library of a server."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._keyspace = scripts.server.keyspace
        self._interpreter: Interpreter | None = None
        self._libraries: dict[bytes, Library] = {}
        self._by_name: dict[bytes, Function] = {}
        """Every function, by its name in lower case."""
        self._compiled_from: tuple[bytes, ...] = ()

    @property
    def interpreter(self) -> Interpreter:
        """The Lua state of all libraries; scripts have another."""
        if self._interpreter is None:
            self._interpreter = self._scripts.new_interpreter()
        return self._interpreter

    @property
    def memory_bytes(self) -> int:
        """What the Lua state holds."""
        return self._interpreter.memory_bytes if self._interpreter is not None else 0

    @property
    def libraries(self) -> dict[bytes, Library]:
        """By name, in the order in which they were loaded."""
        if self._compiled_from is not self._keyspace.functions:
            self._compile_anew()
        return self._libraries

    def find(self, name: bytes) -> Function | None:
        """The function of that name, however it is spelled."""
        if self._compiled_from is not self._keyspace.functions:
            self._compile_anew()
        return self._by_name.get(name.lower())

    # --- changing them -----------------------------------------------------------------------------

    def load(self, code: bytes, *, replace: bool) -> bytes:
        """Add a library; its name. On an error everything is as it was."""
        name, _ = split_header(code)
        libraries = self.libraries
        if name in libraries and not replace:
            raise CommandError(b"ERR Library '" + name + b"' already exists")
        others = {known: library for known, library in libraries.items() if known != name}
        self._adopt({**others, name: self._compile(code, others)})
        return name

    def delete(self, name: bytes) -> None:
        """Remove a library."""
        if name not in self.libraries:
            raise CommandError("ERR Library not found")
        self._adopt({known: library for known, library in self.libraries.items() if known != name})

    def flush(self) -> None:
        """Remove every library, and the Lua state with them."""
        self._interpreter = None
        self._adopt({})

    def restore(self, codes: Iterable[bytes], *, flush: bool, replace: bool) -> None:
        """Add the libraries of a payload, all or none."""
        libraries = {} if flush else dict(self.libraries)
        for code in codes:
            name, _ = split_header(code)
            if name in libraries and not replace:
                raise CommandError(b"ERR Library " + name + b" already exists")
            libraries.pop(name, None)
            libraries[name] = self._compile(code, libraries)
        self._adopt(libraries)

    def _adopt(self, libraries: dict[bytes, Library]) -> None:
        self._keyspace.functions = tuple(library.code for library in libraries.values())
        self._keyspace.changes += 1
        self._take(libraries)

    def _take(self, libraries: dict[bytes, Library]) -> None:
        self._libraries, self._compiled_from = libraries, self._keyspace.functions
        self._by_name = {
            name.lower(): function
            for library in libraries.values()
            for name, function in library.functions.items()
        }

    # --- compiling ---------------------------------------------------------------------------------

    def _compile_anew(self) -> None:
        """The sources were replaced, by a snapshot. One of them that is no library is left out, and told."""
        self._interpreter = None
        libraries: dict[bytes, Library] = {}
        for code in self._keyspace.functions:
            try:
                library = self._compile(code, libraries)
                libraries[library.name] = library
            except CommandError as error:
                text = f"A library of functions cannot be loaded: {error}"
                self._scripts.server.effects.append(Note(Level.WARNING, text))
        self._take(libraries)

    def _compile(self, code: bytes, others: dict[bytes, Library]) -> Library:
        """Run a library's code; the functions it registers must have names that no other library uses."""
        name, source = split_header(code)
        library = Library(name, code)
        scripts = self._scripts

        def accept(registered: RegisteredFunction) -> bytes | None:
            if not is_name(registered.name):
                return BAD_NAME.encode()
            if registered.name in library.functions:
                return b"Function already exists in the library"
            if any(flag not in FLAG_NAMES for flag in registered.flags):
                return b"unknown flag given"
            library.functions[registered.name] = self._function(registered)
            return None

        scripts.loading_since_ns = scripts.server.stopwatch.clock_ns()
        try:
            found = self.interpreter.load_library(source, NAME_OF_LIBRARIES, accept)
        finally:
            scripts.loading_since_ns = None
        if not found:
            raise CommandError("ERR No functions registered")
        taken = {known.lower() for other in others.values() for known in other.functions}
        for registered in found:
            if registered.name.lower() in taken:
                raise CommandError(b"ERR Function " + registered.name + b" already exists")
        library.functions = {registered.name: self._function(registered) for registered in found}
        return library

    def _function(self, registered: RegisteredFunction) -> Function:
        flags = ScriptFlag.NONE
        for name in registered.flags:
            flags |= FLAG_NAMES[name]
        return Function(
            registered.name,
            int(flags),
            registered.callback,
            self.interpreter,
            is_function=True,
            is_brief=False,
            flag_names=tuple(registered.flags),
            description=registered.description,
        )
