"""Negotiation of content coding and media type."""

from __future__ import annotations

import pytest

from gateway.http.content_negotiation import JSON, coding_for, response_type


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, br, zstd", "zstd"),
        ("gzip;q=0.1", "gzip"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("zstd;q=0, *", "br"),
        ("zstd;q=0, br;q=0, *;q=0.2", "gzip"),
        ("gzip, *;q=0", "gzip"),
        ("gzip;q=junk", None),
        ("identity", None),
        ("", None),
    ],
)
def test_only_codings_that_the_client_accepts_are_chosen(accept_encoding: str, coding: str | None) -> None:
    assert coding_for(accept_encoding) == coding


@pytest.mark.parametrize("accept", ["application/graphql-response+json;q=0", "*/*;q=0", "text/csv", "", None])
def test_an_unsupported_accept_header_gives_plain_json(accept: str | None) -> None:
    assert response_type(accept) == JSON
