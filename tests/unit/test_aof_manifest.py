"""The manifest: what it says, what it refuses, and the sets of files that a rewrite goes through."""

from __future__ import annotations

import pytest

from shoal.node.persistence.aof_manifest import FileKind, LogFile, Manifest, ManifestError, parse_manifest

NAME = "appendonly.aof"


def test_a_rewrite_leaves_a_new_base_the_increments_since_and_a_history() -> None:
    empty = Manifest()
    first = empty.with_base(empty.next_base(NAME, "rdb")).with_increment(NAME)
    begun = first.with_increment(NAME)
    done = begun.with_base(begun.next_base(NAME, "aof")).with_rewritten(len(first.increments))
    assert done.format().decode().splitlines() == [
        "file appendonly.aof.2.base.aof seq 2 type b",
        "file appendonly.aof.1.incr.aof seq 1 type h",
        "file appendonly.aof.1.base.rdb seq 1 type h",
        "file appendonly.aof.2.incr.aof seq 2 type i",
    ]
    assert parse_manifest(done.format()) == done
    assert [file.name for file in done.without_history().files] == [
        "appendonly.aof.2.base.aof",
        "appendonly.aof.2.incr.aof",
    ]


def test_numbers_go_on_after_those_in_the_manifest() -> None:
    manifest = parse_manifest(b"# a comment\nfile a.5.incr.aof seq 5 type i later yes\n")
    assert manifest.files == (LogFile("a.5.incr.aof", 5, FileKind.INCREMENT),)
    assert manifest.with_increment("a").increments[-1].name == "a.6.incr.aof"


@pytest.mark.parametrize("name", ["with space.aof", 'with"quote.aof', "with\ttab.aof", "umlaut-\udcfc.aof"])
def test_a_name_that_is_no_plain_word_stands_in_quotes(name: str) -> None:
    manifest = Manifest().adopting(name)
    assert parse_manifest(manifest.format()) == manifest


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        (b"", "Found an empty AOF manifest", 0),
        (b"\n", "Invalid AOF manifest file format", 1),
        (b"file a seq 1 type i", "The AOF manifest file contains too long line", 1),
        (b"file " + b"a" * 1100 + b" seq 1 type i\n", "The AOF manifest file contains too long line", 1),
        (b"file a seq 1\n", "Invalid AOF manifest file format", 1),
        (b'file "a seq 1 type i\n', "Invalid AOF manifest file format", 1),
        (b"file a seq x type i\n", "Invalid AOF manifest file format", 1),
        (b"file ../a seq 1 type i\n", "File can't be a path, just a filename", 1),
        (b"file a seq 1 type x\n", "Unknown AOF file type", 1),
        (b"file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information", 2),
        (b"file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number", 2),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused_with_its_line(text: bytes, reason: str, line: int) -> None:
    with pytest.raises(ManifestError) as refused:
        parse_manifest(text)
    assert (str(refused.value), refused.value.line) == (reason, line)
