"""The configuration of a node."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Config:
    """Directives as attributes."""

    port: int = 6379
    bind: str = "127.0.0.1"
    cluster_enabled: bool = False
    databases: int = 16
    requirepass: str = ""
    active_expire: bool = True
