"""Importing this room's command modules is what fills the command table."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from shoal.node import commands
from shoal.node.server import admin


def load() -> None:
    """Register every built-in command. Harmless when done again."""
    for package in (commands, admin):
        for module in iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")
