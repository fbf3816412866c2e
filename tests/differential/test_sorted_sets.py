"""Sequences of sorted set commands give on our handlers what they give on Redis 7.

Scores here have few binary digits: Redis 7.0 prints the others with all of theirs, later servers and
ours with as few as read back alike. Ranges by member are asked of keys whose scores are all equal, since
elsewhere their answer means nothing.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.comparison import Command, compare
from tests.differential.executor import LocalServer, RealServer
from tests.differential.strategies import INTEGERS, KEYS, any_case, sequences, several, words
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

MEMBERS = st.sampled_from(["a", "b", "c", "d", "aa", "", b"\xff\r\n"])
GOOD_SCORES = st.sampled_from(["0", "1", "2", "-1", "2.5", "-0.25", "3e2", "inf", "-inf", "+inf", "1e20"])
SCORES = st.one_of(GOOD_SCORES, GOOD_SCORES, st.sampled_from(["nan", "x", "1_0", " 1"]))
PAIRS = several(words(GOOD_SCORES, MEMBERS), 4, 1)
ADD_OPTIONS = several(any_case("NX", "XX", "GT", "LT", "CH", "INCR"), 3)

SCORE_ENDS = st.one_of(
    GOOD_SCORES, st.sampled_from(["x", "(x", "nan"]), GOOD_SCORES.map(lambda score: f"({score}")
)
LEX_ENDS = st.sampled_from(["-", "+", "[a", "(a", "[aa", "(c", "[", "(", "[z", "x", "", "+x"])
RANKS = st.one_of(st.integers(-6, 6), INTEGERS)
LIMIT = words(any_case("LIMIT"), st.integers(-1, 3), st.integers(-1, 3))
SCORE_OPTIONS = several(st.one_of(any_case("WITHSCORES"), LIMIT, any_case("REV", "BYLEX", "LIMIT")), 2)
RANGE_OPTIONS = several(st.one_of(any_case("WITHSCORES", "REV"), LIMIT, any_case("BYSCORE", "BYLEX")), 3)

TWO_KEYS = words("2", KEYS, KEYS)
COUNTED_KEYS = st.one_of(words("1", KEYS), TWO_KEYS, words("3", KEYS, KEYS, KEYS), words(INTEGERS, KEYS))
WEIGHTS = words(any_case("WEIGHTS"), GOOD_SCORES, st.one_of(GOOD_SCORES, st.just("0"), st.just("x")))
AGGREGATE = words(any_case("AGGREGATE"), any_case("SUM", "MIN", "MAX", "AVG"))
COMBINE_OPTIONS = several(st.one_of(WEIGHTS, AGGREGATE, any_case("WITHSCORES", "BOGUS")), 3)

CHANGES: list[st.SearchStrategy[Command]] = [
    words("ZADD", KEYS, PAIRS),
    words("ZADD", KEYS, PAIRS),
    words("ZADD", KEYS, ADD_OPTIONS, PAIRS),
    words("ZADD", KEYS, ADD_OPTIONS, SCORES, MEMBERS),
    words("ZADD", KEYS, ADD_OPTIONS, SCORES, MEMBERS, "1"),
    words("ZINCRBY", KEYS, SCORES, MEMBERS),
    words("ZREM", KEYS, several(MEMBERS, 3, 1)),
    words("SADD", KEYS, several(MEMBERS, 4, 1)),
    words("SET", KEYS, "text"),
    words("DEL", KEYS),
    words("PEXPIREAT", KEYS, "4000000000000"),
]
SIMPLE: list[st.SearchStrategy[Command]] = [
    *CHANGES,
    words("ZCARD", KEYS),
    words(any_case("ZSCORE", "ZRANK", "ZREVRANK"), KEYS, MEMBERS),
    words("ZMSCORE", KEYS, several(MEMBERS, 3, 1)),
    words(any_case("ZPOPMIN", "ZPOPMAX"), KEYS),
    words(any_case("ZPOPMIN", "ZPOPMAX"), KEYS, several(INTEGERS, 2, 1)),
    words("ZMPOP", COUNTED_KEYS, any_case("MIN", "MAX", "MID"), several(words("COUNT", INTEGERS), 1)),
    words("ZRANDMEMBER", KEYS, st.sampled_from([0, "x", -(1 << 63)]), several(any_case("WITHSCORES"), 2)),
]
RANGES: list[st.SearchStrategy[Command]] = [
    *CHANGES,
    words("ZRANGE", KEYS, RANKS, RANKS, several(any_case("WITHSCORES", "REV"), 2)),
    words("ZREVRANGE", KEYS, RANKS, RANKS, SCORE_OPTIONS),
    words("ZRANGE", KEYS, SCORE_ENDS, SCORE_ENDS, any_case("BYSCORE"), RANGE_OPTIONS),
    words("ZRANGE", KEYS, RANKS, RANKS, several(LIMIT, 2)),
    words(any_case("ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), KEYS, SCORE_ENDS, SCORE_ENDS, SCORE_OPTIONS),
    words("ZCOUNT", KEYS, SCORE_ENDS, SCORE_ENDS),
    words("ZRANGESTORE", KEYS, KEYS, SCORE_ENDS, SCORE_ENDS, any_case("BYSCORE"), SCORE_OPTIONS),
    words("ZRANGESTORE", KEYS, KEYS, RANKS, RANKS, several(any_case("REV"), 1)),
    words("ZREMRANGEBYRANK", KEYS, RANKS, RANKS),
    words("ZREMRANGEBYSCORE", KEYS, SCORE_ENDS, SCORE_ENDS),
]
LEX_RANGES: list[st.SearchStrategy[Command]] = [
    words("ZADD", KEYS, several(words(st.just("0"), MEMBERS), 4, 1)),
    words("ZREM", KEYS, several(MEMBERS, 3, 1)),
    words(any_case("ZRANGEBYLEX", "ZREVRANGEBYLEX"), KEYS, LEX_ENDS, LEX_ENDS, several(LIMIT, 1)),
    words(any_case("ZRANGEBYLEX", "ZREVRANGEBYLEX"), KEYS, LEX_ENDS, LEX_ENDS, SCORE_OPTIONS),
    words("ZRANGE", KEYS, LEX_ENDS, LEX_ENDS, any_case("BYLEX"), RANGE_OPTIONS),
    words("ZRANGESTORE", KEYS, KEYS, LEX_ENDS, LEX_ENDS, any_case("BYLEX"), SCORE_OPTIONS),
    words(any_case("ZLEXCOUNT", "ZREMRANGEBYLEX"), KEYS, LEX_ENDS, LEX_ENDS),
]
COMBINATIONS: list[st.SearchStrategy[Command]] = [
    *CHANGES,
    words(any_case("ZUNION", "ZINTER", "ZDIFF"), COUNTED_KEYS, several(any_case("WITHSCORES"), 1)),
    words(any_case("ZUNION", "ZINTER", "ZDIFF"), TWO_KEYS, COMBINE_OPTIONS),
    words(any_case("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"), KEYS, COUNTED_KEYS),
    words(any_case("ZUNIONSTORE", "ZINTERSTORE"), KEYS, TWO_KEYS, COMBINE_OPTIONS),
    words("ZINTERCARD", COUNTED_KEYS, several(words(any_case("LIMIT"), INTEGERS), 2)),
]

FAMILIES = {"simple": SIMPLE, "ranges": RANGES, "lex ranges": LEX_RANGES, "combinations": COMBINATIONS}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_sorted_set_commands_answer_and_store_what_redis_does(
    redis7: RealServer, family: list[st.SearchStrategy[Command]], data: st.DataObject
) -> None:
    compare(LocalServer(), redis7, data.draw(sequences(family)))
