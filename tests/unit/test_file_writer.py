"""The process that writes a file: what it is given is what is there, and what goes wrong is told as it is."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing

from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.picture_files import BackgroundFile
from shoal.node.server.config import Config
from tests.unit.server.client import World

KEYS, VALUE_BYTES = 40, 50_000


class Picture:
    """Something to write that takes its time, and bytes that nobody can guess."""

    def __init__(self) -> None:
        world = World()
        client, random = world.client(), Random(1)
        for number in range(KEYS):
            client("SET", number, random.randbytes(VALUE_BYTES))
        self.save, self.same = (RdbSave(world.server.keyspace, {}) for _ in range(2))

    @property
    def expected(self) -> bytes:
        """What the file must be."""
        return b"".join(iter(lambda: self.same.step(1 << 20), b""))


def background_file(folder: Path, disk: Disk | None = None) -> BackgroundFile:
    return BackgroundFile(disk or Disk(), lambda pid: folder / f"{pid}.rdb", sync_as_it_grows=True)


def is_gone(pid: int) -> bool:
    """Whether there is no such process, not even one that waits to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def picture() -> Picture:
    return Picture()


async def test_the_file_holds_what_was_given_and_its_writer_is_gone(tmp_path: Path, picture: Picture) -> None:
    file = background_file(tmp_path)
    await file.fill(picture.save, Config())
    assert file.path == tmp_path / f"{file.writer_pid}.rdb"
    assert file.path.read_bytes() == picture.expected
    assert is_gone(file.writer_pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_that_tell_a_node_to_end_do_not_end_its_writer(
    tmp_path: Path, picture: Picture, number: signal.Signals
) -> None:
    file = background_file(tmp_path)
    os.kill(file.writer_pid, number)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.fill, picture.save, Config())
        await trio.testing.wait_all_tasks_blocked()
        os.kill(file.writer_pid, number)
    assert file.path.read_bytes() == picture.expected


@pytest.mark.parametrize("delay_us", [0, 3_600_000_000], ids=["while it is given", "while it waits"])
async def test_who_kills_the_writer_ends_the_writing(tmp_path: Path, picture: Picture, delay_us: int) -> None:
    file = background_file(tmp_path)
    os.kill(file.writer_pid, signal.SIGKILL)
    with pytest.raises(OSError, match="the process that writes it was terminated by signal 9"):
        await file.fill(picture.save, Config(rdb_key_save_delay=delay_us))
    assert is_gone(file.writer_pid)
    file.abandon()
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux only")
@pytest.mark.parametrize(
    ("device", "number"),
    [
        pytest.param("/dev/full", errno.ENOSPC, id="to take it"),
        pytest.param("/dev/null", errno.EINVAL, id="to make it durable"),
    ],
)
async def test_what_the_disk_refuses_is_told(
    tmp_path: Path, picture: Picture, device: str, number: int
) -> None:
    class Refusing(Disk):
        def create(self, path: Path) -> int:
            return os.open(device, os.O_WRONLY)

    file = background_file(tmp_path, Refusing())
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        await file.fill(picture.save, Config())
    assert caught.value.errno == number
    assert is_gone(file.writer_pid)


async def test_a_file_that_cannot_be_made_leaves_no_process(tmp_path: Path) -> None:
    pids: list[int] = []

    def nowhere(pid: int) -> Path:
        pids.append(pid)
        return tmp_path / "nowhere" / "file"

    with pytest.raises(FileNotFoundError):
        BackgroundFile(Disk(), nowhere, sync_as_it_grows=False)
    assert is_gone(pids[0])


async def test_without_a_process_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError):
        background_file(tmp_path)
    assert os.listdir(tmp_path) == []


async def test_one_that_is_given_up_while_its_disk_hangs_is_gone_soon(
    tmp_path: Path, picture: Picture
) -> None:
    file = background_file(tmp_path)
    os.kill(file.writer_pid, signal.SIGSTOP)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def fill() -> None:
                with pytest.raises(OSError, match="terminated by signal 9"):
                    await file.fill(picture.save, Config())

            nursery.start_soon(fill)
            await trio.testing.wait_all_tasks_blocked()
            assert not picture.save.done, "a socket holds less than that"
            file.abandon()
    assert is_gone(file.writer_pid)
    assert os.listdir(tmp_path) == []
