"""What people do with scripts: locks, limits and queues, in the packages that bring them, on one node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.clients.packages import python_client
from tests.processes.nodes import HOST, Node

redis = python_client("redis")
pytestmark = pytest.mark.processes

RELEASE = """
if redis.call("get", KEYS[1]) == ARGV[1] then
    return redis.call("del", KEYS[1])
else
    return 0
end
"""
"""The release of a lock as the Redlock algorithm is published."""

SLIDING_WINDOW = """
local now = redis.call('TIME')
local milliseconds = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, milliseconds - tonumber(ARGV[1]))
local used = redis.call('ZCARD', KEYS[1])
if used >= tonumber(ARGV[2]) then
    return {0, used}
end
redis.call('ZADD', KEYS[1], milliseconds, milliseconds .. ':' .. redis.call('INCR', KEYS[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {1, used + 1}
"""


@pytest.fixture
def client(node: Node) -> Iterator[Any]:
    with redis.Redis(HOST, node.port) as client:
        yield client


def test_only_its_owner_releases_a_redlock(client: Any) -> None:
    release = client.register_script(RELEASE)
    assert client.set("lock", "mine", nx=True, px=30000)
    assert client.set("lock", "theirs", nx=True, px=30000) is None
    assert release(["lock"], ["theirs"]) == 0
    assert release(["lock"], ["mine"]) == 1
    assert client.exists("lock") == 0


def test_a_sliding_window_lets_so_many_through(client: Any) -> None:
    client.script_flush()
    attempt = client.register_script(SLIDING_WINDOW)
    replies = [attempt(["{limit}", "{limit}:n"], [60000, 3]) for _ in range(5)]
    assert replies == [[1, 1], [1, 2], [1, 3], [0, 3], [0, 3]]
    assert 0 < client.pttl("{limit}") <= 60000


def test_a_script_in_a_pipeline_is_loaded_first(client: Any) -> None:
    client.script_flush()
    count = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    with client.pipeline() as pipeline:
        count(["n"], [2], client=pipeline)
        count(["n"], [3], client=pipeline)
        assert pipeline.execute() == [2, 5]


def test_the_lock_of_redis_py_is_taken_extended_and_released(client: Any) -> None:
    lock = client.lock("resource", timeout=30, blocking_timeout=0)
    with lock:
        assert not client.lock("resource", timeout=30).acquire(blocking=False)
        assert lock.extend(30) and lock.reacquire() and lock.owned()
    assert client.exists("resource") == 0
    with pytest.raises(redis.exceptions.LockError):
        lock.release()


RQ = """
import rq, redis, sys
from operator import mul
client = redis.Redis(port=int(sys.argv[1]))
queue = rq.Queue(connection=client)
jobs = [queue.enqueue(mul, 2, number) for number in range(3)]
failing = queue.enqueue(mul)
rq.SimpleWorker([queue], connection=client).work(burst=True, logging_level="CRITICAL")
print([job.return_value(refresh=True) for job in jobs], failing.get_status(refresh=True).value)
"""

CELERY = """
import celery, sys
from celery.contrib.testing.worker import start_worker
url = f"redis://127.0.0.1:{sys.argv[1]}/0"
app = celery.Celery("tests", broker=url, backend=url)

@app.task
def double(number):
    return 2 * number

with start_worker(app, pool="solo", perform_ping_check=False):
    print([double.delay(number).get(timeout=30) for number in range(3)])
"""

BULLMQ = """
import asyncio, sys
from bullmq import Queue, Worker
options = {"connection": f"redis://127.0.0.1:{sys.argv[1]}"}
done, finished = [], asyncio.Queue()

async def work(job, token):
    done.append(job.name)
    if job.name == "fails":
        raise ValueError("as it should")
    return len(done)

async def main():
    queue = Queue("jobs", options)
    for name, priority in (("late", 9), ("fails", 5), ("soon", 2)):
        await queue.add(name, {"name": name}, {"priority": priority})
    await queue.add("waits", {}, {"delay": 60000})
    worker = Worker("jobs", work, options)
    for event in ("completed", "failed"):
        worker.on(event, lambda *told: finished.put_nowait(told))
    for _ in range(3):
        await finished.get()
    counts = await queue.getJobCounts("completed", "failed", "delayed")
    await worker.close(True)
    await queue.close()
    print(done, counts["completed"], counts["failed"], counts["delayed"])

asyncio.run(main())
"""

QUEUES = {
    "rq": (RQ, "[0, 2, 4] failed"),
    "celery": (CELERY, "[0, 2, 4]"),
    "bullmq": (BULLMQ, "['soon', 'fails', 'late'] 2 1 1"),
}
"""Programs that take a port, and what they print; each has a process of its own, for it handles signals."""


@pytest.mark.parametrize("package", QUEUES)
def test_queues_do_their_jobs(package: str, node: Node) -> None:
    if find_spec(package) is None:
        pytest.skip(f"the Python package {package} is not installed")
    program, printed = QUEUES[package]
    command = [sys.executable, "-W", "ignore", "-c", program, str(node.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip().splitlines()[-1:] == [printed], done.stderr[-2000:]
