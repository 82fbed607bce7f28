"""Documents that requests identify by an id instead of sending their text.

Without a manifest, an id is the hash of a text that some client sent before: Apollo's *automatic persisted queries*.
The hash verifies the text, so any client may have sent it. With a manifest, only its documents run; they are *trusted*.
In both cases, the text of a request is looked up first, and later steps never see an id.
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

from graphql import OperationDefinitionNode, parse

from gateway.config.manifest import shown
from gateway.errors import BadRequest, OperationNotTrusted, PersistedQueryNotFound
from schema.http.request import SHA256, Parameters

# Limits of the cache of one process, and of one document (our choice: a thousand ordinary documents in 8 MiB). Longer
# documents run, but must be sent each time.
MAX_CACHED_DOCUMENTS, MAX_CACHED_BYTES, MAX_DOCUMENT_BYTES = 1_024, 8_388_608, 131_072

# Returns why a text cannot run with any variables; empty if it can.
FaultsOf = Callable[[str], list[str]]


class AutomaticDocuments:
    """A cache of valid texts by hash, filled by clients; the least recently used texts are evicted first."""

    # The only names that may run; empty, because clients may send any operation.
    operation_names: tuple[str, ...] = ()

    def __init__(self, *, max_documents: int = MAX_CACHED_DOCUMENTS, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        # Each with its size in bytes when stored; Python may enlarge a text later.
        self._texts: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._used_bytes = 0

    def text_of(self, parameters: Parameters) -> str:
        """Return the text to run, even an invalid one, so that execution reports its errors. Raises BadRequest."""
        name, text = parameters.document_id(), parameters.query
        if name is None or not name.startswith(SHA256):
            if not text:
                raise PersistedQueryNotFound(
                    "No document has this id. Send 'sha256:' and the hash of a text that was sent before."
                )
            return text
        digest = name.removeprefix(SHA256)
        cached_text, _ = self._texts.get(digest, (None, 0))
        if cached_text is not None:
            self._texts.move_to_end(digest)
        if text:
            if text != cached_text and digest != digest_of(text):
                raise mismatch()
            return text
        if cached_text is None:
            raise PersistedQueryNotFound
        return cached_text

    def store(self, name: str | None, text: str) -> None:
        """Store a valid text if it was sent with its hash; ``text_of`` has compared them."""
        digest, size_bytes = (name or "").removeprefix(SHA256), sys.getsizeof(text)
        if name is None or not name.startswith(SHA256) or digest in self._texts or size_bytes > MAX_DOCUMENT_BYTES:
            return
        self._texts[digest] = (text, size_bytes)
        self._used_bytes += size_bytes
        while len(self._texts) > self._max_documents or self._used_bytes > self._max_bytes:
            _, (_, evicted_bytes) = self._texts.popitem(last=False)
            self._used_bytes -= evicted_bytes


class TrustedDocuments:
    """The documents of a manifest, by id or verbatim; all others are refused."""

    def __init__(self, manifest: Mapping[str, str], faults_of: FaultsOf) -> None:
        """Raises ValueError with one line for each document that cannot run."""
        faults = [(name, messages) for name, text in manifest.items() if (messages := faults_of(text))]
        if faults:
            raise ValueError("\n".join(f"{shown(name)}: {' '.join(messages[0].split())}" for name, messages in faults))
        self._texts = frozenset(manifest.values())
        self.operation_names = tuple(name for text in dict.fromkeys(manifest.values()) for name in _names_in(text))
        # Also by hash, for clients that send hashes whatever the ids in the manifest are.
        self._by_id = {**{digest_of(text): text for text in self._texts}, **manifest}

    def text_of(self, parameters: Parameters) -> str:
        """Return the text to run. Raises BadRequest and OperationNotTrusted."""
        name, text = parameters.document_id(), parameters.query
        # Apollo's clients send any id as if it were a hash.
        document = None if name is None else self._by_id.get(name) or self._by_id.get(name.removeprefix(SHA256))
        if text:
            if text not in self._texts:
                raise OperationNotTrusted
            if name is not None and document != text:
                raise mismatch()
            return text
        if document is None:
            raise OperationNotTrusted
        return document

    def store(self, name: str | None, text: str) -> None:
        """Do nothing: the manifest has all documents."""


Documents = AutomaticDocuments | TrustedDocuments


def _names_in(text: str) -> Iterator[str]:
    for definition in parse(text, no_location=True).definitions:
        if isinstance(definition, OperationDefinitionNode) and definition.name is not None:
            yield definition.name.value


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, as lower-case hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def mismatch() -> BadRequest:
    """Return the error for an id that belongs to another text."""
    return BadRequest(
        "The provided sha does not match query. Send the SHA-256 of its text in UTF-8, in lower-case hex digits."
    )
