"""Content negotiation: RFC 9110, section 12.5, and GraphQL over HTTP, section "Media types"."""

from __future__ import annotations

import re
from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
HTML = "text/html"

# RFC 9110, section 12.4.2, with any number of digits.
_WEIGHT = re.compile(r"0(\.\d*)?|1(\.0*)?|\.\d+", re.ASCII)

# For codings that a client lists with equal weight. Clients that list br read it: browsers, and Node since 10.16. It is
# four times as fast as gzip here. zstd is last because graphql-codegen and graphql-inspector (@whatwg-node/fetch) list
# it on Node 20, which cannot read it, in the same words as browsers. A client that prefers zstd can say so by weights.
CODINGS = ("br", "gzip", "zstd")

# For codings that only "*" stands for: every client reads gzip.
_UNLISTED_CODINGS = ("gzip", "br", "zstd")

# RFC 9110, section 8.4.1.3.
_SYNONYMS = {"x-gzip": "gzip"}


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
    """Return the content coding that the client likes most (RFC 9110, section 12.5.3), or None to leave it out.

    Among equally liked codings, listed ones come before those that "*" stands for. No coding at all must be liked more
    than each of them. If nothing is acceptable, the response has no coding, as that section recommends.
    """
    weights = _coding_weights(accept_encoding)
    anything = weights.get("*", 0.0)
    rated = [(weights[coding], coding) for coding in CODINGS if coding in weights]
    rated += [(anything, coding) for coding in _UNLISTED_CODINGS if coding not in weights]
    weight, coding = max(rated, key=lambda pair: pair[0])
    return coding if weight > 0 and weight >= weights.get("identity", 0.0) else None


@lru_cache(maxsize=256)
def refuses_identity(accept_encoding: str) -> bool:
    """Return True if the client accepts no response without a content coding, not even a small one."""
    weights = _coding_weights(accept_encoding)
    return weights.get("identity", weights.get("*", 1.0)) == 0


def _coding_weights(accept_encoding: str) -> dict[str, float]:
    ranges = (_range(part) for part in accept_encoding.split(","))
    return {_SYNONYMS.get(name, name): weight for name, weight in ranges}


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
            return name, float(parameter[2:]) if _WEIGHT.fullmatch(parameter, 2) else 0.0
    return name, 1.0
