"""The configuration of a node: typed attributes, and the one way to read and change them by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from shoal.node.server.acl.lines import UserLine
from shoal.node.server.directives.cluster import ClusterDirectives
from shoal.node.server.directives.dataset import DatasetDirectives
from shoal.node.server.directives.network import NetworkDirectives
from shoal.node.server.directives.persistence import PersistenceDirectives
from shoal.node.server.directives.process import ProcessDirectives
from shoal.node.server.directives.replication import ReplicationDirectives
from shoal.node.server.parameters import NO_EFFECT, DirectiveError, Parameter

Hook = Callable[[], None]
"""Makes a change take effect. Raises DirectiveError if that is impossible: the change is then taken back."""


class ChangeError(Exception):
    """CONFIG SET changed nothing; `name` is the directive that stood in the way."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason


class Config(
    NetworkDirectives,
    DatasetDirectives,
    PersistenceDirectives,
    ReplicationDirectives,
    ClusterDirectives,
    ProcessDirectives,
):
    """Every directive as an attribute: `cluster-node-timeout` is `config.cluster_node_timeout`."""

    def __init__(self, **values: object) -> None:
        """A configuration of defaults, except for the attributes given."""
        self.file: str | None = None
        """The absolute path of the configuration file, if the node was started with one."""
        self.renamed_commands: list[tuple[str, str]] = []
        """(name, new name), in the order of the file; a command renamed to nothing is gone."""
        self.command_modules: list[str] = []
        """The modules of further commands (`load-commands`), in the order of the file."""
        self.users: list[UserLine] = []
        """The users of the file, in its order."""
        self._hooks: list[tuple[frozenset[str], Hook]] = []
        for parameter in DIRECTIVES.values():
            self.__dict__[parameter.attribute] = parameter.default
        for attribute, value in values.items():
            if attribute not in self.__dict__:
                raise TypeError(f"there is no directive {attribute!r}")
            self.__dict__[attribute] = value

    def value(self, parameter: Parameter[Any]) -> Any:
        """What a directive is set to."""
        return self.__dict__[parameter.attribute]

    def shown(self, name: str) -> str:
        """What a directive is set to, as CONFIG GET prints it. KeyError if there is none of that name."""
        parameter = DIRECTIVES[name]
        return parameter.show(self.value(parameter))

    def read(self, name: str, words: Sequence[str], *, adding: bool = False) -> None:
        """Set a directive from the words of a line; `adding` to what an earlier line said, where it lists.

        Raises KeyError for an unknown directive and DirectiveError for a bad value. Hooks are not called.
        """
        parameter = DIRECTIVES[name]
        value = parameter.read(words, self.value(parameter))
        if adding:
            value = parameter.joined(self.value(parameter), value)
        self.__dict__[parameter.attribute] = value

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """Directives that were set and do nothing, each with the reason."""
        for name, parameter in DIRECTIVES.items():
            is_set = name == parameter.name and self.value(parameter) != parameter.default
            if is_set and parameter.effect.startswith(NO_EFFECT):
                yield name, parameter.effect.removeprefix(NO_EFFECT)

    def on_change(self, names: Iterable[str], hook: Hook) -> None:
        """Call `hook` once after every CONFIG SET that changed any of these directives."""
        self._hooks.append((frozenset(DIRECTIVES[name].name for name in names), hook))

    def change(self, changes: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Set several directives and make them take effect, or raise ChangeError and change nothing."""
        before = dict(self.__dict__)
        changed: list[str] = []
        for name, words in changes:
            parameter = DIRECTIVES[name]
            old = self.value(parameter)
            try:
                self.read(name, words)
            except DirectiveError as refused:
                self.__dict__.update(before)
                raise ChangeError(parameter.name, str(refused)) from None
            if self.value(parameter) != old or parameter.volatile:
                changed.append(parameter.name)
        self._apply(changed, before)

    def _apply(self, changed: list[str], before: dict[str, Any]) -> None:
        applied: list[Hook] = []
        for names, hook in self._hooks:
            culprit = next((name for name in changed if name in names), None)
            if culprit is None:
                continue
            try:
                hook()
            except DirectiveError as refused:
                self.__dict__.update(before)
                for done in applied:
                    done()
                raise ChangeError(culprit, str(refused)) from None
            applied.append(hook)


def _declared() -> dict[str, Parameter[Any]]:
    directives: dict[str, Parameter[Any]] = {}
    for room in reversed(Config.__mro__):
        for parameter in vars(room).values():
            if isinstance(parameter, Parameter):
                directives.update(dict.fromkeys(parameter.names, parameter))
    return directives


DIRECTIVES = _declared()
"""Every directive by its name and by its older name, in lower case."""
