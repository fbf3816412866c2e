"""The disk fails, or the machine stops, at each call that the append-only file makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from shoal.node.runtime.append_only_loading import LoadingFailed
from shoal.node.runtime.append_only_log import CannotPersist
from shoal.node.server.append_only import AofState
from tests.unit.append_only_node import AofNode, loaded
from tests.unit.faulty_disk import Crash, FaultyDisk


class Story:
    """A node that writes, rewrites and is turned off and on again; and what it promised on the way.

    Every write is a transaction that adds its number to a list and counts it, so what was loaded
    tells how many writes it holds, and whether one was torn apart.
    """

    def __init__(self, folder: Path, disk: FaultyDisk, policy: str) -> None:
        self.node = AofNode(folder, disk, appendfsync=policy)
        self.executed = 0
        self.promised = 0
        """How many writes were acknowledged while the file counted."""

    async def tell(self) -> None:
        node = self.node
        async with trio.open_nursery() as nursery:
            node.append_only.run_with(nursery.start_soon)
            node.start()
            await self.write(3)
            await self.rewrite()
            node.run("CONFIG", "SET", "aof-use-rdb-preamble", "no")
            node.run("CONFIG", "SET", "appendonly", "no")
            await self.write(1)
            node.run("CONFIG", "SET", "appendonly", "yes")
            await self.write(1)
            await self.settle()
            await self.write(2)
            node.append_only.finish()

    async def rewrite(self) -> None:
        self.node.run("BGREWRITEAOF")
        await self.write(2)
        await self.settle()
        await self.write(1)

    async def settle(self) -> None:
        """Until nothing runs and nothing is scheduled, unless that is in vain."""
        node = self.node
        for _ in range(5):
            await node.rewrite_done()
            node.look()

    async def write(self, times: int) -> None:
        for _ in range(times):
            replies = self._try_to_write()
            while isinstance(replies[-1], str):
                self.node.look(1.0)  # the disk failed, and does not any more
                await trio.testing.wait_all_tasks_blocked()
                replies = self._try_to_write()
            assert replies[-1] == [self.executed, self.executed]
            if self.node.server.aof.state is AofState.ON:
                self.promised = self.executed

    def _try_to_write(self) -> list[object]:
        number, run_all = self.executed, self.node.run_all
        self.executed += 1
        replies = run_all([("MULTI",), ("RPUSH", "list", number), ("INCR", "count"), ("EXEC",)])
        if isinstance(replies[-1], str):
            self.executed -= 1
            assert "MISCONF" in str(replies)
        return replies


def written(folder: Path) -> int:
    """How many writes a restart finds."""
    found = loaded(folder)
    numbers = found.run("LRANGE", "list", 0, -1)
    assert numbers == [str(number) for number in range(len(numbers))]
    assert int(found.run("GET", "count") or 0) == len(numbers)
    return len(numbers)


def tell(folder: Path, disk: FaultyDisk, policy: str) -> tuple[Story, bool]:
    """The story as far as it goes; whether it went to its end."""
    story, ended = Story(folder, disk, policy), True
    try:
        trio.run(story.tell, strict_exception_groups=True)
    except* (Crash, CannotPersist, OSError, LoadingFailed):
        ended = False
    return story, ended


def calls_of(tmp_path: Path, policy: str) -> list[str]:
    """What the story asks of a disk that never fails."""
    folder = tmp_path / "whole"
    folder.mkdir()
    disk = FaultyDisk()
    _, ended = tell(folder, disk, policy)
    assert ended
    return disk.calls


def test_a_machine_that_stops_at_any_call_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    for at, call in enumerate(calls_of(tmp_path, "always")):
        folder = tmp_path / str(at)
        folder.mkdir()
        story, ended = tell(folder, FaultyDisk(at, "crash"), "always")
        assert not ended
        assert story.promised <= written(folder) <= story.executed, (at, call)


@pytest.mark.parametrize(("policy", "fault"), [("always", "EIO"), ("everysec", "ENOSPC"), ("no", "short")])
def test_a_call_that_fails_leaves_a_file_that_holds_what_was_acknowledged(
    tmp_path: Path, policy: str, fault: str
) -> None:
    for at, call in enumerate(calls_of(tmp_path, policy)):
        if fault == "short" and call != "write":
            continue
        folder = tmp_path / str(at)
        folder.mkdir()
        story, ended = tell(folder, FaultyDisk(at, fault), policy)
        found = written(folder)
        assert story.promised <= found <= story.executed, (at, call)
        if ended and story.node.server.aof.state is AofState.ON:
            assert found == story.executed, (at, call)
