"""Carrying keys to other nodes for MIGRATE: pipelined exchanges over connections kept for a while.

A reshard is a long row of small exchanges, one after the other, so what counts is how soon one is over. On a
kept connection the keys are sent while the turn that asked for them ends, and the answers are read in
the turn in which they arrive, like what a client sends: no task has to be woken for either.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from typing import TYPE_CHECKING

import trio

from shoal.node.runtime.exchange import Exchange, Link, TargetFailed
from shoal.node.server.migration import CONNECT_ERROR, MigrateKeys, finish, is_held

if TYPE_CHECKING:
    from shoal.node.runtime.node import Node

KEEP_CONNECTION_SECONDS = 10

Target = tuple[str, int]


class Migrations:
    """The exchanges under way, and the connections to other nodes that MIGRATE uses, by address."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._under_way: set[Exchange] = set()
        self._idle: dict[Target, list[Link]] = defaultdict(list)

    def begin(self, request: MigrateKeys) -> None:
        """Move the keys, then let the server finish; never raises for what the target does."""
        exchange = Exchange(request, is_cluster=self.node.server.cluster is not None)
        idle = self._idle.get((request.host, request.port))
        if idle:
            self._start(exchange, idle.pop())
            self._count_idle()
        else:
            self.node.nursery.start_soon(self._connect_and_start, exchange)

    def look(self) -> None:
        """A few times a second: give up what takes too long, close what nobody has used for long."""
        now = trio.current_time()
        for exchange in [exchange for exchange in self._under_way if exchange.deadline <= now]:
            self.node.note_time()
            self._end(exchange, exchange.too_slow())
            self.node.reactor.finish_turn()
        for links in self._idle.values():
            while links and links[0].idle_since < now - KEEP_CONNECTION_SECONDS:
                self._close(links.pop(0))
                self._count_idle()

    # --- one exchange ------------------------------------------------------------------------------

    async def _connect_and_start(self, exchange: Exchange) -> None:
        """A new connection, outside any turn."""
        request = exchange.request
        sock = await _connect(request)
        self.node.note_time()
        if sock is None:
            self._end(exchange, TargetFailed(CONNECT_ERROR))
        else:
            link = Link(sock, (request.host, request.port))
            self.node.reactor.look_after(sock, lambda: self._go_on(link))
            self._start(exchange, link)
        self.node.reactor.finish_turn()

    def _start(self, exchange: Exchange, link: Link) -> None:
        self._under_way.add(exchange)
        exchange.begin(link)
        if exchange.has_unsent:
            self.node.reactor.wait_for_room(link.socket, is_wanted=True)

    def _go_on(self, link: Link) -> None:
        """The socket has something to read, or room, or is gone."""
        exchange = link.exchange
        if exchange is None:  # what the target says unasked can only be good-bye
            self._idle[link.target].remove(link)
            self._count_idle()
            self._close(link)
            return
        had_unsent = exchange.has_unsent
        try:
            exchange.go_on()
        except TargetFailed as failed:
            self._failed(exchange, failed)
            return
        if had_unsent or exchange.has_unsent:
            self.node.reactor.wait_for_room(link.socket, is_wanted=exchange.has_unsent)
        if exchange.is_over:
            self._end(exchange, None)

    def _failed(self, exchange: Exchange, failed: TargetFailed) -> None:
        """A connection kept from before may be stale, which only shows now: then once more, anew."""
        link = exchange.link
        if (
            link is not None
            and link.was_kept
            and exchange.is_untouched
            and is_held(self.node.server, exchange.request)
        ):
            self._under_way.discard(exchange)
            self._close(link)
            exchange.link = None
            self.node.nursery.start_soon(self._connect_and_start, exchange)
        else:
            self._end(exchange, failed)

    def _end(self, exchange: Exchange, failed: TargetFailed | None) -> None:
        self._under_way.discard(exchange)
        link = exchange.link
        if link is not None:
            link.exchange = None
            if failed is None:
                link.was_kept = True
                link.idle_since = trio.current_time()
                self._idle[link.target].append(link)
                self._count_idle()
            else:
                self._close(link)
        error = str(failed) if failed is not None else exchange.error_text
        finish(self.node.server, exchange.request, exchange.restored, error)

    def _count_idle(self) -> None:
        self.node.server.statistics.migrate_links = sum(map(len, self._idle.values()))

    def _close(self, link: Link) -> None:
        self.node.reactor.forget(link.socket)
        link.socket.close()


async def _connect(request: MigrateKeys) -> socket.socket | None:
    """A new, non-blocking connection to the target; None if there is none in time."""
    with trio.move_on_after(request.timeout_ms / 1000):
        try:
            stream = await trio.open_tcp_stream(request.host, request.port)
        except (OSError, UnicodeError):  # UnicodeError: a name that cannot even be looked up
            return None
        sock = socket.socket(fileno=stream.socket.detach())
        sock.setblocking(False)
        return sock
    return None
