"""Content negotiation: RFC 9110, section 12.5, and GraphQL over HTTP, section "Media types"."""

from __future__ import annotations

from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
HTML = "text/html"

# Fastest first, as in the library that compresses streamed responses.
CODINGS = ("zstd", "br", "gzip")


@lru_cache(maxsize=256)
def response_type(accept: str | None) -> str:
    """Return the media type of a GraphQL response; plain JSON without a preference or an acceptable type."""
    return _best(accept, (JSON, GRAPHQL_JSON)) or JSON


@lru_cache(maxsize=256)
def prefers_html(accept: str | None) -> bool:
    """Return True if the client prefers HTML to any JSON, as a browser's address bar does."""
    return bool(accept) and _best(accept, (JSON, GRAPHQL_JSON, HTML)) == HTML


@lru_cache(maxsize=256)
def coding_for(accept_encoding: str) -> str | None:
    """Return the fastest acceptable content coding, or None: RFC 9110, section 12.5.3."""
    weights = dict(_range(part) for part in accept_encoding.split(","))
    return next((coding for coding in CODINGS if weights.get(coding, weights.get("*", 0.0)) > 0), None)


def _best(accept: str | None, offered: tuple[str, ...]) -> str | None:
    """Return the offer of the greatest weight; ties go to the most specific range, the first range, the first offer."""
    ranges = [_range(part) for part in (accept or "*/*").split(",")]
    rated = [(*_rating(kind, ranges), -place, kind) for place, kind in enumerate(offered)]
    quality, *_, kind = max(rated)
    return kind if quality > 0 else None


def _rating(kind: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """Return the weight of ``kind`` in its most specific range, with the range's specificity and negated position."""
    family = kind.partition("/")[0]
    for specificity, pattern in ((2, kind), (1, f"{family}/*"), (0, "*/*")):
        ratings = [(weight, specificity, -place) for place, (name, weight) in enumerate(ranges) if name == pattern]
        if ratings:
            return max(ratings)
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
