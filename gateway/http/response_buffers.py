"""Bound the memory of responses that are built but not yet sent.

The response of a client that does not read stays in memory, so a few dozen such clients could take a gigabyte.
"""

from __future__ import annotations

from starlette.types import Scope

from gateway.errors import PayloadTooLarge, ServiceUnavailable

# The server stops accepting data at this size, so a smaller body costs no more than any open connection. It is also the
# size of a piece: asyncio's and uvloop's default high-water mark.
PIECE_BYTES = 65_536

# A compressed copy counts as a quarter of its body until its size is known. Measured: rows compress to a tenth.
COMPRESSED_PART = 4

# The share of the buffer for several responses of one token (our choice).
OWNER_SHARE = 0.5

# Most clients read a response within seconds. Clients that stop reading are disconnected after a minute.
RETRY_AFTER_SECONDS = 5


class ResponseBuffers:
    """The bytes of response bodies that one process holds, at most ``max_bytes``.

    Several responses of one owner take at most OWNER_SHARE of them, so that others can get theirs.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._owners: dict[bytes, int] = {}

    def open(self, owner: bytes) -> ResponseBuffer:
        """Return the empty buffer of one response; close it once the response is sent."""
        return ResponseBuffer(self, owner)

    def held_by(self, owner: bytes) -> int:
        """Return the bytes of all responses of ``owner``."""
        return self._owners.get(owner, 0)

    def add(self, owner: bytes, extra_bytes: int) -> None:
        """Count ``extra_bytes``, perhaps negative, of a response of ``owner``."""
        self.used_bytes += extra_bytes
        held_bytes = self.held_by(owner) + extra_bytes
        if held_bytes:
            self._owners[owner] = held_bytes
        else:
            self._owners.pop(owner, None)


class ResponseBuffer:
    """The bytes that one response of ``owner`` holds.

    ``refusal`` is the error to return once ``take`` has returned False.
    """

    __slots__ = ("_all", "held_bytes", "owner", "refusal")

    def __init__(self, buffers: ResponseBuffers, owner: bytes) -> None:
        self._all = buffers
        self.owner = owner
        self.held_bytes = 0
        self.refusal: PayloadTooLarge | ServiceUnavailable | None = None

    def take(self, size_bytes: int) -> bool:
        """Add bytes and return True, or return False if they exceed the bound. Small responses always fit.

        Not an exception: its traceback would keep the rendered rows in memory.
        """
        total_bytes = self.held_bytes + size_bytes
        if total_bytes > PIECE_BYTES and self._exceeds(size_bytes):
            self.refusal = self.refusal or self._refused(total_bytes)
        else:
            self.hold(total_bytes)
        return self.refusal is None

    def hold(self, size_bytes: int) -> None:
        """Set the number of bytes without checking the bound, for a response that became smaller or is nearly sent."""
        self._all.add(self.owner, size_bytes - self.held_bytes)
        self.held_bytes = size_bytes

    def close(self) -> None:
        """Release everything."""
        self.hold(0)
        self.refusal = None

    def _exceeds(self, size_bytes: int) -> bool:
        buffers = self._all
        owner_bytes = buffers.held_by(self.owner)
        # A response may take everything if it is the only one of its owner.
        has_others = owner_bytes > self.held_bytes
        return buffers.used_bytes + size_bytes > buffers.max_bytes or (
            has_others and owner_bytes + size_bytes > buffers.max_bytes * OWNER_SHARE
        )

    def _refused(self, size_bytes: int) -> PayloadTooLarge | ServiceUnavailable:
        if size_bytes > self._all.max_bytes:
            return PayloadTooLarge(
                f"The response is over {self._all.max_bytes} bytes, the limit GATEWAY_MAX_RESPONSE_BUFFER_BYTES."
                " Request fewer rows or fields at once."
            )
        return ServiceUnavailable(
            "The gateway's buffer (GATEWAY_MAX_RESPONSE_BUFFER_BYTES) is full of responses that clients have not read"
            " yet. Retry later.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def attach_buffer(scope: Scope, buffer: ResponseBuffer) -> None:
    """Make ``buffer`` the buffer of this request."""
    scope["state"]["response_buffer"] = buffer


def buffer_of(scope: Scope) -> ResponseBuffer | None:
    """Return the buffer of this request, or None if its response is small."""
    buffer: ResponseBuffer | None = scope["state"].get("response_buffer")
    return buffer
