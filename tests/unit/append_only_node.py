"""A node with an append-only file and no sockets: real files, effects carried out in order, any disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import hiredis
import trio
import trio.testing

from shoal.node import builtin_commands
from shoal.node.dataset.digest import keyspace_digest
from shoal.node.resp.writer import encode_command
from shoal.node.runtime.append_only import AppendOnlyFile
from shoal.node.runtime.append_only_loading import AppendOnlyLoading
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.log import Log
from shoal.node.runtime.node import Node
from shoal.node.runtime.slices import load_at_once
from shoal.node.server.config import Config
from shoal.node.server.server import Server

NOW_MS = 1_700_000_000_000
DATABASES = 2


class AofNode:
    """Started from what is in the folder, as `shoal-server --appendonly yes` would be."""

    def __init__(self, folder: Path, disk: Disk | None = None, **directives: Any) -> None:
        builtin_commands.load()
        chosen = {"appendonly": True, "databases": DATABASES, "save": (), **directives}
        self.server = Server(
            Config(dir=str(folder), **chosen), Random(7), lambda: 0, now_ms=NOW_MS, run_id="a" * 40
        )
        log = Log("", "nothing")
        self.now = 0.0
        """Seconds, as the append-only file sees them."""
        self.append_only = AppendOnlyFile(self.server, log, disk, lambda: self.now)
        self.node = Node(self.server, log, None, self.append_only)
        self.server.config.on_change(["appendonly"], self.append_only.follow_directive)
        self.session = self.server.connect("127.0.0.1:1", "127.0.0.1:2")
        self.reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")

    def load(self) -> None:
        """Have the data that the files hold."""
        self.server.keyspace.flush()
        load_at_once(AppendOnlyLoading(self.server, self.append_only.files, Log("", "nothing")).run())

    def start(self) -> None:
        """Load what is there, and go on with it."""
        self.load()
        self.append_only.open_at_start()

    def run(self, *words: str | int | bytes) -> Any:
        """One turn with one command of a client: its reply, an error as its text; None if none came."""
        return self.run_all([words])[0]

    def run_all(self, commands: Sequence[Sequence[str | int | bytes]]) -> list[Any]:
        """One turn with several commands."""
        for words in commands:
            argv = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            self.server.receive(self.session, encode_command(argv))
        self.node.carry_out_effects()
        return [self.reply() for _ in commands]

    def reply(self) -> Any:
        """The next reply that left."""
        self.reader.feed(b"".join(self.session.out))
        self.session.out.clear()
        found = self.reader.gets()
        return str(found) if isinstance(found, hiredis.ReplyError) else None if found is False else found

    async def rewrite_done(self) -> None:
        """Wait for the rewrite that runs, if one does, and for what follows from it."""
        while self.server.aof.rewriting_since is not None:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()

    def look(self, seconds: float = 0.1) -> None:
        """What a running node does a few times a second, so much later."""
        self.now += seconds
        self.append_only.look()
        self.node.carry_out_effects()

    @property
    def digest(self) -> str:
        """What the data are."""
        return keyspace_digest(self.server.keyspace).hex()


def loaded(folder: Path, **directives: Any) -> AofNode:
    """A node that found these files."""
    node = AofNode(folder, **directives)
    node.load()
    return node
