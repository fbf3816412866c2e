"""What commands of Redis 7.0 learnt up to 8.0, compared with that: the same bytes in RESP2 and RESP3."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.differential.executor import RealServer
from tests.differential.test_scripts import Both
from tests.peers import REDIS8_SERVER, needs
from tests.unit.server.client import World
from tests.unit.server.test_script_cache import evict

pytestmark = [pytest.mark.peers, needs(REDIS8_SERVER)]

LINES = """
    ZADD z 1 a 2.5 b 2.5 c inf d
    ZRANK z b WITHSCORE
    ZRANK z d withscore
    ZREVRANK z b WITHSCORE
    ZREVRANK z a
    ZRANK z none WITHSCORE
    ZREVRANK z none WITHSCORE
    ZRANK none a WITHSCORE
    ZREVRANK none a WITHSCORE
    ZREVRANK none a
    ZRANK z b WITHSCORES
    ZRANK none b WITHSCORES
    ZRANK z b WITHSCORE WITHSCORE
    ZREVRANK z b WITHSCORE x
    SET text 1
    ZRANK text b WITHSCORE
    ZREVRANK text b WITHSCORE
    ZRANK text b WITHSCORES

    HSET h a 1
    HSCAN h 0 NOVALUES
    HSCAN h 0 novalues MATCH a COUNT 10
    HSCAN h 0 MATCH b NOVALUES
    HSCAN h 0 COUNT 10 NOVALUES
    HSCAN h 0 MATCH
    HSCAN h 0 MATCH NOVALUES
    HSCAN h 0 NOVALUES NOVALUES
    HSCAN none 0 NOVALUES
    HSCAN none 0 NOPE
    HSCAN text 0 NOVALUES
    SCAN 0 NOVALUES
    SADD s a
    SSCAN s 0 NOVALUES
    SSCAN none 0 NOVALUES
    ZSCAN z 0 NOVALUES
    ZSCAN z 0 MATCH * NOVALUES COUNT 1

    XREAD STREAMS x +
    XADD x 1-1 a 1
    XADD x 1-2 a 2
    XADD x 7-0 a 3
    XREAD STREAMS x +
    XREAD COUNT 3 STREAMS x +
    XREAD STREAMS x none x + 0 1-1
    XDEL x 7-0
    XREAD STREAMS x +
    XDEL x 1-1 1-2
    XREAD STREAMS x +
    XADD x 7-1 a 4
    XREAD STREAMS x +
    XADD x 8-0 a 4
    XTRIM x MAXLEN 0
    XREAD STREAMS x +
    XGROUP CREATE x g 0
    XREADGROUP GROUP g c STREAMS x +
    XREADGROUP GROUP g c STREAMS x $
    XREAD STREAMS text +

    EVAL "return redis.call('blpop', 'none', 0)" 0
    EVAL "return redis.call('brpop', 'none', 'again', 5)" 0
    EVAL "return redis.call('brpoplpush', 'none', 'none', 0)" 0
    EVAL "return redis.call('blmove', 'none', 'none', 'LEFT', 'RIGHT', 0)" 0
    EVAL "return redis.call('blmpop', 0, 1, 'none', 'LEFT')" 0
    EVAL "return redis.call('bzpopmin', 'none', 0)" 0
    EVAL "return redis.call('bzpopmax', 'none', 0)" 0
    EVAL "return redis.call('bzmpop', 0, 1, 'none', 'MIN')" 0
    EVAL "return redis.call('xread', 'BLOCK', 0, 'STREAMS', 'x', '$')" 0
    EVAL "return redis.call('xreadgroup', 'GROUP', 'g', 'c', 'BLOCK', 0, 'STREAMS', 'x', '>')" 0
    EVAL "return redis.call('wait', 0, 0)" 0
    EVAL "return redis.call('wait', 3, 0)" 0
    EVAL "return redis.call('waitaof', 0, 3, 0)" 0
    EVAL "return redis.call('blpop', 'none', 'x')" 0
    EVAL "return redis.call('blpop', 'text', 0)" 0
    RPUSH l a b
    EVAL "return redis.call('blpop', 'none', 'l', 0)" 0
    EVAL "return redis.call('blmove', 'l', 'm', 'LEFT', 'RIGHT', 0)" 0
    EVAL "redis.setresp(3); return redis.call('blpop', 'none', 0)" 0
    EVAL "redis.setresp(3); return redis.call('bzpopmin', 'z', 0)" 0

    CLIENT KILL MAXAGE 1000000
    CLIENT KILL MAXAGE 1000000 SKIPME no
    CLIENT KILL MAXAGE 0
    CLIENT KILL MAXAGE -1
    CLIENT KILL MAXAGE x
    CLIENT KILL MAXAGE
    CLIENT KILL SKIPME maybe
"""


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def both(request: pytest.FixtureRequest, redis8: RealServer) -> Iterator[Both]:
    yield Both(redis8, request.param)
    redis8.run("HELLO", "2")


def test_they_answer_as_redis_8_does(both: Both) -> None:
    lines = [shlex.split(line) for line in LINES.splitlines() if line.strip()]
    for line in lines:
        mine, real = both.ask(*line)
        assert mine == real, f"{line} gave {mine!r}\nRedis gives {real!r}"


@pytest.mark.parametrize("line", ["XREADGROUP GROUP g c STREAMS x >", "XCLAIM x g c 0 1-1"])
def test_a_consumer_is_active_when_it_is_given_something(both: Both, line: str) -> None:
    """`inactive` and `active-time` are -1 up to then."""
    for words in ("XADD x 1-1 a 1", "XGROUP CREATE x g 0", "XREADGROUP GROUP g other COUNT 1 STREAMS x >"):
        both.ask(*words.split())
    for words in ("XADD x 2-1 a 1", "XGROUP CREATECONSUMER x g c"):
        both.ask(*words.split())
    assert _inactive(both, b"c") == (True, True)
    both.ask(*line.split())
    assert _inactive(both, b"c") == (False, False)


def _inactive(both: Both, consumer: bytes) -> tuple[bool, bool]:
    """Whether we, and Redis, say of a consumer that it never was active."""
    told = both.ask("XINFO", "CONSUMERS", "x", "g")
    at = [answer.index(b"\r\n%b\r\n" % consumer) for answer in told]
    first, second = (b"inactive\r\n:-1\r\n" in answer[place:] for answer, place in zip(told, at, strict=True))
    return first, second


def test_of_scripts_sent_by_eval_redis_8_keeps_the_same(redis8: RealServer) -> None:
    def ask(*words: str | int) -> object:
        return redis8.run(*map(str, words)).value

    ask("SCRIPT", "FLUSH")
    assert evict(ask)[:2] == evict(World().client())[:2]
