"""Inline commands: a line of words, as typed into telnet, with shell-like quotes.

Redis's configuration file is split by the same rules.
"""

from __future__ import annotations

_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_SPACE = b" \t\n\r\v\f\0"
_HEX_DIGITS = b"0123456789abcdefABCDEF"


class UnbalancedQuotes(ValueError):  # noqa: N818
    """A quote is not closed, or something follows a closing quote without a space."""


def split_words(line: bytes) -> list[bytes]:
    """The words of a line.

    Double quotes understand `\\n \\r \\t \\b \\a \\xHH` and a backslash before anything else; single quotes
    only `\\'`. Raises UnbalancedQuotes.
    """
    words: list[bytes] = []
    position = 0
    while True:
        while position < len(line) and line[position] in _SPACE:
            position += 1
        if position == len(line):
            return words
        word, position = _next_word(line, position)
        words.append(word)


def _next_word(line: bytes, position: int) -> tuple[bytes, int]:
    word = bytearray()
    while position < len(line) and line[position] not in _SPACE:
        byte = line[position]
        if byte == ord('"'):
            position = _double_quoted(line, position + 1, word)
        elif byte == ord("'"):
            position = _single_quoted(line, position + 1, word)
        else:
            word.append(byte)
            position += 1
            continue
        if position < len(line) and line[position] not in _SPACE:
            raise UnbalancedQuotes
        break
    return bytes(word), position


def _double_quoted(line: bytes, position: int, word: bytearray) -> int:
    while position < len(line):
        byte = line[position]
        if byte == ord('"'):
            return position + 1
        if byte == ord("\\") and position + 1 < len(line):
            digits = line[position + 2 : position + 4]
            if line[position + 1] == ord("x") and len(digits) == 2 and all(d in _HEX_DIGITS for d in digits):
                word.append(int(digits, 16))
                position += 4
            else:
                word.append(_ESCAPES.get(line[position + 1], line[position + 1]))
                position += 2
        else:
            word.append(byte)
            position += 1
    raise UnbalancedQuotes


def _single_quoted(line: bytes, position: int, word: bytearray) -> int:
    while position < len(line):
        if line.startswith(b"\\'", position):
            word.append(ord("'"))
            position += 2
        elif line[position] == ord("'"):
            return position + 1
        else:
            word.append(line[position])
            position += 1
    raise UnbalancedQuotes


def quote(word: bytes) -> bytes:
    """A word in double quotes, unprintable bytes escaped, so that `split_words` gives it back."""
    return b'"%b"' % b"".join([_SPELLED[byte] for byte in word])


_QUOTED_AS = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b"}
_SPELLED = [
    _QUOTED_AS.get(chr(byte), chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}").encode()
    for byte in range(256)
]
