"""What goes wrong: crashes (also in the middle of a step), pauses, partitions, resets and slowness."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.world import World


class Faults:
    """Strikes at random moments until the end of the chaos, then puts everything right again."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._kinds: dict[str, Callable[[], None]] = {
            "crash": self._crash,
            "torn_step": self._torn_step,
            "pause": self._pause,
            "partition": self._partition,
            "one_way": self._one_way,
            "heal": self._heal,
            "reset": self._world.network.reset_random_connection,
            "slow": self._slow,
        }

    def begin(self) -> None:
        delay = 1 + int(self._rng.expovariate(1 / self._world.options.fault_every_ms))
        self._world.scheduler.after(delay, self._strike)

    def end(self) -> None:
        """Open all paths, wake the paused, start the dead."""
        self._heal()
        self._world.network.slow_until = 0
        for process in self._world.processes:
            process.crash_after_effects = None
            if process.paused:
                process.resume()
            self._world.restart(process)

    def _strike(self) -> None:
        if self._world.chaos:
            kind = self._rng.choice(self._world.options.faults)
            self._world.log(f"fault: {kind}")
            self._kinds[kind]()
            self.begin()

    def _anyone(self) -> Process:
        return self._rng.choice(self._world.processes)

    def _duration(self) -> int:
        return self._rng.randint(20, 3 * self._world.options.node_timeout_ms)

    def _crash(self) -> None:
        process = self._anyone()
        if process.alive:
            process.crash(power_lost=self._rng.random() < 0.7)
            self._world.restart_later(process)

    def _torn_step(self) -> None:
        """The process will die between two of its next effects."""
        self._anyone().crash_after_effects = self._rng.randint(0, 12)

    def _pause(self) -> None:
        process = self._anyone()
        if process.alive and not process.paused:
            process.paused = True
            self._world.scheduler.after(self._duration(), partial(self._resume, process, process.life))

    def _resume(self, process: Process, life: int) -> None:
        if process.paused and process.life == life:
            process.resume()

    def _partition(self) -> None:
        """Two halves that cannot talk in either direction."""
        processes = self._world.processes
        some = self._rng.sample(processes, self._rng.randint(1, len(processes) // 2))
        for one in some:
            for other in processes:
                if other not in some:
                    self._world.network.block(one, other)
                    self._world.network.block(other, one)

    def _one_way(self) -> None:
        """What one node sends does not arrive; or nothing arrives at it."""
        one = self._anyone()
        outward = self._rng.random() < 0.5
        for other in self._world.processes:
            if self._rng.random() < 0.8:
                self._world.network.block(*((one, other) if outward else (other, one)))

    def _heal(self) -> None:
        self._world.network.heal()

    def _slow(self) -> None:
        self._world.network.slow_until = self._world.scheduler.now + self._duration()
