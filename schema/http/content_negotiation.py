"""Which kind of reply a client wants: RFC 9110, section 12.5, and GraphQL over HTTP, section "Media types"."""

from __future__ import annotations

from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
HTML = "text/html"

# Also the order of the server's layer for all replies.
CODINGS = ("zstd", "br", "gzip")


@lru_cache(maxsize=256)
def reply_type(accept: str | None) -> str:
    """The media type to answer a GraphQL request in. With no preference, or one that cannot be met, plain JSON."""
    return _best(accept, (JSON, GRAPHQL_JSON)) or JSON


@lru_cache(maxsize=256)
def prefers_html(accept: str | None) -> bool:
    """True when a page suits the client better than any JSON, as for a browser's address bar."""
    return bool(accept) and _best(accept, (JSON, GRAPHQL_JSON, HTML)) == HTML


@lru_cache(maxsize=256)
def coding_for(accept_encoding: str) -> str | None:
    """The content coding to compress a reply in, quickest first, or None: RFC 9110, section 12.5.3."""
    weights = dict(_range(part) for part in accept_encoding.split(","))
    return next((coding for coding in CODINGS if weights.get(coding, weights.get("*", 0.0)) > 0), None)


def _best(accept: str | None, offered: tuple[str, ...]) -> str | None:
    """The offer of the greatest weight; of equals the one named outright, then named first, then offered first."""
    ranges = [_range(part) for part in (accept or "*/*").split(",")]
    rated = [(*_rating(kind, ranges), -place, kind) for place, kind in enumerate(offered)]
    quality, *_, kind = max(rated)
    return kind if quality > 0 else None


def _rating(kind: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """Weight of ``kind`` under its most specific range, how specific that is, and how far ahead it stands."""
    family = kind.partition("/")[0]
    for specificity, pattern in ((2, kind), (1, f"{family}/*"), (0, "*/*")):
        found = [(weight, specificity, -place) for place, (name, weight) in enumerate(ranges) if name == pattern]
        if found:
            return max(found)
    return 0.0, 0, 0


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0
