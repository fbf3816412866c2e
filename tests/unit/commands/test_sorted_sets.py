"""Sorted set commands: what clients get, and what replicas are told."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.node.dataset.sorted_sets import LexEnd, LexRange, ScoreRange, SortedSet
from shoal.node.resp.replies import NULL_ARRAY, CommandError, PairList
from tests.unit.commands.client import Client

FEW_SCORES = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, math.inf])
NAMES = st.binary(max_size=2)
SCORES = st.dictionaries(NAMES, FEW_SCORES, max_size=12)


@pytest.fixture
def client() -> Client:
    return Client()


def test_members_order_by_score_and_then_by_their_bytes(client: Client) -> None:
    client("ZADD z 2 a 1 c 1 b")
    assert client("ZRANGE z 0 -1") == [b"b", b"c", b"a"]
    assert client("ZRANGE z 0 0 REV WITHSCORES") == PairList([b"a"], [2.0])
    assert (client("ZRANK z a"), client("ZREVRANK z a"), client("ZRANK z x")) == (2, 0, None)


def test_a_member_named_twice_ends_with_the_last_score(client: Client) -> None:
    assert client("ZADD z 1 a 2 a") == 1
    assert client("ZSCORE z a") == 2.0
    assert client("ZADD z CH 2 a 3 a 3 a") == 1


def test_what_conditions_refuse_is_no_change(client: Client) -> None:
    assert client("ZADD z XX 1 a") == 0
    assert client.call.db.peek(b"z") is None
    client("ZADD z 5 a")
    for refused in ("NX 9", "GT 4", "GT 5", "LT 6"):
        assert client(f"ZADD z CH {refused} a") == 0
        assert client.sent == []
    assert client("ZADD z INCR GT -1 a") is None
    assert client("ZADD z INCR LT -1 a") == 4.0


def test_infinities_do_not_cancel_out(client: Client) -> None:
    client("ZADD z inf a")
    with pytest.raises(CommandError, match=r"^ERR resulting score is not a number \(NaN\)$"):
        client("ZINCRBY z -inf a")
    assert client("ZSCORE z a") == math.inf


@given(SCORES, st.lists(st.tuples(st.sampled_from(["1", "-2", "0", "-0", "inf", "-inf", "x"]), NAMES)))
def test_zincrby_is_zadd_with_incr(scores: dict[bytes, float], increments: list[tuple[str, bytes]]) -> None:
    plain, by_option = Client(), Client()
    for client in (plain, by_option):
        client.call.db.set(b"z", SortedSet.of(scores or {b"": 0.0}))
    for increment, member in increments:
        told = plain.execute([b"ZINCRBY", b"z", increment.encode(), member])
        same = by_option.execute([b"ZADD", b"z", b"INCR", increment.encode(), member])
        assert str(told) == str(same)
        assert bool(plain.propagated) == bool(by_option.propagated)
        assert plain("ZRANGE z 0 -1 WITHSCORES") == by_option("ZRANGE z 0 -1 WITHSCORES")


def test_a_bad_score_leaves_the_good_ones_before_it_out(client: Client) -> None:
    with pytest.raises(CommandError, match="ERR value is not a valid float"):
        client("ZADD z 1 a nan b")
    assert client.call.db.peek(b"z") is None


def test_pop_gives_a_flat_pair_without_a_count_and_pairs_with_one(client: Client) -> None:
    client("ZADD z 1 a 2 b 3 c")
    assert client("ZPOPMIN z") == (b"a", 1.0)
    assert client("ZPOPMAX z 9") == PairList([b"c", b"b"], [3.0, 2.0])
    assert client.call.db.peek(b"z") is None
    assert client("ZPOPMIN z") == []


def test_zmpop_tells_replicas_which_key_it_popped(client: Client) -> None:
    client("ZADD z 1 a 2 b")
    assert client("ZMPOP 2 none z MAX COUNT 9") == [b"z", [[b"b", 2.0], [b"a", 1.0]]]
    assert client.sent == ["ZPOPMAX z 2"]
    assert client("ZMPOP 1 none MIN") is NULL_ARRAY


def test_limit_takes_a_part_in_the_order_asked_for(client: Client) -> None:
    client("ZADD z 1 a 2 b 3 c 4 d")
    assert client("ZRANGE z 4 (1 BYSCORE REV LIMIT 1 2") == [b"c", b"b"]
    assert client("ZRANGEBYSCORE z -inf +inf LIMIT 2 -1") == [b"c", b"d"]
    assert client("ZRANGEBYSCORE z -inf +inf LIMIT -1 9") == []
    assert client("ZREVRANGE z 1 2") == [b"c", b"b"]


def test_a_range_of_members_works_wherever_scores_rise_with_the_members(client: Client) -> None:
    client("ZADD z 1 a 2 b 3 c 4 d")
    assert client("ZRANGE z [b (d BYLEX") == [b"b", b"c"]
    assert client("ZRANGESTORE y z + (b BYLEX REV LIMIT 1 1") == 1
    assert client("ZRANGE y 0 -1") == [b"c"]


def test_a_range_stored_onto_its_source_replaces_it(client: Client) -> None:
    client("ZADD z 1 a 2 b 3 c")
    assert client("ZRANGESTORE z z 0 1 REV") == 2
    assert client("ZRANGE z 0 -1 WITHSCORES") == PairList([b"b", b"c"], [2.0, 3.0])
    assert client("ZRANGESTORE z z 5 9") == 0
    assert client.call.db.peek(b"z") is None


def test_combining_weighs_aggregates_and_takes_sets_as_ones(client: Client) -> None:
    client("ZADD z 1 a 2 b")
    client("SADD s b c")
    assert client("ZUNION 2 z s WEIGHTS 10 3 WITHSCORES") == PairList([b"c", b"a", b"b"], [3.0, 10.0, 23.0])
    assert client("ZINTER 2 z s AGGREGATE MIN WITHSCORES") == PairList([b"b"], [1.0])
    assert client("ZDIFF 2 z s WITHSCORES") == PairList([b"a"], [1.0])
    assert client("ZUNIONSTORE z 3 z z s") == 3
    assert client("ZRANGE z 0 -1 WITHSCORES") == PairList([b"c", b"a", b"b"], [1.0, 2.0, 5.0])
    assert client("ZINTERCARD 2 z z LIMIT 2") == 2
    assert client("ZDIFFSTORE z 2 z z") == 0
    assert client.call.db.peek(b"z") is None


def test_an_infinity_with_weight_zero_counts_as_zero(client: Client) -> None:
    client("ZADD z inf a")
    assert client("ZUNION 1 z WEIGHTS 0 WITHSCORES") == PairList([b"a"], [0.0])
    client("ZADD y -inf a")
    assert client("ZINTER 2 y z WITHSCORES") == PairList([b"a"], [0.0])


@given(SCORES, FEW_SCORES, FEW_SCORES, st.booleans(), st.booleans())
def test_a_range_of_scores_holds_what_lies_between_its_ends(
    scores: dict[bytes, float], low: float, high: float, low_open: bool, high_open: bool
) -> None:
    value = SortedSet.of(scores)
    expected = [
        member
        for score, member in sorted((score, member) for member, score in scores.items())
        if (low < score or (low == score and not low_open))
        and (score < high or (score == high and not high_open))
    ]
    found = value.at(value.ranks_of_scores(ScoreRange(low, high, low_open, high_open)))
    assert [member for member, _ in found] == expected


RANKS = st.integers(-14, 14).map(str)
SCORE_ENDS = st.builds(str.__add__, st.sampled_from(["", "("]), FEW_SCORES.map(str))
PLAIN_RANGES = st.one_of(
    st.tuples(st.just("ZRANGE z {} {}"), RANKS, RANKS),
    st.tuples(st.just("ZREVRANGE z {} {}"), RANKS, RANKS),
    st.tuples(st.sampled_from(["ZRANGE z {} {} BYSCORE", "ZRANGEBYSCORE z {} {}"]), SCORE_ENDS, SCORE_ENDS),
)


@given(st.dictionaries(st.sampled_from("abcdefghijkl"), FEW_SCORES), PLAIN_RANGES)
def test_a_range_is_the_same_with_an_option_that_changes_nothing(
    scores: dict[str, float], plain: tuple[str, str, str]
) -> None:
    client = Client()
    for member, score in scores.items():
        client(f"ZADD z {score} {member}")
    words = plain[0].format(*plain[1:])
    assert client(words) == client(f"{words} LIMIT 0 -1")


@given(
    st.sets(st.binary(max_size=2)), st.binary(max_size=2), st.binary(max_size=2), st.booleans(), st.booleans()
)
def test_a_range_of_members_holds_what_lies_between_its_ends(
    members: set[bytes], low: bytes, high: bytes, low_open: bool, high_open: bool
) -> None:
    value = SortedSet.of(dict.fromkeys(members, 1.0))
    expected = [
        member
        for member in sorted(members)
        if (low < member or (low == member and not low_open))
        and (member < high or (member == high and not high_open))
    ]
    found = value.at(value.ranks_of_members(LexRange(LexEnd(low, low_open), LexEnd(high, high_open))))
    assert [member for member, _ in found] == expected


@given(
    SCORES, st.lists(st.tuples(st.binary(max_size=2), FEW_SCORES)), st.integers(-14, 14), st.integers(-14, 14)
)
def test_order_and_scores_agree_after_any_changes(
    scores: dict[bytes, float], changes: list[tuple[bytes, float]], start: int, stop: int
) -> None:
    value, model = SortedSet.of(scores), dict(scores)
    for member, score in changes:
        had_it = model.get(member) == score
        assert value.add(member, score) is (None if had_it else member not in model)
        model[member] = score
    ordered = sorted((score, member) for member, score in model.items())
    assert list(value) == ordered
    assert [value.rank(member) for _, member in ordered] == list(range(len(ordered)))
    value.remove(value.ranks_between(start, stop))
    size = len(ordered)
    first = max(start + size, 0) if start < 0 else start
    del ordered[first : max(first, stop + size + 1 if stop < 0 else stop + 1)]
    assert list(value) == ordered
    assert dict(value.scores) == {member: score for score, member in ordered}


def test_minus_zero_is_kept_as_zero(client: Client) -> None:
    client("ZADD z -0 a")
    assert math.copysign(1, SortedSet.of({b"a": -0.0}).scores[b"a"]) == 1
    assert str(client("ZSCORE z a")) == "0.0"


def test_the_greatest_double_can_be_written_out(client: Client) -> None:
    client(f"ZADD z {int(sys.float_info.max)} a")
    assert client("ZSCORE z a") == sys.float_info.max
