"""A node's disk: one file, of which a crash keeps only what was synced."""

from __future__ import annotations

from shoal.cluster.config_file import format_config, parse_config
from shoal.cluster.view import SavedConfig


class Disk:
    """nodes.conf as real bytes. Writing replaces the file as a whole; syncing makes it survive power loss."""

    def __init__(self) -> None:
        self.durable: bytes | None = None
        self.written: bytes | None = None

    def write(self, config: SavedConfig, *, fsync: bool) -> None:
        self.written = format_config(config)
        if fsync:
            self.durable = self.written

    def crash(self, *, power_lost: bool) -> None:
        """A killed process loses nothing it has written; a machine without power what it has not synced."""
        if power_lost:
            self.written = self.durable
        self.durable = self.written

    def read(self) -> SavedConfig | None:
        return None if self.written is None else parse_config(self.written)
