"""The tokens that the upstream has accepted, perhaps some time ago.

A caller can invent any number of tokens. Where tokens take turns, all that were never accepted share one place.
"""

from __future__ import annotations

from collections import OrderedDict

# The owner of requests without a token.
NO_OWNER = b""

# A locator takes about 150 bytes: more tokens than a process is expected to serve (our choice).
MAX_OWNERS = 5_000


class AcceptedTokens:
    """The locators of the tokens that were accepted most recently."""

    def __init__(self, max_owners: int = MAX_OWNERS) -> None:
        self._max_owners = max_owners
        self._owners: OrderedDict[bytes, None] = OrderedDict()

    def note(self, owner: bytes) -> None:
        """Note that the upstream has accepted the token."""
        self._owners[owner] = None
        self._owners.move_to_end(owner)
        if len(self._owners) > self._max_owners:
            self._owners.popitem(last=False)

    def owner(self, owner: bytes) -> bytes:
        """Return ``owner`` if its token was accepted, else the one that all others share."""
        return owner if owner in self._owners else NO_OWNER

    def __contains__(self, owner: object) -> bool:
        return owner in self._owners
