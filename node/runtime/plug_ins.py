"""Commands that others write: Python modules, imported by name before the node serves anybody.

Each declares its commands with the same `@command` as the built-in ones, so that there is nothing they lack.
`load-commands package.module` names a module in the configuration; an installed package names its own
under the entry-point group `shoal.commands`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

ENTRY_POINTS = "shoal.commands"


class PlugInError(Exception):
    """A plug-in cannot be loaded; the text says which, and why."""


def load(modules: Sequence[str]) -> None:
    """Import what installed packages offer, then what the configuration names; PlugInError if one fails."""
    for entry_point in sorted(entry_points(group=ENTRY_POINTS), key=lambda found: found.name):
        _load(f"entry point {entry_point.name} = {entry_point.value}", entry_point.load)
    for name in modules:
        _load(f"load-commands {name}", partial(import_module, name))


def _load(what: str, importing: Callable[[], object]) -> None:
    """Whatever a stranger's module raises, the node does not start half loaded."""
    try:
        importing()
    except Exception as error:
        raise PlugInError(f"Cannot load commands ({what}): {type(error).__name__}: {error}") from error
