"""Lists, most of whose elements are kept in the form in which they are sent.

What LRANGE mostly costs is neither finding elements nor sending them, but making of each a bulk string, and
no way of doing that in Python is quick. So it is done once, when an element comes to lie inside a list, and
not at every reading: the wire form is the storage form. It is the compact form as well, for it takes a
quarter of what an object for each element and a pointer to it do.

A list has three parts. Its head and its tail are plain Python lists, the head turned round, so that pushing
and popping at either end is an append and a pop. Between them lie nodes, each of `NODE_SIZE` elements
exactly, so that an index is found by a division. Of these a range is put together: whole ones as they are,
and at most two that are cut.

When an end grows beyond `MOST_PLAIN`, all but the outermost of it are sealed into nodes. An end that is empty
when something is to be taken from it opens the node next to it or, if there is none, takes over half of
the other end. Between a sealing and an opening lie half an end's elements: so both are paid by as many pushes
and pops, each of which stays O(1). A list no longer than its ends may be has no nodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise
from sys import maxsize

from shoal.node.dataset.list_nodes import (
    NODE_SIZE,
    Node,
    cut,
    element_of,
    moved_on,
    opened,
    sealed,
    with_element,
)
from shoal.node.resp.bulk_strings import frame, unframe
from shoal.node.resp.replies import BulkStrings, FramedBulkStrings

MOST_PLAIN = 2 * NODE_SIZE
"""Elements at either end."""
_FEW = 8
"""So many elements are removed one by one."""
_NO_NODES: deque[Node] = deque()
"""Shared by all short lists. It stays empty: sealing puts another in its place."""


class ListValue:
    """A list: O(1) at both ends and by index, O(n) for an insertion in the middle."""

    __slots__ = ("head", "nodes", "size", "tail")

    def __init__(self, elements: Iterable[bytes] = ()) -> None:
        self.head: list[bytes] = []
        self.nodes = _NO_NODES
        self.tail = [*elements]
        self.size = len(self.tail)
        if self.size > MOST_PLAIN:
            self._seal_tail()

    def copied(self) -> ListValue:
        """Another list of the same elements."""
        made = ListValue()
        made.head, made.tail, made.size = self.head.copy(), self.tail.copy(), self.size
        made.nodes = self.nodes and self.nodes.copy()
        return made

    # --- at the ends -------------------------------------------------------------------------------

    def push_left(self, elements: Sequence[bytes]) -> int:
        """Put each before the first; returns how many elements there are then."""
        head = self.head
        head.extend(elements)
        if len(head) > MOST_PLAIN:
            self._seal_head()
        self.size = size = self.size + len(elements)
        return size

    def push_right(self, elements: Sequence[bytes]) -> int:
        """Put each behind the last; returns how many elements there are then."""
        tail = self.tail
        tail.extend(elements)
        if len(tail) > MOST_PLAIN:
            self._seal_tail()
        self.size = size = self.size + len(elements)
        return size

    def pop_left(self) -> bytes:
        """Take the first element."""
        head = self.head or self._refilled_head()
        self.size -= 1
        return head.pop()

    def pop_right(self) -> bytes:
        """Take the last element."""
        tail = self.tail or self._refilled_tail()
        self.size -= 1
        return tail.pop()

    def take(self, count: int, *, left: bool) -> list[bytes]:
        """Take up to so many elements, the outermost first."""
        taken: list[bytes] = []
        count = min(count, self.size)
        while len(taken) < count:
            end = self.head or self._refilled_head() if left else self.tail or self._refilled_tail()
            rest = count - len(taken)
            taken += reversed(end[-rest:])
            del end[-rest:]
        self.size -= count
        return taken

    def trim(self, first: int, last: int) -> None:
        """Leave elements `first` to `last`, both included; nothing if they are `size` and `size` - 1."""
        if last < self.size - 1:
            self._drop_right(self.size - 1 - last)
        if first:
            self._drop_left(first)
        self.size = last + 1 - first

    def _drop_left(self, count: int) -> None:
        """Remove so many; whole nodes unopened."""
        while count > len(self.head):
            count -= len(self.head)
            self.head.clear()
            while count >= NODE_SIZE and self.nodes:
                self.nodes.popleft()
                count -= NODE_SIZE
            if count:
                self._refilled_head()
        del self.head[len(self.head) - count :]

    def _drop_right(self, count: int) -> None:
        while count > len(self.tail):
            count -= len(self.tail)
            self.tail.clear()
            while count >= NODE_SIZE and self.nodes:
                self.nodes.pop()
                count -= NODE_SIZE
            if count:
                self._refilled_tail()
        del self.tail[len(self.tail) - count :]

    def _seal_head(self) -> None:
        """Leave of it more than a node's elements, but not twice as many."""
        head, self.nodes = self.head, self.nodes or deque()
        surplus = (len(head) - 1) // NODE_SIZE * NODE_SIZE - NODE_SIZE
        for start in range(0, surplus, NODE_SIZE):
            self.nodes.appendleft(sealed(head[start : start + NODE_SIZE][::-1]))
        del head[:surplus]

    def _seal_tail(self) -> None:
        tail, self.nodes = self.tail, self.nodes or deque()
        surplus = (len(tail) - 1) // NODE_SIZE * NODE_SIZE - NODE_SIZE
        for start in range(0, surplus, NODE_SIZE):
            self.nodes.append(sealed(tail[start : start + NODE_SIZE]))
        del tail[:surplus]

    def _refilled_head(self) -> list[bytes]:
        """The head, which was empty, with the first node's elements; without a node, with half the tail's."""
        if self.nodes:
            self.head = opened(self.nodes.popleft())[::-1]
        else:
            half = (len(self.tail) + 1) // 2
            self.head = self.tail[:half][::-1]
            del self.tail[:half]
        return self.head

    def _refilled_tail(self) -> list[bytes]:
        if self.nodes:
            self.tail = opened(self.nodes.pop())
        else:
            half = (len(self.head) + 1) // 2
            self.tail = self.head[:half][::-1]
            del self.head[:half]
        return self.tail

    # --- reading inside ----------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return chain(reversed(self.head), chain.from_iterable(map(opened, self.nodes)), self.tail)

    def __getitem__(self, place: int) -> bytes:
        """The element at an index from the head, which must be inside the list."""
        head, nodes = self.head, self.nodes
        if place < len(head):
            return head[-1 - place]
        number, offset = divmod(place - len(head), NODE_SIZE)
        if number < len(nodes):
            return element_of(nodes[number], offset)
        return self.tail[place - len(head) - len(nodes) * NODE_SIZE]

    def between(self, first: int, last: int) -> BulkStrings | FramedBulkStrings:
        """Elements `first` to `last`, both included and inside the list, reached from the nearer end."""
        head, tail = self.head, self.tail
        begin, end = len(head), self.size - len(tail)
        if begin <= first and last < end:
            return FramedBulkStrings(last + 1 - first, self._framed(first - begin, last + 1 - begin))
        in_head = head[max(begin - 1 - last, 0) : begin - first][::-1] if first < begin else []
        in_tail = tail[max(first - end, 0) : last + 1 - end] if last >= end else []
        if last < begin or first >= end or begin == end:
            return BulkStrings(in_head + in_tail)
        parts = self._framed(max(first - begin, 0), min(last + 1, end) - begin)
        if in_head:
            parts.insert(0, frame(in_head))
        if in_tail:
            parts.append(frame(in_tail))
        return FramedBulkStrings(last + 1 - first, parts)

    def _framed(self, first: int, stop: int) -> list[bytes]:
        """Of the elements in nodes, those from `first` to before `stop`."""
        number, offset = divmod(first, NODE_SIZE)
        end, more = divmod(stop, NODE_SIZE)
        nodes = self._nodes_between(number, end + 1 if more else end)
        if len(nodes) == 1:
            nodes[0] = cut(nodes[0], offset, more or NODE_SIZE)
        else:
            if offset:
                nodes[0] = cut(nodes[0], offset, NODE_SIZE)
            if more:
                nodes[-1] = cut(nodes[-1], 0, more)
        return [node if isinstance(node, bytes) else frame(node) for node in nodes]

    def _nodes_between(self, number: int, end: int) -> list[Node]:
        following = len(self.nodes) - end
        if number <= following:
            return [*islice(self.nodes, number, end)]
        return [*islice(reversed(self.nodes), following, len(self.nodes) - number)][::-1]

    def places_of(self, element: bytes, *, from_tail: bool = False, most: int = maxsize) -> Iterator[int]:
        """Where it is among the first `most` elements, counted from the head or else from the tail."""
        seen, framed = 0, frame((element,))
        for part in self._parts(from_tail=from_tail):
            if seen >= most:
                return
            if isinstance(part, bytes):
                if framed not in part:  # if it is, that may be by chance, across a line end
                    seen += NODE_SIZE
                    continue
                part = unframe(part, NODE_SIZE)
            for place, candidate in enumerate(reversed(part) if from_tail else part, seen):
                if candidate == element and place < most:
                    yield place
            seen += len(part)

    def _parts(self, *, from_tail: bool) -> Iterator[Sequence[bytes] | bytes]:
        if from_tail:
            return chain((self.tail,), reversed(self.nodes), (self.head[::-1],))
        return chain((self.head[::-1],), self.nodes, (self.tail,))

    # --- changing inside ---------------------------------------------------------------------------

    def __setitem__(self, place: int, element: bytes) -> None:
        head, nodes = self.head, self.nodes
        number, offset = divmod(place - len(head), NODE_SIZE)
        if number < 0:
            head[-1 - place] = element
        elif number < len(nodes):
            nodes[number] = with_element(nodes[number], offset, element)
        else:
            self.tail[place - len(head) - len(nodes) * NODE_SIZE] = element

    def insert(self, place: int, element: bytes) -> None:
        """Put an element before the one at an index. Each node before it passes an element on to the left."""
        head, nodes = self.head, self.nodes
        inside = place - len(head)
        if inside <= 0:
            head.insert(-inside, element)
        elif inside >= len(nodes) * NODE_SIZE:
            self.tail.insert(inside - len(nodes) * NODE_SIZE, element)
        else:
            number, offset = divmod(inside, NODE_SIZE)
            if offset:
                elements = opened(nodes[number])
                elements.insert(offset, element)
                element = elements.pop(0)
                nodes[number] = sealed(elements)
            for node in reversed([nodes.popleft() for _ in range(number)]):
                passed, element = moved_on(node, element)
                nodes.appendleft(passed)
            head.insert(0, element)
        self.size += 1
        if len(self.head) > MOST_PLAIN:
            self._seal_head()
        elif len(self.tail) > MOST_PLAIN:
            self._seal_tail()

    def remove(self, place: int) -> None:
        """Remove the element at an index. Each node behind it passes an element on to the left."""
        tail = self.tail or self._refilled_tail()
        head, nodes = self.head, self.nodes
        number, offset = divmod(place - len(head), NODE_SIZE)
        if number < 0:
            del head[-1 - place]
        elif number >= len(nodes):
            del tail[place - len(head) - len(nodes) * NODE_SIZE]
        else:
            element = tail.pop(0)
            behind: list[Node] = []
            while len(nodes) > number + 1:
                passed, element = moved_on(nodes.pop(), element)
                behind.append(passed)
            elements = [*opened(nodes.pop()), element]
            del elements[offset]
            nodes.append(sealed(elements))
            nodes.extend(reversed(behind))
        self.size -= 1

    def remove_matching(self, element: bytes, count: int) -> int:
        """Remove up to `count` equal elements, from the tail if negative, all if 0; returns how many."""
        most = min(abs(count), self.size) if count else self.size
        places = [*islice(self.places_of(element, from_tail=count < 0), most)]
        if count < 0:
            places = [self.size - 1 - place for place in reversed(places)]
        if len(places) <= _FEW:
            for place in reversed(places):
                self.remove(place)
        else:
            elements = [*self]
            bounds = pairwise((-1, *places, self.size))
            kept = chain.from_iterable(elements[gone + 1 : next_gone] for gone, next_gone in bounds)
            left = ListValue(kept)
            self.head, self.nodes, self.tail, self.size = left.head, left.nodes, left.tail, left.size
        return len(places)
