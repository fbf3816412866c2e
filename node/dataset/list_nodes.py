"""The inside of a list in nodes: of as many elements each, kept in the form in which they are sent.

A node is one `bytes` of framed bulk strings. At a line end it is cut, and what is large had better not be
copied with a node of which one element is wanted. So elements among which one holds a line end, or is large,
make a tuple and not `bytes`. A node of either kind never changes, and copies of a list share it.
"""

from __future__ import annotations

from shoal.node.resp.bulk_strings import frame_short, unframe

NODE_SIZE = 32
"""Elements of each."""

Node = bytes | tuple[bytes, ...]
_LINE_END = b"\r\n"


def sealed(elements: list[bytes]) -> Node:
    """A node of these."""
    framed = frame_short(elements)
    if framed is None or framed.count(_LINE_END) > 2 * NODE_SIZE:
        return tuple(elements)
    return framed


def opened(node: Node) -> list[bytes]:
    """The elements of a node."""
    return unframe(node, NODE_SIZE) if isinstance(node, bytes) else list(node)


def element_of(node: Node, offset: int) -> bytes:
    """One of its elements, found from the nearer end."""
    if not isinstance(node, bytes):
        return node[offset]
    if offset < NODE_SIZE // 2:
        return node.split(_LINE_END, 2 * offset + 2)[-2]
    return node.rsplit(_LINE_END, 2 * (NODE_SIZE - offset))[1]


def with_element(node: Node, offset: int, element: bytes) -> Node:
    """A node with another element in the place of one."""
    framed = _framed_if_fit(element)
    if isinstance(node, bytes) and framed:
        return node[: _offset(node, offset)] + framed + node[_offset(node, offset + 1) :]
    elements = opened(node)
    elements[offset] = element
    return sealed(elements)


def moved_on(node: Node, element: bytes) -> tuple[Node, bytes]:
    """A node without its first element but with another behind the last; and the first."""
    framed = _framed_if_fit(element)
    if isinstance(node, bytes) and framed:
        _, first, others = node.split(_LINE_END, 2)
        return others + framed, first
    first, *elements = opened(node)
    return sealed([*elements, element]), first


def _framed_if_fit(element: bytes) -> bytes | None:
    """An element as it is in a node of `bytes`, if it may be."""
    return None if _LINE_END in element else frame_short((element,))


def cut(node: Node, first: int, stop: int) -> Node:
    """The elements from `first` to before `stop`."""
    if isinstance(node, bytes):
        return node[_offset(node, first) : _offset(node, stop)]
    return node[first:stop]


def _offset(node: bytes, place: int) -> int:
    """Where in a node an element begins, or the node ends: found from the nearer end."""
    if place <= NODE_SIZE // 2:
        return len(node) - len(node.split(_LINE_END, 2 * place)[-1])
    return len(node.rsplit(_LINE_END, 2 * (NODE_SIZE - place) + 1)[0]) + len(_LINE_END)
