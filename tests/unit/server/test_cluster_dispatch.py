"""In a cluster, commands whose keys are all in one slot that is ours take the short way, and only those."""

from __future__ import annotations

from hashlib import sha1

import pytest

from tests.cluster.stage import A, B
from tests.unit.server.test_cluster_pubsub import Member, channel_of

BODY = """
redis.call('set', KEYS[1], ARGV[1])
return {redis.call('mget', KEYS[1], KEYS[1]), redis.call('del', KEYS[1])}
"""


class Counted(Member):
    """A member that knows how many of its commands went through every gate."""

    def __init__(self) -> None:
        super().__init__(A)
        self.careful = 0
        dispatcher = self.server.dispatcher
        carefully = dispatcher.execute_carefully

        def counted(session, argv):
            self.careful += 1
            carefully(session, argv)

        dispatcher.execute_carefully = counted
        self.bridge.view.state_ok = True
        self.bridge.refresh_served()
        self.server.refresh_gates()
        self.ours = channel_of(self, A, "ours")
        self.also_ours = channel_of(self, A, "more")
        self.theirs = channel_of(self, B, "theirs")


@pytest.fixture
def member() -> Counted:
    member = Counted()
    member.client()("SCRIPT", "LOAD", BODY)
    member.careful = 0
    return member


DIGEST = sha1(BODY.encode()).hexdigest()


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (("MSET", "{%}a", 1, "{%}b", 2), "OK"),
        (("MGET", "{%}a", "{%}a"), [None, None]),
        (("DEL", "%"), 0),
        (("EVALSHA", DIGEST, 1, "%", "v"), [["v", "v"], 1]),
        (("EVAL", "return 1", 0), 1),
        (("EVAL", "return 1", "x"), "ERR value is not an integer or out of range"),
        (("EVAL", "return 1", 1), "ERR Number of keys can't be greater than number of args"),
        (("EVAL", "return #KEYS", 2, "{%}a", "{%}b"), 2),
        (("ZUNION", 1, "%"), []),
        (("SINTERSTORE", "{%}c", "{%}a", "{%}b"), 0),
    ],
)
def test_keys_of_one_slot_of_ours_need_no_second_look(words, reply, member) -> None:
    before = member.careful
    assert member.client()(*(str(word).replace("%", member.ours) for word in words)) == reply
    assert member.careful == before


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("MGET", "ours", "also"), "CROSSSLOT"),
        (("DEL", "theirs"), "MOVED"),
        (("ZUNION", 1, "theirs"), "MOVED"),
        (("LMPOP", 2, "ours", "theirs", "LEFT"), "CROSSSLOT"),
        (("MSET", "{theirs}a", 1, "{theirs}b", 2), "MOVED"),
        (("EVALSHA", DIGEST, 1, "theirs", "v"), "MOVED"),
        (("EVALSHA", DIGEST, 2, "ours", "also", "v"), "CROSSSLOT"),
        (
            ("EVAL", "return redis.call('mget', ARGV[1], ARGV[2])", 1, "ours", "ours", "also"),
            "ERR Script attempted",
        ),
        (("EVAL", "return redis.call('del', ARGV[1])", 1, "ours", "theirs"), "ERR Script attempted"),
    ],
)
def test_all_others_are_refused_as_ever(words, refusal, member) -> None:
    names = {"ours": member.ours, "also": member.also_ours, "theirs": member.theirs}

    def named(word: object) -> str:
        text = str(word)
        return names.get(text, text.replace("{theirs}", "{" + member.theirs + "}"))

    assert str(member.client()(*map(named, words))).startswith(refusal)


def test_the_quick_ways_to_keys_find_those_that_are_declared(member) -> None:
    quick = [
        entry
        for entry in member.server.dispatcher.table.all_entries
        if entry.key_slice or entry.count_position
    ]
    assert len(quick) > 30
    for entry in quick:
        for count in range(entry.spec.min_args, min(entry.spec.max_args, 10) + 1):
            argv = [b"1"] * entry.count_position + [b"1"] + [b"k%d" % n for n in range(10)]
            argv = argv[:count]
            keys = [argv[position] for position in entry.spec.routed_positions(argv)]
            if entry.key_slice is not None:
                assert argv[entry.key_slice] == keys
            elif keys:
                assert [argv[entry.count_position + 1]] == keys
