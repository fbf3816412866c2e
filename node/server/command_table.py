"""Every command as one server knows it, by the names its clients may call it and its subcommands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shoal.node.commands.registry import COMMANDS
from shoal.node.commands.spec import CommandSpec, Handler
from shoal.node.resp.parser import Arguments
from shoal.node.resp.replies import CommandError, quoted
from shoal.node.server.entries import Entry

_LONGEST_QUOTED = 128


class CommandTable:
    """The commands of one server, renamed as its configuration says."""

    def __init__(self, renamed: Iterable[tuple[str, str]]) -> None:
        self.entries: dict[bytes, Entry] = {}
        """By the name as clients spell it: lower case, upper case, and any mixture once seen."""
        self.subcommands: dict[bytes, dict[bytes, Entry]] = {}
        self._bare_containers: dict[bytes, Entry] = {}
        """Containers that also do something by themselves: COMMAND."""
        self.all_entries: list[Entry] = []
        self._add(COMMANDS.values())
        for name, new_name in renamed:
            self._rename(name.lower().encode(), new_name.lower().encode())

    def knows(self, argv: Arguments) -> bool:
        """Whether there is such a command, whatever its arguments."""
        return self.look_up(argv) is not None

    def look_up(self, words: Sequence[bytes]) -> Entry | None:
        """The entry of a command line, whatever its arity; None if there is no such command."""
        name = words[0].lower()
        children = self.subcommands.get(name)
        if children is None:
            return self.entries.get(name)
        return children.get(words[1].lower()) if len(words) > 1 else self._bare_containers.get(name)

    def find(self, argv: Arguments) -> Entry:
        """The entry of a command line, its arity checked."""
        name = argv[0].lower()
        entry = self.entries.get(name)
        if entry is None:
            children = self.subcommands.get(name)
            if children is None:
                raise CommandError(_unknown_command(argv))
            if len(argv) == 1:
                if name in self._bare_containers:
                    return self._bare_containers[name]
                raise CommandError(_wrong_arity(name.decode()))
            entry = children.get(argv[1].lower())
            if entry is None:
                shown = _quoted(argv[1], _LONGEST_QUOTED)
                raise CommandError(b"ERR unknown subcommand %b. Try %b HELP." % (shown, name.upper()))
        elif argv[0] not in self.entries and len(self.entries) < 4 * len(COMMANDS):
            self.entries[argv[0]] = entry
        if not entry.min_args <= len(argv) <= entry.max_args:
            entry.rejected_calls += 1
            raise CommandError(_wrong_arity(entry.spec.full_name))
        return entry

    def _add(self, specs: Iterable[CommandSpec]) -> None:
        for spec in specs:
            name = spec.name.lower().encode()
            if spec.subcommands:
                self.subcommands[name] = {
                    child: self._entry(sub, sub.handler)
                    for child, sub in spec.subcommands.items()
                    if sub.handler
                }
                if spec.handler is not None:
                    self._bare_containers[name] = self._entry(spec, spec.handler)
            elif spec.handler is not None:
                self.entries[name] = self.entries[name.upper()] = self._entry(spec, spec.handler)

    def _entry(self, spec: CommandSpec, handler: Handler) -> Entry:
        entry = Entry(spec, handler)
        self.all_entries.append(entry)
        return entry

    def _rename(self, name: bytes, new_name: bytes) -> None:
        """rename-command: the old name is unknown from now on; so is the command, if the new one is empty."""
        if name not in self.entries and name not in self.subcommands:
            raise ValueError("No such command in rename-command")
        if new_name in self.entries or new_name in self.subcommands:
            raise ValueError("Target command name already exists")
        entry = self.entries.pop(name, None)
        self.entries.pop(name.upper(), None)
        children = self.subcommands.pop(name, None)
        if new_name and entry is not None:
            self.entries[new_name] = self.entries[new_name.upper()] = entry
        elif new_name and children is not None:
            self.subcommands[new_name] = children


def _unknown_command(argv: Arguments) -> bytes:
    shown = b""
    for word in argv[1:]:
        if len(shown) >= _LONGEST_QUOTED:
            break
        shown += _quoted(word, _LONGEST_QUOTED - len(shown)) + b" "
    name = _quoted(argv[0], _LONGEST_QUOTED)
    return b"ERR unknown command %b, with args beginning with: %b" % (name, shown)


def _quoted(word: bytes, longest: int) -> bytes:
    return b"'%b'" % quoted(word)[:longest]


def _wrong_arity(full_name: str) -> str:
    return f"ERR wrong number of arguments for '{full_name}' command"
