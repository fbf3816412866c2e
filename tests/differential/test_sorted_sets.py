"""Sequences of sorted set commands give on our server what they give on Redis 7."""

from __future__ import annotations

import pytest

from tests.differential.grammar import (
    INTEGERS,
    KEYS,
    NOT_ONE,
    ODD_NUMBERS,
    Part,
    any_case,
    formatted,
    integers,
    one_of,
    pick,
    several,
    words,
)
from tests.differential.twin import Twin, run_any
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

MEMBERS = pick("a", "b", "c", "d", "aa", "", b"\xff\r\n")
GOOD_SCORES = pick("0", "1", "2", "-1", "2.5", "-0.25", "3e2", "inf", "-inf", "+inf", "1e20")
SCORES = one_of(GOOD_SCORES, GOOD_SCORES, pick(*ODD_NUMBERS))
PAIRS = several(words(GOOD_SCORES, MEMBERS), 4, 1)
ADD_OPTIONS = several(any_case("NX", "XX", "GT", "LT", "CH", "INCR"), 3)

SCORE_ENDS = one_of(GOOD_SCORES, pick("x", "(x", "nan"), formatted("({}", GOOD_SCORES))
LEX_ENDS = pick("-", "+", "[a", "(a", "[aa", "(c", "[", "(", "[z", "x", "", "+x")
RANKS = one_of(integers(-6, 6), INTEGERS)
LIMIT = words(any_case("LIMIT"), integers(-1, 3), integers(-1, 3))
SCORE_OPTIONS = several(one_of(any_case("WITHSCORES"), LIMIT, any_case("REV", "BYLEX", "LIMIT")), 2)
RANGE_OPTIONS = several(one_of(any_case("WITHSCORES", "REV"), LIMIT, any_case("BYSCORE", "BYLEX")), 3)

TWO_KEYS = words("2", KEYS, KEYS)
COUNTED_KEYS = one_of(words("1", KEYS), TWO_KEYS, words("3", KEYS, KEYS, KEYS), words(INTEGERS, KEYS))
WEIGHTS = words(any_case("WEIGHTS"), GOOD_SCORES, one_of(GOOD_SCORES, pick("0"), pick("x")))
AGGREGATE = words(any_case("AGGREGATE"), any_case("SUM", "MIN", "MAX", "AVG"))
COMBINE_OPTIONS = several(one_of(WEIGHTS, AGGREGATE, any_case("WITHSCORES", "BOGUS")), 3)

CHANGES: list[Part] = [
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
SIMPLE: list[Part] = [
    words("ZCARD", KEYS),
    words(any_case("ZSCORE", "ZRANK", "ZREVRANK"), KEYS, MEMBERS),
    words("ZMSCORE", KEYS, several(MEMBERS, 3, 1)),
    words(any_case("ZPOPMIN", "ZPOPMAX"), KEYS),
    words(any_case("ZPOPMIN", "ZPOPMAX"), KEYS, several(INTEGERS, 2, 1)),
    words("ZMPOP", COUNTED_KEYS, any_case("MIN", "MAX", "MID"), several(words("COUNT", INTEGERS), 1)),
    words(
        "ZRANDMEMBER",
        KEYS,
        NOT_ONE,
        pick(0, 100, *NOT_ONE),
        several(any_case("WITHSCORES"), 2),
    ),
]
RANGES: list[Part] = [
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
LEX_KEYS = pick("lex", "lexical")
LEX_RANGES: list[Part] = [
    words("ZADD", LEX_KEYS, several(words(pick("0"), MEMBERS), 4, 1)),
    words("ZREM", LEX_KEYS, several(MEMBERS, 3, 1)),
    words(any_case("ZRANGEBYLEX", "ZREVRANGEBYLEX"), LEX_KEYS, LEX_ENDS, LEX_ENDS, several(LIMIT, 1)),
    words(any_case("ZRANGEBYLEX", "ZREVRANGEBYLEX"), LEX_KEYS, LEX_ENDS, LEX_ENDS, SCORE_OPTIONS),
    words("ZRANGE", LEX_KEYS, LEX_ENDS, LEX_ENDS, any_case("BYLEX"), RANGE_OPTIONS),
    words("ZRANGESTORE", LEX_KEYS, LEX_KEYS, LEX_ENDS, LEX_ENDS, any_case("BYLEX"), SCORE_OPTIONS),
    words(any_case("ZLEXCOUNT", "ZREMRANGEBYLEX"), LEX_KEYS, LEX_ENDS, LEX_ENDS),
]
COMBINATIONS: list[Part] = [
    words(any_case("ZUNION", "ZINTER", "ZDIFF"), COUNTED_KEYS, several(any_case("WITHSCORES"), 1)),
    words(any_case("ZUNION", "ZINTER", "ZDIFF"), TWO_KEYS, COMBINE_OPTIONS),
    words(any_case("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"), KEYS, COUNTED_KEYS),
    words(any_case("ZUNIONSTORE", "ZINTERSTORE"), KEYS, TWO_KEYS, COMBINE_OPTIONS),
    words("ZINTERCARD", COUNTED_KEYS, several(words(any_case("LIMIT"), INTEGERS), 2)),
]


@pytest.mark.usefixtures("any_tables")
def test_sorted_set_commands_answer_and_store_what_redis_does(twin: Twin) -> None:
    run_any(twin, [*CHANGES, *SIMPLE, *RANGES, *LEX_RANGES, *COMBINATIONS])
