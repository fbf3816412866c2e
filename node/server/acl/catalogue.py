"""The commands as the rules of users name them: a bit for each, whatever a server has renamed.

What a user may run is then a plain integer. One that may run every command, those to come included, has all
of infinitely many bits: it is -1, and stays negative while single ones are taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shoal.node.commands.spec import CommandSpec
from shoal.node.server.describe import ACL_CATEGORIES

EVERY_COMMAND = -1


@dataclass(frozen=True, slots=True)
class Listed:
    """A command, container or subcommand."""

    spec: CommandSpec
    bit: int
    reach: int
    """Its bit and those of its subcommands: what a rule about it changes."""

    @property
    def name(self) -> str:
        return self.spec.full_name

    @property
    def is_subcommand(self) -> bool:
        return "|" in self.spec.name


@dataclass(slots=True)
class Category:
    """Some commands under one name."""

    members: int = 0
    reach: int = 0
    """A container among them takes all its subcommands along, even those that are not in the category."""


class Catalogue:
    """Every command there is, in the order in which they were declared."""

    def __init__(self, commands: Mapping[bytes, CommandSpec]) -> None:
        self._by_name: dict[str, Listed] = {}
        self.categories = {name: Category() for name in ACL_CATEGORIES}
        bit = 1
        for spec in commands.values():
            children = []
            own, bit = bit, bit << 1
            for child in spec.subcommands.values():
                children.append(Listed(child, bit, bit))
                bit <<= 1
            self._add(Listed(spec, own, own | sum(child.bit for child in children)))
            for listed in children:
                self._add(listed)

    def _add(self, listed: Listed) -> None:
        self._by_name[listed.name] = listed
        for name in listed.spec.acl_categories:
            category = self.categories[name]
            category.members |= listed.bit
            category.reach |= listed.reach

    def __iter__(self) -> Iterator[Listed]:
        return iter(self._by_name.values())

    def find(self, name: bytes) -> Listed | None:
        """A command by a name such as `get` or `config|get`, in any case."""
        return self._by_name.get(name.decode("latin-1").lower())

    def bit(self, spec: CommandSpec) -> int:
        """The bit of a command; none for one that has come since."""
        listed = self._by_name.get(spec.full_name)
        return listed.bit if listed is not None else 0

    def in_category(self, name: str) -> list[str]:
        """The names of a category's commands."""
        members = self.categories[name].members
        return [listed.name for listed in self if listed.bit & members]
