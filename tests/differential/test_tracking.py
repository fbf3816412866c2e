"""What clients that track keys are sent, by us and by a real Redis, in RESP2, RESP3 and mixed.

Where a client's own script changes a key that it tracks by prefix with NOLOOP, Redis sends it the message
and we do not; and with NOLOOP of a key that expires while it is looked at, we send one and Redis does not. No
test has either.
"""

from __future__ import annotations

import shlex
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.executor import RealServer
from tests.differential.several_clients import WAIT_MS, Line, check_same
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

SCRIPTS = {
    "a key that was read": """
        a CLIENT TRACKING on
        a GET k
        b SET k 1
        b SET k 2
        a GET k
        a SET k 1
        a MGET k j
        b DEL k j
        b MSET j 1 k 1
        a EXISTS k
        b EXPIRE k 100
        a CLIENT TRACKING off
        b SET k 2
    """,
    "only commands that read": """
        a CLIENT TRACKING on
        a SET k 1
        b SET k 2
        a GETSET k 1
        b SET k 2
        a GETDEL k
        b SET k 1
        a TYPE k
        b SET k 2
        a LRANGE k 0 -1
        b SET k 1
        a SINTERCARD 3 k
        a SORT_RO k
        b SET k 2
        a OBJECT ENCODING k
        b SET k 1
    """,
    "every kind of change": """
        a CLIENT TRACKING on
        a MGET k l
        b RENAME none l
        b SET k 1
        a GET k
        b RENAME k l
        a GET l
        b COPY l k
        b EXPIRE l 100
        a GET l
        b PERSIST l
        a GET l
        b MOVE l 1
        a HGETALL h
        b HSET h f 1
        a HGETALL h
        b HDEL h f
        a XRANGE s - +
        b XADD s 1-1 f v
        a XRANGE s - +
        b XGROUP CREATE s g 0
        b XREADGROUP GROUP g c STREAMS s >
        b XDEL s 1-1
        a GET k
        b SWAPDB 0 1
        b SORT k STORE k
    """,
    "redirected": """
        a CLIENT TRACKING on REDIRECT @c
        a CLIENT GETREDIR
        a GET k
        b SET k 1
        c SUBSCRIBE __redis__:invalidate
        a GET k
        b SET k 1
        a GET k
        a SET k 2
        a CLIENT TRACKINGINFO
        b CLIENT TRACKING on REDIRECT @c NOLOOP
        b GET k
        a GET k
        b SET k 1
        a SET k 2
        a CLIENT TRACKING on
        a GET k
        b SET k 1
    """,
    "redirected to nobody": """
        a CLIENT TRACKING on REDIRECT @c
        a GET k
        c QUIT
        b SET k 1
        a PING
        a CLIENT TRACKINGINFO
        a CLIENT TRACKING on
        a CLIENT TRACKINGINFO
    """,
    "by prefix": """
        a CLIENT TRACKING on BCAST
        b SET k 1
        b MSET z 1 y 1 k 1
        a SET k 2
        b GET none
        c CLIENT TRACKING on BCAST PREFIX k PREFIX y:
        c CLIENT TRACKINGINFO
        b MSET z 1 y:1 1 k 1 kk 1
        c CLIENT TRACKING on BCAST PREFIX z
        b MSET z 1 y 1
        c CLIENT TRACKING off
        b DEL z
        b FLUSHALL
    """,
    "prefixes that overlap": """
        a CLIENT TRACKING on BCAST PREFIX foo PREFIX foobar
        a CLIENT TRACKING on BCAST PREFIX foobar PREFIX foo
        a CLIENT TRACKING on BCAST PREFIX foo PREFIX bar
        a CLIENT TRACKING on BCAST PREFIX fo
        a CLIENT TRACKING on BCAST PREFIX barb
        a CLIENT TRACKING on BCAST PREFIX foo
        a CLIENT TRACKING on BCAST
        a CLIENT TRACKINGINFO
        b SET foo 1
    """,
    "not its own changes": """
        a CLIENT TRACKING on NOLOOP
        a GET k
        a SET k 1
        b SET k 2
        a GET k
        b SET k 1
        c CLIENT TRACKING on BCAST NOLOOP
        c SET k 2
        b SET k 1
        c MSET i 1 j 1
        c CLIENT TRACKINGINFO
        a CLIENT TRACKINGINFO
    """,
    "opting in": """
        a CLIENT CACHING yes
        a CLIENT TRACKING on OPTIN
        a GET k
        b SET k 1
        a CLIENT CACHING no
        a CLIENT CACHING maybe
        a CLIENT CACHING yes
        a CLIENT TRACKINGINFO
        a GET k
        a CLIENT TRACKINGINFO
        a GET j
        b MSET k 1 j 1
        a CLIENT CACHING yes
        a PING
        a GET k
        b SET k 1
        a CLIENT CACHING yes
        a MULTI
        a GET k
        a GET j
        a EXEC
        a GET i
        b SET j 1
        b SET k 1
        b SET i 1
        a CLIENT CACHING yes
        a NOSUCH
        a GET k
        b SET k 1
        a CLIENT TRACKING on OPTOUT
        a CLIENT TRACKING on
        a CLIENT TRACKINGINFO
    """,
    "opting out": """
        a CLIENT TRACKING on OPTOUT
        a GET k
        b SET k 1
        a CLIENT CACHING yes
        a CLIENT CACHING no
        a CLIENT TRACKINGINFO
        a GET k
        b SET k 1
        a GET k
        b SET k 1
        a MULTI
        a CLIENT CACHING no
        a GET k
        a EXEC
        b SET k 1
        a CLIENT TRACKING on OPTIN
    """,
    "what does not go together": """
        a CLIENT TRACKING
        a CLIENT TRACKING maybe
        a CLIENT TRACKING on PREFIX x
        a CLIENT TRACKING on PREFIX
        a CLIENT TRACKING on REDIRECT
        a CLIENT TRACKING on REDIRECT x
        a CLIENT TRACKING on REDIRECT 0
        a CLIENT TRACKING on REDIRECT 123456789
        a CLIENT TRACKING on REDIRECT @b REDIRECT @c
        a CLIENT TRACKING on OPTIN OPTOUT
        a CLIENT TRACKING on BCAST OPTIN
        a CLIENT TRACKING on BCAST OPTOUT
        a CLIENT TRACKING off NOSUCH
        a CLIENT TRACKING on
        a CLIENT TRACKING on BCAST
        a CLIENT TRACKING off PREFIX x
        a CLIENT TRACKING on BCAST
        a CLIENT TRACKING on
        a CLIENT CACHING
        a CLIENT GETREDIR
        a CLIENT TRACKING off
        a CLIENT GETREDIR
        a CLIENT TRACKINGINFO
        a CLIENT TRACKINGINFO more
    """,
    "all keys at once": """
        a CLIENT TRACKING on
        c CLIENT TRACKING on BCAST PREFIX never
        a GET k
        b FLUSHALL
        b SET k 1
        a GET k
        b SELECT 1
        b FLUSHDB
        b SET k 1
        a FLUSHALL
        a MULTI
        a FLUSHDB
        a GET k
        a EXEC
    """,
    "in a transaction": """
        a CLIENT TRACKING on
        b MSET i 1 j 1 k 1
        a MULTI
        a GET i
        a GET j
        a SET j 2
        a EXEC
        b SET i 1
        b SET j 1
        a MGET j k
        a MULTI
        a INCR k
        a GET j
        a INCR j
        a EXEC
        b SET k 1
        a GET k
        b MULTI
        b SET k 2
        b SET k 1
        b EXEC
    """,
    "in a script": """
        a CLIENT TRACKING on
        b MSET i 1 j 1 k 1
        a EVAL "return redis.call('get', 'i')" 2 j k
        b SET i 2
        b SET j 2
        b SET k 2
        a EVAL "redis.call('set', 'i', '1')" 2 j k
        b SET j 1
        a EVAL "return {redis.call('get', 'k'), redis.call('set', 'k', '1')}" 1 k
        a EVAL_RO "return redis.call('ping')" 1 k
        b SET k 2
        a EVAL_RO "return redis.call('get', 'k')" 1 k
        b SET k 1
        a GET k
        a EVAL "redis.call('set', 'k', '2') return 1" 1 k
        b SET k 1
        c CLIENT TRACKING on NOLOOP
        c GET k
        c EVAL "return redis.call('set', 'k', '2')" 1 k
        c GET k
    """,
    "answers switched off": """
        a CLIENT TRACKING on
        a GET k
        a CLIENT REPLY OFF
        b SET k 1
        a GET k
        a SET k 2
        a CLIENT REPLY ON
        a CLIENT REPLY SKIP
        a GET k
        b SET k 1
    """,
    "waiting": """
        a CLIENT TRACKING on
        a LRANGE to 0 -1
        a BLMOVE from to LEFT LEFT 0
        b RPUSH from x
        a LRANGE to 0 -1
        a BLPOP from 0
        b RPUSH to 1
        b RPUSH from x
        b RPUSH to 1
        a XREAD BLOCK 0 STREAMS s 0
        b XADD s 1-1 f v
        b XADD s 2-1 f v
    """,
    "reset": """
        a CLIENT TRACKING on BCAST
        c CLIENT TRACKING on REDIRECT @a
        c GET k
        b SET k 1
        c RESET
        b SET k 1
        c CLIENT TRACKINGINFO
    """,
}
EXPIRED_ON_ACCESS = """
    b DEBUG SET-ACTIVE-EXPIRE 0
    a CLIENT TRACKING on
    c CLIENT TRACKING on BCAST NOLOOP
    b SET k 1 PX {life}
    a GET k
    wait {longer}
    b GET k
    b MSET x 1 y 1
    b PEXPIRE y {life}
    a MGET x y
    wait {longer}
    a MGET x y
    c SET k 1 PX {life}
    wait {longer}
    c GET k
"""
LIVES_MS = (3, 30, 300, 3000)
PROTOCOLS = {
    "RESP2": 2,
    "RESP3": 3,
    "RESP2 redirecting to RESP3": {"a": 2, "b": 2, "c": 3},
}


def parse(script: str) -> list[Line]:
    words = [shlex.split(line) for line in script.strip().splitlines()]
    return [(client, rest) for client, *rest in words]


@pytest.fixture
def address(redis7: RealServer) -> str:
    """Of a server whose clients have ids of two digits or more: no command here answers with such."""
    address = str(redis7.socket.getpeername())
    for _ in range(10):
        RealServer(address).close()
    return address


@pytest.mark.parametrize("resp", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_clients_are_told_what_redis_tells(address: str, script: str, resp: int | dict[str, int]) -> None:
    check_same(address, parse(script), resp, show_ids=True)


@pytest.mark.parametrize("resp", PROTOCOLS.values(), ids=PROTOCOLS)
def test_keys_that_are_found_expired_are_told_of_as_redis_does(
    address: str, resp: int | dict[str, int]
) -> None:
    """A key must be looked at before it expires. If that may have been too late, it gets longer to live."""
    for life_ms in LIVES_MS:
        lines = parse(EXPIRED_ON_ACCESS.format(life=life_ms, longer=life_ms + WAIT_MS))
        waited_ms = (life_ms + WAIT_MS) * sum(who == "wait" for who, _ in lines)
        began = time.monotonic()
        try:
            check_same(address, lines, resp, show_ids=True)
        except AssertionError:
            was_slow = (time.monotonic() - began) * 1000 - waited_ms >= life_ms
            if not was_slow or life_ms == LIVES_MS[-1]:
                raise
        else:
            return


KEYS = st.sampled_from(["k", "kk", "j"])
READS = st.lists(KEYS, min_size=1, max_size=3, unique=True).map(lambda keys: ["MGET", *keys])
WRITES = st.one_of(
    st.lists(KEYS, min_size=1, max_size=3, unique=True).map(lambda keys: ["DEL", *keys]),
    KEYS.map(lambda key: ["SET", key, "1"]),
    st.tuples(KEYS, KEYS).map(lambda keys: ["RENAME", *keys]),
)
TRACKING = st.sampled_from(
    [
        "CLIENT TRACKING on",
        "CLIENT TRACKING on NOLOOP",
        "CLIENT TRACKING on REDIRECT @c",
        "CLIENT TRACKING on OPTIN",
        "CLIENT TRACKING on OPTOUT",
        "CLIENT TRACKING on BCAST",
        "CLIENT TRACKING on BCAST PREFIX kk",
        "CLIENT TRACKING off",
        "CLIENT CACHING yes",
        "CLIENT CACHING no",
        "CLIENT TRACKINGINFO",
        "MULTI",
        "EXEC",
        "FLUSHALL",
    ]
).map(str.split)
LINES: st.SearchStrategy[Line] = st.tuples(st.sampled_from("ab"), st.one_of(READS, READS, WRITES, TRACKING))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=5, max_size=25), st.sampled_from(list(PROTOCOLS.values())))
def test_any_sequence_is_told_as_redis_tells_it(
    address: str, lines: list[Line], resp: int | dict[str, int]
) -> None:
    """One client tracks all the time: once nobody does, we forget what Redis still has in its table."""
    stays: Line = ("d", ["CLIENT", "TRACKING", "on", "BCAST", "PREFIX", "never"])
    protocols = {"a": resp, "b": resp, "c": resp} if isinstance(resp, int) else resp
    check_same(address, [stays, *lines], {**protocols, "d": 2}, "abcd", show_ids=True)
