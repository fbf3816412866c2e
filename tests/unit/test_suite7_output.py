"""How the runner of Redis's own suites reads what they print."""

from __future__ import annotations

from tests.suite7.files import CLUSTER_FILES, PERSISTENCE_FILES, UNIT_FILES
from tests.suite7.known import Expectation, expectations, surprises
from tests.suite7.output import STOPPED, cluster_outcome, unit_outcome

UNIT = """\
Testing unit/auth
[\x1b[0;32mok\x1b[0m]: AUTH (arity) (5 ms)
[\x1b[0;31merr\x1b[0m]: AUTH fails in tests/unit/auth.tcl
Expected 'a' to be equal to 'b'
[ignore]: needs debug: tags
[exception]: Executing test client: ERR unknown command 'x'.
"""

CLUSTER = """\
Testing unit: 05-slave-selection.tcl
01:02:03> Cluster is up: OK
01:02:04> The first slave: is #0: \x1b[0;31mFAILED: Expected 1\x1b[0m
(Jumping to next unit after error)
WARNING 1 test(s) failed.
"""


def test_a_file_of_the_unit_suite() -> None:
    outcome = unit_outcome(UNIT)
    assert outcome.passed == ["AUTH (arity)"]
    assert outcome.failed["AUTH fails"] == "Expected 'a' to be equal to 'b'"
    assert "unknown command" in outcome.failed[STOPPED]
    assert outcome.exceptions == len(outcome.ignored) == 1


def test_a_file_of_the_cluster_suite() -> None:
    outcome = cluster_outcome(CLUSTER)
    assert outcome.passed == ["Cluster is up"]
    assert list(outcome.failed.values()) == ["Expected 1"]
    assert STOPPED in cluster_outcome("Testing unit: 05").failed


def test_a_file_that_says_nothing_failed() -> None:
    assert STOPPED in unit_outcome("").failed


def test_whatever_is_not_as_listed_is_told() -> None:
    outcome = unit_outcome(UNIT)
    assert len(surprises(outcome, Expectation(3, {}))) == 2
    listed = Expectation(3, {"AUTH fails": "why", STOPPED: "why", "AUTH (arity)": "why"})
    assert surprises(outcome, listed) == ["unexpected pass: AUTH (arity)"]
    by_chance = {"AUTH fails": "why", "AUTH (arity)": "why"}
    assert surprises(outcome, Expectation(3, {STOPPED: "why"}, sometimes=by_chance)) == []


def test_the_list_has_every_file_and_a_reason_for_each_failure() -> None:
    expected = expectations()
    by_runtest = {*UNIT_FILES, *PERSISTENCE_FILES}
    assert by_runtest <= set(expected) <= {*by_runtest, *CLUSTER_FILES}
    assert all(expected[name].tests for name in UNIT_FILES)
