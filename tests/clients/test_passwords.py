"""Every client at the door of a node with a password."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import trio

from tests.clients.javascript import passed_scenarios
from tests.clients.packages import needs_javascript_client, python_client
from tests.processes.nodes import HOST, Node, running_node

PASSWORD = "correct horse"
pytestmark = pytest.mark.processes
Use = Callable[[int, str | None], bytes]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running_node(tmp_path_factory.mktemp("guarded"), "--requirepass", PASSWORD) as node:
        yield node


def redis_py(port: int, password: str | None, protocol: int = 3) -> bytes:
    redis = python_client("redis")
    once = redis.retry.Retry(redis.backoff.NoBackoff(), retries=0)
    with redis.Redis(HOST, port, password=password, retry=once, protocol=protocol) as client:
        client.set("key", "value")
        return bytes(client.get("key"))


def redis_py_with_resp2(port: int, password: str | None) -> bytes:
    return redis_py(port, password, protocol=2)


def coredis(port: int, password: str | None) -> bytes:
    package = python_client("coredis")

    async def use() -> bytes:
        async with package.Redis(host=HOST, port=port, password=password) as client:
            await client.set("key", "value")
            return bytes(await client.get("key"))

    return trio.run(use)


def glide(port: int, password: str | None) -> bytes:
    package = python_client("glide")

    async def use() -> bytes:
        credentials = package.ServerCredentials(password) if password else None
        address = package.NodeAddress(HOST, port)
        configuration = package.GlideClientConfiguration([address], credentials=credentials)
        client = await package.GlideClient.create(configuration)
        try:
            await client.set("key", "value")
            return bytes(await client.get("key"))
        finally:
            await client.close()

    return asyncio.run(use())


USES = [redis_py, redis_py_with_resp2, coredis, glide]


@pytest.mark.parametrize("use", USES)
def test_who_knows_the_password_comes_in(use: Use, guarded: Node) -> None:
    assert use(guarded.port, PASSWORD) == b"value"


@pytest.mark.parametrize("use", USES)
def test_who_has_the_wrong_one_is_told_so(use: Use, guarded: Node) -> None:
    with pytest.raises(Exception) as refused:
        use(guarded.port, "wrong")
    assert "invalid username-password pair or user is disabled" in told(refused.value)


@pytest.mark.parametrize("use", USES)
def test_who_has_none_is_told_so(use: Use, guarded: Node) -> None:
    with pytest.raises(Exception) as refused:
        use(guarded.port, None)
    greeting = "HELLO must be called with the client already authenticated"
    assert ("Authentication required" if use is redis_py_with_resp2 else greeting) in told(refused.value)


def told(error: BaseException) -> str:
    """The text of an exception, or of the first one in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("ioredis.mjs", id="ioredis", marks=needs_javascript_client("ioredis")),
        pytest.param("node_redis.mjs", id="node-redis", marks=needs_javascript_client("redis")),
    ],
)
def test_javascript_clients_at_the_door(script: str, guarded: Node) -> None:
    assert len(passed_scenarios(script, "guarded", [guarded], [])) == 2
