"""The index of cached blocks."""

from __future__ import annotations

from gateway.cache.block import Index
from gateway.snapshots.snapshot import Snapshot


def test_discarding_one_block_keeps_the_others_of_its_query() -> None:
    index = Index()
    for key in ("question:0:10", "question:10:10"):
        index.add(b"token", "question", key, Snapshot(25), 1.0)
    index.discard("question:0:10")
    assert list(index.blocks("question")) == [("question:10:10", Snapshot(25), 1.0)]
    assert index.keys_of(b"token") == ["question:10:10"]
    index.discard("question:10:10")
    assert list(index.blocks("question")) == []
    assert index.keys_of(b"token") == []


def test_discarding_a_block_twice_or_an_unknown_one_changes_nothing() -> None:
    index = Index()
    index.add(b"token", "question", "question:0:10", Snapshot(), 1.0)
    index.discard("other:0:10")
    index.discard("question:10:10")
    assert index.keys_of(b"token") == ["question:0:10"]
