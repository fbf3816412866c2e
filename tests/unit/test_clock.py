"""The node's time follows the calendar, and goes on when the calendar is set back."""

from __future__ import annotations

from itertools import pairwise

from shoal.node.runtime.clock import Clock

MS = 1_000_000
START_MS = 1_700_000_000_000


class Machine:
    """A machine's two clocks, moved by hand."""

    def __init__(self) -> None:
        self.calendar_ms = START_MS
        self.steady_ms = 5
        self.clock = Clock(lambda: self.calendar_ms * MS, lambda: self.steady_ms * MS)

    def pass_time(self, milliseconds: int) -> int:
        self.calendar_ms += milliseconds
        self.steady_ms += milliseconds
        return self.clock.now_ms()


def test_it_is_the_calendar_forwards_too() -> None:
    machine = Machine()
    assert machine.clock.now_ms() == START_MS
    machine.calendar_ms += 3_600_000
    assert machine.pass_time(10) == START_MS + 3_600_010


def test_set_back_by_an_hour_it_goes_on_at_half_the_pace_until_the_calendar_has_caught_up() -> None:
    machine = Machine()
    machine.clock.now_ms()
    machine.calendar_ms -= 3_600_000
    told = [machine.pass_time(0)]
    told += [machine.pass_time(600_000) for _ in range(10)]
    assert told == [START_MS + 300_000 * step for step in range(11)]
    assert machine.calendar_ms < told[-1]
    assert machine.pass_time(600_000) == machine.calendar_ms
    assert machine.pass_time(7) == machine.calendar_ms


def test_it_never_runs_backwards_however_often_the_calendar_is_set_back() -> None:
    machine = Machine()
    told = []
    for step in range(200):
        machine.calendar_ms -= 50 * (step % 7 == 0)
        told.append(machine.pass_time(step % 3))
    assert all(before <= after for before, after in pairwise(told))
    assert told[-1] > told[0]
