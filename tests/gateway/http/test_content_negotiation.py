"""Negotiation of content coding and media type."""

from __future__ import annotations

import pytest

from gateway.http.content_negotiation import JSON, coding_for, refuses_identity, response_type


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        # Browsers, and @whatwg-node/fetch on Node 20, which cannot read zstd.
        ("gzip, deflate, br, zstd", "br"),
        ("zstd, gzip", "gzip"),
        ("zstd, gzip;q=0.5", "zstd"),
        ("gzip, br;q=0.9, zstd;q=0.8", "gzip"),
        ("br;q=0.1, gzip;q=0.2, zstd;q=0.300", "zstd"),
        ("GZip ; Q=0.5", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=0.1", "gzip"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0, *", "br"),
        ("gzip;q=0, br;q=0, *;q=0.2", "zstd"),
        ("zstd, *", "zstd"),
        ("zstd;q=0.5, *", "gzip"),
        ("gzip, *;q=0", "gzip"),
        ("identity", None),
        ("identity, gzip", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0.5, *;q=0.1", None),
        ("identity;q=0, deflate", None),
        ("identity;q=0", None),
        ("gzip;q=junk", None),
        ("gzip;q=nan, br;q=inf, zstd;q=-1", None),
        ("gzip;q=2", None),
        ("", None),
    ],
)
def test_the_coding_is_what_the_client_likes_most(accept_encoding: str, coding: str | None) -> None:
    assert coding_for(accept_encoding) == coding


@pytest.mark.parametrize(
    ("accept_encoding", "refused"),
    [
        ("identity;q=0", True),
        ("gzip, identity;q=0.0", True),
        ("gzip, *;q=0", True),
        ("*;q=0, identity;q=0.1", False),
        ("gzip", False),
        ("*", False),
        ("", False),
    ],
)
def test_identity_is_refused_by_name_or_with_everything_else(accept_encoding: str, refused: bool) -> None:
    assert refuses_identity(accept_encoding) is refused


@pytest.mark.parametrize("accept", ["application/graphql-response+json;q=0", "*/*;q=0", "text/csv", "", None])
def test_an_unsupported_accept_header_gives_plain_json(accept: str | None) -> None:
    assert response_type(accept) == JSON
