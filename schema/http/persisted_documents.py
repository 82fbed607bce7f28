"""Documents that requests name by an id instead of sending them.

Without a manifest, ids are hashes of texts that somebody has sent before: Apollo's *automatic persisted queries*. The
hash proves the text, so it does not matter who sent it. With a manifest, its documents are *trusted* and nothing else
runs. Either way a request's text is found first and for all: what comes after knows nothing of ids.
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from graphql import OperationDefinitionNode, parse

from gateway.config.manifest import shown
from gateway.errors import BadRequest, OperationNotTrusted, PersistedQueryNotFound
from schema.http.request import SHA256, Parameters

# Bounds of what one process keeps, and of one document (our choice: a thousand of what people write, in 8 MiB). A
# longer one is run, but must be sent each time.
KEPT_DOCUMENTS, KEPT_BYTES, MAX_DOCUMENT_BYTES = 1_024, 8_388_608, 131_072

# Tells what keeps a text from being run, whatever the variables; nothing when it can be.
FaultsOf = Callable[[str], list[str]]


class Documents(Protocol):
    """Finds the document of a request. ``operation_names`` are those that may run, none where anything may."""

    @property
    def operation_names(self) -> tuple[str, ...]:
        """Names that are no caller's invention."""

    def text_of(self, parameters: Parameters) -> str:
        """The text to run. Raises BadRequest and DocumentRefused."""


class AutomaticDocuments:
    """Keeps each valid text that came with its hash, and finds it by that; least recently used ones go first."""

    # Anybody may send anything.
    operation_names: tuple[str, ...] = ()

    def __init__(
        self, faults_of: FaultsOf, *, max_documents: int = KEPT_DOCUMENTS, max_bytes: int = KEPT_BYTES
    ) -> None:
        self._faults_of = faults_of
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        # Each with its size in bytes, which Python may change when it looks at a text.
        self._texts: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._used_bytes = 0

    def text_of(self, parameters: Parameters) -> str:
        """See :class:`Documents`. A text that cannot run is given back all the same, for its errors to be told."""
        name, text = parameters.document_id(), parameters.query
        if name is None or not name.startswith(SHA256):
            if not text:
                raise PersistedQueryNotFound(
                    "No document has this id. Ids here are 'sha256:' and the hash of a text that was sent before."
                )
            return text
        digest = name.removeprefix(SHA256)
        kept, _ = self._texts.get(digest, (None, 0))
        if kept is not None:
            self._texts.move_to_end(digest)
        if text:
            if text != kept:
                self._keep(digest, text)
            return text
        if kept is None:
            raise PersistedQueryNotFound
        return kept

    def _keep(self, digest: str, text: str) -> None:
        if digest != digest_of(text):
            raise mismatch()
        size_bytes = sys.getsizeof(text)
        if size_bytes > MAX_DOCUMENT_BYTES or self._faults_of(text):
            return
        self._texts[digest] = (text, size_bytes)
        self._used_bytes += size_bytes
        while len(self._texts) > self._max_documents or self._used_bytes > self._max_bytes:
            _, (_, forgotten_bytes) = self._texts.popitem(last=False)
            self._used_bytes -= forgotten_bytes


class TrustedDocuments:
    """Runs what is in a manifest, by id or to the letter, and nothing else."""

    def __init__(self, manifest: Mapping[str, str], faults_of: FaultsOf) -> None:
        """Raise ValueError, one line for each document that cannot run."""
        faults = [(name, found) for name, text in manifest.items() if (found := faults_of(text))]
        if faults:
            raise ValueError("\n".join(f"{shown(name)}: {' '.join(found[0].split())}" for name, found in faults))
        self._texts = frozenset(manifest.values())
        self.operation_names = tuple(name for text in dict.fromkeys(manifest.values()) for name in _names_in(text))
        # By hash, too, for clients that hash what they send, whatever the ids in the manifest are.
        self._by_id = {**{digest_of(text): text for text in self._texts}, **manifest}

    def text_of(self, parameters: Parameters) -> str:
        """See :class:`Documents`."""
        name, text = parameters.document_id(), parameters.query
        # Apollo's clients send any id as if it were a hash.
        found = None if name is None else self._by_id.get(name) or self._by_id.get(name.removeprefix(SHA256))
        if text:
            if text not in self._texts:
                raise OperationNotTrusted
            if name is not None and found != text:
                raise mismatch()
            return text
        if found is None:
            raise OperationNotTrusted
        return found


def _names_in(text: str) -> Iterator[str]:
    """The names of a document's operations."""
    for definition in parse(text, no_location=True).definitions:
        if isinstance(definition, OperationDefinitionNode) and definition.name is not None:
            yield definition.name.value


def digest_of(text: str) -> str:
    """The SHA-256 of a text in UTF-8, as lower-case hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def mismatch() -> BadRequest:
    """The error about an id that belongs to another text."""
    return BadRequest(
        "The provided sha does not match query. Send the SHA-256 of its text in UTF-8, in lower-case hex digits."
    )
