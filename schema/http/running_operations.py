"""Bound the memory of the operations that run.

An operation may wait minutes for the upstream. Until then it keeps its variables, its parsed document, and the tasks of
its fields. So each operation counts with an estimate of their size, and further ones are refused beyond a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.errors import ServiceUnavailable
from schema.execution.prepared_documents import PreparedDocument

# Our choice, an eighth of a process's memory with the default settings: by the estimates below, 2,700 operations with
# one root field, or a thousand if each has another document of 400 bytes. Only half of it is for larger operations: 245
# with ten root fields.
MAX_BYTES = 134_217_728

# Larger operations take at most half together, so that ordinary ones have the other half. One token takes at most a
# quarter of what the others leave, so that any number of tokens leave something (our choices). An ordinary operation
# has fewer than ten fields and less than 8 kB of variables.
LARGE_BYTES = 262_144
LARGE_SHARE, OWNER_SHARE = 0.5, 0.25

# Measured: resident memory of 400 waiting operations, with one to ten root fields each.
OPERATION_BYTES, FIELD_BYTES = 24_000, 25_000

# Measured: the longest documents take 380 to 390 bytes for each token, and short ones 10 kB more.
DOCUMENT_BYTES, TOKEN_BYTES = 10_000, 400

# Measured: empty lists in JSON take 28 times as much memory once they are decoded.
DECODED_BYTES = 28

RETRY_SECONDS = 1


def operation_bytes(variables_bytes: int, root_fields: int) -> int:
    """Return an estimate of what an operation keeps apart from texts and its parsed document."""
    return OPERATION_BYTES + DECODED_BYTES * variables_bytes + FIELD_BYTES * root_fields


def document_bytes(document: PreparedDocument) -> int:
    """Return an estimate of the size of a parsed document."""
    return DOCUMENT_BYTES + TOKEN_BYTES * document.tokens


@dataclass(eq=False, slots=True)
class RunningOperation:
    """One operation of ``owner``, with the bytes that it keeps itself."""

    owner: bytes
    own_bytes: int = 0
    document: PreparedDocument | None = None


@dataclass(slots=True)
class _SharedDocument:
    """A document that several operations use. It counts for the owner of one of them, ``payer``."""

    size_bytes: int
    payer: RunningOperation
    users: dict[RunningOperation, None] = field(default_factory=dict)


class RunningOperations:
    """The operations of a process that run on the ordinary path, with at most ``max_bytes`` together."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._large_bytes = 0
        self._owners: dict[bytes, int] = {}
        # By identity: documents that were prepared twice take memory twice.
        self._documents: dict[int, _SharedDocument] = {}

    @contextmanager
    def operation(self, owner: bytes) -> Iterator[RunningOperation]:
        """Count an operation of ``owner`` until the context ends; requests without a token share one owner."""
        operation = RunningOperation(owner)
        try:
            yield operation
        finally:
            self._add(owner, -operation.own_bytes)
            self._leave_document(operation)

    def hold(self, operation: RunningOperation, size_bytes: int, document: PreparedDocument | None = None) -> None:
        """Set what ``operation`` keeps: ``size_bytes`` itself, and ``document``, which counts once for all its users.

        Raises ServiceUnavailable if there is no room.
        """
        shared = None if document is None else self._documents.get(id(document))
        extra_bytes = 0 if document is None or shared is not None else document_bytes(document)
        self._add(operation.owner, -operation.own_bytes)
        operation.own_bytes = 0
        if self._exceeds(operation.owner, size_bytes, extra_bytes):
            raise ServiceUnavailable(
                "Too many large operations are running. Retry soon.", retry_after_seconds=RETRY_SECONDS
            )
        operation.own_bytes = size_bytes
        self._add(operation.owner, size_bytes)
        if document is not None:
            operation.document = document
            self._add(operation.owner, extra_bytes)
            if shared is None:
                shared = self._documents[id(document)] = _SharedDocument(extra_bytes, operation)
            shared.users[operation] = None

    def _leave_document(self, operation: RunningOperation) -> None:
        if operation.document is None:
            return
        shared = self._documents[id(operation.document)]
        del shared.users[operation]
        if shared.payer is not operation:
            return
        self._add(operation.owner, -shared.size_bytes)
        if shared.users:
            shared.payer = next(reversed(shared.users))
            self._add(shared.payer.owner, shared.size_bytes)
        else:
            del self._documents[id(operation.document)]

    def _exceeds(self, owner: bytes, own_bytes: int, shared_bytes: int) -> bool:
        """Return True if parts of these sizes exceed a bound. The only operation of its kind may exceed it."""
        extra_bytes, owner_bytes = own_bytes + shared_bytes, self._owners.get(owner, 0)
        left_bytes = self.max_bytes - self.used_bytes + owner_bytes
        large_bytes = (own_bytes > LARGE_BYTES) * own_bytes + (shared_bytes > LARGE_BYTES) * shared_bytes
        return (
            _is_over(self.used_bytes, extra_bytes, self.max_bytes)
            or _is_over(self._large_bytes, large_bytes, self.max_bytes * LARGE_SHARE)
            or _is_over(owner_bytes, extra_bytes, left_bytes * OWNER_SHARE)
        )

    def _add(self, owner: bytes, size_bytes: int) -> None:
        """Count a part of an operation, or with a negative size its end."""
        if not size_bytes:
            return
        self.used_bytes += size_bytes
        if abs(size_bytes) > LARGE_BYTES:
            self._large_bytes += size_bytes
        held_bytes = self._owners.get(owner, 0) + size_bytes
        if held_bytes:
            self._owners[owner] = held_bytes
        else:
            del self._owners[owner]


def _is_over(used_bytes: int, extra_bytes: int, max_bytes: float) -> bool:
    return bool(used_bytes and extra_bytes and used_bytes + extra_bytes > max_bytes)
