"""A command that runs long lets the node go on in between.

A script is in the midst of C code, Lua code and the dispatcher's own frames when its time is up, and none of
these can return before it ends. So whatever may run a script runs in a greenlet: a stack of its own, which
`pause` leaves as it is, back to where the turn began it, and to which `go_on` returns in a later turn. A
script that ends soon by itself (`node/scripting/brevity.py`) has no need of that and runs where it is.
No other thread is involved, and nothing runs at the same time: who goes on, and when, is decided here.

While a command is suspended the gate is closed to others (see `Dispatcher`), what it has changed so far is
kept back from replicas, no picture of all data is begun, and when it goes on it finds the time at which it
began. A script that our primary's stream or an append-only file holds is suspended like a client's, and the
commands behind it wait (`StreamSession`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from greenlet import getcurrent, greenlet

from shoal.node.dataset.expiry_mode import ExpiryMode
from shoal.node.resp.replies import NO_REPLY, Reply

if TYPE_CHECKING:
    from shoal.node.resp.parser import Arguments
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

T = TypeVar("T")
PAUSED = object()
"""What comes from the worker when a body has not ended."""


class Raised:
    """What comes from the worker when a body ends with an exception."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Suspension:
    """Runs the commands of one server that may be suspended; at most one is."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._worker: greenlet | None = None
        """The stack on which bodies run."""
        self._is_at_work = False
        """A body runs there now, or is suspended."""
        self._session: Session | None = None
        """Whose command is suspended."""
        self._is_waiting = False
        """It goes on only when it is told to."""
        self.command: Sequence[bytes] = ()
        """Its words, as soon as they are told: see `spell`."""
        self._operations: list[tuple[int, tuple[bytes, ...] | Arguments]] = []
        self._now_ms = 0
        self._expiry_mode = ExpiryMode.DELETE
        self._began_ns = 0

    @property
    def is_suspended(self) -> bool:
        return self._session is not None

    @property
    def wants_turn(self) -> bool:
        """Whether the suspended command is to go on as soon as may be."""
        return self._session is not None and not self._is_waiting

    def run(self, session: Session, body: Callable[[T], Reply], given: T) -> Reply:
        """Run a command's body; NO_REPLY if it was suspended, and the client is told when it ends."""
        if self._is_at_work:
            return body(given)  # part of a transaction that is being run so already
        began_ns = self.server.stopwatch.started_ns
        worker = self._worker
        if worker is None:
            worker = self._worker = greenlet(self._work)
        self._is_at_work = True
        outcome = worker.switch(body, given)
        if outcome is PAUSED:
            self._suspend(session, began_ns)
            return NO_REPLY
        self._is_at_work = False
        if type(outcome) is Raised:
            raise outcome.error
        return outcome  # type: ignore[no-any-return]

    def _work(self, body: Callable[[Any], Reply], given: Any) -> None:
        """One body after the other: a stack that lasts is cheaper than one for each."""
        switch_back = getcurrent().parent.switch
        while True:
            outcome: Reply | Raised
            try:
                outcome = body(given)
            except Exception as error:
                outcome = Raised(error)
            body, given = switch_back(outcome)

    def _suspend(self, session: Session, began_ns: int) -> None:
        self._session, self._began_ns = session, began_ns
        self._keep()
        session.propagated = []
        session.begin_suspension()
        self.server.refresh_gates()

    def spell(self, session: Session, argv: Sequence[bytes]) -> None:
        """A client waits, for its suspended command perhaps, which it typed like this."""
        if session is self._session:
            self.command = argv

    def pause(self) -> None:
        """Called from within: let the node do other things. Returns when it is this command's turn again."""
        if getcurrent() is self._worker:
            getcurrent().parent.switch(PAUSED)

    def wait(self) -> None:
        """`pause`, for as long as nobody calls `wake`."""
        self._is_waiting = True
        self.pause()

    def wake(self) -> None:
        """What the suspended command waits for is there."""
        self._is_waiting = False

    def go_on(self) -> None:
        """Run the suspended command until it pauses or ends; then its client has its reply."""
        server, worker, session = self.server, self._worker, self._session
        propagation = server.propagation
        assert worker is not None and session is not None
        entry = server.dispatcher.table.look_up(self.command)
        assert entry is not None
        keyspace = server.keyspace
        now_ms, keyspace.now_ms = keyspace.now_ms, self._now_ms
        expiry_mode, keyspace.expiry_mode = keyspace.expiry_mode, self._expiry_mode
        operations, propagation.operations = propagation.operations, self._operations
        server.tracking.running = session
        outcome = worker.switch()
        server.tracking.running = None
        if outcome is PAUSED:
            self._keep()
        keyspace.now_ms, keyspace.expiry_mode = now_ms, expiry_mode
        if outcome is PAUSED:
            propagation.operations = operations
            return
        self._is_at_work, self._session = False, None
        reply: Reply = outcome
        if type(outcome) is Raised:
            reply = server.dispatcher.failed(entry, outcome.error)
        propagation.operations = operations + propagation.operations
        session.propagated = None
        if propagation.operations:
            propagation.propagate_recorded(session)
        server.stopwatch.add_to_call(session, entry, self.command, self._began_ns)
        server.refresh_gates()
        session.end_suspension(reply)
        server.suspension_ended()

    def _keep(self) -> None:
        """Keep back what the command has changed so far, and what it sees of the time."""
        propagation = self.server.propagation
        self._operations, propagation.operations = propagation.operations, []
        self._now_ms, self._expiry_mode = self.server.keyspace.now_ms, self.server.keyspace.expiry_mode
