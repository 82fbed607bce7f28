"""What is asked and answered inside the gateway: a Caller fetches Pages from a PageSource.

Cache, single-flight, block reader, measurements, client and fakes all are PageSources, so they wrap one another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import msgspec

from gateway.errors import QueryTooComplex, Unauthenticated
from gateway.query import PageQuery

# Visible ASCII without comma, quote and backslash: wider than RFC 6750's b64token, because opaque tokens in the wild
# (and the sandbox's) use more characters, and still free of all that could end a header or start a second credential.
TOKEN = re.compile(r"[!#-+\--\[\]-~]+")

# Entra tokens with many groups reach a few kB; 8 kB must work, tens of kB must not.
MAX_TOKEN_BYTES = 16_384

# RFC 5869, 3.1: no secret; it keeps our keys apart from those that another program makes of the same token.
HKDF_SALT = b"partner-center-graphql"


class AccessToken:
    """A caller's bearer token. The secret is never part of its repr, and two tokens are equal only as a whole.

    ``locator`` names the token in tables without telling it: a 32-byte digest of the whole token. ``expires_at`` is
    the ``exp`` claim in seconds since 1970 where the token is a readable JWT, else None. The claim is not verified: it
    only ever shortens what is served.
    """

    __slots__ = ("_derived", "_secret", "expires_at", "locator")

    def __init__(self, secret: str) -> None:
        if len(secret) > MAX_TOKEN_BYTES or not TOKEN.fullmatch(secret):
            fault = "malformed." if secret else "empty. Is the variable that holds it set?"
            raise Unauthenticated(f"The bearer token is {fault} Send 'Authorization: Bearer <access token>'.")
        self._secret = secret
        self.locator = hashlib.blake2b(secret.encode(), digest_size=32, person=b"pcg-locator").digest()
        self.expires_at = _expiry(secret)
        self._derived: dict[str, bytes] = {}

    def reveal(self) -> str:
        """The secret itself, for the Authorization header of an upstream call, and for whoever obtained it here."""
        return self._secret

    def derived(self, label: str) -> bytes:
        """32 secret bytes made of the whole token, others for each ``label``; the token cannot be told from them.

        HKDF-SHA256 (RFC 5869) with one block of output.
        """
        found = self._derived.get(label)
        if found is None:
            extracted = hmac.digest(HKDF_SALT, self._secret.encode(), "sha256")
            found = self._derived[label] = hmac.digest(extracted, label.encode() + b"\x01", "sha256")
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccessToken) and self.locator == other.locator

    def __hash__(self) -> int:
        return hash(self.locator)

    def __repr__(self) -> str:
        return "AccessToken(***)"

    def __reduce__(self) -> Any:
        raise TypeError("an access token is not to be pickled or copied")


ClaimsT = TypeVar("ClaimsT", bound=msgspec.Struct)


def read_claims(secret: str, kind: type[ClaimsT]) -> ClaimsT | None:
    """What a token says of itself, unverified, as far as ``kind`` names it; None where it is no readable JWT."""
    parts = secret.split(".")
    if len(parts) != 3:
        return None
    try:
        # JWT payloads are base64url without padding (RFC 7519, section 3).
        payload = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(payload, type=kind)
    except (ValueError, RecursionError):
        return None


class _Claims(msgspec.Struct):
    exp: float | None = None


def _expiry(secret: str) -> float | None:
    claims = read_claims(secret, _Claims)
    return None if claims is None else claims.exp


class Budget:
    """Upstream calls that one operation may still cause.

    A fetch reserves one call before it starts, because fields run side by side, and settles what it cost afterwards.
    """

    __slots__ = ("max_calls", "spent_calls")

    def __init__(self, max_calls: int) -> None:
        self.max_calls = max_calls
        self.spent_calls = 0

    def reserve(self) -> None:
        """Set one call aside. Raises QueryTooComplex when none is left."""
        if self.spent_calls >= self.max_calls:
            raise QueryTooComplex(
                f"This operation needs more than {self.max_calls} upstream calls. Ask for fewer rows or fields at once."
            )
        self.spent_calls += 1

    def settle(self, calls: int) -> None:
        """Replace a reserved call by the ``calls`` that it took, 0 for an answer from the cache."""
        self.spent_calls += calls - 1


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Token and locale are the identity that results belong to; the rest belongs to this operation alone.

    ``deadline`` is in seconds of the event loop's clock.
    """

    token: AccessToken
    locale: str | None = None
    correlation_id: str = field(default="", compare=False)
    deadline: float = field(default=float("inf"), compare=False)
    budget: Budget = field(default_factory=lambda: Budget(1_000_000), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Tells one processing of the data from another: the usable total, and each service's processed date.

    ``dates`` holds pairs of service and date, sorted. A service seen with two dates in one page is left out, for it
    identifies no single processing.
    """

    total_count: int | None = None
    dates: tuple[tuple[str, str], ...] = ()

    def conflicts(self, other: Stamp) -> bool:
        """True when both cannot come from one processing of the data."""
        if None not in (self.total_count, other.total_count) and self.total_count != other.total_count:
            return True
        known = dict(self.dates)
        return any(known.get(service, date) != date for service, date in other.dates)

    def merged(self, other: Stamp) -> Stamp:
        """What both tell together; for stamps that do not conflict."""
        total = self.total_count if self.total_count is not None else other.total_count
        return Stamp(total, tuple(sorted({**dict(self.dates), **dict(other.dates)}.items())))


class CacheState(IntEnum):
    """Where a page came from, worst last; the reply's ``X-Cache`` is the worst of its pages."""

    HIT = 0
    STALE = 1
    MISS = 2


@dataclass(frozen=True, slots=True)
class PageWarning:
    """Something the caller should know of an answer that is otherwise good; kept with the page, repeated on hits."""

    code: str
    message: str
    count: int | None = None
    age_seconds: int | None = None


# Rows are missing, and nobody can tell which.
INCOMPLETE = PageWarning("UPSTREAM_INCOMPLETE", "The upstream promised more rows than it gave. Ask again later.")


class Renderings(Protocol):
    """What was made of a page, kept with it and within its cache's bound; what was kept may be gone at any time."""

    def get(self, key: Hashable) -> Any:
        """What was kept under ``key``, or None."""
        ...

    def keep(self, key: Hashable, value: Any, size_bytes: int) -> None:
        """Keep ``value`` if there is room."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Rows ``[skip, skip + len(rows))`` of a question; immutable, so that cache and flights may share it.

    ``more`` is what is known of row ``skip + len(rows)``: True it exists, False it does not, None nobody can tell
    without asking. ``total_count`` is None when the upstream's figure is unusable. ``fetched_at`` is in seconds since
    1970, ``calls`` the upstream calls that this fetch caused, 0 when it came from a cache. ``renderings`` is None for
    a page that no cache keeps.
    """

    rows: Sequence[Any]
    skip: int = 0
    more: bool | None = False
    total_count: int | None = None
    stamp: Stamp = Stamp()
    warnings: tuple[PageWarning, ...] = ()
    fetched_at: float = 0.0
    calls: int = 0
    cache: CacheState = CacheState.MISS
    renderings: Renderings | None = field(default=None, compare=False, repr=False)

    @property
    def end(self) -> int:
        """Offset behind the last row."""
        return self.skip + len(self.rows)

    def reaches(self, stop: int) -> bool:
        """True when no row below ``stop`` is missing behind the last one."""
        return self.more is False or self.end >= stop

    def having(self, **changes: Any) -> Page:
        """A copy with other facts and the same rows."""
        return replace(self, **changes)


class PageSource(Protocol):
    """The one contract inside the gateway."""

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Rows ``[query.skip, query.skip + query.top)``, fewer only where the data ends. Raises GatewayError."""
        ...


class KeptPages(Protocol):
    """What answers from memory alone."""

    def peek(self, query: PageQuery, caller: Caller) -> Page | None:
        """The fresh page kept for ``query``, or None."""
        ...


def stamp_of(rows: Sequence[Any], *, service: str, date: str, total_count: int | None) -> Stamp:
    """The stamp of ``rows``, read from their attributes named ``service`` and ``date``."""
    seen: dict[str, str | None] = {}
    for name, when in _pairs(rows, service, date):
        if when is not None:
            key = name or ""
            seen[key] = None if key in seen and seen[key] != when else when
    return Stamp(total_count, tuple(sorted((key, when) for key, when in seen.items() if when is not None)))


def _pairs(rows: Sequence[Any], service: str, date: str) -> Iterable[tuple[str | None, str | None]]:
    dates = set(map(attrgetter(date), rows))
    if len(dates) > 1:
        return set(map(attrgetter(service, date), rows))
    # One date, as usual: a set of texts is made in a third of the time of a set of pairs.
    return [(name, when) for name in set(map(attrgetter(service), rows)) for when in dates]
