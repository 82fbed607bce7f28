"""Which blocks are kept of which question of which token, so that a question or a token can be dropped as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from gateway.page import Caller, Stamp
from gateway.query import PageQuery


def query_key(query: PageQuery, caller: Caller) -> str:
    """A digest of the whole token, the locale and the canonical question. It tells none of them."""
    # The first two parts have fixed lengths, so that no two keys are made of the same bytes.
    parts = caller.token.locator + query.digest + (caller.locale or "").encode()
    return hashlib.blake2b(parts, digest_size=32, person=b"pcg-question").hexdigest()


class Index:
    """Keys of kept blocks, by token and question, each with its block's stamp and time.

    It holds exactly the keys that the store holds: ``add`` and ``discard`` follow every change of the store.
    """

    def __init__(self) -> None:
        self._questions: dict[str, dict[str, tuple[Stamp, float]]] = {}
        self._tokens: dict[bytes, set[str]] = {}
        self._owners: dict[str, bytes] = {}

    def add(self, locator: bytes, question: str, key: str, stamp: Stamp, fetched_at: float) -> None:
        """Note that the store keeps ``key``."""
        self._questions.setdefault(question, {})[key] = (stamp, fetched_at)
        self._tokens.setdefault(locator, set()).add(question)
        self._owners[question] = locator

    def discard(self, key: str) -> None:
        """Note that the store keeps ``key`` no longer."""
        question = key.partition(":")[0]
        blocks = self._questions.get(question, {})
        blocks.pop(key, None)
        if not blocks and question in self._questions:
            del self._questions[question]
            locator = self._owners.pop(question)
            self._tokens[locator].discard(question)
            if not self._tokens[locator]:
                del self._tokens[locator]

    def blocks(self, question: str) -> Iterator[tuple[str, Stamp, float]]:
        """Key, stamp and time of every block kept of ``question``."""
        for key, (stamp, fetched_at) in list(self._questions.get(question, {}).items()):
            yield key, stamp, fetched_at

    def keys_of(self, locator: bytes) -> list[str]:
        """Every key kept for a token."""
        return [key for question in self._tokens.get(locator, ()) for key in self._questions[question]]
